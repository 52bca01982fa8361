// What a row of the tables of conversion may ask about its node and do to the graph.
import { sizeOf } from '../tensor/tensor.ts';
import { BATCHES, type Both, type Draft } from './draft.ts';
import { sameLiteral, sliceLiteral } from './literal.ts';
import type { ElementType, Literal, OnnxNode } from './model.ts';
import { type NodeReader, nodeReader } from './node-reader.ts';
import type { OpAttributes, SupportedOp } from './ops.ts';
import type { Shape } from './shapes.ts';

/** A value of the file: computed from the input, or constant, which may depend on the number of photos. */
export type Value =
  | { readonly kind: 'computed'; readonly name: string; readonly dtype: ElementType }
  | { readonly kind: 'constant'; readonly name: string; readonly read: (which: 0 | 1) => Literal };

/** A node while it is converted. */
export interface NodeContext extends NodeReader {
  /** The batch that the file fixes; undefined where it leaves it open. */
  readonly fixedBatch: number | undefined;
  value(i: number): Value;
  /** Input i as the graph knows it; a constant is stored. '' for one that is left out. */
  x(i?: number): string;
  /** Shapes of input i, or of a value of the graph. */
  shapes(of: number | string): Both<Shape>;
  rank(of: number | string): number;
  /** A dimension that does not depend on the number of photos. */
  dim(of: number | string, axis: number): number;
  /** A constant input for any number of photos: one that is repeated for each has one element along that axis. */
  literal(i: number): Literal;
  /** The numbers of one. */
  ints(i: number): number[];
  /** The numbers of a constant input for both numbers of photos. */
  intsOfBoth(i: number): Both<number[]>;
  /** Whether anything reads an output behind the first. */
  readonly hasMoreOutputs: boolean;
  emit<O extends SupportedOp>(op: O, inputs: readonly string[], attributes: OpAttributes[O]): string;
  scalar(value: number): string;
  intConstant(values: readonly number[]): string;
  /** Stores a constant that the file does not have. */
  constant(literal: Literal, suffix: string): string;
  /** Reshapes to known shapes, for any number of photos; nothing is emitted where the shape stays. */
  reshape(x: string, shapes: Both<Shape>): string;
}

/** A row: gives the first output, or all, by their names in the graph; or an input itself, where nothing is left to do. */
export type Conversion = (node: NodeContext) => string | readonly string[];

/** Whether both are equal. */
export const isSame = ([a, b]: Both<Shape>): boolean => a.join() === b.join();

/** What a number that grows evenly with the number of photos is for `batch` of them. */
function atBatch([a, b]: Both<number>, batch: number): number {
  const [m, n] = BATCHES;
  return a + ((b - a) / (n - m)) * (batch - m);
}

/** A shape for `batch` photos. */
export const shapeAt = ([a, b]: Both<Shape>, batch: number): number[] =>
  a.map((dim, i) => atBatch([dim, b[i]!], batch));

/** The axis of the batch: the first that differs; undefined without one. */
export function batchAxis([a, b]: Both<Shape>): number | undefined {
  const axis = a.findIndex((dim, i) => dim !== b[i]);
  return axis < 0 ? undefined : axis;
}

/** What all nodes of a model share. */
export interface Conversions {
  readonly opset: number;
  readonly draft: Draft;
  readonly fixedBatch: number | undefined;
  /** The values that were made before. */
  lookUp(name: string): Value;
  /** Names of the values that are read. */
  readonly read: ReadonlySet<string>;
}

