// Named parameters as float32, whatever file they came from, read with a check of every shape.
import { GraftError } from '../base/errors.ts';
import type { Tensor } from '../tensor/tensor.ts';

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
