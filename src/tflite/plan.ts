// What a lowering may ask and do: the order of axes and shape of every value, who reads it, and the operators made so far.
import { createHash } from 'node:crypto';
import type { Graph, Node } from '../onnx/graph.ts';
import type { SupportedOp } from '../onnx/ops.ts';
import { sizeOf, type Tensor, toNumbers } from '../tensor/tensor.ts';
import { arranged, compactMovement, isSameOrder, type Value, widened } from './axes.ts';
import { bytesOf, type KnownOperator, type TfliteTensor } from './model.ts';
import { Activation, type OperatorName, type OperatorOptions, type TensorTypeName } from './schema.ts';

/** Why a node cannot be lowered, and what to do about it. */
export interface Refusal {
  readonly problem: string;
  readonly remedy: string;
}

/** What is known before anything is built. */
export interface Facts {
  readonly graph: Graph;
  /** Computed values by name; constants are not here. */
  readonly values: ReadonlyMap<string, Value>;
  /** Nodes that read a value, once per use; only nodes that the outputs need. */
  readonly readers: ReadonlyMap<string, readonly Node[]>;
  constant(name: string | undefined): Tensor | undefined;
  /** The only node that reads `name`, when it is read once and is no output of the graph. */
  onlyReader(name: string): Node | undefined;
}

/** The file under construction. */
export interface Plan extends Facts {
  /** Values that the file has without a factor, which the weights that read them take over: graph = factor * file. */
  readonly pendingScale: Map<string, number>;
  /** Nodes that another one has swallowed. */
  readonly swallowed: Set<Node>;
  /** Index of a value of the graph, made on first use. */
  tensor(name: string): number;
  /** Index of a value with its axes in another order, of its rank or more; moves them where their place in memory changes. */
  arrange(name: string, order: readonly number[]): number;
  /** Index of a tensor with the numbers of a value in another order of axes, in any shape. */
  numbers(name: string, order: readonly number[]): number;
  /** The same numbers in another shape: the tensor itself where it has that shape, else one that is called `name`. */
  reshape(tensor: number, shape: readonly number[], name: string): number;
  /** Makes the tensor's numbers those of `output`; they get their shape where it is read. */
  alias(output: string, tensor: number): void;
  /** Index of a tensor of the graph's output `name`, which bears this name and has the axes in `order`. */
  output(name: string, order: readonly number[]): number;
  /** Index of a constant; equal constants have one index. */
  store(name: string, tensor: Tensor): number;
  /** Appends an operator that makes the value `output`, and those of `further`, all of `shape`; returns the index of `output`. */
  emit<O extends OperatorName>(
    op: O,
    inputs: readonly number[],
    output: string,
    shape: readonly number[],
    options: OperatorOptions<O>,
    version?: number,
    further?: readonly string[],
  ): number;
}

/** How one op of the graph becomes operators of the file. */
export interface Lowering<O extends SupportedOp> {
  /** The value that the node makes, or one per output, or why it cannot be made. */
  infer(node: Node<O>, facts: Facts): Value | readonly Value[] | Refusal;
  /** Appends the operators. Called only when no node of the graph was refused. */
  emit(node: Node<O>, plan: Plan): void;
}

/** True for a refusal. */
export const isRefusal = (answer: Value | readonly Value[] | Refusal): answer is Refusal => 'problem' in answer;

/** The value of a computed input. Its absence is a defect in the order of nodes, found before. */
export function getValue(facts: Facts, name: string | undefined): Value {
  const value = name === undefined ? undefined : facts.values.get(name);
  if (!value) throw new Error(`Nothing computes ${name}.`);
  return value;
}

/** A float32 constant input, or undefined when it is computed, absent or of another type. */
export function floatConstant(facts: Facts, name: string | undefined): Tensor<'float32'> | undefined {
  const tensor = facts.constant(name);
  return tensor?.dtype === 'float32' ? tensor : undefined;
}

/** The one number of a constant scalar input. */
export function scalarConstant(facts: Facts, name: string | undefined): number | undefined {
  const tensor = facts.constant(name);
  return tensor && sizeOf(tensor.shape) === 1 ? toNumbers(tensor)[0] : undefined;
}

/** An int32 constant, as operators want axes, paddings and counts. */
export function int32(shape: readonly number[], values: readonly number[]): Tensor<'int32'> {
  return { dtype: 'int32', shape, data: Int32Array.from(values) };
}

/** The activation that a node is, if an operator can apply it to its own output. */
export function activationOf(facts: Facts, node: Node | undefined): number {
  if (node?.op === 'Relu') return Activation.RELU;
  if (
    node?.op === 'Clip' &&
    scalarConstant(facts, node.inputs[1]) === 0 &&
    scalarConstant(facts, node.inputs[2]) === 6
  ) {
    return Activation.RELU6;
  }
  return Activation.NONE;
}

