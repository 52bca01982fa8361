// The graphs that are made of a backbone: photos to features, and photos to class probabilities.
import { type GraphBuilder, graphBuilder } from '../onnx/builder.ts';
import type { Graph } from '../onnx/graph.ts';
import { float32, int64, type Tensor } from '../tensor/tensor.ts';
import type { BackboneCard } from './card.ts';
import { addMobileNetV3, stageChannels, stageParameters, stageStrides } from './mobilenet-v3.ts';
import type { Parameters } from './parameters.ts';

/**
 * What the outer input `image` [N, size, size, 3] holds: `uint8` pixels 0..255, or `signed` float32 (x - 127.5) / 127.5,
 * which is what programs on robots feed to a float model.
 */
export type ImageInput = 'uint8' | 'signed';

/** A linear head on the features: logits = weight * features + bias. */
export interface LinearHead {
  /** [classes, features] */
  readonly weight: Tensor<'float32'>;
  /** [classes] */
  readonly bias: Tensor<'float32'>;
}

/** Number of features per photo: the pooled outputs of all stages, side by side. */
export function featureWidth(card: BackboneCard): number {
  return card.featureWidths.reduce((sum, width) => sum + width, 0);
}

/** Graph from `image` (uint8 pixels) to `features` [N, featureWidth]: the mean of every stage over its positions. */
export function buildFeatureGraph(card: BackboneCard, parameters: Parameters): Graph {
  const graph = graphBuilder(`${card.name}.features`);
  addFeatures(graph, card, parameters, 'uint8');
  return graph.build([{ name: 'features', dtype: 'float32', shape: ['N', featureWidth(card)] }]);
}

/** Graph from `image` to `probabilities` [N, classes]: backbone, head and softmax. */
export function buildClassifierGraph(
  card: BackboneCard,
  parameters: Parameters,
  head: LinearHead,
  input: ImageInput,
  metadata: Readonly<Record<string, string>> = {},
): Graph {
  const graph = graphBuilder(card.name);
  const features = addFeatures(graph, card, parameters, input);
  const weight = graph.constant('head.weight', head.weight);
  const bias = graph.constant('head.bias', head.bias);
  const gemm = { alpha: 1, beta: 1, transA: 0, transB: 1 } as const;
  const logits = graph.node('Gemm', 'logits', [features, weight, bias], gemm);
  graph.node('Softmax', 'probabilities', [logits], { axis: 1 });
  return graph.build([{ name: 'probabilities', dtype: 'float32', shape: ['N', head.bias.shape[0]!] }], metadata);
}

/** A head on standardised features, as it is trained: logits = weight * (features - mean) * inverse + bias. */
export interface StandardisedHead extends LinearHead {
  readonly mean: Tensor<'float32'>;
  /** 1 / standard deviation, [features]. */
  readonly inverse: Tensor<'float32'>;
}

/** Names of the constants that training changes, head first. */
export function trainedParameters(card: BackboneCard, parameters: Parameters, trainFrom: number): string[] {
  const names = ['head.weight', 'head.bias'];
  for (let stage = trainFrom; stage < card.featureWidths.length; stage++) {
    names.push(...stageParameters(card.architecture, parameters, stage));
  }
  return names;
}

/** Stage that a trained parameter belongs to; undefined for the head. */
export function stageOfParameter(name: string): number | undefined {
  const match = /^features\.(\d+)\./.exec(name);
  return match ? Number(match[1]) : undefined;
}

/** Shape of what stage `cut - 1` gives, without the photos: [channels, height, width]. */
export function cutShape(card: BackboneCard, cut: number): [number, number, number] {
  const side = card.preprocess.size / stageStrides(card.architecture)[cut - 1]!;
  return [stageChannels(card.architecture)[cut - 1]!, side, side];
}

/** Number of features per photo from the stages before `cut`. */
export function frozenWidth(card: BackboneCard, cut: number): number {
  return card.featureWidths.slice(0, cut).reduce((sum, width) => sum + width, 0);
}

/**
 * Graph of the frozen stages before `cut`: `image` (uint8 pixels) to `cut` [N, channels, h, w], what the last of them gives,
 * and `pooled` [N, frozenWidth], the mean of each of them over its positions, both in float16.
 */
export function buildFrozenGraph(card: BackboneCard, parameters: Parameters, cut: number): Graph {
  const graph = graphBuilder(`${card.name}.frozen`);
  const { image, scale } = addImage(graph, card, 'uint8');
  const span = { from: 0, to: cut, trainFrom: cut };
  const stages = addMobileNetV3(graph, card.architecture, parameters, image, scale, span);
  const means = graph.node('Concat', 'means', addPooling(graph, stages, 0), { axis: 1 });
  graph.node('Cast', 'cut', [stages.at(-1)!], { to: 'float16' });
  graph.node('Cast', 'pooled', [means], { to: 'float16' });
  return graph.build([
    { name: 'cut', dtype: 'float16', shape: ['N', ...cutShape(card, cut)] },
    { name: 'pooled', dtype: 'float16', shape: ['N', frozenWidth(card, cut)] },
  ]);
}

