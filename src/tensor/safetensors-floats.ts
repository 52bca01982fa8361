// The numbers of a safetensors file as float32, whatever floating-point type they are kept in: what weights are read with.
import { widenFloat16 } from './float16.ts';
import { parseSafetensors } from './safetensors.ts';
import type { Tensor } from './tensor.ts';

/** Each type's bytes per element and how it becomes float32; null where it holds counters and masks, which are left out. */
const types: Readonly<Record<string, readonly [size: number, read: ((bytes: Uint8Array) => Float32Array) | null]>> = {
  F64: [8, bytes => Float32Array.from(new Float64Array(copy(bytes)))],
  I64: [8, null],
  F32: [4, viewFloat32],
  I32: [4, null],
  F16: [2, bytes => widenFloat16(new Uint16Array(copy(bytes)))],
  BF16: [2, bytes => widenBfloat16(new Uint16Array(copy(bytes)))],
  BOOL: [1, null],
};

const sizes = new Map(Object.entries(types).map(([format, [size]]) => [format, size]));

/**
 * The floating-point tensors of a safetensors file by name, in the order of their bytes. float32 values may be views of
 * `bytes`; whole numbers of 32 and 64 bits and booleans (num_batches_tracked, masks) are left out. `where` names the file
 * in errors.
 * @throws GraftError `bad-weights` when the file is damaged or holds types that are no plain numbers.
 */
export function readSafetensorsFloats(bytes: Uint8Array, where: string): Map<string, Tensor<'float32'>> {
  const { infos, data } = parseSafetensors(bytes, where, sizes);
  const tensors = new Map<string, Tensor<'float32'>>();
  for (const { name, format, shape, start, end } of infos) {
    const read = types[format]![1];
    if (read) tensors.set(name, { dtype: 'float32', shape, data: read(data.subarray(start, end)) });
  }
  return tensors;
}

/** A view where the values lie at a multiple of their size, as in nearly every file; else a copy. */
function viewFloat32(bytes: Uint8Array): Float32Array {
  if (bytes.byteOffset % 4 !== 0) return new Float32Array(copy(bytes));
  return new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

/** A typed array must begin at a multiple of its element's size, and the data need not. */
function copy(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

/** bfloat16 is the upper half of a float32. */
function widenBfloat16(patterns: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(patterns, pattern => pattern << 16).buffer);
}
