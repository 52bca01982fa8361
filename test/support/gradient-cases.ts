// The table of single ops with PyTorch's outputs and gradients, and the graph of each case.
import { type Emitter, emptyGraph, startEmitter } from '../../src/onnx/emitter.ts';
import type { OpAttributes, SupportedOp } from '../../src/onnx/ops.ts';
import { float32, int64, type Tensor } from '../../src/tensor/tensor.ts';
import { readReference } from './reference.ts';

interface Numbers {
  readonly dtype: 'float32' | 'int64';
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

/** One op with inputs, and what PyTorch says. */
export interface GradientCase {
  readonly op: SupportedOp;
  readonly title: string;
  readonly attributes: OpAttributes[SupportedOp];
  /** As ONNX has them; null where absent. */
  readonly inputs: readonly (Numbers | null)[];
  readonly output: Numbers;
  /** The loss is sum(output * seed). */
  readonly seed: readonly number[];
  /** Of the loss with respect to each input; null for constants. */
  readonly gradients: readonly (readonly number[] | null)[];
}

/** All cases. */
export const gradientCases: readonly GradientCase[] = readReference<{ cases: GradientCase[] }>('gradients.json').cases;

/** The graph of a case, open for more nodes: inputs with a gradient are inputs, the others constants. */
export function buildCase(problem: GradientCase): {
  readonly g: Emitter;
  readonly y: string;
  readonly feeds: Readonly<Record<string, Tensor<'float32'>>>;
} {
  const g = startEmitter(emptyGraph('case'));
  const feeds: Record<string, Tensor<'float32'>> = {};
  const names = problem.inputs.map((input, i) => {
    if (input === null) return '';
    if (problem.gradients[i] === null) return g.constant(toTensor(input));
    feeds[`x${i}`] = float32(input.shape, input.data);
    return g.input({ name: `x${i}`, dtype: 'float32', shape: input.shape });
  });
  return { g, y: g.emit(problem.op, names, problem.attributes), feeds };
}

/** Appends the loss sum(y * seed) with an input `seed`, whose shape may be one that broadcasts to y's. */
export function appendLoss(g: Emitter, y: string, shape: readonly number[]): string {
  const seed = g.input({ name: 'seed', dtype: 'float32', shape });
  const axes = g.shapeOf(y).map((_, axis) => axis);
  return g.reduceSum(g.emit('Mul', [y, seed], {}), axes, 0);
}

function toTensor({ dtype, shape, data }: Numbers): Tensor {
  return dtype === 'int64' ? int64(shape, data) : float32(shape, data);
}