/**
 * Graph to `logits` [N, classes] in which the stages from `trainFrom` on and the head are constants by the names of
 * `trainedParameters`.
 * @param fromCut whether it starts from `cut` and `pooled`, as the frozen graph gives them, rather than from `image`.
 */
export function buildTrainedGraph(
  card: BackboneCard,
  parameters: Parameters,
  head: StandardisedHead,
  trainFrom: number,
  fromCut: boolean,
): Graph {
  const graph = graphBuilder(`${card.name}.trained`);
  const to = card.featureWidths.length;
  let pooled: string[];
  if (fromCut) {
    const half = (name: string, shape: readonly number[]) => {
      const input = graph.input({ name, dtype: 'float16', shape: ['N', ...shape] });
      return graph.node('Cast', `${name}.float`, [input], { to: 'float32' });
    };
    const input = half('cut', cutShape(card, trainFrom));
    const frozen = half('pooled', [frozenWidth(card, trainFrom)]);
    const span = { from: trainFrom, to, trainFrom };
    const stages = addMobileNetV3(graph, card.architecture, parameters, input, [], span);
    pooled = [frozen, ...addPooling(graph, stages, trainFrom)];
  } else {
    const { image, scale } = addImage(graph, card, 'uint8');
    const span = { from: 0, to, trainFrom };
    pooled = addPooling(graph, addMobileNetV3(graph, card.architecture, parameters, image, scale, span), 0);
  }
  const features = graph.node('Concat', 'features', pooled, { axis: 1 });
  const centred = graph.node('Sub', 'features.centred', [features, graph.constant('head.mean', head.mean)], {});
  const inverse = graph.constant('head.inverse', head.inverse);
  const rows = graph.node('Mul', 'features.standardised', [centred, inverse], {});
  const constants = [graph.constant('head.weight', head.weight), graph.constant('head.bias', head.bias)];
  graph.node('Gemm', 'logits', [rows, ...constants], { alpha: 1, beta: 1, transA: 0, transB: 1 });
  return graph.build([{ name: 'logits', dtype: 'float32', shape: ['N', head.bias.shape[0]!] }]);
}

function addFeatures(graph: GraphBuilder, card: BackboneCard, parameters: Parameters, input: ImageInput): string {
  const { image, scale } = addImage(graph, card, input);
  const stages = addMobileNetV3(graph, card.architecture, parameters, image, scale);
  return graph.node('Concat', 'features', addPooling(graph, stages, 0), { axis: 1 });
}

/** The mean of every stage over its positions. */
function addPooling(graph: GraphBuilder, stages: readonly string[], first: number): string[] {
  return stages.map((stage, i) =>
    graph.node('ReduceMean', `pooled.${first + i}`, [stage], { axes: [2, 3], keepdims: 0 }),
  );
}

/**
 * Input and normalisation. The network reads s * x + b per channel; written as s * (x + b / s), the scale s folds into the
 * first convolution and one addition is left, so that zero padding still means the mean colour.
 */
export function addImage(
  graph: GraphBuilder,
  card: BackboneCard,
  input: ImageInput,
  batch: 'N' | 1 = 'N',
): { readonly image: string; readonly scale: readonly number[] } {
  const { size, mean, std } = card.preprocess;
  const dtype = input === 'uint8' ? 'uint8' : 'float32';
  const image = graph.input({ name: 'image', dtype, shape: [batch, size, size, 3] });
  // (x / 255 - mean) / std for pixels; ((x + 1) / 2 - mean) / std for the signed range.
  const scale = std.map(deviation => (input === 'uint8' ? 1 / (255 * deviation) : 0.5 / deviation));
  const shift = mean.map(average => (input === 'uint8' ? -255 * average : 1 - 2 * average));
  const channelsFirst = graph.node('Transpose', 'image.nchw', [image], { perm: [0, 3, 1, 2] });
  const pixels =
    input === 'uint8' ? graph.node('Cast', 'image.float', [channelsFirst], { to: 'float32' }) : channelsFirst;
  let offset = graph.constant('image.shift', float32([1, 3, 1, 1], shift));
  if (input === 'uint8') {
    // Adding three numbers to three interleaved channels is slow in ONNX Runtime, adding a whole picture is not; the runtime
    // expands it once, when it loads the graph.
    const whole = graph.constant('image.shape', int64([4], [1, 3, size, size]));
    offset = graph.node('Expand', 'image.shift.whole', [offset, whole], {});
  }
  return { image: graph.node('Add', 'image.centred', [pixels, offset], {}), scale };
}
