// The smallest .tflite model of a network: what one would write by hand, with nothing in it but the network's arithmetic.
import type { Node } from '../../src/onnx/graph.ts';
import type { TrainedNetwork } from '../../src/project/trained-run.ts';
import type { KnownOperator, TfliteModel, TfliteTensor } from '../../src/tflite/model.ts';
import { Activation, type OperatorName, type OperatorOptions, Padding } from '../../src/tflite/schema.ts';
import { findCard } from '../../src/zoo/cards.ts';
import { foldNorm, readNorm } from '../../src/zoo/conv-norm.ts';
import type { InvertedResidual, InvertedResidualNetwork } from '../../src/zoo/families/inverted-residual.ts';
import type { Activation as CardActivation } from '../../src/zoo/families/layers.ts';
import { type Parameters, takeParameter } from '../../src/zoo/parameters.ts';

const fused = (activation: number) => ({ fused_activation_function: activation });
const positions = new Uint8Array(Int32Array.of(1, 2).buffer);

/**
 * The network as a classifier of float32 [1, size, size, 3]. Normalisation is in the first convolution, bias included, and
 * padding is TFLite's SAME: both give other numbers at the borders than torchvision's network, for less work.
 */
export function writeByHand({ backbone, head }: TrainedNetwork): TfliteModel {
  const card = findCard(backbone.name);
  const { groups, stem: first, last } = card.architecture as InvertedResidualNetwork;
  const { preprocess } = backbone;
  const parameters = backbone.graph.constants as Parameters;
  const tensors: TfliteTensor[] = [];
  const operators: KnownOperator[] = [];
  const add = (shape: readonly number[], values?: Float32Array) => {
    const data = values && { data: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
    return tensors.push({ name: `t${tensors.length}`, type: 'FLOAT32', shape, ...data }) - 1;
  };
  const shapeOf = (tensor: number) => tensors[tensor]!.shape;
  const emit = <O extends OperatorName>(
    op: O,
    inputs: readonly number[],
    shape: readonly number[],
    options: OperatorOptions<O>,
  ): number => {
    const output = add(shape);
    operators.push({ op, version: 1, inputs, outputs: [output], options } as unknown as KnownOperator);
    return output;
  };
  const axes = tensors.push({ name: 'positions', type: 'INT32', shape: [2], data: positions }) - 1;

  /** weight: [out, in / groups, kernel, kernel]. */
  const convolve = (x: number, weight: Weight, bias: Float32Array, stride: number, activation: number): number => {
    const [, height, width, channels] = shapeOf(x) as [number, number, number, number];
    const [out, perGroup, kernel] = weight.shape as [number, number, number];
    const isDepthwise = perGroup === 1 && channels > 1;
    const shape = [1, Math.ceil(height / stride), Math.ceil(width / stride), out];
    const stored = channelsLast(weight, isDepthwise);
    const inputs = [
      x,
      add(isDepthwise ? [1, kernel, kernel, out] : [out, kernel, kernel, channels], stored),
      add([out], bias),
    ];
    const options = {
      padding: Padding.SAME,
      stride_w: stride,
      stride_h: stride,
      dilation_w_factor: 1,
      dilation_h_factor: 1,
      ...fused(activation),
    };
    return isDepthwise
      ? emit('DEPTHWISE_CONV_2D', inputs, shape, { ...options, depth_multiplier: 1 })
      : emit('CONV_2D', inputs, shape, options);
  };
  const activate = (x: number, activation: Act) =>
    activation === 'HardSwish' ? emit('HARD_SWISH', [x], shapeOf(x), {}) : x;
  const fold = (name: string, shape: readonly number[]) => {
    const norm = backbone.graph.nodes.find(node => node.op === 'BatchNormalization' && node.inputs[0] === name);
    const constantOf = (parameter: string) => parameters.get(parameter)!;
    const weight = takeParameter(parameters, `${name}.weight`, shape);
    return foldNorm({ weight, bias: undefined }, readNorm(norm as Node<'BatchNormalization'>, constantOf));
  };
  /** A convolution and its BatchNorm, of `factor` * x. */
  const stage = (
    x: number,
    name: string,
    shape: readonly number[],
    stride: number,
    activation: Act,
    factor = 1,
  ): number => {
    const { weight, bias } = fold(name, shape);
    const scaled = { shape, data: weight.data.map(value => value * factor) };
    const fusedActivation = activation === 'Relu' ? Activation.RELU : Activation.NONE;
    return activate(convolve(x, scaled, bias!.data, stride, fusedActivation), activation);
  };
  /** The first stage, of (image / 2 + 1 / 2 - mean) / std. */
  const stem = (image: number): number => {
    const { weight, bias } = fold('features.0.0', [first.out, 3, 3, 3]);
    const { mean, std } = preprocess;
    const shifted = bias!.data.slice();
    const scaled = weight.data.map((value, i) => {
      const channel = Math.floor(i / 9) % 3;
      shifted[Math.floor(i / 27)]! += (value * (0.5 - mean[channel]!)) / std[channel]!;
      return (value * 0.5) / std[channel]!;
    });
    return activate(convolve(image, { ...weight, data: scaled }, shifted, 2, Activation.NONE), 'HardSwish');
  };
  /** 6 * x * hardSigmoid(fc2(relu(fc1(mean(x))))), with 6 * hardSigmoid(x) = relu6(x + 3). */
  const squeezeExcite = (x: number, prefix: string, channels: number, squeeze: number): number => {
    const dense = (from: number, name: string, shape: readonly number[], activation: number, shift: number) => {
      const weight = takeParameter(parameters, `${prefix}.${name}.weight`, shape);
      const bias = takeParameter(parameters, `${prefix}.${name}.bias`, [shape[0]!]);
      return convolve(
        from,
        weight,
        bias.data.map(value => value + shift),
        1,
        activation,
      );
    };
    const mean = emit('MEAN', [x, axes], [1, 1, 1, channels], { keep_dims: true });
    const squeezed = dense(mean, 'fc1', [squeeze, channels, 1, 1], Activation.RELU, 0);
    const gate = dense(squeezed, 'fc2', [channels, squeeze, 1, 1], Activation.RELU6, 3);
    return emit('MUL', [x, gate], shapeOf(x), fused(Activation.NONE));
  };
  const block = (x: number, row: InvertedResidual, index: number): number => {
    const { activation, expanded, kernel, stride, squeeze, out } = row;
    const channels = shapeOf(x)[3]!;
    let part = 0;
    const name = () => `features.${index}.block.${part++}`;
    let y = x;
    if (expanded !== channels) y = stage(y, `${name()}.0`, [expanded, channels, 1, 1], 1, activation);
    y = stage(y, `${name()}.0`, [expanded, 1, kernel, kernel], stride, activation);
    if (squeeze > 0) y = squeezeExcite(y, name(), expanded, squeeze);
    y = stage(y, `${name()}.0`, [out, expanded, 1, 1], 1, null, squeeze > 0 ? 1 / 6 : 1);
    return stride === 1 && channels === out ? emit('ADD', [y, x], shapeOf(y), fused(Activation.NONE)) : y;
  };

  const image = add([1, preprocess.size, preprocess.size, 3]);
  const stages = [stem(image)];
  for (const [i, row] of groups.flat().entries()) stages.push(block(stages.at(-1)!, row, i + 1));
  const before = shapeOf(stages.at(-1)!)[3]!;
  const lastName = `features.${stages.length}.0`;
  stages.push(stage(stages.at(-1)!, lastName, [last!.out, before, 1, 1], 1, 'HardSwish'));
  const pooled = stages.map(value => emit('MEAN', [value, axes], [1, shapeOf(value)[3]!], { keep_dims: false }));
  const [classes, width] = head.weight.shape as [number, number];
  let parts = pooled;
  while (parts.length > 1) {
    parts = Array.from({ length: Math.ceil(parts.length / MAX_JOINED) }, (_, i) => {
      const group = parts.slice(i * MAX_JOINED, (i + 1) * MAX_JOINED);
      const total = group.reduce((sum, part) => sum + shapeOf(part)[1]!, 0);
      if (group.length === 1) return group[0]!;
      return emit('CONCATENATION', group, [1, total], { axis: 1, ...fused(Activation.NONE) });
    });
  }
  const weights = [add([classes, width], head.weight.data), add([classes], head.bias.data)];
  const dense = { ...fused(Activation.NONE), weights_format: 0, keep_num_dims: false };
  const logits = emit('FULLY_CONNECTED', [parts[0]!, ...weights], [1, classes], dense);
  const probabilities = emit('SOFTMAX', [logits], [1, classes], { beta: 1 });
  return { description: 'by hand', tensors, operators, inputs: [image], outputs: [probabilities], metadata: [] };
}

/** Most values that XNNPACK joins at once. */
const MAX_JOINED = 4;

type Act = CardActivation | null;

interface Weight {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** [out, in, k, k] as [out, k, k, in]; of a depthwise convolution [out, 1, k, k] as [1, k, k, out]. */
function channelsLast({ shape, data }: Weight, isDepthwise: boolean): Float32Array {
  const [out, into, kernel] = shape as [number, number, number];
  const area = kernel * kernel;
  const result = new Float32Array(data.length);
  data.forEach((value, i) => {
    const [o, c, place] = [Math.floor(i / (into * area)), Math.floor(i / area) % into, i % area];
    result[isDepthwise ? place * out + o : (o * area + place) * into + c] = value;
  });
  return result;
}
