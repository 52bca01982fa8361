// A convolution and the BatchNorm in inference mode behind it, as one convolution: folded ahead of time, or folded by
// nodes of the graph from parameters that training changes.
import type { GraphBuilder } from '../onnx/builder.ts';
import { float32, int64, type Tensor } from '../tensor/tensor.ts';
import { foldBatchNorm, type Parameters, takeParameter } from './parameters.ts';

/** Where a convolution comes from: torchvision calls it `x.0` and its BatchNorm `x.1`. */
export interface ConvSource {
  readonly name: string;
  /** [out, in / group, kernel, kernel] */
  readonly shape: readonly [number, number, number, number];
  readonly stride: number;
  readonly group: number;
  /** Multiplies the weights of each input channel. */
  readonly scaleInput?: readonly number[];
}

type NormedSource = ConvSource & { readonly epsilon: number };

const normOf = (name: string) => name.replace(/\.0$/, '.1');
const kernelOf = ({ shape, stride, group }: ConvSource) => ({ kernel: shape[2], stride, group });

/** The convolution with constants into which BatchNorm is folded. */
export function addFoldedConv(
  graph: GraphBuilder,
  parameters: Parameters,
  source: NormedSource,
  input: string,
): string {
  const { name, shape, epsilon, scaleInput } = source;
  const folded = foldBatchNorm(parameters, name, normOf(name), shape, epsilon);
  const weight = scaleInput ? scaleInputChannels(folded.weight, scaleInput) : folded.weight;
  const constants = [graph.constant(`${name}.weight`, weight), graph.constant(`${name}.bias`, folded.bias)] as const;
  return addConv(graph, name, input, constants, kernelOf(source));
}

/**
 * The convolution with its weight, gamma and beta as constants of their own names, which training may turn into inputs:
 * W' = W * gamma / sigma, b' = beta - mean * gamma / sigma, with sigma = sqrt(variance + epsilon) fixed.
 */
export function addTrainedConv(
  graph: GraphBuilder,
  parameters: Parameters,
  source: NormedSource,
  input: string,
): string {
  const { name, shape, epsilon, scaleInput } = source;
  const norm = normOf(name);
  const channels = shape[0];
  const perChannel = (part: string) => takeParameter(parameters, `${norm}.${part}`, [channels]);
  const weight = graph.constant(`${name}.weight`, takeParameter(parameters, `${name}.weight`, shape));
  const gamma = graph.constant(`${norm}.weight`, perChannel('weight'));
  const beta = graph.constant(`${norm}.bias`, perChannel('bias'));
  const inverse = perChannel('running_var').data.map(variance => 1 / Math.sqrt(variance + epsilon));
  const sigma = graph.constant(`${norm}.inverse`, float32([channels], inverse));
  const factor = graph.node('Mul', `${norm}.factor`, [gamma, sigma], {});
  const wide = graph.constant(`${norm}.shape`, int64([4], [channels, 1, 1, 1]));
  const perFilter = graph.node('Reshape', `${norm}.factors`, [factor, wide], {});
  let folded = graph.node('Mul', `${name}.folded`, [weight, perFilter], {});
  if (scaleInput) {
    const scale = graph.constant(`${name}.scale`, float32([1, scaleInput.length, 1, 1], scaleInput));
    folded = graph.node('Mul', `${name}.scaled`, [folded, scale], {});
  }
  const mean = graph.constant(`${norm}.mean`, perChannel('running_mean'));
  const offset = graph.node('Mul', `${norm}.offset`, [mean, factor], {});
  const bias = graph.node('Sub', `${norm}.shift`, [beta, offset], {});
  return addConv(graph, name, input, [folded, bias], kernelOf(source));
}

/** A convolution with torchvision's symmetric padding (kernel - 1) / 2. */
export function addConv(
  graph: GraphBuilder,
  name: string,
  input: string,
  [weight, bias]: readonly [string, string],
  { kernel, stride, group }: { readonly kernel: number; readonly stride: number; readonly group: number },
): string {
  const pad = (kernel - 1) / 2;
  return graph.node('Conv', name, [input, weight, bias], {
    kernel_shape: [kernel, kernel],
    strides: [stride, stride],
    pads: [pad, pad, pad, pad],
    dilations: [1, 1],
    group,
  });
}

function scaleInputChannels(weight: Tensor<'float32'>, scale: readonly number[]): Tensor<'float32'> {
  const [, inChannels, height, width] = weight.shape as [number, number, number, number];
  const area = height * width;
  return { ...weight, data: weight.data.map((value, i) => value * scale[Math.floor(i / area) % inChannels]!) };
}
