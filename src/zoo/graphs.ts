// The graphs that are made of a backbone: photos to features, and photos to class probabilities.
import type { Preprocess } from '../image/preprocess.ts';
import { type GraphBuilder, graphBuilder } from '../onnx/builder.ts';
import type { Graph, ValueInfo } from '../onnx/graph.ts';
import type { Shape } from '../onnx/shapes.ts';
import { float32, int64, type Tensor } from '../tensor/tensor.ts';
import { addStages } from './add-stages.ts';
import type { Backbone } from './backbone.ts';
import { channelsOf, stageParameters, stageShapes } from './stages.ts';

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

/** A head that says nothing, for what depends on the network's form alone. */
export function emptyHead(backbone: Backbone, classes: number): LinearHead {
  const width = featureWidth(backbone);
  return {
    weight: float32([classes, width], new Float32Array(classes * width)),
    bias: float32([classes], new Float32Array(classes)),
  };
}

/** The head without what all classes share, which softmax ignores: evidence for a class is then evidence against the others. */
export const centreHead = ({ weight, bias }: LinearHead): LinearHead => ({
  weight: centre(weight),
  bias: centre(bias),
});

function centre(tensor: Tensor<'float32'>): Tensor<'float32'> {
  const classes = tensor.shape[0]!;
  const width = tensor.data.length / classes;
  const mean = new Float64Array(width);
  for (const [i, value] of tensor.data.entries()) mean[i % width]! += value / classes;
  return { ...tensor, data: tensor.data.map((value, i) => value - mean[i % width]!) };
}

/** Number of features per photo: the pooled values of stages, side by side. */
export const featureWidth = (backbone: Backbone): number => pooledWidth(backbone, backbone.stages.length);

/** Number of features per photo from the stages before `cut`. */
export function pooledWidth(backbone: Backbone, cut: number): number {
  const shapes = stageShapes(backbone).slice(0, cut);
  return shapes.reduce((sum, shape, i) => sum + (backbone.stages[i]!.pooled ? channelsOf(shape) : 0), 0);
}

/** Graph from `image` (uint8 pixels) to `features` [N, featureWidth]: means of stages over their positions. */
export function buildFeatureGraph(backbone: Backbone): Graph {
  const graph = graphBuilder(`${backbone.name}.features`);
  addFeatures(graph, backbone, 'uint8');
  return graph.build([{ name: 'features', dtype: 'float32', shape: ['N', featureWidth(backbone)] }]);
}

