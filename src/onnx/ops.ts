// The ops that graft builds, and the attributes of each, as the ONNX operator specification (opset 17) names them.
// The tables for TFLite lowerings and, later, gradients are total over this union: a new op fails to compile there.

/** Attributes per op. An op without attributes has an empty record. */
export interface OpAttributes {
  Add: Record<never, never>;
  Cast: { to: 'float32' | 'int64' | 'int32' };
  Clip: Record<never, never>;
  Concat: { axis: number };
  Conv: {
    kernel_shape: readonly [number, number];
    strides: readonly [number, number];
    /** top, left, bottom, right */
    pads: readonly [number, number, number, number];
    dilations: readonly [number, number];
    group: number;
  };
  Gemm: { alpha: number; beta: number; transA: 0 | 1; transB: 0 | 1 };
  GlobalAveragePool: Record<never, never>;
  HardSigmoid: { alpha: number; beta: number };
  HardSwish: Record<never, never>;
  MatMul: Record<never, never>;
  Mul: Record<never, never>;
  ReduceMean: { axes: readonly number[]; keepdims: 0 | 1 };
  Relu: Record<never, never>;
  Reshape: Record<never, never>;
  Softmax: { axis: number };
  Transpose: { perm: readonly number[] };
}

/** Name of an op that graft supports. */
export type SupportedOp = keyof OpAttributes;
