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
  /** Units that may stand behind a number, each as a multiple of the one that the setting is in. */
  readonly units?: Readonly<Record<string, number>>;
  readonly help: string;
}

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

const workers: OptionRow = {
  flag: 'workers',
  kind: 'number',
  value: 'n',
  help: 'threads (default: cores, at most 8)',
};
const camera = (help: string): OptionRow => ({ flag: 'camera', kind: 'text', value: 'name', help });
const seenBy = camera("none, or greyscale: the photos as a robot's camera sees them (default: none)");
const rejectBelow: OptionRow = {
  flag: 'reject-below',
  kind: 'number',
  value: 'p',
  help: 'unknown is what has a smaller largest probability; 0 for nothing (default: as the model says)',
};
const foreign: readonly OptionRow[] = [
  {
    flag: 'labels',
    kind: 'text',
    value: 'file',
    help: "names of the classes of somebody else's model, one in each line (default: as its metadata says)",
  },
  {
    flag: 'pixels',
    kind: 'text',
    value: 'name',
    help: "how somebody else's model wants its pixels, where it does not say: imagenet, signed, unit or bytes",
  },
];
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
  {
    flag: 'model',
    kind: 'text',
    value: 'name',
    help: 'backbone: a name that graft models lists, hf:owner/name, an .onnx or .tflite file, or auto (default: mobilenet_v3_small)',
  },
  {
    flag: 'max-latency',
    kind: 'number',
    value: 'time',
    units: { ms: 1, s: 1000 },
    help: 'with --model auto: most time a photo may take in LiteRT here, as in 50ms',
  },
  {
    flag: 'max-size',
    kind: 'number',
    value: 'size',
    units: { MB: 1, KB: 0.001 },
    help: 'with --model auto: most that the .tflite file may take, as in 8MB',
  },
  {
    flag: 'pixels',
    kind: 'text',
    value: 'name',
    help: 'how a model file wants its pixels where it does not say: imagenet, signed, unit, bytes or caffe',
  },
  {
    flag: 'weights',
    kind: 'text',
    value: 'file',
    help: 'other weights for a backbone of the zoo: GGUF or safetensors',
  },
  { flag: 'offline', kind: 'flag', help: 'fetch nothing: use what is cached' },
  { flag: 'epochs', kind: 'number', value: 'n', help: 'most epochs of the head (default: 60)' },
  { flag: 'batch', kind: 'number', value: 'n', help: 'photos per step (default: 64)' },
  {
    flag: 'imgsz',
    kind: 'number',
    value: 'pixels',
    help: "side of the input, a multiple of 32 (default: the backbone's, mostly 224)",
  },
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
  {
    flag: 'fine-tune-epochs',
    kind: 'number',
    value: 'n',
    help: 'most epochs of fine-tuning; 0 trains the head only (default: 20)',
  },
  { flag: 'freeze', kind: 'number', value: 'n', help: 'stages before this one stay frozen (default: 0)' },
  { flag: 'fine-tune-lr', kind: 'number', value: 'rate', help: 'highest rate of fine-tuning (default: 0.001)' },
  { flag: 'fine-tune-batch', kind: 'number', value: 'n', help: 'photos per step of fine-tuning (default: 32)' },
  {
    flag: 'fine-tune-patience',
    kind: 'number',
    value: 'n',
    help: 'epochs of fine-tuning without improvement before it stops (default: 10)',
  },
  { flag: 'fine-tune-weight-decay', kind: 'number', value: 'x', help: 'weight decay of fine-tuning (default: 0.05)' },
  {
    flag: 'layer-decay',
    kind: 'number',
    value: 'x',
    help: "a stage's rate is that of the next times this (default: 1)",
  },
  { flag: 'schedule', kind: 'text', value: 'name', help: 'constant, cosine or one-cycle (default: cosine)' },
  { flag: 'warmup', kind: 'number', value: 'epochs', help: 'epochs in which the rate rises (default: 1)' },
  { flag: 'optimiser', kind: 'text', value: 'name', help: 'adamw, adam or sgd (default: adamw)' },
  { flag: 'mixup', kind: 'number', value: 'alpha', help: 'strength of mixup; 0 for none (default: 0)' },
  { flag: 'clip-norm', kind: 'number', value: 'x', help: 'largest norm of the gradient (default: 5)' },
  {
    flag: 'average-decay',
    kind: 'number',
    value: 'd',
    help: 'how slowly the average of the weights, which is kept, follows them; 0 keeps the weights (default: 0.98)',
  },
  {
    flag: 'cut-views',
    kind: 'number',
    value: 'n',
    help: 'views per photo to cache behind the frozen stages; 0 renders new ones in every epoch (default: 8 where they take at most 32 KB, else 0)',
  },
  {
    flag: 'wanted-precision',
    kind: 'number',
    value: 'part',
    help: 'part of the photos that should be right where the model does not say unknown (default: 0.95)',
  },
  {
    flag: 'reject-below',
    kind: 'number',
    value: 'p',
    help: 'say unknown where the largest probability is below this; 0 for never (default: by the wanted precision)',
  },
  { flag: 'save-every', kind: 'number', value: 'minutes', help: 'time between checkpoints in an epoch (default: 2)' },
  { flag: 'resume', kind: 'text', value: 'run', help: 'go on with a run that was cut off, exactly where it was' },
  { flag: 'tensorboard', kind: 'flag', help: 'write event files for TensorBoard' },
  { flag: 'device', kind: 'text', value: 'name', help: 'cpu, cuda, webgpu or auto (default: cpu)' },
  { flag: 'threads', kind: 'number', value: 'n', help: 'another name for --workers' },
  camera("none, or greyscale: also train on the photos as a robot's camera sees them (default: none)"),
  { flag: 'no-flip', kind: 'flag', help: 'no mirrored views' },
  { flag: 'vertical-flip', kind: 'flag', help: 'also views turned upside down: for photos from above' },
  {
    flag: 'rotation',
    kind: 'number',
    value: 'degrees',
    help: 'largest rotation of a view (default: 15; fine-tuning: 30)',
  },
  {
    flag: 'zoom',
    kind: 'number',
    value: 'part',
    help: 'largest part that a crop leaves out (default: 0.3; fine-tuning: 0.5)',
  },
  { flag: 'shift', kind: 'number', value: 'part', help: 'largest shift of a view (default: 0.05)' },
  { flag: 'squash', kind: 'number', value: 'part', help: 'largest change of the aspect ratio (default: 0.15)' },
  {
    flag: 'brightness',
    kind: 'number',
    value: 'part',
    help: 'largest change of brightness (default: 0.1; fine-tuning: 0.2)',
  },
  {
    flag: 'contrast',
    kind: 'number',
    value: 'part',
    help: 'largest change of contrast (default: 0.2; fine-tuning: 0.3)',
  },
  {
    flag: 'saturation',
    kind: 'number',
    value: 'part',
    help: 'largest change of saturation (default: 0.2; fine-tuning: 0.3)',
  },
  { flag: 'greyscale', kind: 'number', value: 'p', help: 'probability of a view without colour (default: 0)' },
  workers,
];

/** Settings of training that say how it ends, or what is kept of it. */
const notForFindLr = new Set([
  'resume',
  'fine-tune-epochs',
  'fine-tune-lr',
  'fine-tune-patience',
  'schedule',
  'warmup',
  'average-decay',
  'wanted-precision',
  'reject-below',
  'save-every',
  'tensorboard',
]);

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