/** Graph from `image` to `probabilities` [N, classes]: backbone, head and softmax. */
export function buildClassifierGraph(
  backbone: Backbone,
  head: LinearHead,
  input: ImageInput,
  metadata: Readonly<Record<string, string>> = {},
): Graph {
  const graph = graphBuilder(backbone.name);
  const features = addFeatures(graph, backbone, input);
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
export function trainedParameters(backbone: Backbone, trainFrom: number): string[] {
  return ['head.weight', 'head.bias', ...stageParameters(backbone).slice(trainFrom).flat()];
}

/** Shape of what stage `cut - 1` gives, without the photos. */
export const cutShape = (backbone: Backbone, cut: number): Shape => stageShapes(backbone)[cut - 1]!;

/**
 * Graph of the frozen stages before `cut`: `image` (uint8 pixels) to `cut` [N, ...cutShape], what the last of them gives,
 * and, where there are any, `pooled` [N, pooledWidth], the features from them, both in float16.
 */
export function buildFrozenGraph(backbone: Backbone, cut: number): Graph {
  const graph = graphBuilder(`${backbone.name}.frozen`);
  const image = addImage(graph, backbone.preprocess, 'uint8');
  const values = addStages(graph, backbone, image, { from: 0, to: cut, trainFrom: cut });
  const pooled = addPooling(graph, backbone, values, 0);
  graph.node('Cast', 'cut', [values.at(-1)!], { to: 'float16' });
  const outputs: ValueInfo[] = [{ name: 'cut', dtype: 'float16', shape: ['N', ...cutShape(backbone, cut)] }];
  if (pooled.length > 0) {
    graph.node('Cast', 'pooled', [graph.node('Concat', 'means', pooled, { axis: 1 })], { to: 'float16' });
    outputs.push({ name: 'pooled', dtype: 'float16', shape: ['N', pooledWidth(backbone, cut)] });
  }
  return graph.build(outputs);
}

/**
 * Graph to `logits` [N, classes] in which the stages from `trainFrom` on and the head are constants by the names of
 * `trainedParameters`.
 * @param fromCut whether it starts from `cut` and `pooled`, as the frozen graph gives them, rather than from `image`.
 */
export function buildTrainedGraph(
  backbone: Backbone,
  head: StandardisedHead,
  trainFrom: number,
  fromCut: boolean,
): Graph {
  const graph = graphBuilder(`${backbone.name}.trained`);
  const to = backbone.stages.length;
  const pooled: string[] = [];
  if (fromCut) {
    const half = (name: string, shape: readonly number[]) => {
      const input = graph.input({ name, dtype: 'float16', shape: ['N', ...shape] });
      return graph.node('Cast', `${name}.float`, [input], { to: 'float32' });
    };
    const value = half('cut', cutShape(backbone, trainFrom));
    const frozen = pooledWidth(backbone, trainFrom);
    if (frozen > 0) pooled.push(half('pooled', [frozen]));
    const values = addStages(graph, backbone, { value }, { from: trainFrom, to, trainFrom });
    pooled.push(...addPooling(graph, backbone, values, trainFrom));
  } else {
    const image = addImage(graph, backbone.preprocess, 'uint8');
    pooled.push(...addPooling(graph, backbone, addStages(graph, backbone, image, { from: 0, to, trainFrom }), 0));
  }
  const features = graph.node('Concat', 'features', pooled, { axis: 1 });
  const centred = graph.node('Sub', 'features.centred', [features, graph.constant('head.mean', head.mean)], {});
  const inverse = graph.constant('head.inverse', head.inverse);
  const rows = graph.node('Mul', 'features.standardised', [centred, inverse], {});
  const constants = [graph.constant('head.weight', head.weight), graph.constant('head.bias', head.bias)];
  graph.node('Gemm', 'logits', [rows, ...constants], { alpha: 1, beta: 1, transA: 0, transB: 1 });
  return graph.build([{ name: 'logits', dtype: 'float32', shape: ['N', head.bias.shape[0]!] }]);
}

function addFeatures(graph: GraphBuilder, backbone: Backbone, input: ImageInput): string {
  const values = addStages(graph, backbone, addImage(graph, backbone.preprocess, input));
  return graph.node('Concat', 'features', addPooling(graph, backbone, values, 0), { axis: 1 });
}

/** The means over positions of the stages that are pooled. `values` are those of the stages from `first` on. */
export function addPooling(
  graph: GraphBuilder,
  backbone: Backbone,
  values: readonly string[],
  first: number,
): string[] {
  const shapes = stageShapes(backbone);
  return values.flatMap((value, i) => {
    const stage = first + i;
    const positions = positionAxes(shapes[stage]!);
    if (!backbone.stages[stage]!.pooled) return [];
    if (positions.length === 0) return [value];
    return [graph.node('ReduceMean', `pooled.${stage}`, [value], { axes: positions, keepdims: 0 })];
  });
}

/** Axes of positions, counted with the photos' axis: those of an image, of tokens, or none. */
function positionAxes(shape: Shape): number[] {
  if (shape.length === 3) return [2, 3];
  return shape.length === 2 ? [1] : [];
}

/**
 * Input and normalisation. The network reads s * x + b per channel; written as s * (x + b / s), the scale s folds into the
 * first convolution and one addition is left, so that zero padding still means the mean colour.
 */
export function addImage(
  graph: GraphBuilder,
  { size, mean, std }: Preprocess,
  input: ImageInput,
  batch: 'N' | 1 = 'N',
): { readonly value: string; readonly scale: readonly number[] } {
  const dtype = input === 'uint8' ? 'uint8' : 'float32';
  const image = graph.input({ name: 'image', dtype, shape: [batch, size, size, 3] });
  // (x / 255 - mean) / std for pixels; ((x + 1) / 2 - mean) / std for the signed range.
  const scale = std.map(deviation => (input === 'uint8' ? 1 / (255 * deviation) : 0.5 / deviation));
  const shift = mean.map(average => (input === 'uint8' ? -255 * average : 1 - 2 * average));
  const channelsFirst = graph.node('Transpose', 'image.nchw', [image], { perm: [0, 3, 1, 2] });
  const pixels =
    input === 'uint8' ? graph.node('Cast', 'image.float', [channelsFirst], { to: 'float32' }) : channelsFirst;
  if (shift.every(offset => offset === 0)) return { value: pixels, scale };
  let offset = graph.constant('image.shift', float32([1, 3, 1, 1], shift));
  if (input === 'uint8') {
    // Adding three numbers to three interleaved channels is slow in ONNX Runtime, adding a whole picture is not; the runtime
    // expands it once, when it loads the graph.
    const whole = graph.constant('image.shape', int64([4], [1, 3, size, size]));
    offset = graph.node('Expand', 'image.shift.whole', [offset, whole], {});
  }
  return { value: graph.node('Add', 'image.centred', [pixels, offset], {}), scale };
}
