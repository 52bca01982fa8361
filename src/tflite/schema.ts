// The part of the TFLite flatbuffer schema (v3, namespace tflite) that graft writes and reads, as data.
// One source for the writer and the reader.
import { builtinOptions } from './builtin-options.ts';
import { builtinOptions2Union, builtinOptionsUnion } from './builtin-unions.ts';
import type { Schema, TableOf, Tables } from './flatbuffer-schema.ts';

/** Fields of every table. */
export const tables = {
  Model: {
    version: [0, 'uint32', 0],
    operator_codes: [1, '[OperatorCode]'],
    subgraphs: [2, '[SubGraph]'],
    description: [3, 'string'],
    buffers: [4, '[Buffer]'],
    metadata: [6, '[Metadata]'],
    signature_defs: [7, '[SignatureDef]'],
    external_buffer_groups: [8, '[ExternalBufferGroup]'],
    external_buffers: [9, '[ExternalBuffer]'],
  },
  OperatorCode: {
    deprecated_builtin_code: [0, 'int8', 0],
    custom_code: [1, 'string'],
    version: [2, 'int32', 1],
    builtin_code: [3, 'int32', 0],
  },
  SubGraph: {
    tensors: [0, '[Tensor]'],
    inputs: [1, '[int32]'],
    outputs: [2, '[int32]'],
    operators: [3, '[Operator]'],
    name: [4, 'string'],
  },
  Tensor: {
    shape: [0, '[int32]'],
    type: [1, 'int8', 0],
    buffer: [2, 'uint32', 0],
    name: [3, 'string'],
    quantization: [4, 'QuantizationParameters'],
    is_variable: [5, 'bool', false, 'rare'],
    sparsity: [6, 'SparsityParameters'],
    shape_signature: [7, '[int32]'],
    has_rank: [8, 'bool', false, 'rare'],
    variant_tensors: [9, '[VariantSubType]'],
    external_buffer: [10, 'uint32', 0, 'rare'],
  },
  VariantSubType: { shape: [0, '[int32]'], type: [1, 'int8', 0], has_rank: [2, 'bool', false, 'rare'] },
  QuantizationParameters: {
    min: [0, '[float32]'],
    max: [1, '[float32]'],
    scale: [2, '[float32]'],
    zero_point: [3, '[int64]'],
    details: [4, 'union QuantizationDetails'],
    quantized_dimension: [6, 'int32', 0],
  },
  CustomQuantization: { custom: [0, '[uint8]'] },
  BlockwiseQuantization: { scales: [0, 'int32', 0], zero_points: [1, 'int32', 0], block_size: [2, 'int32', 0] },
  MultiAxisQuantization: {
    scales: [0, 'int32', 0],
    zero_points: [1, 'int32', 0],
    block_size: [2, 'int32', 0],
    quantized_dimensions: [3, '[int32]'],
  },
  SparsityParameters: {
    traversal_order: [0, '[int32]'],
    block_map: [1, '[int32]'],
    dim_metadata: [2, '[DimensionMetadata]'],
  },
  DimensionMetadata: {
    format: [0, 'int8', 0],
    dense_size: [1, 'int32', 0],
    array_segments: [2, 'union SparseIndexVector'],
    array_indices: [4, 'union SparseIndexVector'],
  },
  Int32Vector: { values: [0, '[int32]'] },
  Uint16Vector: { values: [0, '[uint16]'] },
  Uint8Vector: { values: [0, '[uint8]'] },
  Buffer: {
    data: [0, '[uint8]'],
    offset: [1, 'uint64', 0],
    size: [2, 'uint64', 0, 'rare'],
  },
  ExternalBufferGroup: { name: [0, 'string'] },
  ExternalBuffer: {
    id: [0, 'uint32', 0],
    group: [1, 'uint32', 0],
    offset: [2, 'uint64', 0],
    length: [3, 'uint64', 0],
    packing: [4, 'string'],
  },
  Operator: {
    opcode_index: [0, 'uint32', 0],
    inputs: [1, '[int32]'],
    outputs: [2, '[int32]'],
    builtin_options: [3, 'union BuiltinOptions'],
    custom_options: [5, '[uint8]'],
    mutating_variable_inputs: [7, '[bool]'],
    intermediates: [8, '[int32]'],
    large_custom_options_offset: [9, 'uint64', 0, 'rare'],
    large_custom_options_size: [10, 'uint64', 0, 'rare'],
    builtin_options_2: [11, 'union BuiltinOptions2'],
  },
  Metadata: { name: [0, 'string'], buffer: [1, 'uint32', 0] },
  SignatureDef: {
    inputs: [0, '[TensorMap]'],
    outputs: [1, '[TensorMap]'],
    signature_key: [2, 'string'],
    subgraph_index: [4, 'uint32', 0],
  },
  TensorMap: { name: [0, 'string'], tensor_index: [1, 'uint32', 0] },
  ...builtinOptions,
} as const satisfies Tables;

