// BatchNormalization in inference mode: folded into the convolution before it, ahead of time or by nodes of the graph from
// parameters that training changes; or, where there is no convolution, as a factor and an offset per channel.
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Node } from '../onnx/graph.ts';
import { float32, int64, type Tensor } from '../tensor/tensor.ts';

type Floats = Tensor<'float32'>;

/** Name of something that is made beside a value: no parameter of a card or a file begins like this. */
export const madeName = (value: string, part: string): string => `folded:${value}.${part}`;

/** A BatchNormalization with the names of what training changes. */
export interface Norm {
  readonly gammaName: string;
  readonly betaName: string;
  /** All of [channels]. */
  readonly gamma: Floats;
  readonly beta: Floats;
  readonly mean: Floats;
  /** 1 / sqrt(variance + epsilon) */
  readonly inverse: Floats;
}

/** Reads the parameters of `node` from constants. */
export function readNorm(node: Node<'BatchNormalization'>, constantOf: (name: string) => Floats): Norm {
  const [, gammaName, betaName, mean, variance] = node.inputs as [string, string, string, string, string];
  const { shape, data } = constantOf(variance);
  const { epsilon } = node.attributes;
  return {
    gammaName,
    betaName,
    gamma: constantOf(gammaName),
    beta: constantOf(betaName),
    mean: constantOf(mean),
    inverse: { dtype: 'float32', shape, data: data.map(value => 1 / Math.sqrt(value + epsilon)) },
  };
}

/** Weights [out, in / group, kh, kw] and biases [out] of a convolution; without biases they are 0. */
export interface ConvTensors {
  readonly weight: Floats;
  readonly bias: Floats | undefined;
}

/** W' = W * gamma / sigma, b' = beta + (b - mean) * gamma / sigma, with sigma = sqrt(variance + epsilon). */
export function foldNorm({ weight, bias }: ConvTensors, norm: Norm): ConvTensors {
  const { factor, offset } = foldedParts(norm, bias);
  const perFilter = weight.data.length / factor.length;
  return {
    weight: { ...weight, data: weight.data.map((value, i) => value * factor[Math.floor(i / perFilter)]!) },
    bias: { ...norm.beta, data: offset },
  };
}

/** gamma / sigma, and beta + (b - mean) * gamma / sigma, per channel; without biases b is 0. */
function foldedParts({ gamma, beta, mean, inverse }: Norm, bias?: Floats) {
  const factor = gamma.data.map((value, c) => value * inverse.data[c]!);
  const offset = beta.data.map((value, c) => value + ((bias?.data[c] ?? 0) - mean.data[c]!) * factor[c]!);
  return { factor, offset };
}

/** Multiplies the weights of each input channel of a convolution without groups. */
export function scaleInputChannels(weight: Floats, scale: readonly number[]): Floats {
  const area = weight.data.length / (weight.shape[0]! * weight.shape[1]!);
  return { ...weight, data: weight.data.map((value, i) => value * scale[Math.floor(i / area) % scale.length]!) };
}

/** Stores a parameter of the backbone under its own name, once. */
export type UseConstant = (name: string) => string;

/** What a trained convolution is made of. */
export interface TrainedConv {
  readonly conv: Node<'Conv'>;
  /** Name of the value that it gives. */
  readonly value: string;
  readonly input: string;
  readonly norm: Norm | undefined;
  readonly scaleInput: readonly number[] | undefined;
}

/**
 * The convolution with its parameters as constants of their own names, which training may turn into inputs:
 * W' = W * gamma / sigma, b' = beta + (b - mean) * gamma / sigma, with sigma fixed.
 */
export function addTrainedConv(graph: GraphBuilder, source: TrainedConv, useConstant: UseConstant): void {
  const { conv, value, input, norm, scaleInput } = source;
  const [, weightName, biasName] = conv.inputs as [string, string, string?];
  let weight = useConstant(weightName);
  let bias = biasName ? useConstant(biasName) : undefined;
  if (norm) {
    const { factor, wide } = addFactor(graph, value, norm, [norm.gamma.data.length, 1, 1, 1], useConstant);
    weight = graph.node('Mul', madeName(value, 'weight.folded'), [weight, wide], {});
    bias = addOffset(graph, value, norm, factor, bias, useConstant);
  }
  if (scaleInput) {
    const scale = graph.constant(madeName(value, 'scale'), float32([1, scaleInput.length, 1, 1], scaleInput));
    weight = graph.node('Mul', madeName(value, 'weight.scaled'), [weight, scale], {});
  }
  graph.node('Conv', value, [input, weight, ...(bias ? [bias] : [])], conv.attributes);
}

/** A BatchNormalization alone: x * gamma / sigma + (beta - mean * gamma / sigma), its parameters trained. */
export function addTrainedNorm(
  graph: GraphBuilder,
  value: string,
  input: string,
  norm: Norm,
  wide: readonly number[],
  useConstant: UseConstant,
): void {
  const made = addFactor(graph, value, norm, wide, useConstant);
  const offset = addOffset(graph, value, norm, made.factor, undefined, useConstant);
  const shape = graph.constant(madeName(value, 'offset.shape'), int64([wide.length], wide));
  const scaled = graph.node('Mul', madeName(value, 'product'), [input, made.wide], {});
  graph.node('Add', value, [scaled, graph.node('Reshape', madeName(value, 'offset.wide'), [offset, shape], {})], {});
}

/** The same with constants. */
export function addConstantNorm(
  graph: GraphBuilder,
  value: string,
  input: string,
  norm: Norm,
  wide: readonly number[],
): void {
  const { factor, offset } = foldedParts(norm);
  const product = graph.constant(madeName(value, 'factor'), float32(wide, factor));
  const scaled = graph.node('Mul', madeName(value, 'product'), [input, product], {});
  graph.node('Add', value, [scaled, graph.constant(madeName(value, 'offset'), float32(wide, offset))], {});
}

/** gamma / sigma, flat and in the shape `wide`. */
function addFactor(graph: GraphBuilder, value: string, norm: Norm, wide: readonly number[], useConstant: UseConstant) {
  const inverse = graph.constant(madeName(value, 'inverse'), norm.inverse);
  const factor = graph.node('Mul', madeName(value, 'factor'), [useConstant(norm.gammaName), inverse], {});
  const shape = graph.constant(madeName(value, 'shape'), int64([wide.length], wide));
  return { factor, wide: graph.node('Reshape', madeName(value, 'factors'), [factor, shape], {}) };
}

/** beta + (bias - mean) * factor */
function addOffset(
  graph: GraphBuilder,
  value: string,
  norm: Norm,
  factor: string,
  bias: string | undefined,
  useConstant: UseConstant,
): string {
  let mean = graph.constant(madeName(value, 'mean'), norm.mean);
  if (bias) mean = graph.node('Sub', madeName(value, 'mean.unbiased'), [mean, bias], {});
  const offset = graph.node('Mul', madeName(value, 'offset'), [mean, factor], {});
  return graph.node('Sub', madeName(value, 'shift'), [useConstant(norm.betaName), offset], {});
}
