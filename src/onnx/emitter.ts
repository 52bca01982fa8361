// Appends nodes to a graph whose shapes are all known; it names values itself, knows the shape of each, and leaves out
// nodes that would undo one another.
import { float32, int64, sizeOf, type Tensor } from '../tensor/tensor.ts';
import type { Graph, Node, ValueInfo } from './graph.ts';
import type { OpAttributes, SupportedOp } from './ops.ts';
import { inferShape, inferShapes, type Shape } from './shapes.ts';

/** A graph that grows. Values are named strings; every method that makes one returns its name. */
export interface Emitter {
  shapeOf(value: string): Shape;
  /** The tensor behind a constant, undefined for everything else. */
  constantOf(value: string): Tensor | undefined;
  /** All nodes so far, in execution order. */
  nodes(): readonly Node[];
  /** The node that makes a value, undefined for inputs and constants. */
  makerOf(value: string): Node | undefined;
  /** Appends a node with one output, or with more names in `extraOutputs` beside it. */
  emit<O extends SupportedOp>(
    op: O,
    inputs: readonly string[],
    attributes: OpAttributes[O],
    extraOutputs?: readonly string[],
  ): string;
  /** Appends a node as it is; its outputs keep their names. */
  append(node: Node): void;
  /** Channels per block in the values of `nchwc.` ops. */
  readonly channelBlock: number | undefined;
  /** Declares an input. */
  input(info: ValueInfo & { readonly shape: readonly number[] }): string;
  /** Stores a constant. */
  constant(tensor: Tensor): string;
  /** A float32 scalar; equal ones are stored once. */
  scalar(value: number): string;
  /** An int64 list, e.g. of axes; equal ones are stored once. */
  ints(values: readonly number[]): string;
  /** Reshape; nothing is emitted where the value or one that it was reshaped from has the shape. */
  reshape(value: string, shape: Shape): string;
  /** Transpose; a transposition and its inverse cancel. */
  transpose(value: string, perm: readonly number[]): string;
  /** ReduceSum; without axes of a size other than 1 it is a reshape. */
  reduceSum(value: string, axes: readonly number[], keepdims: 0 | 1): string;
  /** A name that no value has. */
  freshName(): string;
  /** Ends the graph. */
  build(outputs: readonly ValueInfo[]): Graph;
}

/**
 * Starts from `graph`, or from nothing.
 * @param dims numbers for the named dimensions of the inputs.
 * @param prefix of the new values' names.
 */
export function startEmitter(graph: Graph, dims: Readonly<Record<string, number>> = {}, prefix = 'v'): Emitter {
  const shapes = inferShapes(graph, dims);
  const inputs = graph.inputs.map(info => ({ ...info, shape: shapes.get(info.name)! }));
  const constants = new Map(graph.constants);
  const nodes = [...graph.nodes];
  const makers = new Map<string, Node>();
  for (const node of nodes) for (const output of node.outputs) makers.set(output, node);
  const shared = new Map<string, string>();
  let count = 0;
  const freshName = () => {
    for (;;) {
      const name = `${prefix}.${count++}`;
      if (!shapes.has(name)) return name;
    }
  };
  const shapeOf = (value: string): Shape => {
    const shape = shapes.get(value);
    if (!shape) throw new RangeError(`Nothing makes the value "${value}".`);
    return shape;
  };
  const share = (key: string, tensor: Tensor) => {
    const known = shared.get(key) ?? emitter.constant(tensor);
    shared.set(key, known);
    return known;
  };
  const emitter: Emitter = {
    shapeOf,
    constantOf: value => constants.get(value),
    nodes: () => nodes,
    makerOf: value => makers.get(value),
    freshName,
    emit(op, from, attributes, extraOutputs = []) {
      const name = freshName();
      emitter.append({ op, name, inputs: from, outputs: [name, ...extraOutputs], attributes } as unknown as Node);
      return name;
    },
    append(node) {
      const shape = inferShape(node, shapeOf, value => constants.get(value));
      for (const output of node.outputs) {
        if (output === '') continue;
        shapes.set(output, shape);
        makers.set(output, node);
      }
      nodes.push(node);
    },
    channelBlock: graph.channelBlock,
    input(info) {
      inputs.push(info);
      shapes.set(info.name, info.shape);
      return info.name;
    },
    constant(tensor) {
      const name = freshName();
      constants.set(name, tensor);
      shapes.set(name, tensor.shape);
      return name;
    },
    scalar: value => share(`scalar ${value}`, float32([], [value])),
    ints: values => share(`ints ${values}`, int64([values.length], values)),
    reshape(value, shape) {
      if (shapeOf(value).join() === shape.join()) return value;
      const maker = makers.get(value);
      if (maker?.op === 'Reshape') return emitter.reshape(maker.inputs[0]!, shape);
      return emitter.emit('Reshape', [value, emitter.ints(shape)], {});
    },
    transpose(value, perm) {
      if (perm.every((axis, i) => axis === i)) return value;
      const maker = makers.get(value);
      if (maker?.op === 'Transpose') {
        const inner = maker.attributes.perm;
        return emitter.transpose(
          maker.inputs[0]!,
          perm.map(axis => inner[axis]!),
        );
      }
      return emitter.emit('Transpose', [value], { perm });
    },
    reduceSum(value, axes, keepdims) {
      const shape = shapeOf(value);
      const kept = shape.map((dim, axis) => (axes.includes(axis) ? 1 : dim));
      const final = keepdims ? kept : shape.filter((_, axis) => !axes.includes(axis));
      if (sizeOf(kept) === sizeOf(shape)) return emitter.reshape(value, final);
      return emitter.emit('ReduceSum', [value, emitter.ints(axes)], { keepdims });
    },
    build: outputs => ({ ...graph, inputs, outputs, constants, nodes }),
  };
  return emitter;
}

/** A graph with nothing in it. */
export function emptyGraph(name: string): Graph {
  return { name, inputs: [], outputs: [], constants: new Map(), nodes: [], metadata: {} };
}
