// A TFLite model as plain data: what the lowering makes, the writer writes and the reader gives back.
import type { Tensor } from '../tensor/tensor.ts';
import type { OperatorName, OperatorOptions, TensorTypeName } from './schema.ts';

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
}

interface OperatorPlace {
  readonly version: number;
  /** Tensor indexes; -1 is an absent optional input. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

/** An operator of the schema table. */
export type KnownOperator<O extends OperatorName = OperatorName> = {
  [K in O]: { readonly op: K; readonly options: OperatorOptions<K> } & OperatorPlace;
}[O];

/** An operator that another program wrote and graft has no table for; it is read, never written. */
export interface OtherOperator extends OperatorPlace {
  readonly op: 'OTHER';
  readonly code: number;
  readonly customCode?: string;
}

/** One step of the model, in execution order. */
export type TfliteOperator = KnownOperator | OtherOperator;

/** A name that callers use for an input or output tensor. */
export interface SignatureEntry {
  readonly name: string;
  readonly tensor: number;
}

/** A model with one subgraph. */
export interface TfliteModel {
  readonly description: string;
  readonly tensors: readonly TfliteTensor[];
  readonly operators: readonly TfliteOperator[];
  /** Tensor indexes, in the order of the runtime's get_input_details() and get_output_details(). */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  /** Absent when the file has none. The first one, when it has several. */
  readonly signature?: {
    readonly key: string;
    readonly inputs: readonly SignatureEntry[];
    readonly outputs: readonly SignatureEntry[];
  };
  /** Named blobs, e.g. TFLITE_METADATA. */
  readonly metadata: readonly { readonly name: string; readonly data: Uint8Array }[];
}

/** The bytes of a tensor's elements, shared with it: every machine that runs Node is little endian. */
export function bytesOf(tensor: Tensor): Uint8Array {
  const { buffer, byteOffset, byteLength } = tensor.data;
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
}
