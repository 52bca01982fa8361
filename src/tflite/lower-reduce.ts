// Means and sums over axes.
import type { Node } from '../onnx/graph.ts';
import { resolveAxes } from '../onnx/shapes.ts';
import { toNumbers } from '../tensor/tensor.ts';
import { fileAxis, type Value, withoutAxes } from './axes.ts';
import { type Facts, getValue, int32, type Lowering, type Plan, type Refusal } from './plan.ts';

type Reduction = Node<'GlobalAveragePool' | 'ReduceMean' | 'ReduceSum'>;

/** Axes of the graph and whether they stay, with size 1; undefined when the axes are no constant. */
function reductionOf(node: Reduction, facts: Facts): { axes: readonly number[]; keepDims: boolean } | undefined {
  const rank = getValue(facts, node.inputs[0]).shape.length;
  if (node.op === 'GlobalAveragePool') return { axes: [2, 3], keepDims: true };
  const keepDims = node.attributes.keepdims === 1;
  if (node.op === 'ReduceMean') return { axes: resolveAxes(node.attributes.axes, rank), keepDims };
  const axes = facts.constant(node.inputs[1]);
  return axes && { axes: resolveAxes(toNumbers(axes), rank), keepDims };
}

function inferReduction(node: Reduction, facts: Facts): Value | Refusal {
  const { order, shape } = getValue(facts, node.inputs[0]);
  const reduction = reductionOf(node, facts);
  const fits = node.op !== 'GlobalAveragePool' || shape.length === 4;
  if (!fits || !reduction?.axes.length || reduction.axes.some(axis => !(axis > 0 && axis < shape.length))) {
    return {
      problem: `it is not the ${node.op === 'ReduceSum' ? 'sum' : 'mean'} over constant axes behind the batch`,
      remedy: 'Reduce axes [2, 3] of an image [N, channels, height, width], or constant axes of rows from axis 1 on.',
    };
  }
  const isGone = (place: number) => reduction.axes.includes(order[place]!);
  if (reduction.keepDims) return { order, shape: shape.map((dim, place) => (isGone(place) ? 1 : dim)) };
  return { order: withoutAxes(order, reduction.axes), shape: shape.filter((_, place) => !isGone(place)) };
}

function lowerReduction(operator: 'MEAN' | 'SUM') {
  return {
    infer: inferReduction,
    emit(node: Reduction, plan: Plan): void {
      const input = getValue(plan, node.inputs[0]);
      const { axes, keepDims } = reductionOf(node, plan)!;
      const places = axes.map(axis => fileAxis(input, axis)).sort();
      const name = places.join() === '1,2' ? 'positions' : `${node.name}.axes`;
      const inputs = [plan.tensor(node.inputs[0]!), plan.store(name, int32([places.length], places))];
      const { shape } = getValue(plan, node.outputs[0]);
      plan.emit(operator, inputs, node.outputs[0]!, shape, { keep_dims: keepDims });
    },
  };
}

/** GlobalAveragePool -> MEAN with keep_dims. */
export const lowerGlobalAveragePool: Lowering<'GlobalAveragePool'> = lowerReduction('MEAN');

/** ReduceMean -> MEAN. */
export const lowerReduceMean: Lowering<'ReduceMean'> = lowerReduction('MEAN');

/** ReduceSum -> SUM. */
export const lowerReduceSum: Lowering<'ReduceSum'> = lowerReduction('SUM');
