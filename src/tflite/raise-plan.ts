// What a row of the table of raisings may ask and do: tensors of the file, their values in the graph, and new nodes.
import type { GraphBuilder } from '../onnx/builder.ts';
import type { OpAttributes, SupportedOp } from '../onnx/ops.ts';
import { float32, int64, sizeOf, type Tensor, transpose } from '../tensor/tensor.ts';
import type { TfliteTensor } from './model.ts';
import { Activation, type tensorTypes } from './schema.ts';

/** Axes of the file in the order of the graph, for an image, and the way back. */
export const TO_NCHW: readonly number[] = [0, 3, 1, 2];
export const TO_NHWC: readonly number[] = [0, 2, 3, 1];

/** An operator of the file. */
export interface Step {
  /** The name of the operator. */
  readonly op: string;
  /** Tensor indexes; -1 is an optional input that is absent. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
  readonly options: Readonly<Record<string, unknown>>;
}

/** Why an operator has no place in the graph. */
export type Problem = string;

/** Appends the nodes of an operator; returns why it cannot be done, before anything that would be in the way. */
export type Raising = (step: Step, plan: RaisePlan) => Problem | undefined;

/** The graph under construction. Images, which are all tensors with four axes, are NCHW in it and NHWC in the file. */
export interface RaisePlan {
  tensor(index: number): TfliteTensor;
  /** Shape in the file. */
  shape(index: number): readonly number[];
  /** The graph's name for a computed tensor; undefined for a constant. */
  value(index: number): string | undefined;
  /** The numbers of a constant, in the layout of the file. */
  constant(index: number | undefined, scale?: readonly number[]): Tensor<'float32'> | undefined;
  /** The whole numbers of a constant: axes, paddings, sizes. */
  integers(index: number | undefined): readonly number[] | undefined;
  /** The name of a tensor. */
  name(index: number): string;
  /** A name like `base` that nothing has. */
  fresh(base: string): string;
  /** Stores a constant that comes from a tensor of the file, under its name; laid out in another way, under one like it. */
  storeOf(index: number, tensor: Tensor): string;
  /** Stores a constant under a name like `base`. */
  store(base: string, tensor: Tensor): string;
  node<O extends SupportedOp>(op: O, name: string, inputs: readonly string[], attributes: OpAttributes[O]): string;
  /** Says that `value` is the tensor. */
  set(index: number, value: string): void;
  /** Images that were padded with zeros: what is under the padding, and its width at the top, left, bottom and right. */
  readonly padded: Map<string, { readonly value: string; readonly pads: readonly [number, number, number, number] }>;
  /** Values of the graph that are NCHW, and the same in the order of the file. */
  readonly inFileOrder: Map<string, string>;
}

/** The state of an empty graph. `tensors` are those of the file. */
export function startRaisePlan(
  graph: GraphBuilder,
  tensors: readonly TfliteTensor[],
  constants: Pick<RaisePlan, 'constant' | 'integers'>,
): RaisePlan {
  const taken = new Set<string>();
  const fresh = (base: string): string => {
    let name = base;
    for (let i = 1; taken.has(name); i++) name = `${base}.${i}`;
    taken.add(name);
    return name;
  };
  // Names of a file may be empty, and need not differ. Converters list all that was fused into an operator: the first counts.
  const names = tensors.map(({ name }, index) => fresh(name.split(';', 1)[0] || `tensor.${index}`));
  const values = new Map<number, string>();
  const stored = new Map<number, { readonly name: string; readonly tensor: Tensor }[]>();
  return {
    ...constants,
    tensor: index => tensors[index]!,
    shape: index => tensors[index]!.shape,
    value: index => values.get(index),
    name: index => names[index]!,
    fresh,
    storeOf(index, tensor) {
      const name = names[index]!;
      const known = stored.get(index) ?? [];
      const same = known.find(other => isSame(other.tensor, tensor));
      if (same) return same.name;
      const free = known.length === 0 ? name : fresh(name);
      stored.set(index, [...known, { name: free, tensor }]);
      return graph.constant(free, tensor);
    },
    store: (base, tensor) => graph.constant(fresh(base), tensor),
    node: (op, name, inputs, attributes) => graph.node(op, name, inputs, attributes),
    set: (index, value) => values.set(index, value),
    padded: new Map(),
    inFileOrder: new Map(),
  };
}

function isSame(a: Tensor, b: Tensor): boolean {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return false;
  for (let i = 0; i < a.data.length; i++) if (a.data[i] !== b.data[i]) return false;
  return true;
}

/** A list of whole numbers as an input of a node. */
export const storeIntegers = (plan: RaisePlan, base: string, values: readonly number[]): string =>
  plan.store(base, int64([values.length], values));

/** A number as an input of a node. */
export const storeScalar = (plan: RaisePlan, base: string, value: number): string =>
  plan.store(base, float32([], [value]));

/** An option that is a number, or true and false as 1 and 0. */
export const numberOption = (step: Step, name: string, absent = 0): number => Number(step.options[name] ?? absent);

/** Where an axis of the file is in the graph; axes may count from the end. */
export function graphAxis(axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis;
  return rank === 4 ? (TO_NHWC.indexOf(positive) >= 0 ? TO_NCHW.indexOf(positive) : positive) : positive;
}

/** A computed tensor in the order of the file: images as NHWC. */
export function valueInFileOrder(plan: RaisePlan, index: number): string {
  const value = plan.value(index)!;
  if (plan.shape(index).length !== 4) return value;
  const known = plan.inFileOrder.get(value);
  if (known !== undefined) return known;
  const moved = plan.node('Transpose', plan.fresh(`${value}.nhwc`), [value], { perm: TO_NHWC });
  plan.inFileOrder.set(value, moved);
  return moved;
}

/**
 * Makes the tensor `index` by a node that gives it in the order of the file.
 * @param make appends the node under the name that it gets.
 */
export function setFromFileOrder(plan: RaisePlan, index: number, make: (name: string) => string): void {
  const name = plan.name(index);
  if (plan.shape(index).length !== 4) {
    plan.set(index, make(name));
    return;
  }
  const made = make(plan.fresh(`${name}.nhwc`));
  plan.set(index, plan.node('Transpose', name, [made], { perm: TO_NCHW }));
  plan.inFileOrder.set(name, made);
}

/**
 * A constant operand of an element-wise op with a value of `rank` axes: laid out as the graph has that value. Axes along
 * which nothing changes become 1, as some converters write three numbers per channel out for a whole row.
 */
export function operandOf(tensor: Tensor<'float32'>, rank: number): Tensor<'float32'> {
  if (tensor.data.length === 1) return float32([], tensor.data);
  let { shape, data } = tensor;
  for (let axis = 0; axis < shape.length; axis++) {
    const inner = sizeOf(shape.slice(axis + 1));
    const repeats = shape[axis]!;
    if (repeats === 1) continue;
    const isConstant = data.every((value, i) => value === data[i - (Math.floor(i / inner) % repeats) * inner]);
    if (!isConstant) continue;
    data = data.filter((_, i) => Math.floor(i / inner) % repeats === 0);
    shape = shape.map((dim, i) => (i === axis ? 1 : dim));
  }
  if (data.length === 1) return float32([], data);
  if (rank !== 4) return float32(shape, data);
  const wide = [...new Array<number>(4 - shape.length).fill(1), ...shape];
  return transpose(float32(wide, data), TO_NCHW);
}

/** Limits of the activations that an operator applies to its own output, but for TANH. */
const fusedLimits: Readonly<Record<number, readonly [number, number]>> = {
  [Activation.RELU_N1_TO_1]: [-1, 1],
  [Activation.RELU6]: [0, 6],
};

/** Element types whose range may stand for an activation, with their smallest and largest stored numbers. */
const smallIntegers: Readonly<Partial<Record<keyof typeof tensorTypes, readonly [number, number]>>> = {
  INT8: [-128, 127],
  UINT8: [0, 255],
};

/** Lower and upper end of what a quantised tensor can hold; undefined for floats. */
export function storedRange({ type, quantization }: TfliteTensor): readonly [number, number] | undefined {
  const limits = smallIntegers[type];
  if (!limits || quantization?.scale.length !== 1) return undefined;
  const [scale, zero] = [quantization.scale[0]!, quantization.zeroPoint[0]!];
  return [scale * (limits[0] - zero), scale * (limits[1] - zero)];
}

/**
 * Makes a step's output: what `make` appends, and behind it the activation that the operator applies itself. Converters leave
 * out a ReLU or ReLU6 that the output's own range, from 0 on, does already: such a range is kept as Clip.
 * @param clamps whether the step computes numbers that may lie outside of the range of its output.
 */
export function finishStep(step: Step, plan: RaisePlan, clamps: boolean, make: (name: string) => string): void {
  const output = step.outputs[0]!;
  const name = plan.name(output);
  const fused = numberOption(step, 'fused_activation_function');
  const range = storedRange(plan.tensor(output));
  const limits = fusedLimits[fused] ?? (fused === Activation.NONE && clamps && range?.[0] === 0 ? range : undefined);
  if (fused === Activation.NONE && !limits) {
    plan.set(output, make(name));
    return;
  }
  const linear = make(plan.fresh(`${name}.linear`));
  plan.set(
    output,
    limits
      ? clip(plan, name, linear, limits)
      : plan.node(fused === Activation.TANH ? 'Tanh' : 'Relu', name, [linear], {}),
  );
}

/** Appends a Clip. */
export function clip(plan: RaisePlan, name: string, value: string, limits: readonly [number, number]): string {
  const ends = [storeScalar(plan, `${name}.lowest`, limits[0]), storeScalar(plan, `${name}.highest`, limits[1])];
  return plan.node('Clip', name, [value, ...ends], {});
}

/** Whether graft knows the fused activation of a step. */
export const hasKnownActivation = (step: Step): boolean =>
  [Activation.NONE, Activation.RELU, Activation.RELU_N1_TO_1, Activation.RELU6, Activation.TANH].includes(
    numberOption(step, 'fused_activation_function') as 0,
  );
