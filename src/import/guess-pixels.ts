// Guesses from the first BatchNormalization what pixels a network was trained on, for the hint of an error.
import { IMAGE } from '../onnx/convert.ts';
import type { Graph } from '../onnx/graph.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type PixelScale, type PixelsName, pixelScales } from './find-preprocess.ts';

/**
 * Statistics of photos, of pixels in the range 0..1: mean and deviation of red, green and blue in ImageNet, the correlation of
 * neighbouring pixels and that of two colours of one pixel (about; networks differ more than these do from set to set).
 */
const MEAN: readonly number[] = pixelScales.imagenet.mean;
const DEVIATION: readonly number[] = pixelScales.imagenet.std;
const NEIGHBOURS = 0.95;
const COLOURS = 0.9;

/** Largest distance at which a guess is one: half of what lies between the two ways that are nearest to each other. */
const MAX_DISTANCE = 0.8;

/** Most pixels of a window; the work grows with their square. */
const MAX_WINDOW = 121;

/**
 * The named scale of pixels whose photos give the first convolution's outputs about the means and variances that the
 * BatchNormalization behind it has seen in training; undefined when none does, or there is no such pair of layers.
 * For MobileNetV3-Small, and the same network rewritten for each of the other scales, it is the right one
 * (test/import/guess-pixels.test.ts).
 */
export function guessPixels(graph: Graph): PixelsName | undefined {
  const convolutions = graph.nodes.filter(node => node.inputs.includes(IMAGE));
  const [conv] = convolutions;
  if (convolutions.length !== 1 || conv?.op !== 'Conv' || conv.attributes.group !== 1) return undefined;
  const norm = graph.nodes.find(({ op, inputs }) => op === 'BatchNormalization' && inputs[0] === conv.outputs[0]);
  const weight = floats(graph, conv.inputs[1]);
  const [mean, variance] = [floats(graph, norm?.inputs[3]), floats(graph, norm?.inputs[4])];
  // A bias shifts what the norm sees.
  const bias = floats(graph, conv.inputs[2]);
  const window = conv.attributes.kernel_shape[0] * conv.attributes.kernel_shape[1];
  if (weight?.shape[1] !== 3 || window > MAX_WINDOW || !mean || !variance || (conv.inputs[2] && !bias))
    return undefined;
  const seen = { mean: mean.data.map((value, i) => value - (bias?.data[i] ?? 0)), variance: variance.data };
  const names = Object.keys(pixelScales) as PixelsName[];
  const distances = names.map(name => distance(weight, seen, pixelScales[name], name === 'caffe'));
  const nearest = Math.min(...distances);
  return nearest <= MAX_DISTANCE ? names[distances.indexOf(nearest)] : undefined;
}

function floats({ constants }: Graph, name: string | undefined): Tensor<'float32'> | undefined {
  const tensor = name ? constants.get(name) : undefined;
  return tensor?.dtype === 'float32' ? tensor : undefined;
}

/** How far predicted statistics are from those seen: the logarithm of the variances' ratio, and the means in deviations. */
function distance(
  { shape, data }: Tensor<'float32'>,
  seen: { readonly mean: Float32Array; readonly variance: Float32Array },
  scale: PixelScale,
  isBgr: boolean,
): number {
  const [channels, , height, width] = shape as [number, number, number, number];
  const area = height * width;
  const color = (c: number) => (isBgr ? 2 - c : c);
  const averages = scale.mean.map((mean, c) => (MEAN[color(c)]! - mean) / scale.std[c]!);
  const deviations = scale.std.map((std, c) => DEVIATION[color(c)]! / std);
  // Covariance of two of the numbers that a window reads.
  const size = 3 * area;
  const covariance = Float64Array.from({ length: size * size }, (_, i) => {
    const [a, b] = [Math.floor(i / size), i % size];
    const [first, second] = [Math.floor(a / area), Math.floor(b / area)];
    const apart = Math.hypot(
      Math.floor((a % area) / width) - Math.floor((b % area) / width),
      (a % width) - (b % width),
    );
    return deviations[first]! * deviations[second]! * NEIGHBOURS ** apart * (first === second ? 1 : COLOURS);
  });
  const ratios: number[] = [];
  const offsets: number[] = [];
  for (let channel = 0; channel < channels; channel++) {
    const weights = data.subarray(channel * size, (channel + 1) * size);
    let [average, variance] = [0, 0];
    for (let a = 0; a < size; a++) {
      average += weights[a]! * averages[Math.floor(a / area)]!;
      for (let b = 0; b < size; b++) variance += weights[a]! * weights[b]! * covariance[a * size + b]!;
    }
    ratios.push(Math.log(variance / seen.variance[channel]!));
    offsets.push(Math.abs(average - seen.mean[channel]!) / Math.sqrt(seen.variance[channel]!));
  }
  return Math.abs(median(ratios)) + median(offsets);
}

/** The median of the finite numbers: dead filters have no variance. */
function median(values: readonly number[]): number {
  const sorted = values.filter(Number.isFinite).sort((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? Number.POSITIVE_INFINITY;
}