/** Swallows the activation that alone reads the node's output; tells which it is and what the operator then makes. */
export function fuseActivation(node: Node, plan: Plan): { activation: number; output: string } {
  const output = node.outputs[0]!;
  const reader = plan.onlyReader(output);
  const activation = activationOf(plan, reader);
  if (!reader || activation === Activation.NONE) return { activation: Activation.NONE, output };
  plan.swallowed.add(reader);
  return { activation, output: reader.outputs[0]! };
}

/** Most axes that the first version of TRANSPOSE takes. */
const MAX_TRANSPOSED = 4;

/** An empty file; its tensors are numbered in the order of first use. */
export function startPlan(facts: Facts): Plan & { tensors: TfliteTensor[]; operators: KnownOperator[] } {
  const tensors: TfliteTensor[] = [];
  const operators: KnownOperator[] = [];
  const places = new Map<string, number>();
  const stored = new Map<string, number>();
  /** Tensors with the numbers of a value, in order but in any shape. */
  const aliases = new Map<string, number>();
  const typeOf = (name: string): TensorTypeName => facts.values.get(name)?.type ?? 'FLOAT32';
  const place = (name: string, shape: readonly number[], type = typeOf(name)): number => {
    const known = places.get(name);
    if (known !== undefined) return known;
    places.set(name, tensors.length);
    return tensors.push({ name, type, shape }) - 1;
  };
  const numbersOf = (name: string): number => aliases.get(name) ?? place(name, getValue(facts, name).shape);
  /** The tensor in another shape, as `output`; itself where it has that shape. */
  const shaped = (index: number, shape: readonly number[], output: string): number => {
    const { type, shape: given } = tensors[index]!;
    if (given.join() === shape.join()) return index;
    if (!places.has(output)) appendReshape(index, shape, place(output, shape, type));
    return places.get(output)!;
  };
  const appendReshape = (index: number, shape: readonly number[], output: number): void => {
    const target = plan.store(`${tensors[output]!.name}.shape`, int32([shape.length], shape));
    append('RESHAPE', [index, target], [output], { new_shape: shape });
  };
  const append = (
    op: OperatorName,
    inputs: readonly number[],
    outputs: readonly number[],
    options: object,
    version = 1,
  ) => {
    operators.push({ op, version, inputs, outputs, options } as unknown as KnownOperator);
  };
  /** A tensor with the numbers of a value in another order of axes, in any shape. */
  const move = (name: string, order: readonly number[]): number => {
    const value = widened(getValue(facts, name), order.length);
    const { shape, perm } = compactMovement(
      value.shape,
      order.map(axis => value.order.indexOf(axis)),
    );
    const index = numbersOf(name);
    if (perm.every((axis, i) => axis === i)) return index;
    const output = `${name}.axes${order.join('')}`;
    const known = places.get(output);
    if (known !== undefined) return known;
    const isWhole = tensors[index]!.shape.join() === value.shape.join() && value.shape.length <= MAX_TRANSPOSED;
    const from = isWhole ? { shape: value.shape, perm: order.map(axis => value.order.indexOf(axis)) } : { shape, perm };
    const source = shaped(index, from.shape, `${name}.of${shape.join('x')}`);
    const to = from.perm.map(axis => from.shape[axis]!);
    const made = place(output, to, value.type);
    append('TRANSPOSE', [source, plan.store(`${output}.perm`, int32([to.length], from.perm))], [made], {});
    return made;
  };
  const plan: Plan = {
    ...facts,
    pendingScale: new Map(),
    swallowed: new Set(),
    tensor: name => shaped(numbersOf(name), getValue(facts, name).shape, name),
    arrange(name, order) {
      const given = getValue(facts, name);
      if (isSameOrder(order, given.order)) return plan.tensor(name);
      const value = widened(given, order.length);
      return shaped(move(name, order), arranged(value, order).shape, `${name}.order${order.join('')}`);
    },
    numbers: move,
    reshape: shaped,
    alias(output, tensor) {
      aliases.set(output, tensor);
    },
    output(name, order) {
      const value = getValue(facts, name);
      if (places.has(name) && isSameOrder(value.order, order)) return places.get(name)!;
      const numbers = move(name, order);
      const known = places.get(name);
      if (known !== undefined) tensors[known] = { ...tensors[known]!, name: `${name}.inner` };
      places.delete(name);
      const { shape } = arranged(value, order);
      const made = place(name, shape, value.type);
      appendReshape(numbers, shape, made);
      return made;
    },
    store(name, tensor) {
      const data = bytesOf(tensor);
      const key = `${tensor.dtype} [${tensor.shape}] ${createHash('sha256').update(data).digest('base64')}`;
      const known = stored.get(key);
      if (known !== undefined) return known;
      const type = ({ float32: 'FLOAT32', int32: 'INT32' } as const)[tensor.dtype as 'float32' | 'int32'];
      stored.set(key, tensors.length);
      return tensors.push({ name, type, shape: tensor.shape, data }) - 1;
    },
    emit(op, inputs, output, shape, options, version = 1, further = []) {
      const outputs = [output, ...further].map(name => place(name, shape));
      append(op, inputs, outputs, options, version);
      return outputs[0]!;
    },
  };
  return { ...plan, tensors, operators };
}
