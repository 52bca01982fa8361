// The part of the TFLite flatbuffer schema (v3, namespace tflite) that graft writes and reads, as data.
// One source for the writer and the reader: a field is [slot, type, default]; a union takes its slot and the next one.

/** Fields of every table. Types: a scalar, 'string', '[scalar]', 'Table', '[Table]', or 'options' (a union). */
export const tables = {
  Model: {
    version: [0, 'uint32', 0],
    operator_codes: [1, '[OperatorCode]'],
    subgraphs: [2, '[SubGraph]'],
    description: [3, 'string'],
    buffers: [4, '[Buffer]'],
    metadata: [6, '[Metadata]'],
    signature_defs: [7, '[SignatureDef]'],
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
  },
  QuantizationParameters: {
    scale: [2, '[float32]'],
    zero_point: [3, '[int64]'],
    quantized_dimension: [6, 'int32', 0],
  },
  Buffer: {
    data: [0, '[uint8]'],
    offset: [1, 'uint64', 0],
  },
  Operator: {
    opcode_index: [0, 'uint32', 0],
    inputs: [1, '[int32]'],
    outputs: [2, '[int32]'],
    builtin_options: [3, 'options'],
  },
  Metadata: { name: [0, 'string'], buffer: [1, 'uint32', 0] },
  SignatureDef: {
    inputs: [0, '[TensorMap]'],
    outputs: [1, '[TensorMap]'],
    signature_key: [2, 'string'],
    subgraph_index: [4, 'uint32', 0],
  },
  TensorMap: { name: [0, 'string'], tensor_index: [1, 'uint32', 0] },

  ActivationOptions: { fused_activation_function: [0, 'int8', 0] },
  ConcatenationOptions: { axis: [0, 'int32', 0], fused_activation_function: [1, 'int8', 0] },
  Conv2DOptions: {
    padding: [0, 'int8', 0],
    stride_w: [1, 'int32', 0],
    stride_h: [2, 'int32', 0],
    fused_activation_function: [3, 'int8', 0],
    dilation_w_factor: [4, 'int32', 1],
    dilation_h_factor: [5, 'int32', 1],
  },
  DepthwiseConv2DOptions: {
    padding: [0, 'int8', 0],
    stride_w: [1, 'int32', 0],
    stride_h: [2, 'int32', 0],
    depth_multiplier: [3, 'int32', 0],
    fused_activation_function: [4, 'int8', 0],
    dilation_w_factor: [5, 'int32', 1],
    dilation_h_factor: [6, 'int32', 1],
  },
  EmptyOptions: {},
  FullyConnectedOptions: {
    fused_activation_function: [0, 'int8', 0],
    weights_format: [1, 'int8', 0],
    keep_num_dims: [2, 'bool', false],
  },
  Pool2DOptions: {
    padding: [0, 'int8', 0],
    stride_w: [1, 'int32', 0],
    stride_h: [2, 'int32', 0],
    filter_width: [3, 'int32', 0],
    filter_height: [4, 'int32', 0],
    fused_activation_function: [5, 'int8', 0],
  },
  ReducerOptions: { keep_dims: [0, 'bool', false] },
  ReshapeOptions: { new_shape: [0, '[int32]'] },
  SoftmaxOptions: { beta: [0, 'float32', 0] },
} as const satisfies Record<string, Record<string, FieldSpec>>;

/** A field: its vtable slot, its type, and the value that an absent scalar has. */
export type FieldSpec = readonly [slot: number, type: string, absent?: number | boolean];

/**
 * Built-in operators: code, type id of the options union with the table that lays it out (0: the operator has none),
 * and the first runtime release of each version that graft may write. tflite-runtime 2.14 accepts all of them.
 */
