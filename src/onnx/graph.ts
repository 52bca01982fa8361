// A graph is data: typed inputs and outputs, constants by name, and nodes in execution order. Values are named strings.
import type { DataType, Tensor } from '../tensor/tensor.ts';
import type { OpAttributes, SupportedOp } from './ops.ts';

/** Opset of every graph that graft writes: HardSwish (14) and Softmax over one axis (13) are in it. */
export const OPSET = 17;

/** Constants that belong to a formula, and that training leaves as they are, end in this. */
export const FIXED = '.fixed';

/** One operation. `inputs` may hold '' for an optional input that is absent. */
export type Node<O extends SupportedOp = SupportedOp> = {
  [K in O]: {
    readonly op: K;
    readonly name: string;
    readonly inputs: readonly string[];
    readonly outputs: readonly string[];
    readonly attributes: OpAttributes[K];
  };
}[O];

/** A graph input or output. A string dimension is dynamic and named, e.g. 'N' for the batch. */
export interface ValueInfo {
  readonly name: string;
  readonly dtype: DataType;
  readonly shape: readonly (number | string)[];
}

/** A graph: images are NCHW inside; every value is made by exactly one node, input or constant. */
export interface Graph {
  readonly name: string;
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly constants: ReadonlyMap<string, Tensor>;
  readonly nodes: readonly Node[];
  /** Free text pairs, written as ONNX metadata_props. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Channels per block in the values of `nchwc.` ops; absent where there are none. */
  readonly channelBlock?: number;
}
