// Options of commands as rows: those that several commands have, and the many of training.

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

export const workers: OptionRow = {
  flag: 'workers',
  kind: 'number',
  value: 'n',
  help: 'threads (default: cores, at most 8)',
};
export const camera = (help: string): OptionRow => ({ flag: 'camera', kind: 'text', value: 'name', help });
export const seenBy = camera("none, or greyscale: the photos as a robot's camera sees them (default: none)");
export const rejectBelow: OptionRow = {
  flag: 'reject-below',
  kind: 'number',
  value: 'p',
  help: 'unknown is what has a smaller largest probability; 0 for nothing (default: as the model says)',
};
export const foreign: readonly OptionRow[] = [
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
export const json: OptionRow = {
  flag: 'json',
  kind: 'flag',
  help: 'print one JSON object on standard output and nothing else there',
};

export const runOptions: readonly OptionRow[] = [
  { flag: 'project', kind: 'text', value: 'folder', help: 'folder that holds the runs (default: runs)' },
  { flag: 'name', kind: 'text', value: 'name', help: 'name of the run (default: train, train2, ...)' },
  { flag: 'exist-ok', kind: 'flag', help: 'write into a named run folder that exists' },
];

export const trainOptions: readonly OptionRow[] = [
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
    help: 'part of the photos that should be right where the model does not say unknown (default: 0.95, where that leaves it half of the photos)',
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
export const notForFindLr = new Set([
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
