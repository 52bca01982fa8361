// The graphs that are made of a backbone: photos to features, and photos to class probabilities.
import { type GraphBuilder, graphBuilder } from '../onnx/builder.ts';
import type { Graph } from '../onnx/graph.ts';
import { float32, type Tensor } from '../tensor/tensor.ts';
import type { BackboneCard } from './card.ts';
import { addMobileNetV3 } from './mobilenet-v3.ts';
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

/**
 * Input, normalisation, backbone and pooling. The network reads s * x + b per channel; written as s * (x + b / s), the
 * scale s folds into the first convolution and one addition is left, so that zero padding still means the mean colour.
 */
function addFeatures(graph: GraphBuilder, card: BackboneCard, parameters: Parameters, input: ImageInput): string {
  const { size, mean, std } = card.preprocess;
  const dtype = input === 'uint8' ? 'uint8' : 'float32';
  const image = graph.input({ name: 'image', dtype, shape: ['N', size, size, 3] });
  // (x / 255 - mean) / std for pixels; ((x + 1) / 2 - mean) / std for the signed range.
  const scale = std.map(deviation => (input === 'uint8' ? 1 / (255 * deviation) : 0.5 / deviation));
  const shift = mean.map(average => (input === 'uint8' ? -255 * average : 1 - 2 * average));
  const channelsFirst = graph.node('Transpose', 'image.nchw', [image], { perm: [0, 3, 1, 2] });
  const pixels =
    input === 'uint8' ? graph.node('Cast', 'image.float', [channelsFirst], { to: 'float32' }) : channelsFirst;
  const offset = graph.constant('image.shift', float32([1, 3, 1, 1], shift));
  const centred = graph.node('Add', 'image.centred', [pixels, offset], {});
  const stages = addMobileNetV3(graph, card.architecture, parameters, centred, scale);
  const pooled = stages.map((stage, i) =>
    graph.node('ReduceMean', `pooled.${i}`, [stage], { axes: [2, 3], keepdims: 0 }),
  );
  return graph.node('Concat', 'features', pooled, { axis: 1 });
}
