// A tensor of an ONNX file: its type and shape at once, its numbers when they are wanted.
import { widenFloat16 } from '../tensor/float16.ts';
import { sizeOf } from '../tensor/tensor.ts';
import type { ExternalFiles } from './external-data.ts';
import { type TensorProto, TensorProto_DataLocation, TensorProto_DataType as Type } from './generated/onnx_pb.ts';
import { badOnnx, type ElementType, type Literal, type OnnxTensor } from './model.ts';

/** Most dimensions of a tensor, and most elements: 8 GB of float32. */
const MAX_DIMENSIONS = 16;
const MAX_ELEMENTS = 2 ** 31;

type Numbers = Literal['data'];

/** How a type lies in raw_data, and in which list of numbers otherwise. */
interface Storage {
  readonly name: ElementType;
  readonly width: number;
  /** Numbers of `count` elements at the start of little-endian bytes; a view of them where that is possible. */
  raw(bytes: Uint8Array, count: number): Numbers;
  /** Numbers of the typed list. */
  list(tensor: TensorProto): Numbers;
}

/** Bytes at an address that arrays of the width may begin at: the same ones, or a copy. */
function align(bytes: Uint8Array, width: number): Uint8Array {
  return bytes.byteOffset % width === 0 ? bytes : new Uint8Array(bytes);
}

interface ArrayOf<A> {
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): A;
  readonly BYTES_PER_ELEMENT: number;
}

function view<A>(array: ArrayOf<A>, bytes: Uint8Array, count: number): A {
  const { buffer, byteOffset } = align(bytes, array.BYTES_PER_ELEMENT);
  return new array(buffer, byteOffset, count);
}

/** bfloat16 is the upper half of a float32. */
function widenBfloat16(patterns: Uint16Array): Float32Array {
  return new Float32Array(Uint32Array.from(patterns, pattern => pattern << 16).buffer);
}

const exact = (values: ArrayLike<number | bigint>): Float64Array =>
  Float64Array.from(values as ArrayLike<number>, Number);

type Array64 = ArrayOf<ArrayLike<number | bigint>>;
const whole = (
  name: ElementType,
  array: Array64,
  list: (tensor: TensorProto) => ArrayLike<number | bigint>,
): Storage => ({
  name,
  width: array.BYTES_PER_ELEMENT,
  raw: (bytes, count) => exact(view(array, bytes, count)),
  list: tensor => exact(list(tensor)),
});
const half = (name: ElementType, widen: (patterns: Uint16Array) => Float32Array): Storage => ({
  name,
  width: 2,
  raw: (bytes, count) => widen(view(Uint16Array, bytes, count)),
  list: tensor => widen(Uint16Array.from(tensor.int32Data)),
});

const fromInt32 = (tensor: TensorProto) => tensor.int32Data;
const fromUint64 = (tensor: TensorProto) => tensor.uint64Data;

const storages: Readonly<Partial<Record<Type, Storage>>> = {
  [Type.FLOAT]: {
    name: 'float32',
    width: 4,
    raw: (bytes, count) => view(Float32Array, bytes, count),
    list: tensor => Float32Array.from(tensor.floatData),
  },
  [Type.DOUBLE]: {
    name: 'float64',
    width: 8,
    raw: (bytes, count) => view(Float64Array, bytes, count),
    list: tensor => Float64Array.from(tensor.doubleData),
  },
  [Type.FLOAT16]: half('float16', widenFloat16),
  [Type.BFLOAT16]: half('bfloat16', widenBfloat16),
  [Type.INT64]: whole('int64', BigInt64Array, tensor => tensor.int64Data),
  [Type.INT32]: whole('int32', Int32Array, fromInt32),
  [Type.INT16]: whole('int16', Int16Array, fromInt32),
  [Type.INT8]: whole('int8', Int8Array, fromInt32),
  [Type.UINT64]: whole('uint64', BigUint64Array, fromUint64),
  [Type.UINT32]: whole('uint32', Uint32Array, fromUint64),
  [Type.UINT16]: whole('uint16', Uint16Array, fromInt32),
  [Type.UINT8]: whole('uint8', Uint8Array, fromInt32),
  [Type.BOOL]: whole('bool', Uint8Array, fromInt32),
};

/** The element type of a number in the file; undefined for those that are not read. */
export function elementType(type: number): ElementType | undefined {
  return type === Type.STRING ? 'string' : storages[type as Type]?.name;
}

/** A tensor's type by its name, as the numbers are after reading: all floats that are narrower are float32. */
export const widened = (type: ElementType): ElementType =>
  type === 'float16' || type === 'bfloat16' ? 'float32' : type;

/**
 * Reads what a tensor says about itself.
 * @param external the files beside the model, which are told about a tensor that lies in one.
 * @throws GraftError `bad-model`.
 */
export function readTensor(tensor: TensorProto, external: ExternalFiles): OnnxTensor {
  const what = `the tensor "${tensor.name.slice(0, 200)}"`;
  const shape = tensor.dims.map(Number);
  if (shape.length > MAX_DIMENSIONS)
    throw badOnnx(`${what} has ${shape.length} dimensions, more than ${MAX_DIMENSIONS}`);
  const count = sizeOf(shape);
  if (shape.some(dim => dim < 0) || !(count <= MAX_ELEMENTS))
    throw badOnnx(`${what} has the shape [${shape.join(', ')}]`);
  if (tensor.dataType === Type.STRING)
    return { name: tensor.name, dtype: 'string', shape, read: () => refuseText(what) };
  const storage = storages[tensor.dataType as Type];
  if (!storage)
    throw badOnnx(`${what} has elements of type ${Type[tensor.dataType] ?? tensor.dataType}, which are not read`);
  if (tensor.segment) throw badOnnx(`${what} is a segment of another one, which no runtime reads`);
  if (isExternal(tensor)) {
    for (const { key, value } of tensor.externalData) if (key === 'location') external.meet(value, what);
  }
  let known: Literal | undefined;
  return {
    name: tensor.name,
    dtype: storage.name,
    shape,
    read() {
      known ??= { dtype: widened(storage.name), shape, data: readNumbers(tensor, storage, count, external, what) };
      return known;
    },
  };
}

const isExternal = ({ dataLocation }: TensorProto): boolean => dataLocation === TensorProto_DataLocation.EXTERNAL;

function readNumbers(
  tensor: TensorProto,
  storage: Storage,
  count: number,
  external: ExternalFiles,
  what: string,
): Numbers {
  const size = count * storage.width;
  if (isExternal(tensor)) {
    const entries = new Map(tensor.externalData.map(({ key, value }) => [key, value] as const));
    return external.read(entries, size, storage.name, what, bytes => storage.raw(bytes, count));
  }
  const { rawData } = tensor;
  if (rawData.length > 0) {
    if (rawData.length !== size) throw badOnnx(`${what} has ${rawData.length} bytes, and its shape takes ${size}`);
    return storage.raw(rawData, count);
  }
  const numbers = storage.list(tensor);
  if (numbers.length !== count) throw badOnnx(`${what} has ${numbers.length} numbers, and its shape takes ${count}`);
  return numbers;
}

function refuseText(what: string): never {
  throw badOnnx(`${what} holds text where numbers are wanted`);
}
