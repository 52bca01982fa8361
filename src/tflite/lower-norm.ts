// Normalisation: by constants per channel, and along axes by what is found there.
import type { Node } from '../onnx/graph.ts';
import { resolveAxes } from '../onnx/shapes.ts';
import { float32, type Tensor } from '../tensor/tensor.ts';
import { arranged, fileAxis, graphOrder, IMAGE_ORDER, operandTensor, type Value, withLast } from './axes.ts';
import { type Facts, floatConstant, fuseActivation, getValue, int32, type Lowering, type Plan } from './plan.ts';
import { Activation, Padding } from './schema.ts';

/** A scale and a shift per channel, [channels, 1, 1 ...]: y = x * scale + shift. */
function affineOf(node: Node<'BatchNormalization'>, facts: Facts) {
  const [gamma, beta, mean, variance] = node.inputs.slice(1).map(name => floatConstant(facts, name)?.data);
  if (!gamma || !beta || !mean || !variance) return undefined;
  const { shape } = getValue(facts, node.inputs[0]);
  const perChannel = [gamma.length, ...shape.slice(2).map(() => 1)];
  const scale = gamma.map((value, c) => value / Math.sqrt(variance[c]! + node.attributes.epsilon));
  const shift = beta.map((value, c) => value - mean[c]! * scale[c]!);
  return { scale: float32(perChannel, scale), shift: float32(perChannel, shift) };
}

/**
 * BatchNormalization that no convolution has taken in -> DEPTHWISE_CONV_2D of size 1, whose weights have a scale per channel in
 * 8 bits; for rows MUL, ADD.
 */
export const lowerBatchNormalization: Lowering<'BatchNormalization'> = {
  infer(node, facts) {
    const input = getValue(facts, node.inputs[0]);
    return affineOf(node, facts)?.scale.data.length === input.shape[fileAxis(input, 1)]
      ? input.shape.length === 4
        ? arranged(input, IMAGE_ORDER)
        : input
      : {
          problem: 'its parameters are no float32 constants, one per channel',
          remedy: 'Store scale, bias, mean and variance as constants of the graph.',
        };
  },
  emit(node, plan) {
    const value = getValue(plan, node.inputs[0]);
    const affine = affineOf(node, plan)!;
    if (value.shape.length === 4) emitDepthwise(node, plan, affine);
    else emitAffine(node, plan, affine);
  },
};

interface Affine {
  readonly scale: Tensor<'float32'>;
  readonly shift: Tensor<'float32'>;
}

function emitDepthwise(node: Node, plan: Plan, { scale, shift }: Affine): void {
  const { activation, output } = fuseActivation(node, plan);
  const channels = scale.data.length;
  const inputs = [
    plan.arrange(node.inputs[0]!, IMAGE_ORDER),
    plan.store(`${node.name}.scale`, float32([1, 1, 1, channels], scale.data)),
    plan.store(`${node.name}.shift`, float32([channels], shift.data)),
  ];
  plan.emit('DEPTHWISE_CONV_2D', inputs, output, getValue(plan, node.outputs[0]).shape, {
    padding: Padding.VALID,
    stride_w: 1,
    stride_h: 1,
    depth_multiplier: 1,
    fused_activation_function: activation,
    dilation_w_factor: 1,
    dilation_h_factor: 1,
  });
}

function emitAffine(node: Node, plan: Plan, affine: Affine): void {
  const value = getValue(plan, node.inputs[0]);
  const { activation, output } = fuseActivation(node, plan);
  const { scale, shift } = affine;
  const [factor, summand] = [scale, shift].map((tensor, i) =>
    plan.store(`${node.name}.${i === 0 ? 'scale' : 'shift'}`, operandTensor(tensor, value)!),
  ) as [number, number];
  const none = { fused_activation_function: Activation.NONE };
  const input = plan.tensor(node.inputs[0]!);
  const scaled = plan.emit('MUL', [input, factor], `${node.outputs[0]}.scaled`, value.shape, none);
  plan.emit('ADD', [scaled, summand], output, value.shape, { fused_activation_function: activation });
}

/** Axes of the graph along which a LayerNormalization runs. */
const normalisedAxes = ({ attributes }: Node<'LayerNormalization'>, { shape }: Value): number[] =>
  graphOrder(shape.length).slice(resolveAxes([attributes.axis], shape.length)[0]);

/**
 * LayerNormalization: MEAN, SUB, MUL, MEAN, ADD, RSQRT, MUL, MUL, ADD:
 * c = x - mean(x), y = c / sqrt(mean(c^2) + epsilon) * scale + bias.
 */
export const lowerLayerNormalization: Lowering<'LayerNormalization'> = {
  infer(node, facts) {
    const input = getValue(facts, node.inputs[0]);
    const parameters = node.inputs.slice(1).map(name => floatConstant(facts, name));
    const axes = normalisedAxes(node, input);
    return parameters.every(tensor => tensor?.shape.length === axes.length) && !axes.includes(0)
      ? arranged(input, withLast(input.order, axes))
      : {
          problem: 'its scale or bias is no constant of the axes that it normalises, or one of these is the batch',
          remedy: 'Store both as float32 constants of the graph, and normalise along axes from 1 on.',
        };
  },
  emit(node, plan) {
    const output = node.outputs[0]!;
    const value = getValue(plan, output);
    const { shape, order } = value;
    const input = plan.arrange(node.inputs[0]!, order);
    const places = normalisedAxes(node, value).map(axis => order.indexOf(axis));
    const narrow = shape.map((dim, place) => (places.includes(place) ? 1 : dim));
    const axes = plan.store(`${node.name}.axes`, int32([places.length], places));
    const none = { fused_activation_function: Activation.NONE };
    const mean = plan.emit('MEAN', [input, axes], `${output}.mean`, narrow, { keep_dims: true });
    const centred = plan.emit('SUB', [input, mean], `${output}.centred`, shape, none);
    const square = plan.emit('MUL', [centred, centred], `${output}.square`, shape, none);
    const variance = plan.emit('MEAN', [square, axes], `${output}.variance`, narrow, { keep_dims: true });
    const epsilon = plan.store(`${node.name}.epsilon`, float32([1], [node.attributes.epsilon]));
    const safe = plan.emit('ADD', [variance, epsilon], `${output}.safe`, narrow, none);
    const inverse = plan.emit('RSQRT', [safe], `${output}.inverse`, narrow, {});
    const normed = plan.emit('MUL', [centred, inverse], `${output}.normed`, shape, none);
    const [scale, bias] = node.inputs.slice(1).map(name => plan.store(name, floatConstant(plan, name)!));
    if (bias === undefined) {
      plan.emit('MUL', [normed, scale!], output, shape, none);
      return;
    }
    const scaled = plan.emit('MUL', [normed, scale!], `${output}.scaled`, shape, none);
    plan.emit('ADD', [scaled, bias], output, shape, none);
  },
};
