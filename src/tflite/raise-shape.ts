// Raises what moves, joins, cuts or averages along axes.
import { float32, sizeOf } from '../tensor/tensor.ts';
import {
  finishStep,
  graphAxis,
  hasKnownActivation,
  numberOption,
  type RaisePlan,
  type Raising,
  type Step,
  setFromFileOrder,
  storeIntegers,
  TO_NCHW,
  valueInFileOrder,
} from './raise-plan.ts';

const noValue = 'its input is a constant';

/** QUANTIZE and DEQUANTIZE of what is computed: the same real numbers. */
export const raiseSame: Raising = (step, plan) => {
  const value = plan.value(step.inputs[0]!);
  if (value === undefined) return noValue;
  plan.set(step.outputs[0]!, value);
  return undefined;
};

/** RESHAPE, SQUEEZE and EXPAND_DIMS: the output's own shape tells the result. */
export const raiseReshape: Raising = (step, plan) => {
  const [input, output] = [step.inputs[0]!, step.outputs[0]!];
  const value = plan.value(input);
  const [from, to] = [plan.shape(input), plan.shape(output)];
  if (value === undefined) return noValue;
  if (from.join() === to.join()) return raiseSame(step, plan);
  if (sizeOf(from) !== sizeOf(to)) return `the shape of its output is not fixed`;
  const name = plan.name(output);
  // The first axis counts the photos, or so many parts of each.
  const first = from[0] === to[0] ? 0 : -1;
  const reshape = (made: string, source: string, shape: readonly number[]) =>
    plan.node('Reshape', made, [source, storeIntegers(plan, `${made}.shape`, [first, ...shape.slice(1)])], {});
  // With one position, or one channel, both orders are the same.
  const source = isAnyOrder(from) ? value : valueInFileOrder(plan, input);
  if (!isAnyOrder(to)) setFromFileOrder(plan, output, made => reshape(made, source, to));
  else plan.set(output, reshape(name, source, to.length === 4 ? TO_NCHW.map(axis => to[axis]!) : to));
  return undefined;
};

const isAnyOrder = (shape: readonly number[]): boolean =>
  shape.length !== 4 || (shape[1] === 1 && shape[2] === 1) || shape[3] === 1;

/** TRANSPOSE, by the axes of the graph; nothing where only axes of size 1 move. */
export const raiseTranspose: Raising = (step, plan) => {
  const [input, permutation] = step.inputs as [number, number];
  const perm = plan.integers(permutation);
  const value = plan.value(input);
  const rank = plan.shape(input).length;
  if (value === undefined) return noValue;
  if (
    perm?.length !== rank ||
    perm[0] !== 0 ||
    new Set(perm).size !== rank ||
    perm.some(axis => axis < 0 || axis >= rank)
  )
    return 'its axes are no constant order, or it moves the batch';
  const axes = rank === 4 ? TO_NCHW.map(axis => TO_NCHW.indexOf(perm[axis]!)) : perm;
  if (axes.every((axis, i) => axis === i)) return raiseSame(step, plan);
  plan.set(step.outputs[0]!, plan.node('Transpose', plan.name(step.outputs[0]!), [value], { perm: axes }));
  return undefined;
};

/** CONCATENATION of values and constants. */
export const raiseConcatenation: Raising = (step, plan) => {
  if (!hasKnownActivation(step)) return 'graft does not know its fused activation';
  const rank = plan.shape(step.outputs[0]!).length;
  const axis = graphAxis(numberOption(step, 'axis'), rank);
  if (axis === 0) return 'it joins along the batch';
  const parts = step.inputs.map(index => plan.value(index));
  if (parts.some(part => part === undefined)) return 'one of its inputs is a constant';
  finishStep(step, plan, false, name => plan.node('Concat', name, parts as string[], { axis }));
  return undefined;
};

/** PACK: each value gets an axis more, and they are joined along it. */
export const raisePack: Raising = (step, plan) => {
  const rank = plan.shape(step.outputs[0]!).length;
  const axis = numberOption(step, 'axis');
  const at = axis < 0 ? axis + rank : axis;
  if (step.inputs.some(index => plan.value(index) === undefined)) return 'one of its inputs is a constant';
  if (at === 0) return 'it joins along the batch';
  setFromFileOrder(plan, step.outputs[0]!, name => {
    const axes = storeIntegers(plan, `${name}.axes`, [at]);
    const parts = step.inputs.map(index =>
      plan.node('Unsqueeze', plan.fresh(`${name}.part`), [valueInFileOrder(plan, index), axes], {}),
    );
    return plan.node('Concat', name, parts, { axis: at });
  });
  return undefined;
};

