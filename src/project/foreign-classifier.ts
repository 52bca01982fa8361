// Somebody else's .tflite file as a classifier: what it is fed, what its numbers mean and what its classes are called.
import { readFile, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import type { Preprocess } from '../image/preprocess.ts';
import { type PixelsName, pixelScales } from '../import/find-preprocess.ts';
import { pixelsOfTflite } from '../import/tflite-backbone.ts';
import type { TfliteModel } from '../tflite/model.ts';
import { outputKind, plainOutside } from '../tflite/plain-outside.ts';
import { writeTflite } from '../tflite/write.ts';
import { inspectModel } from './inspect.ts';
import type { ModelFile } from './read-model.ts';
import type { TfliteFile } from './read-tflite-file.ts';

/** What the user may say of somebody else's file. */
export interface ForeignOptions {
  /** A file with the name of a class in each line. Default: the labels in the model's metadata. */
  readonly labels?: string | undefined;
  /** How the model wants its pixels. Default: as the file says. */
  readonly pixels?: PixelsName | undefined;
}

/** Somebody else's classifier, with the outside of graft's own. */
export interface ForeignClassifier extends ModelFile {
  /** undefined where nobody says. */
  readonly classes: readonly string[] | undefined;
  /** How many classes there are. */
  readonly width: number;
  readonly preprocess: Preprocess;
  readonly notes: readonly string[];
}

const MAX_SIDE = 4096;
const MAX_LABELS_BYTES = 2 ** 20;

/**
 * Takes a file for a classifier: one square RGB picture in, one list of numbers out.
 * @throws GraftError `bad-model` with what it is where it is none, `usage` where nothing says how pixels are scaled,
 * `label-mismatch` where the labels are not as many as its classes.
 */
export async function openForeign(
  { path, bytes, model }: TfliteFile,
  options: ForeignOptions,
): Promise<ForeignClassifier> {
  const name = basename(path);
  const size = requirePicture(name, model);
  const width = requireList(name, model);
  const notes: string[] = [];
  const input = model.tensors[model.inputs[0]!]!;
  const evidence = options.pixels
    ? { ...pixelScales[options.pixels], source: `${options.pixels}, as you say` }
    : pixelsOfTflite(model)[0];
  if (options.pixels === 'caffe' || (options.pixels !== undefined && input.type === 'UINT8')) {
    throw new GraftError(
      'usage',
      options.pixels === 'caffe'
        ? 'Files that read blue first (caffe) are not measured.'
        : `${name} reads uint8 pixels as they are, and pixels is set.`,
      'Leave --pixels out.',
    );
  }
  if ((input.type === 'FLOAT32' || input.type === 'INT8') && !evidence) {
    throw new GraftError(
      'usage',
      `${name} does not say how its pixels are scaled.`,
      'Say it as the network was trained: --pixels imagenet (PyTorch, timm), signed (-1 to 1: TensorFlow), unit (0 to 1) or bytes (0 to 255).',
    );
  }
  notes.push(`${name} was not made by graft; its pixels: ${evidence ? `${evidence.source}` : 'as they are'}.`);
  const kind = outputKind(model);
  if (kind === 'direction') throw noClassifier(name, 'its numbers are features of length 1 (L2_NORMALIZATION)');
  if (kind === 'logits')
    notes.push('Its last operator is no softmax: one is added to make probabilities of its numbers.');
  if (kind === 'sigmoid') notes.push('It gives every class a probability of its own (sigmoid): they do not sum to 1.');
  const { labels } = inspectModel(path, bytes, model);
  const classes = options.labels === undefined ? (labels ?? undefined) : await readLabels(options.labels);
  if (classes && classes.length !== width) throw otherNumber(name, options.labels, classes.length, width);
  return {
    runtime: 'tflite',
    // An int8 input that tells its scale has stored pixels; another one is given numbers that are scaled as the user says.
    bytes: plainFile(name, model, input.type === 'INT8' && !options.pixels ? undefined : evidence),
    classes,
    width,
    preprocess: { size, fit: 'squash', kernel: 'linear', mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    notes,
  };
}

function plainFile(name: string, model: TfliteModel, scale: Parameters<typeof plainOutside>[1]): Uint8Array {
  try {
    return writeTflite(plainOutside(model, scale));
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw noClassifier(name, error.message);
  }
}

/** The side of the one square RGB input. */
function requirePicture(name: string, model: TfliteModel): number {
  if (model.inputs.length !== 1) throw noClassifier(name, `it has ${model.inputs.length} inputs`);
  const { shape, type } = model.tensors[model.inputs[0]!]!;
  const [batch, height, width, channels] = shape;
  const found = `it reads ${type.toLowerCase()} [${shape.join(', ')}]`;
  if (shape.length !== 4 || batch !== 1 || channels !== 3) throw noClassifier(name, found);
  if (height !== width || height! < 1 || height! > MAX_SIDE) {
    throw noClassifier(name, `${found}, which is not square`);
  }
  return height!;
}

/** The number of classes in the one output. */
function requireList(name: string, model: TfliteModel): number {
  const shapes = model.outputs.map(index => model.tensors[index]!.shape);
  const [shape] = shapes;
  if (shapes.length !== 1) {
    const what = shapes.length === 4 ? ', as detectors have' : '';
    throw noClassifier(name, `it has ${shapes.length} outputs${what}`);
  }
  const width = shape!.at(-1) ?? 0;
  if (shape!.slice(0, -1).some(dim => dim !== 1)) {
    throw noClassifier(name, `it answers with a map [${shape!.join(', ')}]`);
  }
  if (width < 2) throw noClassifier(name, `it answers with ${width === 1 ? 'one number' : 'nothing'}`);
  return width;
}

function noClassifier(name: string, found: string): GraftError {
  return new GraftError(
    'bad-model',
    `${name} is no image classifier: ${found}.`,
    'A classifier reads one square RGB picture [1, side, side, 3] and answers with one number per class [1, classes]; graft inspect shows what is in the file.',
  );
}

/** The lines of a labels file, also of one as robots have it: `0  person`. */
async function readLabels(file: string): Promise<string[]> {
  let text: string;
  try {
    if ((await stat(file)).size > MAX_LABELS_BYTES) {
      throw new GraftError(
        'bad-model',
        `${file} is too large for a list of labels.`,
        'Name a file with a class in each line.',
      );
    }
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw explainSystemError(error, file);
  }
  const lines = text
    .trimEnd()
    .split(/\r?\n/)
    .map(line => line.trim());
  const isNumbered = lines.every((line, i) => new RegExp(`^${i}\\s+\\S`).test(line));
  return isNumbered ? lines.map(line => line.replace(/^\d+\s+/, '')) : lines;
}

function otherNumber(name: string, file: string | undefined, labels: number, width: number): GraftError {
  const extra = width === 1001 && labels === 1000;
  return new GraftError(
    'label-mismatch',
    `${name} has ${width} classes, and ${file ?? 'its metadata'} names ${labels}.`,
    extra
      ? 'The first of the 1001 classes of such models is "background": put it in front of the labels.'
      : 'Name the right labels with --labels FILE, a class in each line.',
  );
}