/**
 * Built-in operators: code, type id of the options union with the table that lays it out (0: the operator has none),
 * and the first runtime release of each version that graft may write. tflite-runtime 2.14 accepts all of them.
 */
export const operators = {
  ADD: { code: 0, optionsType: 11, options: 'ActivationOptions', versions: { 1: '1.5.0', 2: '1.14.0' } },
  AVERAGE_POOL_2D: { code: 1, optionsType: 5, options: 'Pool2DOptions', versions: { 1: '1.5.0', 2: '1.14.0' } },
  CONCATENATION: { code: 2, optionsType: 10, options: 'ConcatenationOptions', versions: { 1: '1.5.0', 2: '1.14.0' } },
  CONV_2D: {
    code: 3,
    optionsType: 1,
    options: 'Conv2DOptions',
    versions: { 1: '1.5.0', 3: '1.14.0', 5: '2.4.0', 6: '2.9.0' },
  },
  DEPTHWISE_CONV_2D: {
    code: 4,
    optionsType: 2,
    options: 'DepthwiseConv2DOptions',
    versions: { 1: '1.5.0', 2: '1.12.0', 3: '1.14.0' },
  },
  DEQUANTIZE: {
    code: 6,
    optionsType: 38,
    options: 'EmptyOptions',
    versions: { 1: '1.13.1', 2: '1.14.0', 3: '1.15.0' },
  },
  FULLY_CONNECTED: {
    code: 9,
    optionsType: 8,
    options: 'FullyConnectedOptions',
    versions: { 1: '1.5.0', 4: '1.14.0' },
  },
  LOGISTIC: { code: 14, optionsType: 0, options: 'EmptyOptions', versions: { 1: '1.14.0', 2: '1.14.0' } },
  MAX_POOL_2D: { code: 17, optionsType: 5, options: 'Pool2DOptions', versions: { 1: '1.5.0', 2: '1.14.0' } },
  MUL: { code: 18, optionsType: 21, options: 'ActivationOptions', versions: { 1: '1.5.0', 2: '1.14.0' } },
  RELU: { code: 19, optionsType: 0, options: 'EmptyOptions', versions: { 1: '1.5.0', 2: '2.1.0' } },
  RELU6: { code: 21, optionsType: 0, options: 'EmptyOptions', versions: { 1: '1.5.0', 2: '1.14.0' } },
  RESHAPE: { code: 22, optionsType: 17, options: 'ReshapeOptions', versions: { 1: '1.5.0' } },
  RESIZE_BILINEAR: {
    code: 23,
    optionsType: 15,
    options: 'ResizeBilinearOptions',
    versions: { 1: '1.7.0', 2: '1.14.0', 3: '2.2.0' },
  },
  SOFTMAX: { code: 25, optionsType: 9, options: 'SoftmaxOptions', versions: { 1: '1.5.0', 2: '1.14.0' } },
  TANH: { code: 28, optionsType: 0, options: 'EmptyOptions', versions: { 1: '1.14.0' } },
  PAD: { code: 34, optionsType: 22, options: 'EmptyOptions', versions: { 1: '1.5.0', 2: '1.14.0' } },
  GATHER: { code: 36, optionsType: 23, options: 'GatherOptions', versions: { 1: '1.6.0' } },
  TRANSPOSE: { code: 39, optionsType: 26, options: 'EmptyOptions', versions: { 1: '1.6.0', 2: '1.14.0' } },
  MEAN: { code: 40, optionsType: 27, options: 'ReducerOptions', versions: { 1: '1.6.0', 2: '1.14.0' } },
  SUB: { code: 41, optionsType: 28, options: 'ActivationOptions', versions: { 1: '1.6.0' } },
  DIV: { code: 42, optionsType: 29, options: 'ActivationOptions', versions: { 1: '1.6.0' } },
  STRIDED_SLICE: {
    code: 45,
    optionsType: 32,
    options: 'StridedSliceOptions',
    versions: { 1: '1.6.0', 2: '1.14.0', 4: '2.2.0' },
  },
  EXP: { code: 47, optionsType: 33, options: 'EmptyOptions', versions: { 1: '1.7.0' } },
  TOPK_V2: { code: 48, optionsType: 34, options: 'EmptyOptions', versions: { 1: '1.7.0' } },
  LOG_SOFTMAX: { code: 50, optionsType: 36, options: 'EmptyOptions', versions: { 1: '1.14.0' } },
  CAST: { code: 53, optionsType: 37, options: 'CastOptions', versions: { 1: '1.5.0' } },
  MAXIMUM: { code: 55, optionsType: 39, options: 'EmptyOptions', versions: { 1: '1.14.0' } },
  MINIMUM: { code: 57, optionsType: 39, options: 'EmptyOptions', versions: { 1: '1.14.0' } },
  NEG: { code: 59, optionsType: 42, options: 'EmptyOptions', versions: { 1: '1.9.0' } },
  PADV2: { code: 60, optionsType: 43, options: 'EmptyOptions', versions: { 1: '1.9.0', 2: '1.14.0' } },
  LOG: { code: 73, optionsType: 0, options: 'EmptyOptions', versions: { 1: '1.14.0' } },
  SUM: { code: 74, optionsType: 27, options: 'ReducerOptions', versions: { 1: '1.10.0' } },
  SQRT: { code: 75, optionsType: 0, options: 'EmptyOptions', versions: { 1: '1.10.0' } },
  RSQRT: { code: 76, optionsType: 0, options: 'EmptyOptions', versions: { 1: '1.10.0' } },
  POW: { code: 78, optionsType: 56, options: 'EmptyOptions', versions: { 1: '1.10.0' } },
  RESIZE_NEAREST_NEIGHBOR: {
    code: 97,
    optionsType: 74,
    options: 'ResizeNearestNeighborOptions',
    versions: { 1: '1.13.1', 3: '2.3.0' },
  },
  ABS: { code: 101, optionsType: 78, options: 'EmptyOptions', versions: { 1: '1.13.0' } },
  QUANTIZE: { code: 114, optionsType: 89, options: 'EmptyOptions', versions: { 1: '1.14.0' } },
  HARD_SWISH: { code: 117, optionsType: 91, options: 'EmptyOptions', versions: { 1: '1.15.0' } },
  BATCH_MATMUL: { code: 126, optionsType: 101, options: 'BatchMatMulOptions', versions: { 1: '2.3.0' } },
  GELU: { code: 150, optionsType: 116, options: 'GeluOptions', versions: { 1: '2.9.0' } },
} as const satisfies Record<string, OperatorSpec>;

