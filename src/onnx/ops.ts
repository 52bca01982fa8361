// The ops that graft builds, and the attributes of each, as the ONNX operator specification (opset 17) names them.
// The tables of shapes, gradients and TFLite lowerings are total over this union: a new op fails to compile there.

type Pair = readonly [number, number];
type None = Record<never, never>;

/** top, left, bottom, right */
export type Pads = readonly [number, number, number, number];

/** Attributes of a convolution over height and width. */
export interface ConvAttributes {
  kernel_shape: Pair;
  strides: Pair;
  pads: Pads;
  dilations: Pair;
  group: number;
}

/** Attributes of pooling over a window. */
export interface PoolAttributes {
  kernel_shape: Pair;
  strides: Pair;
  pads: Pads;
  dilations?: Pair;
  ceil_mode?: 0 | 1;
}

/**
 * Attributes per op. An op without attributes has an empty record. A name with a dot is an op of another domain than
 * ONNX's own: `microsoft.` stands for com.microsoft, `nchwc.` for com.microsoft.nchwc, whose values lie in memory in
 * blocks of channels (engine/block-channels.ts).
 */
export interface OpAttributes {
  Abs: None;
  Add: None;
  AveragePool: PoolAttributes & { count_include_pad: 0 | 1 };
  /** Inference mode; inputs are x, scale, bias, mean, variance. */
  BatchNormalization: { epsilon: number };
  Cast: { to: 'float32' | 'float16' | 'int64' | 'int32' };
  /** Inputs are x, lowest, highest. */
  Clip: None;
  Concat: { axis: number };
  Conv: ConvAttributes;
  /** Gradient of Conv with respect to its input; weights are [in, out / group, kh, kw]. */
  ConvTranspose: ConvAttributes & { output_padding: Pair };
  Div: None;
  Erf: None;
  Exp: None;
  Expand: None;
  Flatten: { axis: number };
  /** Inputs are x and whole numbers, which take the place of the axis. */
  Gather: { axis: number };
  Gemm: { alpha: number; beta: number; transA: 0 | 1; transB: 0 | 1 };
  GlobalAveragePool: None;
  HardSigmoid: { alpha: number; beta: number };
  HardSwish: None;
  Identity: None;
  /** Normalises over the axes from `axis` on; inputs are x, scale, bias. */
  LayerNormalization: { axis: number; epsilon: number };
  Log: None;
  LogSoftmax: { axis: number };
  MatMul: None;
  /** A second output, if named, holds the flat index of each maximum in the whole input (int64). */
  MaxPool: PoolAttributes;
  Max: None;
  Min: None;
  Mul: None;
  Neg: None;
  Pad: { mode: 'constant' };
  Pow: None;
  ReduceMean: { axes: readonly number[]; keepdims: 0 | 1 };
  /** The axes are the second input. */
  ReduceSum: { keepdims: 0 | 1 };
  Relu: None;
  Reshape: None;
  /** Inputs are x, '', scales; or x, '', '', sizes. */
  Resize: {
    mode: 'nearest' | 'linear';
    coordinate_transformation_mode: 'half_pixel' | 'asymmetric' | 'align_corners';
    nearest_mode: 'floor' | 'round_prefer_floor';
  };
  ScatterElements: { axis: number; reduction: 'none' | 'add' };
  Sigmoid: None;
  Sign: None;
  /** Inputs are x, starts, ends, axes, steps. */
  Slice: None;
  Softmax: { axis: number };
  Sqrt: None;
  Squeeze: None;
  Sub: None;
  Tanh: None;
  /** The k largest along an axis, the largest first; inputs are x, k. The second output holds their places (int64). */
  TopK: { axis: number; largest: 1; sorted: 1 };
  Transpose: { perm: readonly number[] };
  Unsqueeze: None;
  'microsoft.FusedMatMul': { alpha: number; transA: 0 | 1; transB: 0 | 1 };
  'microsoft.Gelu': None;
  'nchwc.Conv': ConvAttributes;
  'nchwc.ReorderInput': { channels_last: 0 | 1 };
  'nchwc.ReorderOutput': { channels: number; channels_last: 0 | 1 };
}

/** Name of an op that graft supports. */
export type SupportedOp = keyof OpAttributes;
