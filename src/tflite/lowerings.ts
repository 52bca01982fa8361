// The one table of lowerings, total over the ops that graft builds: a new op does not compile without a row.
import type { SupportedOp } from '../onnx/ops.ts';
import { lowerConv } from './lower-conv.ts';
import {
  lowerConcat,
  lowerGemm,
  lowerGlobalAveragePool,
  lowerMatMul,
  lowerReduceMean,
  lowerReshape,
  lowerSoftmax,
} from './lower-dense.ts';
import { lowerAdd, lowerClip, lowerHardSigmoid, lowerHardSwish, lowerMul, lowerRelu } from './lower-elementwise.ts';
import { getValue, type Lowering } from './plan.ts';

/** Transpose from NHWC to NCHW: the file stays in NHWC, so that nothing is done. */
const absorbTranspose: Lowering<'Transpose'> = {
  infer(node, facts) {
    const { layout, shape } = getValue(facts, node.inputs[0]);
    return layout === 'NHWC' && node.attributes.perm.join() === '0,3,1,2'
      ? { layout: 'NCHW', shape }
      : {
          problem: `it moves the axes of a ${layout} value by [${node.attributes.perm.join(', ')}]`,
          remedy: 'Only the Transpose [0, 3, 1, 2] of the input image has a place in the file.',
        };
  },
  emit: (node, plan) => {
    plan.aliases.set(node.outputs[0]!, node.inputs[0]!);
  },
};

/** An op that has no place in a file for robots. */
function refuse<O extends SupportedOp>(problem: string, remedy: string): Lowering<O> {
  return {
    infer: () => ({ problem, remedy }),
    emit: node => {
      throw new Error(`${node.name} was refused and must not be built.`);
    },
  };
}

const unwritten = <O extends SupportedOp>() =>
  refuse<O>('graft has no TFLite operators for it', 'Use a backbone of the zoo (graft train --help).');
const training = <O extends SupportedOp>() =>
  refuse<O>('it belongs to a training graph', 'Build the inference graph (buildClassifierGraph).');

/** How each op becomes TFLite operators. */
export const lowerings: { readonly [O in SupportedOp]: Lowering<O> } = {
  Abs: unwritten(),
  Add: lowerAdd,
  AveragePool: unwritten(),
  BatchNormalization: unwritten(),
  Cast: refuse(
    'the file computes in float32 from its input on',
    'Build the graph for a float32 image (input "signed").',
  ),
  Clip: lowerClip,
  Concat: lowerConcat,
  Conv: lowerConv,
  ConvTranspose: training(),
  Div: unwritten(),
  Erf: unwritten(),
  Exp: unwritten(),
  Expand: training(),
  Flatten: unwritten(),
  Gemm: lowerGemm,
  GlobalAveragePool: lowerGlobalAveragePool,
  HardSigmoid: lowerHardSigmoid,
  HardSwish: lowerHardSwish,
  Identity: unwritten(),
  LayerNormalization: unwritten(),
  Log: unwritten(),
  LogSoftmax: unwritten(),
  MatMul: lowerMatMul,
  Max: unwritten(),
  MaxPool: unwritten(),
  Min: unwritten(),
  Mul: lowerMul,
  Neg: unwritten(),
  Pad: unwritten(),
  Pow: unwritten(),
  ReduceMean: lowerReduceMean,
  ReduceSum: unwritten(),
  Relu: lowerRelu,
  Reshape: lowerReshape,
  Resize: unwritten(),
  ScatterElements: training(),
  Sigmoid: unwritten(),
  Sign: training(),
  Slice: unwritten(),
  Softmax: lowerSoftmax,
  Sqrt: unwritten(),
  Squeeze: unwritten(),
  Sub: unwritten(),
  Tanh: unwritten(),
  Transpose: absorbTranspose,
  Unsqueeze: unwritten(),
  'microsoft.FusedMatMul': training(),
  'microsoft.Gelu': unwritten(),
  'nchwc.Conv': training(),
  'nchwc.ReorderInput': training(),
  'nchwc.ReorderOutput': training(),
};
