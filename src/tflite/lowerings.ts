// The one table of lowerings, total over the ops that graft builds: a new op does not compile without a row.
import type { SupportedOp } from '../onnx/ops.ts';
import { lowerConv } from './lower-conv.ts';
import { lowerGemm, lowerMatMul } from './lower-dense.ts';
import { lowerCast, lowerGather, lowerTopK } from './lower-detect.ts';
import { lowerAdd, lowerDiv, lowerHardSigmoid, lowerMax, lowerMin, lowerMul, lowerSub } from './lower-elementwise.ts';
import {
  lowerAbs,
  lowerClip,
  lowerErf,
  lowerExp,
  lowerGelu,
  lowerHardSwish,
  lowerLog,
  lowerNeg,
  lowerPow,
  lowerRelu,
  lowerSigmoid,
  lowerSqrt,
  lowerTanh,
} from './lower-functions.ts';
import { lowerConcat, lowerLogSoftmax, lowerSoftmax } from './lower-join.ts';
import { lowerBatchNormalization, lowerLayerNormalization } from './lower-norm.ts';
import { lowerAveragePool, lowerMaxPool } from './lower-pool.ts';
import { lowerGlobalAveragePool, lowerReduceMean, lowerReduceSum } from './lower-reduce.ts';
import { lowerResize } from './lower-resize.ts';
import {
  lowerFlatten,
  lowerIdentity,
  lowerPad,
  lowerReshape,
  lowerSlice,
  lowerSqueeze,
  lowerTranspose,
  lowerUnsqueeze,
} from './lower-shape.ts';
import type { Lowering } from './plan.ts';

/** An op that has no place in a file for robots. */
function refuse<O extends SupportedOp>(problem: string, remedy: string): Lowering<O> {
  return {
    infer: () => ({ problem, remedy }),
    emit: node => {
      throw new Error(`${node.name} was refused and must not be built.`);
    },
  };
}

const training = <O extends SupportedOp>() =>
  refuse<O>('it belongs to a training graph', 'Build the inference graph (buildClassifierGraph).');

/** How each op becomes TFLite operators. */
export const lowerings: { readonly [O in SupportedOp]: Lowering<O> } = {
  Abs: lowerAbs,
  Add: lowerAdd,
  AveragePool: lowerAveragePool,
  BatchNormalization: lowerBatchNormalization,
  Cast: lowerCast,
  Clip: lowerClip,
  Concat: lowerConcat,
  Conv: lowerConv,
  ConvTranspose: training(),
  Div: lowerDiv,
  Erf: lowerErf,
  Exp: lowerExp,
  Expand: training(),
  Flatten: lowerFlatten,
  Gather: lowerGather,
  Gemm: lowerGemm,
  GlobalAveragePool: lowerGlobalAveragePool,
  HardSigmoid: lowerHardSigmoid,
  HardSwish: lowerHardSwish,
  Identity: lowerIdentity,
  LayerNormalization: lowerLayerNormalization,
  Log: lowerLog,
  LogSoftmax: lowerLogSoftmax,
  MatMul: lowerMatMul,
  Max: lowerMax,
  MaxPool: lowerMaxPool,
  Min: lowerMin,
  Mul: lowerMul,
  Neg: lowerNeg,
  Pad: lowerPad,
  Pow: lowerPow,
  ReduceMean: lowerReduceMean,
  ReduceSum: lowerReduceSum,
  Relu: lowerRelu,
  Reshape: lowerReshape,
  Resize: lowerResize,
  ScatterElements: training(),
  Sigmoid: lowerSigmoid,
  Sign: training(),
  Slice: lowerSlice,
  Softmax: lowerSoftmax,
  Sqrt: lowerSqrt,
  Squeeze: lowerSqueeze,
  Sub: lowerSub,
  Tanh: lowerTanh,
  TopK: lowerTopK,
  Transpose: lowerTranspose,
  Unsqueeze: lowerUnsqueeze,
  'microsoft.FusedMatMul': training(),
  'microsoft.Gelu': lowerGelu,
  'nchwc.Conv': training(),
  'nchwc.ReorderInput': training(),
  'nchwc.ReorderOutput': training(),
};
