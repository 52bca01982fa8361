// What a factor per channel does to an operator: goes through it, into its weights, or nowhere.
import { sizeOf } from '../tensor/tensor.ts';
import type { KnownOperator, TfliteModel, TfliteOperator } from './model.ts';
import { Activation } from './schema.ts';

/** f(s x) = s f(x) for s > 0. */
export const isHomogeneous = (activation: number): boolean =>
  activation === Activation.NONE || activation === Activation.RELU;

/** True for a constant of one number. */
export const isScalar = (model: TfliteModel, tensor: number): boolean =>
  model.tensors[tensor]?.data !== undefined && sizeOf(model.tensors[tensor]!.shape) === 1;

/** relu6(x + constant): it needs x itself. */
export function isGate(model: TfliteModel, operator: TfliteOperator): operator is KnownOperator<'ADD'> {
  if (operator.op !== 'ADD' || operator.options.fused_activation_function !== Activation.RELU6) return false;
  return isScalar(model, operator.inputs[1]!) && model.tensors[operator.outputs[0]!]!.shape.length === 4;
}

/** True when the weights of a convolution or dense layer have a place for one factor per channel of its input. */
export function takesChannelFactors(model: TfliteModel, operator: KnownOperator): boolean {
  const { shape } = model.tensors[operator.inputs[0]!]!;
  const isRow = shape.at(-1) === sizeOf(shape);
  return (
    operator.op === 'CONV_2D' || operator.op === 'DEPTHWISE_CONV_2D' || (operator.op === 'FULLY_CONNECTED' && isRow)
  );
}

/** True for a MEAN over positions only. */
export function keepsChannels(model: TfliteModel, operator: KnownOperator): boolean {
  const input = model.tensors[operator.inputs[0]!]!;
  const axes = model.tensors[operator.inputs[1]!]!.data;
  if (!axes) return false;
  const last = input.shape.length - 1;
  return new Int32Array(axes.slice().buffer).every(axis => axis !== last && axis !== -1);
}
