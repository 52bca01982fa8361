// Which values of a graph are never negative, so that zeros are as good a padding for a maximum as the lowest number.
import { type Facts, scalarConstant } from './plan.ts';

/** Ops that give no negative number, whatever they read. */
const positiveOps: ReadonlySet<string> = new Set(['Abs', 'Exp', 'HardSigmoid', 'Relu', 'Sigmoid', 'Softmax', 'Sqrt']);

/** Ops that give no negative number where all of their computed inputs are none. */
const keepingOps: ReadonlySet<string> = new Set([
  'Add',
  'AveragePool',
  'Concat',
  'Identity',
  'MaxPool',
  'Mul',
  'Reshape',
  'Slice',
  'Transpose',
]);

/** Ops behind each other that are looked at. */
const MAX_DEPTH = 8;

/** True when no number of the value can be below zero, as far as the ops that make it tell. */
export function isNeverNegative(name: string, facts: Facts, depth = MAX_DEPTH): boolean {
  const constant = facts.constant(name);
  if (constant) return constant.dtype === 'int64' || constant.data.every(value => value >= 0);
  const maker = facts.graph.nodes.find(node => node.outputs.includes(name));
  if (!maker || depth === 0) return false;
  if (maker.op === 'Clip') return (scalarConstant(facts, maker.inputs[1]) ?? -1) >= 0;
  if (positiveOps.has(maker.op)) return true;
  return keepingOps.has(maker.op) && maker.inputs.every(input => isNeverNegative(input, facts, depth - 1));
}
