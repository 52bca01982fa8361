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

/** How each op becomes TFLite operators. */
export const lowerings: { readonly [O in SupportedOp]: Lowering<O> } = {
  Add: lowerAdd,
  Cast: refuse(
    'the file computes in float32 from its input on',
    'Build the graph for a float32 image (input "signed").',
  ),
  Clip: lowerClip,
  Concat: lowerConcat,
  Conv: lowerConv,
  Gemm: lowerGemm,
  GlobalAveragePool: lowerGlobalAveragePool,
  HardSigmoid: lowerHardSigmoid,
  HardSwish: lowerHardSwish,
  MatMul: lowerMatMul,
  Mul: lowerMul,
  ReduceMean: lowerReduceMean,
  Relu: lowerRelu,
  Reshape: lowerReshape,
  Softmax: lowerSoftmax,
  Transpose: absorbTranspose,
};
