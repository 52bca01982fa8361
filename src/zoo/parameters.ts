// Named parameters as float32, whatever file they came from, read with a check of every shape.
import { GraftError } from '../base/errors.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';

/** Parameters by the name that the source gives them. */
export type Parameters = ReadonlyMap<string, Tensor<'float32'>>;

/** The parameter called `name`. Throws GraftError `bad-weights` when it is missing or has another shape. */
export function takeParameter(parameters: Parameters, name: string, shape: readonly number[]): Tensor<'float32'> {
  const tensor = parameters.get(name);
  if (!tensor) {
    throw new GraftError(
      'bad-weights',
      `The weights have no parameter ${name}.`,
      'Use the file made for this backbone.',
    );
  }
  if (tensor.shape.join() !== shape.join()) {
    throw new GraftError(
      'bad-weights',
      `The parameter ${name} has shape [${tensor.shape.join(', ')}]; the backbone wants [${shape.join(', ')}].`,
      'Use the file made for this backbone.',
    );
  }
  return tensor;
}

/**
 * Folds a BatchNorm in inference mode into the convolution before it:
 * W' = W * gamma / sqrt(variance + epsilon), b' = beta - mean * gamma / sqrt(variance + epsilon).
 * @param convolution name of the convolution; its weight is [out, in / groups, kh, kw] and it has no bias.
 * @param norm name of the BatchNorm with weight, bias, running_mean and running_var of [out].
 */
export function foldBatchNorm(
  parameters: Parameters,
  convolution: string,
  norm: string,
  shape: readonly number[],
  epsilon: number,
): { weight: Tensor<'float32'>; bias: Tensor<'float32'> } {
  const out = shape[0]!;
  const weight = takeParameter(parameters, `${convolution}.weight`, shape);
  const [gamma, beta, mean, variance] = ['weight', 'bias', 'running_mean', 'running_var'].map(
    part => takeParameter(parameters, `${norm}.${part}`, [out]).data,
  ) as [Float32Array, Float32Array, Float32Array, Float32Array];
  const perChannel = sizeOf(shape) / out;
  const foldedWeight = new Float32Array(weight.data.length);
  const foldedBias = new Float32Array(out);
  for (let channel = 0; channel < out; channel++) {
    const scale = gamma[channel]! / Math.sqrt(variance[channel]! + epsilon);
    foldedBias[channel] = beta[channel]! - mean[channel]! * scale;
    for (let i = channel * perChannel; i < (channel + 1) * perChannel; i++) foldedWeight[i] = weight.data[i]! * scale;
  }
  return {
    weight: { dtype: 'float32', shape, data: foldedWeight },
    bias: { dtype: 'float32', shape: [out], data: foldedBias },
  };
}