interface OperatorSpec {
  readonly code: number;
  readonly optionsType: number;
  readonly options: TableName;
  readonly versions: Readonly<Record<number, string>>;
}

/** Element types by name; the second number is the width in bytes (0: not a whole number of bytes, or variable). */
export const tensorTypes = {
  FLOAT32: [0, 4],
  FLOAT16: [1, 2],
  INT32: [2, 4],
  UINT8: [3, 1],
  INT64: [4, 8],
  STRING: [5, 0],
  BOOL: [6, 1],
  INT16: [7, 2],
  COMPLEX64: [8, 8],
  INT8: [9, 1],
  FLOAT64: [10, 8],
  COMPLEX128: [11, 16],
  UINT64: [12, 8],
  RESOURCE: [13, 0],
  VARIANT: [14, 0],
  UINT32: [15, 4],
  UINT16: [16, 2],
  INT4: [17, 0],
  BFLOAT16: [18, 2],
  INT2: [19, 0],
  UINT4: [20, 0],
  FLOAT8_E4M3FN: [21, 1],
  FLOAT8_E5M2: [22, 1],
} as const;

/** Paddings of convolutions and pools. */
export const Padding = { SAME: 0, VALID: 1 } as const;

/** Activations that an operator can apply to its own output. */
export const Activation = { NONE: 0, RELU: 1, RELU_N1_TO_1: 2, RELU6: 3, TANH: 4 } as const;

/** Version field of every model. */
export const SCHEMA_VERSION = 3;

/** OperatorCode.deprecated_builtin_code is a signed byte: codes from 127 up hold 127 there. */
export const CODE_PLACEHOLDER = 127;

export type TableName = keyof typeof tables;
export type OperatorName = keyof typeof operators;
export type TensorTypeName = keyof typeof tensorTypes;

/** The contents of a table. */
export type TableData<N extends TableName> = TableOf<typeof tables, N>;

/** The tables of a union by type id; 0 stands for none. */
function numbered(names: readonly TableName[]): ReadonlyMap<number, TableName> {
  return new Map(names.map((name, i) => [i + 1, name]));
}

/** The format of .tflite files. */
export const tfliteSchema: Schema<typeof tables> = {
  what: 'TFLite model',
  identifier: 'TFL3',
  tables,
  unions: {
    BuiltinOptions: numbered(builtinOptionsUnion),
    BuiltinOptions2: numbered(builtinOptions2Union),
    QuantizationDetails: numbered(['CustomQuantization', 'BlockwiseQuantization', 'MultiAxisQuantization']),
    SparseIndexVector: numbered(['Int32Vector', 'Uint16Vector', 'Uint8Vector']),
  },
};

/** The options of an operator. */
export type OperatorOptions<O extends OperatorName> = TableData<(typeof operators)[O]['options']>;

const operatorNames = new Map<number, OperatorName>(
  (Object.keys(operators) as OperatorName[]).map(name => [operators[name].code, name]),
);
const typeNames = new Map<number, TensorTypeName>(
  (Object.keys(tensorTypes) as TensorTypeName[]).map(name => [tensorTypes[name][0], name]),
);

/** The operator with this built-in code, if the table above has it. */
export const operatorByCode = (code: number): OperatorName | undefined => operatorNames.get(code);

/** The element type with this number. */
export const tensorTypeByNumber = (number: number): TensorTypeName | undefined => typeNames.get(number);
