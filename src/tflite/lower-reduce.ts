// Means and sums over the positions of an image, or over axes of rows.
import type { Node } from '../onnx/graph.ts';
import { toNumbers } from '../tensor/tensor.ts';
import { type Facts, fileAxis, getValue, int32, type Lowering, type Plan, type Refusal, type Value } from './plan.ts';

type Reduction = Node<'GlobalAveragePool' | 'ReduceMean' | 'ReduceSum'>;

/** Axes of the graph and whether they stay, with size 1; undefined when the axes are no constant. */
function reductionOf(node: Reduction, facts: Facts): { axes: readonly number[]; keepDims: boolean } | undefined {
  if (node.op === 'GlobalAveragePool') return { axes: [2, 3], keepDims: true };
  const keepDims = node.attributes.keepdims === 1;
  if (node.op === 'ReduceMean') return { axes: node.attributes.axes, keepDims };
  const axes = facts.constant(node.inputs[1]);
  return axes && { axes: toNumbers(axes), keepDims };
}

function fileAxes(node: Reduction, facts: Facts): number[] {
  const input = getValue(facts, node.inputs[0]);
  return (reductionOf(node, facts)?.axes ?? []).map(axis => fileAxis(input, axis)).sort();
}

function inferReduction(node: Reduction, facts: Facts): Value | Refusal {
  const { layout, shape } = getValue(facts, node.inputs[0]);
  const axes = fileAxes(node, facts);
  const fits =
    layout === 'NCHW'
      ? axes.join() === '1,2'
      : layout === 'flat' && node.op !== 'GlobalAveragePool' && axes.length > 0 && axes.every(axis => axis > 0);
  if (!fits) {
    return {
      problem: `it is not the ${node.op === 'ReduceSum' ? 'sum' : 'mean'} over the positions of an NCHW image`,
      remedy: 'Reduce axes [2, 3] after the Transpose to NCHW, or constant axes of rows from axis 1 on.',
    };
  }
  if (reductionOf(node, facts)!.keepDims) {
    return { layout, shape: shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim)) };
  }
  return { layout: 'flat', shape: shape.filter((_, axis) => !axes.includes(axis)) };
}

function lowerReduction(operator: 'MEAN' | 'SUM') {
  return {
    infer: inferReduction,
    emit(node: Reduction, plan: Plan): void {
      const axes = fileAxes(node, plan);
      const name = getValue(plan, node.inputs[0]).layout === 'NCHW' ? 'positions' : `${node.name}.axes`;
      const inputs = [plan.tensor(node.inputs[0]!), plan.store(name, int32([axes.length], axes))];
      const { shape } = getValue(plan, node.outputs[0]);
      plan.emit(operator, inputs, node.outputs[0]!, shape, { keep_dims: reductionOf(node, plan)!.keepDims });
    },
  };
}

/** GlobalAveragePool -> MEAN with keep_dims. */
export const lowerGlobalAveragePool: Lowering<'GlobalAveragePool'> = lowerReduction('MEAN');

/** ReduceMean -> MEAN. */
export const lowerReduceMean: Lowering<'ReduceMean'> = lowerReduction('MEAN');

/** ReduceSum -> SUM. */
export const lowerReduceSum: Lowering<'ReduceSum'> = lowerReduction('SUM');
