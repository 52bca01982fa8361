// Weights as symmetric int8 with one scale per output channel: values from -127 to 127, zero point 0.
import { floatsOf } from './draft.ts';
import type { KnownOperator, TfliteModel, TfliteTensor } from './model.ts';
import type { OperatorName } from './schema.ts';
import { weightChannels } from './weight-channels.ts';

/**
 * The weight in int8; scale = max |w| / 127 per channel.
 * @param smallest scale of each channel, which keeps an all-zero one above zero. Default: that of the tensor's largest weight.
 */
export function quantiseWeight(weight: TfliteTensor, op: OperatorName, smallest?: readonly number[]): TfliteTensor {
  const { axis, outputs, outputOf } = weightChannels(weight.shape, op);
  const values = floatsOf(weight);
  const largest = new Float64Array(outputs);
  values.forEach((value, i) => {
    const channel = outputOf(i);
    largest[channel] = Math.max(largest[channel]!, Math.abs(value));
  });
  const widest = Math.max(...largest) || 1;
  const scale = Array.from(largest, (value, channel) =>
    Math.fround(Math.max((value || (smallest ? 0 : widest)) / 127, smallest?.[channel] ?? 0)),
  );
  const data = Int8Array.from(values, (value, i) =>
    Math.max(-127, Math.min(127, Math.round(value / scale[outputOf(i)]!))),
  );
  const quantization = { scale, zeroPoint: scale.map(() => 0), axis };
  return { ...weight, type: 'INT8', data: new Uint8Array(data.buffer), quantization };
}

/**
 * The bias of a convolution with what rounding its weight changes on average: b + sum((w - rounded w) * mean input).
 * @param stored the rounded weight of `operator`.
 * @param mean of its input per channel, from calibration.
 */
export function correctBias(
  model: TfliteModel,
  operator: KnownOperator,
  stored: TfliteTensor,
  mean: Float32Array,
): Float64Array {
  const weight = model.tensors[operator.inputs[1]!]!;
  const { outputOf, inputOf } = weightChannels(weight.shape, operator.op);
  const rounded = new Int8Array(stored.data!.slice().buffer);
  const { scale } = stored.quantization!;
  const bias = Float64Array.from(floatsOf(model.tensors[operator.inputs[2]!]!));
  floatsOf(weight).forEach((value, i) => {
    const out = outputOf(i);
    bias[out]! += (value - rounded[i]! * scale[out]!) * mean[inputOf(i, mean.length)]!;
  });
  return bias;
}
