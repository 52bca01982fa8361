// Which operators of a model are computed in int8, and which of their values share a scale.
import type { ChannelRanges } from './channel-ranges.ts';
import { keepsChannels } from './linearity.ts';
import type { KnownOperator, TfliteModel } from './model.ts';

/** Operators that have an int8 form, with its version. The others stay in float32. */
export const int8Versions: Readonly<Record<string, number>> = {
  ADD: 2,
  AVERAGE_POOL_2D: 2,
  CONCATENATION: 2,
  CONV_2D: 3,
  DEPTHWISE_CONV_2D: 3,
  LOGISTIC: 2,
  MAX_POOL_2D: 2,
  MEAN: 2,
  MUL: 2,
  PAD: 2,
  PADV2: 2,
  RELU: 2,
  RELU6: 2,
  RESHAPE: 1,
  RESIZE_BILINEAR: 2,
  STRIDED_SLICE: 2,
  TRANSPOSE: 2,
};

/** Operators whose output has the scale of their inputs. */
export const keepsScale = new Set([
  'AVERAGE_POOL_2D',
  'CONCATENATION',
  'MAX_POOL_2D',
  'PAD',
  'PADV2',
  'RELU',
  'RELU6',
  'RESHAPE',
  'RESIZE_BILINEAR',
  'STRIDED_SLICE',
  'TRANSPOSE',
]);

/** Operators that take any scale, as that of a sigmoid, which nothing can change. */
const takesAnyScale = new Set(['ADD', 'CONV_2D', 'DEPTHWISE_CONV_2D', 'MEAN', 'MUL']);

/** The operators between the first convolutions and the tensor `last`, and the means over positions of what they make. */
export function findInt8Part(model: TfliteModel, last: string): Set<KnownOperator> {
  const needed = new Set([model.tensors.findIndex(tensor => tensor.name === last)]);
  if (needed.has(-1)) throw new Error(`The model has no tensor ${last}.`);
  const operators = model.operators as readonly KnownOperator[];
  const before: KnownOperator[] = [];
  for (const operator of operators.toReversed()) {
    if (!operator.outputs.some(output => needed.has(output))) continue;
    for (const input of operator.inputs) needed.add(input);
    before.unshift(operator);
  }
  const part = new Set<KnownOperator>();
  const made = new Set<number>();
  for (const operator of before) {
    const starts = operator.op === 'CONV_2D' || operator.op === 'DEPTHWISE_CONV_2D';
    const computed = operator.inputs.filter(input => !model.tensors[input]!.data);
    const goesOn = operator.op in int8Versions && computed.every(input => made.has(input));
    if (!starts && !(goesOn && hasInt8Form(model, operator, computed))) continue;
    part.add(operator);
    for (const output of operator.outputs) made.add(output);
  }
  for (const operator of operators) {
    if (operator.op === 'MEAN' && made.has(operator.inputs[0]!) && keepsChannels(model, operator)) part.add(operator);
  }
  return part;
}

/** What the op alone does not tell. */
function hasInt8Form(model: TfliteModel, operator: KnownOperator, computed: readonly number[]): boolean {
  switch (operator.op) {
    case 'CONCATENATION':
      return computed.length === operator.inputs.length;
    case 'LOGISTIC':
      return model.operators.every(({ op, inputs }) => !inputs.includes(operator.outputs[0]!) || takesAnyScale.has(op));
    case 'MEAN':
      return keepsChannels(model, operator);
    case 'MUL':
      // A square is summed up for a variance, whose small numbers 8 bits do not have.
      return computed[0] !== computed[1];
    default:
      return true;
  }
}

/** Smallest and largest number of a value, or of all values that have to share its scale. */
export function findExtremes(
  model: TfliteModel,
  part: ReadonlySet<KnownOperator>,
  ranges: ReadonlyMap<string, ChannelRanges>,
): (tensor: number) => { readonly low: number; readonly high: number } {
  const parent = model.tensors.map((_, index) => index);
  const find = (tensor: number): number => {
    let root = tensor;
    while (parent[root] !== root) root = parent[root]!;
    return root;
  };
  /** Tensors whose own ranges do not count: padding with what a maximum does not see. */
  const padded = new Set<number>();
  for (const operator of part) {
    if (!keepsScale.has(operator.op)) continue;
    const output = operator.outputs[0]!;
    if (operator.op === 'PADV2') padded.add(output);
    for (const input of operator.inputs) if (!model.tensors[input]!.data) parent[find(input)] = find(output);
  }
  const extremes = new Map<number, { low: number; high: number }>();
  model.tensors.forEach(({ name }, index) => {
    const range = ranges.get(name);
    if (!range || padded.has(index)) return;
    const { low, high } = extremes.get(find(index)) ?? { low: 0, high: 0 };
    extremes.set(find(index), { low: Math.min(low, ...range.min), high: Math.max(high, ...range.max) });
  });
  return tensor => {
    const found = extremes.get(find(tensor));
    if (!found) throw new Error(`There is no range for ${model.tensors[tensor]!.name}.`);
    return found;
  };
}
