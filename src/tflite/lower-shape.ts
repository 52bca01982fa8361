// What only moves numbers: reshaping in all its names, transposing, padding and slicing.
import type { Node } from '../onnx/graph.ts';
import { resolveAxes, sliceRange } from '../onnx/shapes.ts';
import { sizeOf, toNumbers } from '../tensor/tensor.ts';
import { fileAxis, graphShape, reshapeValue, type Value } from './axes.ts';
import { type Facts, getValue, int32, type Lowering, type Plan, type Refusal, scalarConstant } from './plan.ts';
import { emitPad } from './windows.ts';

/** Transpose: nothing; the axes are moved where an operator or a reshape needs it. */
export const lowerTranspose: Lowering<'Transpose'> = {
  infer(node, facts) {
    const { order, ...value } = getValue(facts, node.inputs[0]);
    const { perm } = node.attributes;
    return perm.length === order.length
      ? { ...value, order: order.map(axis => perm.indexOf(axis)) }
      : { problem: `it moves ${perm.length} axes of ${order.length}`, remedy: 'Name each axis once.' };
  },
  emit: (node, plan) => {
    const [input, output] = [node.inputs[0]!, node.outputs[0]!];
    plan.alias(output, plan.numbers(input, getValue(plan, input).order));
  },
};

/** The same numbers in the graph's shape `target`. */
function reshaped(input: Value, target: readonly number[] | undefined): Value | Refusal {
  return target?.every(dim => Number.isInteger(dim) && dim > 0) && sizeOf(target) === sizeOf(input.shape)
    ? reshapeValue(input, target).after
    : {
        problem: 'its target is no constant of the same size',
        remedy: 'Store the target as a constant that fits the input.',
      };
}

/** The numbers under another name; RESHAPE comes where they are read, and TRANSPOSE where they have to move for it. */
function emitReshape(node: Node, plan: Plan): void {
  const [input, output] = [node.inputs[0]!, node.outputs[0]!];
  const target = graphShape(getValue(plan, output));
  plan.alias(output, plan.numbers(input, reshapeValue(getValue(plan, input), target).before));
}

/** Reshape -> RESHAPE. */
export const lowerReshape: Lowering<'Reshape'> = {
  infer(node, facts) {
    const input = getValue(facts, node.inputs[0]);
    const target = facts.constant(node.inputs[1]);
    // ONNX: 0 copies the input's dimension (by the graph's axes), -1 takes what is left.
    const given = graphShape(input);
    const wanted = target && toNumbers(target).map((dim, axis) => (dim === 0 ? (given[axis] ?? 0) : dim));
    const known = sizeOf(wanted?.filter(dim => dim !== -1) ?? []);
    return reshaped(
      input,
      wanted?.map(dim => (dim === -1 ? sizeOf(given) / known : dim)),
    );
  },
  emit: emitReshape,
};

/** Flatten -> RESHAPE. */
export const lowerFlatten: Lowering<'Flatten'> = {
  infer(node, facts) {
    const input = getValue(facts, node.inputs[0]);
    const shape = graphShape(input);
    const [at] = resolveAxes([node.attributes.axis], shape.length);
    return reshaped(input, [sizeOf(shape.slice(0, at)), sizeOf(shape.slice(at))]);
  },
  emit: emitReshape,
};

/** Squeeze -> RESHAPE. */
export const lowerSqueeze: Lowering<'Squeeze'> = {
  infer(node, facts) {
    const input = getValue(facts, node.inputs[0]);
    const shape = graphShape(input);
    const axes = facts.constant(node.inputs[1]);
    const gone = axes && resolveAxes(toNumbers(axes), shape.length);
    return reshaped(input, gone && shape.filter((_, axis) => !gone.includes(axis)));
  },
  emit: emitReshape,
};

/** Unsqueeze -> RESHAPE. */
export const lowerUnsqueeze: Lowering<'Unsqueeze'> = {
  infer(node, facts) {
    const input = getValue(facts, node.inputs[0]);
    const rest = [...graphShape(input)];
    const axes = facts.constant(node.inputs[1]);
    const added = axes && resolveAxes(toNumbers(axes), rest.length + sizeOf(axes.shape));
    const wider =
      added && Array.from({ length: rest.length + added.length }, (_, i) => (added.includes(i) ? 1 : rest.shift()!));
    return reshaped(input, wider);
  },
  emit: emitReshape,
};

/** Identity: nothing, or a RESHAPE to the same shape that gives an output its name. */
export const lowerIdentity: Lowering<'Identity'> = {
  infer: (node, facts) => getValue(facts, node.inputs[0]),
  emit: emitReshape,
};

