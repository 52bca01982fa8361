// A tensor is a shape and a typed array in row-major order; float16 values are kept as their 16-bit patterns.

/** Element types, named as ONNX and safetensors people know them, with the array that holds each. */
export interface DataTypes {
  float32: Float32Array;
  float16: Uint16Array;
  int64: BigInt64Array;
  int32: Int32Array;
  int8: Int8Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}

/** Name of an element type. */
export type DataType = keyof DataTypes;

/** A row-major tensor. `data.length` equals the product of `shape` (1 for a scalar, whose shape is []). */
export type Tensor<D extends DataType = DataType> = {
  [K in D]: { readonly dtype: K; readonly shape: readonly number[]; readonly data: DataTypes[K] };
}[D];

/** Number of elements in a shape. */
export function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, dim) => product * dim, 1);
}

/** A float32 tensor; `data` may be any list of numbers. Throws RangeError when the length does not fit the shape. */
export function float32(shape: readonly number[], data: ArrayLike<number>): Tensor<'float32'> {
  const array = data instanceof Float32Array ? data : Float32Array.from(data);
  checkLength(shape, array.length);
  return { dtype: 'float32', shape, data: array };
}

/** An int64 tensor, as ONNX wants for shapes and axes. */
export function int64(shape: readonly number[], data: readonly number[]): Tensor<'int64'> {
  checkLength(shape, data.length);
  return { dtype: 'int64', shape, data: BigInt64Array.from(data, BigInt) };
}

/** Values of a small integer or float tensor as numbers. */
export function toNumbers(tensor: Tensor): number[] {
  return Array.from(tensor.data as ArrayLike<number | bigint>, Number);
}

/** Moves axes: axis i of the result is axis `order[i]` of the input. float32 only. */
export function transpose(tensor: Tensor<'float32'>, order: readonly number[]): Tensor<'float32'> {
  const shape = order.map(axis => tensor.shape[axis]!);
  const strides = tensor.shape.map((_, axis) => sizeOf(tensor.shape.slice(axis + 1)));
  const steps = order.map(axis => strides[axis]!);
  const out = new Float32Array(tensor.data.length);
  const index = new Array<number>(shape.length).fill(0);
  let source = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = tensor.data[source]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      source += steps[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      source -= steps[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return { dtype: 'float32', shape, data: out };
}

function checkLength(shape: readonly number[], length: number): void {
  if (sizeOf(shape) !== length) {
    throw new RangeError(`A tensor of shape [${shape.join(', ')}] holds ${sizeOf(shape)} values, not ${length}.`);
  }
}
