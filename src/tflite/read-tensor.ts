// Reads one tensor of a .tflite file: its type, shape, constant and quantisation.
import { sizeOf } from '../tensor/tensor.ts';
import type { ExternalData, Quantization, Sparsity, TfliteTensor } from './model.ts';
import { badModel } from './read-flatbuffer.ts';
import { type TableData, tensorTypeByNumber, tensorTypes } from './schema.ts';

/** Most dimensions of a tensor, as in the runtime. */
const MAX_RANK = 8;

/** Most elements of a tensor. */
const MAX_ELEMENTS = 2 ** 31;

/** What a tensor may refer to. */
export interface TensorSources {
  /** The bytes of a buffer of the file; undefined for an empty one. `what` names who asks. */
  buffer(index: number, what: string): Uint8Array | undefined;
  /** A slice of another file, by its id. */
  external(id: number, what: string): ExternalData;
}

/** The tensor with number `index` of a subgraph. Throws GraftError `bad-model`. */
export function readTensor(table: TableData<'Tensor'>, index: number, sources: TensorSources): TfliteTensor {
  const name = table.name ?? '';
  const what = `tensor ${index} (${name})`;
  const type = tensorTypeByNumber(table.type);
  if (!type) throw badModel(`${what} has element type ${table.type}, which graft does not know`);
  const { shape, signature } = readShape(table, what);
  const data = sources.buffer(table.buffer, what);
  const sparsity = table.sparsity && readSparsity(table.sparsity, shape, what);
  const width = tensorTypes[type][1];
  if (data && width > 0 && !sparsity && data.length !== sizeOf(shape) * width) {
    throw badModel(`${what} of shape [${shape.join(', ')}] has ${data.length} bytes of ${type} data`);
  }
  const { quantization: quantised } = table;
  const quantization = quantised && readQuantization(quantised, shape, what);
  const { min = [], max = [] } = quantised ?? {};
  return {
    name,
    type,
    shape,
    ...(data && { data }),
    ...(quantization && { quantization }),
    ...(signature && { shapeSignature: signature }),
    ...(sparsity && { sparsity }),
    ...(min.length + max.length > 0 && { range: { min, max } }),
    ...(quantised?.details && { quantizationDetails: quantised.details }),
    ...(table.is_variable && { isVariable: true }),
    ...(table.has_rank && { hasRank: true }),
    ...(table.variant_tensors?.length && {
      variants: table.variant_tensors.map(({ shape = [], type, has_rank }) => ({
        type,
        shape,
        ...(has_rank && { hasRank: true }),
      })),
    }),
    ...(table.external_buffer && { external: sources.external(table.external_buffer, what) }),
  };
}

/** Old converters write -1 into the shape itself; it is read as what newer ones write: 1, and -1 in the signature. */
function readShape(table: TableData<'Tensor'>, what: string) {
  const stored = table.shape ?? [];
  const shape = stored.map(dim => (dim === -1 ? 1 : dim));
  if (shape.length > MAX_RANK || shape.some(dim => dim < 0) || sizeOf(shape) > MAX_ELEMENTS) {
    throw badModel(`${what} has the impossible shape [${stored.slice(0, MAX_RANK + 1).join(', ')}]`);
  }
  const signature = table.shape_signature?.length ? table.shape_signature : stored.includes(-1) ? stored : undefined;
  if (signature && (signature.length !== shape.length || signature.some(dim => dim < -1))) {
    throw badModel(`${what} of shape [${shape.join(', ')}] has ${signature.length} dimensions in its signature`);
  }
  return { shape, signature };
}

function readQuantization(
  table: TableData<'QuantizationParameters'>,
  shape: readonly number[],
  what: string,
): Quantization | undefined {
  const { scale = [], zero_point: zeroPoint = [], quantized_dimension: axis } = table;
  if (scale.length === 0) return undefined;
  const perSlice = scale.length > 1;
  if (scale.length !== zeroPoint.length || (perSlice && scale.length !== shape[axis])) {
    throw badModel(`${what} has ${scale.length} scales and ${zeroPoint.length} zero points for [${shape.join(', ')}]`);
  }
  return { scale, zeroPoint, axis };
}

/** DimensionMetadata.format: every place of the axis is stored. */
const DENSE = 0;

function readSparsity(table: TableData<'SparsityParameters'>, shape: readonly number[], what: string): Sparsity {
  const { traversal_order: traversalOrder = [], block_map: blockMap = [], dim_metadata: axes = [] } = table;
  const rank = shape.length + blockMap.length;
  if (traversalOrder.length !== rank || axes.length !== rank) {
    throw badModel(`${what} of ${rank} axes is sparse in ${traversalOrder.length} axes and describes ${axes.length}`);
  }
  return {
    traversalOrder,
    blockMap,
    dimensions: axes.map(({ format, dense_size: size, array_segments: segments, array_indices: indices }) =>
      format === DENSE ? { size } : { ...(segments && { segments }), ...(indices && { indices }) },
    ),
  };
}