/** Opens a node for its row. */
export function nodeContext(node: OnnxNode, { opset, draft, fixedBatch, lookUp, read }: Conversions): NodeContext {
  const reader = nodeReader(node, opset);
  const base = node.outputs.find(output => output !== '') ?? node.op;
  const n: NodeContext = {
    ...reader,
    fixedBatch,
    hasMoreOutputs: node.outputs.slice(1).some(output => read.has(output)),
    value(i) {
      if (!reader.has(i)) reader.fail(`its input ${i} is missing`);
      return lookUp(node.inputs[i]!);
    },
    x(i = 0) {
      if (!reader.has(i)) return i === 0 ? reader.fail('its input 0 is missing') : '';
      const value = n.value(i);
      return value.kind === 'computed' ? value.name : draft.constant(batchFree(reader, draft, value), value.name);
    },
    shapes(of) {
      if (typeof of === 'string') return draft.shapesOf(of);
      const value = n.value(of);
      return value.kind === 'computed' ? draft.shapesOf(value.name) : [value.read(0).shape, value.read(1).shape];
    },
    rank: of => n.shapes(of)[0].length,
    dim(of, axis) {
      const [a, b] = n.shapes(of);
      if (a[axis] === undefined) return reader.fail(`a dimension ${axis} of [${a.join(', ')}]`);
      return a[axis] === b[axis] ? a[axis] : reader.refuse(`its dimension ${axis} depends on the number of photos`);
    },
    literal(i) {
      const value = n.value(i);
      if (value.kind === 'computed') return reader.refuse(`its input ${i} is computed, and a constant is wanted`);
      return batchFree(reader, draft, value);
    },
    ints: i => Array.from(n.literal(i).data),
    intsOfBoth(i) {
      const value = n.value(i);
      if (value.kind === 'computed') return reader.refuse(`its input ${i} is computed, and a constant is wanted`);
      return [Array.from(value.read(0).data), Array.from(value.read(1).data)];
    },
    emit: (op, inputs, attributes) => draft.emit(op, inputs, attributes, `${base}/${op}`),
    scalar: value => draft.scalar(value),
    intConstant: values => draft.ints(values),
    constant(literal, suffix) {
      draft.spend(literal.data.length);
      return draft.constant(literal, `${base}/${suffix}`);
    },
    reshape(x, wanted) {
      const given = draft.shapesOf(x);
      if (given.every((shape, which) => shape.join() === wanted[which]!.join())) return x;
      return n.emit('Reshape', [x, draft.ints(reshapeTarget(reader, given, wanted))], {});
    },
  };
  return n;
}

/** The list that Reshape gets: 0 copies a dimension of the batch, -1 stands for what is left. */
function reshapeTarget(reader: NodeReader, given: Both<Shape>, [first, second]: Both<Shape>): number[] {
  if (sizeOf(given[0]) !== sizeOf(first) || sizeOf(given[1]) !== sizeOf(second) || first.length !== second.length) {
    reader.fail(`[${given[0].join(', ')}] cannot be reshaped to [${first.join(', ')}]`);
  }
  if (sizeOf(first) === 0) reader.refuse('its input has no elements');
  const target = first.map((dim, axis) => {
    if (dim === second[axis]) return dim;
    return given[0][axis] === dim && given[1][axis] === second[axis] ? 0 : -1;
  });
  if (target.filter(dim => dim === -1).length > 1)
    reader.refuse('two of its dimensions depend on the number of photos');
  return target;
}

/** A constant as it is for any number of photos: with one element along the axis that is repeated for each. */
function batchFree(reader: NodeReader, draft: Draft, value: Extract<Value, { kind: 'constant' }>): Literal {
  const [a, b] = [value.read(0), value.read(1)];
  if (a === b) return a;
  draft.spend(a.data.length + b.data.length);
  if (sameLiteral(a, b)) return a;
  const axis = batchAxis([a.shape, b.shape]);
  if (axis !== undefined && a.shape.length === b.shape.length) {
    const one = (given: Literal, at: number) =>
      sliceLiteral(
        given,
        given.shape.map((dim, i) =>
          i === axis ? { start: at, length: 1, step: 1 } : { start: 0, length: dim, step: 1 },
        ),
      );
    const first = one(a, 0);
    const rows = [a, b].flatMap(given => Array.from({ length: given.shape[axis]! }, (_, at) => one(given, at)));
    if (rows.every(row => sameLiteral(row, first))) return first;
  }
  return reader.refuse(`its constant input ${value.name} depends on the number of photos`);
}
