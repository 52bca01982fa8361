// What a lowering may ask and do: the layout and shape of every value, who reads it, and the operators made so far.
import { createHash } from 'node:crypto';
import type { Graph, Node } from '../onnx/graph.ts';
import type { SupportedOp } from '../onnx/ops.ts';
import { sizeOf, type Tensor, toNumbers, transpose } from '../tensor/tensor.ts';
import { bytesOf, type KnownOperator, type TfliteTensor } from './model.ts';
import { Activation, type OperatorName, type OperatorOptions } from './schema.ts';

/**
 * How the graph and the file lay out the same value. TFLite has images as [1, H, W, C] only:
 * `NHWC` the graph does too (before its Transpose); `NCHW` the graph says [1, C, H, W]; `flat` no image, same in both.
 */
export type Layout = 'NHWC' | 'NCHW' | 'flat';

/** A computed value: its layout in the graph, and its shape in the file. */
export interface Value {
  readonly layout: Layout;
  readonly shape: readonly number[];
  /** Element type. Default FLOAT32. */
  readonly type?: 'INT32';
}

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
  /** Values that are the same data in the file as another value. */
  readonly aliases: Map<string, string>;
  /** Values that the file has without a factor, which the weights that read them take over: graph = factor * file. */
  readonly pendingScale: Map<string, number>;
  /** Nodes that another one has swallowed. */
  readonly swallowed: Set<Node>;
  /** Index of a value of the graph, made on first use. */
  tensor(name: string): number;
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

/** Where an axis of the graph lies in the file, or -1 when there is no such axis. */
export function fileAxis(value: Value, axis: number): number {
  const rank = value.shape.length;
  const positive = axis < 0 ? axis + rank : axis;
  if (positive < 0 || positive >= rank) return -1;
  return value.layout === 'NCHW' ? [0, 3, 1, 2][positive]! : positive;
}

/**
 * A constant operand of an element-wise op as the file wants it: the axes of `layout` moved, leading ones dropped.
 * Undefined when it would change the rank of the value it is combined with.
 */
export function operandTensor(tensor: Tensor<'float32'>, value: Value): Tensor<'float32'> | undefined {
  const rank = value.shape.length;
  if (tensor.shape.length > rank) return undefined;
  const padded = { ...tensor, shape: [...new Array<number>(rank - tensor.shape.length).fill(1), ...tensor.shape] };
  const { shape, data } = value.layout === 'NCHW' ? transpose(padded, [0, 2, 3, 1]) : padded;
  const first = shape.findIndex(dim => dim !== 1);
  return { dtype: 'float32', shape: first < 0 ? [1] : shape.slice(first), data };
}

/** The shape of a with b by the broadcasting rule, or undefined when they do not go together. */
export function broadcast(a: readonly number[], b: readonly number[]): number[] | undefined {
  const rank = Math.max(a.length, b.length);
  const out: number[] = [];
  for (let i = 0; i < rank; i++) {
    const x = a[a.length - rank + i] ?? 1;
    const y = b[b.length - rank + i] ?? 1;
    if (x !== y && x !== 1 && y !== 1) return undefined;
    out.push(x === 1 ? y : x);
  }
  return out;
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

/** An empty file; its tensors are numbered in the order of first use. */
export function startPlan(facts: Facts): Plan & { tensors: TfliteTensor[]; operators: KnownOperator[] } {
  const tensors: TfliteTensor[] = [];
  const operators: KnownOperator[] = [];
  const places = new Map<string, number>();
  const stored = new Map<string, number>();
  const aliases = new Map<string, string>();
  const place = (name: string, shape: readonly number[]): number => {
    const known = places.get(name);
    if (known !== undefined) return known;
    places.set(name, tensors.length);
    return tensors.push({ name, type: facts.values.get(name)?.type ?? 'FLOAT32', shape }) - 1;
  };
  return {
    ...facts,
    aliases,
    pendingScale: new Map(),
    swallowed: new Set(),
    tensors,
    operators,
    tensor(name) {
      let source = name;
      while (aliases.has(source)) source = aliases.get(source)!;
      return place(source, getValue(facts, source).shape);
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
      operators.push({ op, version, inputs, outputs, options } as KnownOperator);
      return outputs[0]!;
    },
  };
}
