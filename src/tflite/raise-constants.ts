// Constants of a .tflite file as real numbers: floats of any width, and whole numbers with the scales that they are kept in.
import { widenFloat16 } from '../tensor/float16.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import type { TfliteTensor } from './model.ts';
import type { TensorTypeName } from './schema.ts';

/** How the bytes of each element type are read; floats first, then what needs a scale. */
const readers: Partial<Record<TensorTypeName, (bytes: ArrayBuffer) => ArrayLike<number | bigint>>> = {
  FLOAT32: bytes => new Float32Array(bytes),
  FLOAT16: bytes => widenFloat16(new Uint16Array(bytes)),
  FLOAT64: bytes => new Float64Array(bytes),
  INT8: bytes => new Int8Array(bytes),
  UINT8: bytes => new Uint8Array(bytes),
  INT16: bytes => new Int16Array(bytes),
  INT32: bytes => new Int32Array(bytes),
  INT64: bytes => new BigInt64Array(bytes),
};

const floatTypes: ReadonlySet<TensorTypeName> = new Set(['FLOAT32', 'FLOAT16', 'FLOAT64']);

/** Whole numbers of a constant, such as axes and paddings; undefined for everything else. */
export function wholeNumbers({ type, data, quantization }: TfliteTensor): number[] | undefined {
  if (!data || quantization || (type !== 'INT32' && type !== 'INT64')) return undefined;
  return Array.from(readers[type]!(copyOf(data)), Number);
}

/**
 * A constant as float32, in the file's shape: real = scale * (stored - zeroPoint), with one scale for all or one per slice of
 * an axis.
 * @param scale of a bias that does not say its own: scale of the input * scale of the weights, one or one per channel.
 * @returns undefined where it is no constant, is spread or packed in a way that graft does not read, or has no scale.
 */
export function realConstant(tensor: TfliteTensor, scale?: readonly number[]): Tensor<'float32'> | undefined {
  const { type, shape, data, sparsity, quantizationDetails } = tensor;
  const read = readers[type];
  if (!data || !read || sparsity || quantizationDetails) return undefined;
  const stored = read(copyOf(data));
  if (floatTypes.has(type)) return { dtype: 'float32', shape, data: Float32Array.from(stored as ArrayLike<number>) };
  const quantization = tensor.quantization ?? (scale && { scale, zeroPoint: scale.map(() => 0), axis: 0 });
  if (!quantization) return undefined;
  const { scale: scales, zeroPoint, axis } = quantization;
  const inner = scales.length === 1 ? stored.length : sizeOf(shape.slice(axis + 1));
  const out = new Float32Array(stored.length);
  for (let i = 0; i < out.length; i++) {
    const slice = Math.floor(i / inner) % scales.length;
    out[i] = scales[slice]! * (Number(stored[i]) - zeroPoint[slice]!);
  }
  return { dtype: 'float32', shape, data: out };
}

/** The bytes in memory of their own, where every element type may start. (slice of a Buffer would be no copy.) */
const copyOf = (data: Uint8Array): ArrayBuffer => new Uint8Array(data).buffer;
