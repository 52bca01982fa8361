// Turns a whole classifier into a backbone: its input, its head, its stages and its preprocessing, whatever format it is from.
import { basename } from 'node:path';
import { GraftError } from '../base/errors.ts';
import type { Preprocess } from '../image/preprocess.ts';
import type { Graph } from '../onnx/graph.ts';
import { inferShapes, type Shape } from '../onnx/shapes.ts';
import type { Backbone } from '../zoo/backbone.ts';
import { findHead } from './find-head.ts';
import { findPixels, listed, type PixelEvidence, type PixelOptions } from './find-preprocess.ts';
import { findStages } from './find-stages.ts';
import { guessPixels } from './guess-pixels.ts';
import { prefixed, prefixNames } from './prefix-names.ts';
import type { Companion } from './read-companions.ts';
import { type Channels, exchangeRedAndBlue, stripInput } from './strip-input.ts';

/** Size where neither the network nor a file beside it nor the user says one. */
const DEFAULT_SIZE = 224;

/** What the user may say of a model file. */
export interface ImportOptions extends PixelOptions {
  /** Height and width of the input, in pixels, where the network takes any. Default: as its files say, else 224. */
  readonly size?: number | undefined;
  /** What was found when the network was opened before: nothing is looked for, and nothing said of it. */
  readonly preprocess?: Preprocess | undefined;
}

/** A backbone from a file. */
export interface ImportedBackbone extends Backbone {
  /** Sentences for the user: what was left out, and how it is known what pixels the network wants. */
  readonly notes: readonly string[];
}

/** A classifier as a reader of a format gives it. */
export interface Classifier {
  readonly graph: Graph;
  /** Height and width that the graph is made for, where its input does not say them. */
  readonly size?: readonly [height: number, width: number];
  /** What the file itself says of its pixels, the most trustworthy first. */
  readonly evidence: readonly PixelEvidence[];
  /** How photos were resampled in training, where the file itself says it. */
  readonly kernel?: Preprocess['kernel'];
  /** Files that hold weights, as the model names them: paths below its folder. */
  readonly externalFiles?: readonly string[];
  /** As the file says. */
  readonly licence?: string;
}

/**
 * The backbone of a classifier.
 * @param companion what files beside the model say.
 * @throws GraftError `unsupported-op` for networks that are no image classifiers, `usage` when nobody says how pixels are
 * scaled or the size is not the network's.
 */
export function makeBackbone(
  { graph, size: made, evidence, kernel, weights }: Omit<Classifier, 'licence'> & Pick<Backbone, 'weights'>,
  companion: Companion | undefined,
  options: ImportOptions,
): ImportedBackbone {
  const file = basename(weights.file);
  const stripped = withFile(file, () => stripInput(graph));
  const size = pickSize(file, stripped.size ?? made, companion, options);
  const dims = { N: 1, H: size, W: size };
  const shapesOf = (network: Graph) => orRefuse(file, size, () => inferShapes(network, dims));
  shapesOf(stripped.graph);
  const { graph: headless, note } = withFile(file, () => findHead(stripped.graph, dims));
  const shapes = shapesOf(headless);
  const { nodes, stages } = findStages(headless, shapes);
  const isBgr = options.pixels === 'caffe';
  const ordered = isBgr ? toRgb(file, { ...headless, nodes }) : { ...headless, nodes };
  const notes = note ? [note] : [];
  let { preprocess } = options;
  if (!preprocess) {
    const evidences = { own: evidence[0], beside: companion?.pixels };
    const found = findPixels(file, stripped, evidences, options, () => guessPixels(stripped.graph));
    const { scale, source, contradiction } = found;
    const reversed = ([a, b, c]: Channels): Channels => (isBgr ? [c, b, a] : [a, b, c]);
    const [mean, std] = [reversed(scale.mean), reversed(scale.std)];
    preprocess = { size, fit: 'squash', kernel: kernel ?? companion?.kernel ?? 'linear', mean, std };
    notes.push(`Pixels are scaled ${source}: mean ${listed(mean)}, deviation ${listed(std)} of 0..1.`);
    if (contradiction) notes.push(contradiction);
  }
  return {
    name: nameOf(file),
    title: file,
    preprocess,
    graph: prefixNames({ ...ordered, name: nameOf(file), outputs: freeOutputs(ordered, shapes), metadata: {} }),
    stages: stages.map(stage => ({ ...stage, value: prefixed(stage.value) })),
    weights,
    notes,
  };
}

/** Files and folders are named after a backbone: other characters than these become underscores. */
function nameOf(file: string): string {
  const name = file
    .replace(/\.[^.]*$/, '')
    .replace(/[^\w.-]+/g, '_')
    .replace(/^[.-]+/, '')
    .slice(0, 80);
  return name || 'model';
}

function pickSize(
  file: string,
  fixed: readonly [number, number] | undefined,
  companion: Companion | undefined,
  { size }: ImportOptions,
): number {
  if (!fixed) return size ?? companion?.size ?? DEFAULT_SIZE;
  const [height, width] = fixed;
  if (height !== width) {
    throw new GraftError(
      'unsupported-op',
      `${file} takes images of ${height} x ${width} pixels, and squares are wanted.`,
      'Export it for a square input.',
    );
  }
  if (size !== undefined && size !== height) {
    throw new GraftError(
      'usage',
      `${file} is made for images of ${height} x ${height} pixels, and ${size} were asked for.`,
      'Leave the size out, or export the network with a size of its own choice.',
    );
  }
  return height;
}

/** The same with the file's name in front of what went wrong. */
function withFile<T>(file: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    throw new GraftError(error.code, `${file}: ${error.message}`, error.hint, error);
  }
}

/** Shapes that contradict each other come from a size that the network cannot take, or from a damaged file. */
function orRefuse<T>(file: string, size: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new GraftError(
      'bad-model',
      `${file} cannot read images of ${size} x ${size} pixels: ${error.message}`,
      'Ask for another size, or export the network again.',
      error,
    );
  }
}

function toRgb(file: string, graph: Graph): Graph {
  const turned = exchangeRedAndBlue(graph);
  if (turned) return turned;
  throw new GraftError(
    'unsupported-op',
    `${file} reads its image with something else than a plain convolution, so that blue and red cannot be exchanged.`,
    'Export the network for images with red first.',
  );
}

/** The output with dimensions that depend on the size of the image by name, as the input has them. */
function freeOutputs(graph: Graph, shapes: ReadonlyMap<string, Shape>): Graph['outputs'] {
  return graph.outputs.map(info => {
    const shape = shapes.get(info.name)!;
    const rest = shape.length === 4 ? [shape[1]!, 'h', 'w'] : ['t', ...shape.slice(2)];
    return { ...info, shape: ['N', ...rest] };
  });
}
