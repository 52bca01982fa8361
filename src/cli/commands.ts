// Every command of graft as a row: its words, its options and what it does. Parsing and help come from these rows.
// Nothing heavy is imported here: a command imports its verb when it runs.
import type { CommandCode } from './command-code.ts';
import {
  foreign,
  json,
  notForFindLr,
  type OptionRow,
  rejectBelow,
  runOptions,
  seenBy,
  trainOptions,
  workers,
} from './options.ts';

export type { OptionRow } from './options.ts';

/** One argument; `many` takes one or more, `optional` may be left out. */
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
      {
        name: 'data',
        help: 'folder with one folder of photos per class, or with train/ and val/ folders of these',
        optional: true,
      },
    ],
    options: [...trainOptions, ...runOptions, json],
    examples: [
      'graft train ./leaves',
      'graft train --resume runs/train',
      'graft train ./leaves --model auto --max-latency 20ms',
      'graft train ./leaves --val 0.2 --seed 1 --name second-try',
    ],
    load: async () => (await import('./run-train.ts')).runTrain,
  },
  {
    name: 'find-lr',
    summary: 'try out which learning rate fine-tuning takes on these photos',
    arguments: [{ name: 'data', help: 'folder with one folder of photos per class' }],
    options: [
      { flag: 'steps', kind: 'number', value: 'n', help: 'steps from the lowest to the highest rate (default: 100)' },
      ...trainOptions.filter(({ flag }) => !notForFindLr.has(flag)),
      json,
    ],
    examples: ['graft find-lr ./leaves'],
    load: async () => (await import('./run-find-lr.ts')).runFindLr,
  },
  {
    name: 'export',
    summary: 'make files of a finished run: precisions, signatures, metadata, each proven on the validation photos',
    arguments: [{ name: 'run', help: 'run folder' }],
    options: [
      {
        flag: 'precision',
        kind: 'text',
        value: 'names',
        help: 'float32, float16, dynamic, int8, or several with commas (default: all that pass)',
      },
      { flag: 'signature', kind: 'text', value: 'name', help: 'classifier or detector (default: classifier)' },
      { flag: 'input', kind: 'text', value: 'type', help: 'float32 or uint8 (default: float32)' },
      { flag: 'format', kind: 'text', value: 'name', help: 'tflite or onnx (default: tflite)' },
      {
        flag: 'max-drop',
        kind: 'number',
        value: 'points',
        help: 'accuracy that dynamic and int8 files may lose, of 100 (default: 1)',
      },
      { flag: 'data', kind: 'text', value: 'folder', help: 'where the photos are now (default: where they were)' },
      { flag: 'output', kind: 'text', value: 'folder', help: "folder of the files (default: the run's)" },
      { flag: 'author', kind: 'text', value: 'name', help: 'who made the model, for its metadata' },
      { flag: 'license', kind: 'text', value: 'name', help: "licence, for its metadata (default: the backbone's)" },
      { flag: 'description', kind: 'text', value: 'text', help: 'what the model is for, for its metadata' },
      { flag: 'model-version', kind: 'text', value: 'text', help: 'version of the model, for its metadata' },
      workers,
      json,
    ],
    examples: [
      'graft export runs/train',
      'graft export runs/train --precision int8 --input uint8',
      'graft export runs/train --signature detector --precision float32',
      'graft export runs/train --format onnx',
    ],
    load: async () => (await import('./run-export.ts')).runExport,
  },
  {
    name: 'val',
    summary: 'measure a run or a .tflite file on a labelled folder',
    arguments: [
      { name: 'model', help: 'run folder, or .tflite file of anybody' },
      { name: 'data', help: 'folder with one folder of photos per class' },
    ],
    options: [
      seenBy,
      {
        flag: 'none',
        kind: 'text',
        value: 'folder',
        help: 'photos that are none of the classes: how many does the model take for one?',
      },
      rejectBelow,
      ...foreign,
      { flag: 'predictions', kind: 'text', value: 'file', help: 'write a CSV file with a line per photo' },
      workers,
      json,
    ],
    examples: [
      'graft val runs/train ./other-photos',
      'graft val runs/train/model.tflite ./other-photos --json',
      'graft val runs/train ./other-photos --camera greyscale',
      'graft val runs/train ./other-photos --none ./holiday',
      'graft val other.tflite ./other-photos --labels labels.txt',
    ],
    load: async () => (await import('./run-val.ts')).runVal,
  },
  {
    name: 'predict',
    summary: 'tell the class of photos',
    arguments: [
      { name: 'model', help: 'run folder, or .tflite file of anybody' },
      { name: 'files', help: 'photos, or folders of photos', many: true },
    ],
    options: [seenBy, rejectBelow, ...foreign, workers, json],
    examples: [
      'graft predict runs/train/model.tflite a.jpg b.jpg',
      'graft predict runs/train ./photos --reject-below 0.9',
    ],
    load: async () => (await import('./run-predict.ts')).runPredict,
  },
  {
    name: 'explain',
    summary: 'show what a model looks at: a picture with a heat-map for each photo',
    arguments: [
      { name: 'run', help: 'run folder' },
      { name: 'files', help: 'photos', many: true },
    ],
    options: [
      { flag: 'class', kind: 'text', value: 'name', help: 'whose evidence is shown (default: what the model sees)' },
      { flag: 'output', kind: 'text', value: 'folder', help: 'folder of the pictures (default: the current one)' },
      seenBy,
      workers,
      json,
    ],
    examples: [
      'graft explain runs/train photo.jpg',
      'graft explain runs/train a.jpg b.jpg --class unhealthy --output maps',
    ],
    load: async () => (await import('./run-explain.ts')).runExplain,
  },
  {
    name: 'report',
    summary: 'write a page about a run: how good it is, how sure, what it looks at, where it fails',
    arguments: [{ name: 'run', help: 'run folder' }],
    options: [
      {
        flag: 'data',
        kind: 'text',
        value: 'folder',
        help: "labelled folder to examine it on (default: the run's test photos, else its validation photos)",
      },
      { flag: 'output', kind: 'text', value: 'file', help: 'the page (default: report.html in the run folder)' },
      { flag: 'open', kind: 'flag', help: 'open it in the browser' },
      seenBy,
      workers,
      json,
    ],
    examples: ['graft report runs/train --open', 'graft report runs/train --data ./test-photos --output test.html'],
    load: async () => (await import('./run-report.ts')).runReport,
  },
  {
    name: 'compare',
    summary: 'hold models against each other on the same photos: is one better, or is it noise?',
    arguments: [
      { name: 'models', help: 'run folders or .tflite files; more than four are held against the first', many: true },
    ],
    options: [
      {
        flag: 'data',
        kind: 'text',
        value: 'folder',
        help: 'labelled folder (default: the validation photos of the first run folder)',
      },
      seenBy,
      ...foreign,
      workers,
      json,
    ],
    examples: [
      'graft compare runs/train runs/train2',
      'graft compare runs/train/model.tflite other.tflite --data ./test-photos',
    ],
    load: async () => (await import('./run-compare.ts')).runCompare,
  },
  {
    name: 'models',
    summary: 'list the backbones: size, cost, accuracy, licence, and which are on this computer',
    arguments: [],
    options: [
      {
        flag: 'fetch',
        kind: 'text',
        value: 'names',
        help: 'first fetch the weights of these, with commas between them: for train without a network, and --model auto',
      },
      { flag: 'offline', kind: 'flag', help: 'only those that work without a network' },
      json,
    ],
    examples: [
      'graft models',
      'graft models --fetch mobilenet_v3_large,resnet18',
      'graft models --offline',
      'graft models --json',
    ],
    load: async () => (await import('./run-models.ts')).runModels,
  },
  {
    name: 'inspect',
    summary: 'show what is in a .tflite file, whoever made it',
    arguments: [{ name: 'model', help: '.tflite file of any origin, or run folder' }],
    options: [{ flag: 'ops', kind: 'flag', help: 'print every operator with its shapes and options instead' }, json],
    examples: ['graft inspect runs/train', 'graft inspect other.tflite --ops'],
    load: async () => (await import('./run-inspect.ts')).runInspect,
  },
  {
    name: 'benchmark',
    summary: 'measure how long a model takes, its memory and its size',
    arguments: [
      {
        name: 'model',
        help: '.tflite file (and a model.onnx beside it), .onnx file, or run folder (both of its models)',
      },
    ],
    options: [
      { flag: 'runs', kind: 'number', value: 'n', help: 'timed runs of each model (default: 50)' },
      {
        flag: 'threads',
        kind: 'number',
        value: 'n',
        help: 'threads of ONNX Runtime; LiteRT has one here (default: 1)',
      },
      json,
    ],
    examples: ['graft benchmark runs/train', 'graft benchmark runs/train/model.onnx --threads 2'],
    load: async () => (await import('./run-benchmark.ts')).runBenchmark,
  },
];
