// Tensors one behind the other in one vector, so that optimisers, sums and files see all of them as one.
import { float32, sizeOf, type Tensor } from '../tensor/tensor.ts';

/** A tensor's place in a vector. */
export interface ParameterSpan {
  readonly name: string;
  readonly shape: readonly number[];
  readonly start: number;
}

/** Tensors one behind the other. */
export interface FlatVector {
  readonly spans: readonly ParameterSpan[];
  readonly length: number;
}

/** Gives tensors their places, in their order. */
export function layOut(tensors: readonly { readonly name: string; readonly shape: readonly number[] }[]): FlatVector {
  let length = 0;
  const spans = tensors.map(({ name, shape }) => {
    const start = length;
    length += sizeOf(shape);
    return { name, shape, start };
  });
  return { spans, length };
}

/** The tensors in a vector by name; they share its memory. */
export function viewTensors(
  { spans }: Pick<FlatVector, 'spans'>,
  values: Float32Array,
  nameOf: (name: string) => string = name => name,
): Record<string, Tensor<'float32'>> {
  return Object.fromEntries(
    spans.map(({ name, shape, start }) => [
      nameOf(name),
      float32(shape, values.subarray(start, start + sizeOf(shape))),
    ]),
  );
}