/** Pad with a constant -> PAD, or PADV2 for another number than 0. */
export const lowerPad: Lowering<'Pad'> = {
  infer(node, facts) {
    const amounts = padAmounts(node, facts);
    if (!amounts || (scalarConstant(facts, node.inputs[2] || undefined) === undefined && node.inputs[2]))
      return notPadding;
    const input = getValue(facts, node.inputs[0]);
    return { ...input, shape: input.shape.map((dim, i) => dim + amounts[2 * i]! + amounts[2 * i + 1]!) };
  },
  emit(node, plan) {
    const [input, output] = [node.inputs[0]!, node.outputs[0]!];
    const fill = node.inputs[2] ? scalarConstant(plan, node.inputs[2])! : 0;
    emitPad(plan, plan.tensor(input), getValue(plan, input).shape, padAmounts(node, plan)!, fill, output);
  },
};

const notPadding: Refusal = {
  problem: 'its amounts or its value are no constants, cut something off, or pad the batch',
  remedy: 'Store them as constants of the graph, none of them negative.',
};

/** Before and after, axis by axis of the file; ONNX has all befores first. */
function padAmounts(node: Node<'Pad'>, facts: Facts): number[] | undefined {
  const input = getValue(facts, node.inputs[0]);
  const pads = facts.constant(node.inputs[1]);
  const rank = input.shape.length;
  if (!pads || sizeOf(pads.shape) !== 2 * rank) return undefined;
  const given = toNumbers(pads);
  const amounts = new Array<number>(2 * rank);
  for (let axis = 0; axis < rank; axis++) {
    const place = 2 * fileAxis(input, axis);
    [amounts[place], amounts[place + 1]] = [given[axis]!, given[axis + rank]!];
  }
  return amounts[0] === 0 && amounts[1] === 0 && amounts.every(amount => amount >= 0) ? amounts : undefined;
}

/** Start, length and step per axis of the file. */
export interface Ranges {
  readonly start: number[];
  readonly length: number[];
  readonly step: number[];
}

function sliceRanges(node: Node<'Slice'>, facts: Facts): Ranges | undefined {
  const input = getValue(facts, node.inputs[0]);
  const { shape } = input;
  const ranges = { start: shape.map(() => 0), length: [...shape], step: shape.map(() => 1) };
  const [starts, ends, axes, steps] = [1, 2, 3, 4].map(i => {
    const tensor = facts.constant(node.inputs[i] || undefined);
    return tensor ? toNumbers(tensor) : undefined;
  });
  if (!starts || !ends || (node.inputs[3] && !axes) || (node.inputs[4] && !steps)) return undefined;
  for (const [i, from] of starts.entries()) {
    const axis = fileAxis(input, axes?.[i] ?? i);
    const step = steps?.[i] ?? 1;
    if (axis < 0 || step < 1) return undefined;
    const { start, length } = sliceRange(shape[axis]!, from, ends[i]!, step);
    [ranges.start[axis], ranges.length[axis], ranges.step[axis]] = [start, length, step];
  }
  return ranges.length.every(length => length > 0) ? ranges : undefined;
}

/** Slice forwards between constants -> STRIDED_SLICE. */
export const lowerSlice: Lowering<'Slice'> = {
  infer(node, facts) {
    const ranges = sliceRanges(node, facts);
    return ranges
      ? { ...getValue(facts, node.inputs[0]), shape: ranges.length }
      : {
          problem: 'its limits are no constants or take nothing, or it runs backwards',
          remedy: 'Store starts, ends, axes and steps as constants, with steps of 1 or more.',
        };
  },
  emit(node, plan) {
    const ranges = sliceRanges(node, plan)!;
    emitSlice(plan, node, ranges, node.outputs[0]!);
  },
};

/** Emits STRIDED_SLICE of a node's first input. */
export function emitSlice(plan: Plan, node: Node, { start, length, step }: Ranges, output: string): number {
  const rank = start.length;
  const end = start.map((from, axis) => from + (length[axis]! - 1) * step[axis]! + 1);
  const list = (part: string, values: readonly number[]) => plan.store(`${node.name}.${part}`, int32([rank], values));
  const inputs = [plan.tensor(node.inputs[0]!), list('begin', start), list('end', end), list('strides', step)];
  const options = { begin_mask: 0, end_mask: 0, ellipsis_mask: 0, new_axis_mask: 0, shrink_axis_mask: 0 };
  // More than four axes want a newer version.
  return plan.emit('STRIDED_SLICE', inputs, output, length, options, rank > 4 ? 4 : 1);
}
