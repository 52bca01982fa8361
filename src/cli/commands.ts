// Every command of graft as a row: its words, its options and what it does. Parsing and help come from these rows.
// Nothing heavy is imported here: a command imports its verb when it runs.
import type { CommandCode } from './command-code.ts';

/** How an option's text becomes a value. */
export type OptionKind = 'flag' | 'number' | 'text';

/** One option. Its key in the verb's options is the flag in camel case. */
export interface OptionRow {
  readonly flag: string;
  readonly kind: OptionKind;
  /** What stands for the value in the help; flags have none. */
  readonly value?: string;
  readonly help: string;
}

/** One argument; `many` takes one or more. */
export interface ArgumentRow {
  readonly name: string;
  readonly help: string;
  readonly many?: boolean;
}

/** One command. */
export interface CommandRow {
  readonly name: string;
  readonly summary: string;
  readonly arguments: readonly ArgumentRow[];
  readonly options: readonly OptionRow[];
  readonly examples: readonly string[];
  /** Loads the code that runs it. */
  readonly load: () => Promise<CommandCode>;
}

const workers: OptionRow = {
  flag: 'workers',
  kind: 'number',
  value: 'n',
  help: 'threads (default: cores, at most 8)',
};
const json: OptionRow = {
  flag: 'json',
  kind: 'flag',
  help: 'print one JSON object on standard output and nothing else there',
};

const runOptions: readonly OptionRow[] = [
  { flag: 'project', kind: 'text', value: 'folder', help: 'folder that holds the runs (default: runs)' },
  { flag: 'name', kind: 'text', value: 'name', help: 'name of the run (default: train, train2, ...)' },
  { flag: 'exist-ok', kind: 'flag', help: 'write into a named run folder that exists' },
];

const trainOptions: readonly OptionRow[] = [
  { flag: 'model', kind: 'text', value: 'name', help: 'backbone (default: mobilenet_v3_small)' },
  { flag: 'weights', kind: 'text', value: 'file', help: "backbone weights, instead of the card's" },
  { flag: 'epochs', kind: 'number', value: 'n', help: 'most epochs of the head (default: 60)' },
  { flag: 'batch', kind: 'number', value: 'n', help: 'photos per step (default: 64)' },
  { flag: 'imgsz', kind: 'number', value: 'pixels', help: 'side of the input, a multiple of 32 (default: 224)' },
  { flag: 'lr', kind: 'number', value: 'rate', help: 'highest learning rate (default: 0.003)' },
  { flag: 'weight-decay', kind: 'number', value: 'x', help: 'decoupled weight decay (default: 0.01)' },
  { flag: 'dropout', kind: 'number', value: 'p', help: 'part of the features hidden per step (default: 0)' },
  {
    flag: 'label-smoothing',
    kind: 'number',
    value: 'e',
    help: 'part of each target spread over all classes (default: 0.1)',
  },
  { flag: 'patience', kind: 'number', value: 'n', help: 'epochs without improvement before stopping (default: 15)' },
  { flag: 'seed', kind: 'number', value: 'n', help: 'seed of the split and of training (default: 0)' },
  {
    flag: 'manifest',
    kind: 'text',
    value: 'file',
    help: 'manifest.json of an earlier run: the same photos and the same split',
  },
  { flag: 'val', kind: 'number', value: 'part', help: 'part of a flat folder kept for validation (default: 0.15)' },
  {
    flag: 'views',
    kind: 'number',
    value: 'n',
    help: 'augmented views per training photo; 0 switches augmentation off (default: 3)',
  },
  { flag: 'no-flip', kind: 'flag', help: 'no mirrored views' },
  { flag: 'vertical-flip', kind: 'flag', help: 'also views turned upside down: for photos from above' },
  { flag: 'rotation', kind: 'number', value: 'degrees', help: 'largest rotation of a view (default: 15)' },
  { flag: 'zoom', kind: 'number', value: 'part', help: 'largest part that a crop leaves out (default: 0.3)' },
  { flag: 'shift', kind: 'number', value: 'part', help: 'largest shift of a view (default: 0.05)' },
  { flag: 'squash', kind: 'number', value: 'part', help: 'largest change of the aspect ratio (default: 0.15)' },
  { flag: 'brightness', kind: 'number', value: 'part', help: 'largest change of brightness (default: 0.1)' },
  { flag: 'contrast', kind: 'number', value: 'part', help: 'largest change of contrast (default: 0.2)' },
  { flag: 'saturation', kind: 'number', value: 'part', help: 'largest change of saturation (default: 0.2)' },
  { flag: 'greyscale', kind: 'number', value: 'p', help: 'probability of a view without colour (default: 0)' },
  workers,
  ...runOptions,
  json,
];

/** All commands, in the order of the help. */
export const commands: readonly CommandRow[] = [
  {
    name: 'demo',
    summary: 'draw sample leaf photos, train on them, export and prove a model, show the result',
    arguments: [],
    options: [
      { flag: 'photos', kind: 'number', value: 'n', help: 'photos to draw (default: 300)' },
      { flag: 'seed', kind: 'number', value: 'n', help: 'seed of the drawings, the split and training (default: 0)' },
      { flag: 'project', kind: 'text', value: 'folder', help: 'folder that holds the runs (default: runs)' },
      workers,
      json,
    ],
    examples: ['graft demo', 'graft demo --photos 600 --seed 7'],
    load: async () => (await import('./run-demo.ts')).runDemo,
  },
  {
    name: 'train',
    summary: 'train a classifier on photos in class folders and export a proven .tflite file',
    arguments: [
      { name: 'data', help: 'folder with one folder of photos per class, or with train/ and val/ folders of these' },
    ],
    options: trainOptions,
    examples: ['graft train ./leaves', 'graft train ./leaves --val 0.2 --seed 1 --name second-try'],
    load: async () => (await import('./run-train.ts')).runTrain,
  },
  {
    name: 'val',
    summary: 'measure a run or a .tflite file on a labelled folder',
    arguments: [
      { name: 'model', help: 'run folder, or .tflite file that graft wrote' },
      { name: 'data', help: 'folder with one folder of photos per class' },
    ],
    options: [workers, json],
    examples: ['graft val runs/train ./other-photos', 'graft val runs/train/model.tflite ./other-photos --json'],
    load: async () => (await import('./run-val.ts')).runVal,
  },
  {
    name: 'predict',
    summary: 'tell the class of photos',
    arguments: [
      { name: 'model', help: 'run folder, or .tflite file that graft wrote' },
      { name: 'files', help: 'photos, or folders of photos', many: true },
    ],
    options: [workers, json],
    examples: ['graft predict runs/train/model.tflite a.jpg b.jpg'],
    load: async () => (await import('./run-predict.ts')).runPredict,
  },
];
