// A TFLite model as plain data: what the lowering makes, the writer writes and the reader gives back.
import type { Tensor } from '../tensor/tensor.ts';
import type { UnionValue } from './flatbuffer-schema.ts';
import type { OperatorName, OperatorOptions, TableName, TensorTypeName } from './schema.ts';

/** Affine quantisation: real = scale * (stored - zeroPoint), one pair for the tensor or one per slice of `axis`. */
export interface Quantization {
  readonly scale: readonly number[];
  readonly zeroPoint: readonly number[];
  readonly axis: number;
}

/** A tensor of the model. `data` (row-major, little endian) makes it a constant. */
export interface TfliteTensor {
  readonly name: string;
  readonly type: TensorTypeName;
  readonly shape: readonly number[];
  readonly data?: Uint8Array;
  readonly quantization?: Quantization;
  // What follows is read and kept in other programs' files; graft itself makes none of it.
  /** The shape with -1 for dimensions that may change; `shape` has 1 there. */
  readonly shapeSignature?: readonly number[];
  /** `data` holds only the elements that are stored, in the order that this describes. */
  readonly sparsity?: Sparsity;
  /** Smallest and largest values before quantisation, for programs that import the file. */
  readonly range?: { readonly min: readonly number[]; readonly max: readonly number[] };
  /** Quantisation that scale and zero point cannot describe: blockwise, of several axes, custom. */
  readonly quantizationDetails?: UnionValue<TableName>;
  /** Keeps its value from one run to the next. */
  readonly isVariable?: boolean;
  /** Tells a scalar, whose shape is [], from a tensor of unknown rank. */
  readonly hasRank?: boolean;
  /** What a tensor of type VARIANT holds. */
  readonly variants?: readonly VariantType[];
  /** The constant is in another file. */
  readonly external?: ExternalData;
}

/** How the stored elements of a sparse tensor are spread over its shape; the format's schema has the details. */
export interface Sparsity {
  readonly traversalOrder: readonly number[];
  readonly blockMap: readonly number[];
  /** One per axis of the traversal. */
  readonly dimensions: readonly SparseDimension[];
}

/** An axis with all its places, or one with the places that are stored, as in compressed sparse rows. */
export type SparseDimension =
  | { readonly size: number }
  | { readonly segments?: UnionValue<TableName>; readonly indices?: UnionValue<TableName> };

/** Type of a value inside a VARIANT. `type` is the number of an element type. */
export interface VariantType {
  readonly type: number;
  readonly shape: readonly number[];
  readonly hasRank?: boolean;
}

/** A slice of another file. */
export interface ExternalData {
  /** Name of the file, or of the group of slices. */
  readonly group: string;
  readonly offset: number;
  readonly length: number;
  readonly packing: string;
}

interface OperatorPlace {
  readonly version: number;
  /** Tensor indexes; -1 is an absent optional input. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Tensors inside of the operator. Only in other programs' files, like the next one. */
  readonly intermediates?: readonly number[];
  /** For each input, whether the operator changes it. */
  readonly mutatingInputs?: readonly boolean[];
}

/** An operator of the schema table. */
export type KnownOperator<O extends OperatorName = OperatorName> = {
  [K in O]: { readonly op: K; readonly options: OperatorOptions<K> } & OperatorPlace;
}[O];

/** An operator that graft itself never makes: read in other programs' files, and written back as it was. */
export interface OtherOperator extends OperatorPlace {
  readonly op: 'OTHER';
  readonly code: number;
  /** Name of the built-in operator, or CUSTOM; absent when the code is newer than graft. */
  readonly name?: string;
  /** Of one of the two unions of built-in options. The table is null when it is newer than graft. */
  readonly options?: UnionValue<TableName>;
  readonly options2?: UnionValue<TableName>;
  /** Name of a CUSTOM operator, and its options. */
  readonly customCode?: string;
  readonly customOptions?: Uint8Array;
}

/** One step of the model, in execution order. */
export type TfliteOperator = KnownOperator | OtherOperator;

/** A name that callers use for an input or output tensor. */
export interface SignatureEntry {
  readonly name: string;
  readonly tensor: number;
}

/** A way to call the model. */
export interface Signature {
  readonly key: string;
  readonly inputs: readonly SignatureEntry[];
  readonly outputs: readonly SignatureEntry[];
  /** Number of the subgraph that it calls; absent: the main one. */
  readonly subgraph?: number;
}

/** Name of the main subgraph unless the model says otherwise. */
export const MAIN_SUBGRAPH = 'main';

/** Tensors and the operators on them; all indexes are into its own tensors. */
export interface Subgraph {
  /** Absent: 'main'. */
  readonly name?: string;
  readonly tensors: readonly TfliteTensor[];
  readonly operators: readonly TfliteOperator[];
  /** Tensor indexes, in the order of the runtime's get_input_details() and get_output_details(). */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

/** A model: its main subgraph, and what is around it. */
export interface TfliteModel extends Subgraph {
  readonly description: string;
  /** Subgraphs 1, 2, ..., which operators such as WHILE, or signatures, call. Absent when there is one subgraph. */
  readonly otherSubgraphs?: readonly Subgraph[];
  /** Absent when the file has none. */
  readonly signature?: Signature;
  /** The second signature and those after it. */
  readonly otherSignatures?: readonly Signature[];
  /** Named blobs, e.g. TFLITE_METADATA. */
  readonly metadata: readonly { readonly name: string; readonly data: Uint8Array }[];
}

/** The bytes of a tensor's elements, shared with it: every machine that runs Node is little endian. */
export function bytesOf(tensor: Tensor): Uint8Array {
  const { buffer, byteOffset, byteLength } = tensor.data;
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}

/** The main subgraph and the others. */
export const subgraphsOf = (model: TfliteModel): readonly Subgraph[] => [model, ...(model.otherSubgraphs ?? [])];