export const operators = {
  ADD: { code: 0, optionsType: 11, options: 'ActivationOptions', versions: { 1: '1.5.0' } },
  AVERAGE_POOL_2D: { code: 1, optionsType: 5, options: 'Pool2DOptions', versions: { 1: '1.5.0' } },
  CONCATENATION: { code: 2, optionsType: 10, options: 'ConcatenationOptions', versions: { 1: '1.5.0' } },
  CONV_2D: { code: 3, optionsType: 1, options: 'Conv2DOptions', versions: { 1: '1.5.0', 3: '1.14.0', 6: '2.9.0' } },
  DEPTHWISE_CONV_2D: {
    code: 4,
    optionsType: 2,
    options: 'DepthwiseConv2DOptions',
    versions: { 1: '1.5.0', 2: '1.12.0', 3: '1.14.0' },
  },
  DEQUANTIZE: { code: 6, optionsType: 38, options: 'EmptyOptions', versions: { 2: '1.14.0', 3: '1.15.0' } },
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
  SOFTMAX: { code: 25, optionsType: 9, options: 'SoftmaxOptions', versions: { 1: '1.5.0', 2: '1.14.0' } },
  PAD: { code: 34, optionsType: 22, options: 'EmptyOptions', versions: { 1: '1.5.0', 2: '1.14.0' } },
  TRANSPOSE: { code: 39, optionsType: 26, options: 'EmptyOptions', versions: { 1: '1.6.0', 2: '1.14.0' } },
  MEAN: { code: 40, optionsType: 27, options: 'ReducerOptions', versions: { 1: '1.6.0', 2: '1.14.0' } },
  SUB: { code: 41, optionsType: 28, options: 'ActivationOptions', versions: { 1: '1.6.0' } },
  QUANTIZE: { code: 114, optionsType: 89, options: 'EmptyOptions', versions: { 1: '1.14.0' } },
  HARD_SWISH: { code: 117, optionsType: 91, options: 'EmptyOptions', versions: { 1: '1.15.0' } },
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
} as const;

/** Paddings of convolutions and pools. */
export const Padding = { SAME: 0, VALID: 1 } as const;

/** Activations that an operator can apply to its own output. */
export const Activation = { NONE: 0, RELU: 1, RELU_N1_TO_1: 2, RELU6: 3, TANH: 4 } as const;

/** Version field of every model, and the four characters at byte 4 of the file. */
export const SCHEMA_VERSION = 3;
export const FILE_IDENTIFIER = 'TFL3';

/** OperatorCode.deprecated_builtin_code is a signed byte: codes from 127 up hold 127 there. */
export const CODE_PLACEHOLDER = 127;

export type TableName = keyof typeof tables;
export type OperatorName = keyof typeof operators;
export type TensorTypeName = keyof typeof tensorTypes;

interface ScalarValues {
  bool: boolean;
  int8: number;
  uint8: number;
  int32: number;
  uint32: number;
  uint64: number;
  float32: number;
}

interface OtherValues {
  string: string;
  '[uint8]': Uint8Array;
  '[int32]': readonly number[];
  '[int64]': readonly number[];
  '[float32]': readonly number[];
  options: OptionsValue;
}

/** The value of a union of options: its type id and, when graft knows the table, its fields. */
export interface OptionsValue {
  readonly type: number;
  readonly table: TableName | null;
  readonly value: object;
}

type ValueOf<T extends string> = T extends keyof ScalarValues
  ? ScalarValues[T]
  : T extends keyof OtherValues
    ? OtherValues[T]
    : T extends `[${infer N extends TableName}]`
      ? readonly TableData<N>[]
      : T extends TableName
        ? TableData<T>
        : never;

type Fields<N extends TableName> = (typeof tables)[N];
type TypeOf<N extends TableName, F extends keyof Fields<N>> = Fields<N>[F] extends readonly [
  number,
  infer T,
  ...unknown[],
]
  ? T & string
  : never;
type ScalarFields<N extends TableName> = {
  [F in keyof Fields<N>]: TypeOf<N, F> extends keyof ScalarValues ? F : never;
}[keyof Fields<N>];

/** The contents of a table: scalars are always there (the default stands in for an absent one), the rest may be absent. */
export type TableData<N extends TableName> = {
  readonly [F in ScalarFields<N>]: ValueOf<TypeOf<N, F>>;
} & {
  readonly [F in Exclude<keyof Fields<N>, ScalarFields<N>>]?: ValueOf<TypeOf<N, F>> | undefined;
};

/** The options of an operator. */
export type OperatorOptions<O extends OperatorName> = TableData<(typeof operators)[O]['options']>;

const operatorNames = new Map<number, OperatorName>(
  (Object.keys(operators) as OperatorName[]).map(name => [operators[name].code, name]),
);
const typeNames = new Map<number, TensorTypeName>(
  (Object.keys(tensorTypes) as TensorTypeName[]).map(name => [tensorTypes[name][0], name]),
);
const optionTables = new Map<number, TableName>(
  Object.values(operators).map(spec => [spec.optionsType, spec.options] as const),
);

/** The operator with this built-in code, if the table above has it. */
export const operatorByCode = (code: number): OperatorName | undefined => operatorNames.get(code);

/** The element type with this number. */
export const tensorTypeByNumber = (number: number): TensorTypeName | undefined => typeNames.get(number);

/** The table behind a type id of the options union. */
export const optionsTable = (type: number): TableName | undefined => optionTables.get(type);
