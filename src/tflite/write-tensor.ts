// Writes one tensor of a .tflite file: the counterpart of read-tensor.ts.
import { GraftError } from '../base/errors.ts';
import type { ExternalData, SparseDimension, TfliteTensor } from './model.ts';
import { type TableData, tensorTypes } from './schema.ts';

/** The error for something that was read from a file and cannot be written into one. */
export function unwritable(problem: string): GraftError {
  return new GraftError(
    'unsupported-op',
    `The model cannot be written again: ${problem}`,
    'It was made by a newer program; use the file as it is.',
  );
}

/** The table of a tensor whose data is in buffer `buffer` (0: it has none) or in another file. */
export function tensorTable(tensor: TfliteTensor, buffer: number, externalBuffer?: number): TableData<'Tensor'> {
  const { sparsity } = tensor;
  return {
    shape: tensor.shape,
    type: tensorTypes[tensor.type][0],
    buffer,
    name: tensor.name,
    quantization: quantizationTable(tensor),
    is_variable: tensor.isVariable,
    sparsity: sparsity && {
      traversal_order: sparsity.traversalOrder,
      block_map: sparsity.blockMap.length > 0 ? sparsity.blockMap : undefined,
      dim_metadata: sparsity.dimensions.map(dimensionTable),
    },
    shape_signature: tensor.shapeSignature,
    has_rank: tensor.hasRank,
    variant_tensors: tensor.variants?.map(({ type, shape, hasRank }) => ({ type, shape, has_rank: hasRank })),
    external_buffer: externalBuffer,
  };
}

function quantizationTable(tensor: TfliteTensor): TableData<'QuantizationParameters'> | undefined {
  const { quantization, range, quantizationDetails: details } = tensor;
  if (!quantization && !range && !details) return undefined;
  return {
    min: range?.min,
    max: range?.max,
    scale: quantization?.scale,
    zero_point: quantization?.zeroPoint,
    details: details && checkUnion(details, tensor.name),
    quantized_dimension: quantization?.axis ?? 0,
  };
}

/** DimensionMetadata.format. */
const DENSE = 0;
const SPARSE_CSR = 1;

function dimensionTable(dimension: SparseDimension): TableData<'DimensionMetadata'> {
  if ('size' in dimension) return { format: DENSE, dense_size: dimension.size };
  const { segments, indices } = dimension;
  return {
    format: SPARSE_CSR,
    dense_size: 0,
    array_segments: segments && checkUnion(segments, 'a sparse axis'),
    array_indices: indices && checkUnion(indices, 'a sparse axis'),
  };
}

function checkUnion<U extends { readonly type: number; readonly table: unknown }>(union: U, what: string): U {
  if (union.table === null) throw unwritable(`${what} has a table of type ${union.type}, which has no layout.`);
  return union;
}

/** Slices of other files, numbered from 1, and the groups that they name. */
export function collectExternals() {
  const groups: string[] = [];
  const slices: TableData<'ExternalBuffer'>[] = [];
  return {
    add({ group, offset, length, packing }: ExternalData): number {
      if (!groups.includes(group)) groups.push(group);
      return slices.push({ id: slices.length + 1, group: groups.indexOf(group), offset, length, packing });
    },
    tables: () =>
      slices.length > 0
        ? { external_buffer_groups: groups.map(name => ({ name })), external_buffers: slices }
        : undefined,
  };
}
