// Every command of graft as a row: its words, its options and what it does. Parsing and help come from these rows.
// Nothing heavy is imported here: a command imports its verb when it runs.
import type { CommandCode } from './command-code.ts';

/** How an option's text becomes a value. */
export type OptionKind =
  | { readonly kind: 'flag' }
  | { readonly kind: 'text'; readonly placeholder: string }
  | { readonly kind: 'whole'; readonly placeholder: string; readonly min: number; readonly max: number }
  | { readonly kind: 'number'; readonly placeholder: string; readonly min: number; readonly max: number };

/** One option. Its key in the verb's options is the flag in camel case. */
export interface OptionRow {
  readonly flag: string;
  readonly type: OptionKind;
  readonly help: string;
}

/** One argument; `many` takes one or more. */
export interface ArgumentRow {
  readonly name: string;
  readonly help: string;
  readonly many?: boolean;
  readonly optional?: boolean;
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

const whole = (placeholder: string, min: number, max = 1_000_000) =>
  ({ kind: 'whole', placeholder, min, max }) as const;
const number = (placeholder: string, min: number, max: number) => ({ kind: 'number', placeholder, min, max }) as const;
const text = (placeholder: string) => ({ kind: 'text', placeholder }) as const;
const flag = { kind: 'flag' } as const;

const workers: OptionRow = {
  flag: 'workers',
  type: whole('n', 1, 64),
  help: 'photos decoded at a time (default: cores)',
};
const json: OptionRow = {
  flag: 'json',
  type: flag,
  help: 'print one JSON object on standard output and nothing else there',
};

const runOptions: readonly OptionRow[] = [
  { flag: 'project', type: text('folder'), help: 'folder that holds the runs (default: runs)' },
  { flag: 'name', type: text('name'), help: 'name of the run (default: train, train2, ...)' },
  { flag: 'exist-ok', type: flag, help: 'write into a named run folder that exists' },
];

const trainOptions: readonly OptionRow[] = [
  { flag: 'model', type: text('name'), help: 'backbone (default: mobilenet_v3_small)' },
  { flag: 'weights', type: text('file'), help: "backbone weights, instead of the card's" },
  { flag: 'epochs', type: whole('n', 1, 100_000), help: 'most epochs of the head (default: 60)' },
  { flag: 'batch', type: whole('n', 1, 4096), help: 'photos per step (default: 64)' },
  { flag: 'imgsz', type: whole('pixels', 32, 1024), help: 'side of the input, a multiple of 32 (default: 224)' },
  { flag: 'lr', type: number('rate', 1e-8, 10), help: 'highest learning rate (default: 0.003)' },
  { flag: 'weight-decay', type: number('x', 0, 10), help: 'decoupled weight decay (default: 0.01)' },
  { flag: 'dropout', type: number('p', 0, 0.95), help: 'part of the features hidden per step (default: 0)' },
  {
    flag: 'label-smoothing',
    type: number('e', 0, 0.9),
    help: 'part of each target spread over all classes (default: 0.1)',
  },
  { flag: 'patience', type: whole('n', 1, 100_000), help: 'epochs without improvement before stopping (default: 15)' },
  { flag: 'seed', type: whole('n', 0, 2 ** 31), help: 'seed of the split and of training (default: 0)' },
  { flag: 'val', type: number('part', 0.01, 0.9), help: 'part of a flat folder kept for validation (default: 0.15)' },
  {
    flag: 'views',
    type: whole('n', 0, 64),
    help: 'augmented views per training photo; 0 switches augmentation off (default: 3)',
  },
  { flag: 'no-flip', type: flag, help: 'no mirrored views' },
  { flag: 'vertical-flip', type: flag, help: 'also views turned upside down: for photos from above' },
  { flag: 'rotation', type: number('degrees', 0, 180), help: 'largest rotation of a view (default: 15)' },
  { flag: 'zoom', type: number('part', 0, 0.9), help: 'largest part that a crop leaves out (default: 0.3)' },
  { flag: 'shift', type: number('part', 0, 0.5), help: 'largest shift of a view (default: 0.05)' },
  { flag: 'squash', type: number('part', 0, 1), help: 'largest change of the aspect ratio (default: 0.15)' },
  { flag: 'brightness', type: number('part', 0, 1), help: 'largest change of brightness (default: 0.1)' },
  { flag: 'contrast', type: number('part', 0, 1), help: 'largest change of contrast (default: 0.2)' },
  { flag: 'saturation', type: number('part', 0, 1), help: 'largest change of saturation (default: 0.2)' },
  { flag: 'greyscale', type: number('p', 0, 1), help: 'probability of a view without colour (default: 0)' },
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
      { flag: 'photos', type: whole('n', 40, 5000), help: 'photos to draw (default: 300)' },
      { flag: 'seed', type: whole('n', 0, 2 ** 31), help: 'seed of the drawings, the split and training (default: 0)' },
      { flag: 'project', type: text('folder'), help: 'folder that holds the runs (default: runs)' },
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