/** MEAN and SUM over constant axes. The mean over all positions that keeps its axes is GlobalAveragePool. */
export const raiseReduction =
  (op: 'ReduceMean' | 'ReduceSum'): Raising =>
  (step, plan) => {
    const [input, axesIndex] = step.inputs as [number, number];
    const value = plan.value(input);
    const given = plan.integers(axesIndex);
    const shape = plan.shape(input);
    if (value === undefined) return noValue;
    if (!given) return 'its axes are no constant';
    const rank = shape.length;
    const axes = given.map(axis => graphAxis(axis, rank)).sort((a, b) => a - b);
    if (axes.includes(0)) return 'it reduces the batch';
    const keepdims = numberOption(step, 'keep_dims') ? 1 : 0;
    const output = step.outputs[0]!;
    const reduce = (name: string, source: string, over: readonly number[]) => {
      if (op === 'ReduceSum')
        return plan.node(op, name, [source, storeIntegers(plan, `${name}.axes`, over)], { keepdims });
      if (rank === 4 && keepdims && over.join() === '2,3') return plan.node('GlobalAveragePool', name, [source], {});
      return plan.node(op, name, [source], { axes: over, keepdims });
    };
    // What is left of an image without one of its sides would be in another order than in the file.
    const isMoved = rank === 4 && !keepdims && axes.length === 1 && axes[0] !== 1;
    if (isMoved) {
      const over = given.map(axis => (axis < 0 ? axis + rank : axis));
      plan.set(output, reduce(plan.name(output), valueInFileOrder(plan, input), over));
    } else plan.set(output, reduce(plan.name(output), value, axes));
    return undefined;
  };

/** PAD and PADV2 with constant amounts -> Pad. */
export const raisePad: Raising = (step, plan) => {
  const [input, amountsIndex, fillIndex] = step.inputs as [number, number, number?];
  const value = plan.value(input);
  const amounts = plan.integers(amountsIndex);
  const rank = plan.shape(input).length;
  const fill = fillIndex === undefined ? float32([], [0]) : plan.constant(fillIndex);
  if (value === undefined) return noValue;
  if (amounts?.length !== 2 * rank || !fill || fill.data.length !== 1)
    return 'its amounts or its value are no constants';
  if (amounts.some(amount => amount < 0) || amounts[0] || amounts[1])
    return 'it pads the batch, or by less than nothing';
  const order = rank === 4 ? TO_NCHW : amounts.slice(rank).map((_, axis) => axis);
  const sides = [0, 1].map(side => order.map(axis => amounts[2 * axis + side]!)) as [number[], number[]];
  const name = plan.name(step.outputs[0]!);
  const inputs = [value, storeIntegers(plan, `${name}.amounts`, sides.flat())];
  if (fill.data[0] !== 0) inputs.push(plan.store(`${name}.fill.fixed`, float32([], fill.data)));
  plan.set(step.outputs[0]!, plan.node('Pad', name, inputs, { mode: 'constant' }));
  const [before, after] = sides;
  if (rank === 4 && fill.data[0] === 0 && before[1] === 0 && after[1] === 0) {
    plan.padded.set(name, { value, pads: [before[2]!, before[3]!, after[2]!, after[3]!] });
  }
  return undefined;
};

/** Start, end and step per axis of the file, and the axes that vanish. */
interface Cut {
  readonly start: readonly number[];
  readonly end: readonly number[];
  readonly step: readonly number[];
  readonly gone: readonly number[];
}

/** STRIDED_SLICE with constant limits. Bit i of a mask is axis i: no start, no end, an axis of which one element is taken. */
export const raiseStridedSlice: Raising = (step, plan) => {
  const shape = plan.shape(step.inputs[0]!);
  const [begin, end, strides] = step.inputs.slice(1).map(index => plan.integers(index));
  if (!begin || !end || !strides) return 'its limits are no constants';
  const mask = (name: string) => (axis: number) => (numberOption(step, `${name}_mask`) >> axis) & 1;
  if (numberOption(step, 'ellipsis_mask') || numberOption(step, 'new_axis_mask')) return 'it skips or adds axes';
  const [isOpenStart, isOpenEnd, isGone] = ['begin', 'end', 'shrink_axis'].map(mask) as [
    (axis: number) => number,
    (axis: number) => number,
    (axis: number) => number,
  ];
  const axes = begin.map((_, axis) => axis);
  if (axes.some(axis => strides[axis]! < 1)) return 'it runs backwards';
  const start = axes.map(axis => (isOpenStart(axis) && !isGone(axis) ? 0 : begin[axis]!));
  const stop = axes.map(axis =>
    isGone(axis) ? (start[axis] === -1 ? shape[axis]! : start[axis]! + 1) : isOpenEnd(axis) ? shape[axis]! : end[axis]!,
  );
  return emitCut(step, plan, { start, end: stop, step: strides, gone: axes.filter(isGone) });
};

