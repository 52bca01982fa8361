// Builds MobileNetV3 as a graph from its table and torchvision's parameters, BatchNorm folded into the convolutions.
// Source: Howard et al., "Searching for MobileNetV3", arXiv:1905.02244; names and padding as torchvision has them.
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { MobileNetV3, MobileNetV3Row } from './card.ts';
import { foldBatchNorm, type Parameters, takeParameter } from './parameters.ts';

/** A convolution about to be added; `scaleInput` multiplies the weights of each input channel. */
interface ConvolutionSpec {
  readonly source: string;
  readonly input: string;
  readonly shape: readonly [number, number, number, number];
  readonly stride: number;
  readonly group: number;
  readonly activation: 'Relu' | 'HardSwish' | null;
  readonly scaleInput?: readonly number[];
}

/**
 * Appends the network to `graph`.
 * @param image NCHW float value with three channels, such that the network should read `scale[c] * image`.
 * @param scale per-channel factor, folded into the first convolution (exact, zero padding included).
 * @returns the output of the stem, of each block and of the last convolution: values of [N, featureWidths[i], h, w].
 */
export function addMobileNetV3(
  graph: GraphBuilder,
  architecture: MobileNetV3,
  parameters: Parameters,
  image: string,
  scale: readonly number[],
): string[] {
  const { stem, rows, last, batchNormEpsilon } = architecture;

  const convolve = (spec: ConvolutionSpec): string => {
    const { source, shape, stride, group, activation } = spec;
    const norm = source.replace(/\.0$/, '.1');
    const folded = foldBatchNorm(parameters, source, norm, shape, batchNormEpsilon);
    const weight = spec.scaleInput ? scaleInputChannels(folded.weight, spec.scaleInput) : folded.weight;
    const convolution = addConv(graph, source, spec.input, weight, folded.bias, stride, group);
    return activation ? graph.node(activation, `${source}.activation`, [convolution], {}) : convolution;
  };

  const block = (input: string, inChannels: number, row: MobileNetV3Row, index: number): string => {
    const prefix = `features.${index}.block`;
    const { activation, expanded, kernel } = row;
    let part = 0;
    let value = input;
    if (expanded !== inChannels) {
      const shape = [expanded, inChannels, 1, 1] as const;
      value = convolve({ source: `${prefix}.${part++}.0`, input: value, shape, stride: 1, group: 1, activation });
    }
    const depthwise = [expanded, 1, kernel, kernel] as const;
    const source = `${prefix}.${part++}.0`;
    value = convolve({ source, input: value, shape: depthwise, stride: row.stride, group: expanded, activation });
    if (row.squeeze > 0)
      value = addSqueezeExcite(graph, parameters, `${prefix}.${part++}`, value, expanded, row.squeeze);
    const project = [row.out, expanded, 1, 1] as const;
    value = convolve({
      source: `${prefix}.${part}.0`,
      input: value,
      shape: project,
      stride: 1,
      group: 1,
      activation: null,
    });
    const skip = row.stride === 1 && inChannels === row.out;
    return skip ? graph.node('Add', `features.${index}.skip`, [value, input], {}) : value;
  };

  let value = convolve({
    source: 'features.0.0',
    input: image,
    shape: [stem, 3, 3, 3],
    stride: 2,
    group: 1,
    activation: 'HardSwish',
    scaleInput: scale,
  });
  const stages = [value];
  let channels = stem;
  rows.forEach((row, i) => {
    value = block(value, channels, row, i + 1);
    channels = row.out;
    stages.push(value);
  });
  const source = `features.${rows.length + 1}.0`;
  const shape = [last, channels, 1, 1] as const;
  stages.push(convolve({ source, input: value, shape, stride: 1, group: 1, activation: 'HardSwish' }));
  return stages;
}

/** Squeeze-and-excitation: x * hardSigmoid(fc2(relu(fc1(mean(x))))). */
function addSqueezeExcite(
  graph: GraphBuilder,
  parameters: Parameters,
  prefix: string,
  input: string,
  channels: number,
  squeeze: number,
): string {
  const dense = (source: string, value: string, outChannels: number, inChannels: number) => {
    const weight = takeParameter(parameters, `${source}.weight`, [outChannels, inChannels, 1, 1]);
    return addConv(graph, source, value, weight, takeParameter(parameters, `${source}.bias`, [outChannels]), 1, 1);
  };
  const mean = graph.node('GlobalAveragePool', `${prefix}.mean`, [input], {});
  const squeezed = dense(`${prefix}.fc1`, mean, squeeze, channels);
  const active = graph.node('Relu', `${prefix}.relu`, [squeezed], {});
  const excited = dense(`${prefix}.fc2`, active, channels, squeeze);
  const gate = graph.node('HardSigmoid', `${prefix}.gate`, [excited], { alpha: 1 / 6, beta: 0.5 });
  return graph.node('Mul', `${prefix}.scaled`, [input, gate], {});
}

/** A convolution with torchvision's symmetric padding (kernel - 1) / 2. */
function addConv(
  graph: GraphBuilder,
  name: string,
  input: string,
  weight: Tensor<'float32'>,
  bias: Tensor<'float32'>,
  stride: number,
  group: number,
): string {
  const kernel = weight.shape[2]!;
  const pad = (kernel - 1) / 2;
  const inputs = [input, graph.constant(`${name}.weight`, weight), graph.constant(`${name}.bias`, bias)];
  return graph.node('Conv', name, inputs, {
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