/** SLICE with constant places and sizes; -1 is all that is left. */
export const raiseSlice: Raising = (step, plan) => {
  const shape = plan.shape(step.inputs[0]!);
  const [begin, size] = step.inputs.slice(1).map(index => plan.integers(index));
  if (!begin || !size) return 'its limits are no constants';
  const end = begin.map((from, axis) => (size[axis] === -1 ? shape[axis]! : from + size[axis]!));
  return emitCut(step, plan, { start: begin, end, step: begin.map(() => 1), gone: [] });
};

function emitCut(step: Step, plan: RaisePlan, cut: Cut): string | undefined {
  const [input, output] = [step.inputs[0]!, step.outputs[0]!];
  if (plan.value(input) === undefined) return noValue;
  const shape = plan.shape(input);
  const rank = shape.length;
  if (cut.gone.includes(0) || cut.start[0] !== 0 || cut.end[0]! < shape[0]!) return 'it takes photos out of the batch';
  const axes = cut.start
    .map((_, axis) => axis)
    .filter(axis => axis > 0 && (cut.start[axis] !== 0 || cut.end[axis] !== shape[axis] || cut.step[axis] !== 1));
  const slice = (name: string, source: string, order: (axis: number) => number) => {
    const lists = { starts: cut.start, ends: cut.end, axes: axes.map(order), steps: cut.step };
    const inputs = Object.entries(lists).map(([part, values]) =>
      storeIntegers(plan, `${name}.${part}`, part === 'axes' ? values : axes.map(axis => values[axis]!)),
    );
    return plan.node('Slice', name, [source, ...inputs], {});
  };
  if (cut.gone.length === 0) {
    if (axes.length === 0) return raiseSame(step, plan);
    plan.set(
      output,
      slice(plan.name(output), plan.value(input)!, axis => graphAxis(axis, rank)),
    );
    return undefined;
  }
  setFromFileOrder(plan, output, name => {
    const part = slice(plan.fresh(`${name}.slice`), valueInFileOrder(plan, input), axis => axis);
    return plan.node('Squeeze', name, [part, storeIntegers(plan, `${name}.gone`, cut.gone)], {});
  });
  return undefined;
}

/** SPLIT and SPLIT_V into parts along a constant axis -> a Slice for each part. */
export const raiseSplit: Raising = (step, plan) => {
  const isSized = step.op === 'SPLIT_V';
  const [input, axisIndex] = isSized ? [step.inputs[0]!, step.inputs[2]] : [step.inputs[1]!, step.inputs[0]];
  const [given] = plan.integers(axisIndex) ?? [];
  const value = plan.value(input);
  if (value === undefined || given === undefined) return 'its axis is no constant';
  const rank = plan.shape(input).length;
  const fileAxis = given < 0 ? given + rank : given;
  if (fileAxis === 0) return 'it splits the batch';
  const axes = storeIntegers(plan, `${value}.axis`, [graphAxis(fileAxis, rank)]);
  let start = 0;
  for (const output of step.outputs) {
    const name = plan.name(output);
    const end = start + plan.shape(output)[fileAxis]!;
    const limits = [storeIntegers(plan, `${name}.start`, [start]), storeIntegers(plan, `${name}.end`, [end])];
    plan.set(output, plan.node('Slice', name, [value, ...limits, axes], {}));
    start = end;
  }
  return undefined;
};

/** RESIZE_BILINEAR and RESIZE_NEAREST_NEIGHBOR of images to a constant size. */
export const raiseResize =
  (mode: 'linear' | 'nearest'): Raising =>
  (step, plan) => {
    const value = plan.value(step.inputs[0]!);
    const [height, width] = plan.integers(step.inputs[1]) ?? [];
    const shape = plan.shape(step.inputs[0]!);
    if (value === undefined || !height || !width || shape.length !== 4) return 'its size is no constant';
    const isAligned = numberOption(step, 'align_corners') !== 0;
    const isCentred = numberOption(step, 'half_pixel_centers') !== 0;
    if (mode === 'nearest' && (isAligned || isCentred))
      return 'it takes the nearest element in a way that graft does not have';
    const name = plan.name(step.outputs[0]!);
    const scales = float32([4], [1, 1, scaleTo(shape[1]!, height), scaleTo(shape[2]!, width)]);
    plan.set(
      step.outputs[0]!,
      plan.node('Resize', name, [value, '', plan.store(`${name}.scales`, scales)], {
        mode,
        coordinate_transformation_mode: isAligned ? 'align_corners' : isCentred ? 'half_pixel' : 'asymmetric',
        nearest_mode: 'floor',
      }),
    );
    return undefined;
  };

/** The factor from one size to another: out = floor(in * scale), which rounding to float32 must not make one less. */
function scaleTo(from: number, to: number): number {
  const scale = Math.fround(to / from);
  return Math.floor(from * scale) === to ? scale : Math.fround(scale * (1 + 2 ** -22));
}
