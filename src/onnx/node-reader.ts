// What a node says, with the defaults and the changes from opset to opset in one place.
import { MAX_RANK } from './literal.ts';
import { badOnnx, nameOf, type OnnxNode, readAttribute, unsupportedNode } from './model.ts';
import { resolveAxes, type Shape } from './shapes.ts';

/** What attributes mean apart from what the inputs are. */
export interface NodeReader {
  readonly node: OnnxNode;
  readonly opset: number;
  /** Whether input i is there. */
  has(i: number): boolean;
  int(name: string, absent: number): number;
  float(name: string, absent: number): number;
  text(name: string, absent: string): string;
  list(name: string): readonly number[] | undefined;
  /** Ends the import: the node is sound, and graft does not take it. */
  refuse(reason: string): never;
  /** Ends the import: the node is not what ONNX says. */
  fail(problem: string): never;
}

/** Reads a node of a model of the opset. */
export function nodeReader(node: OnnxNode, opset: number): NodeReader {
  return {
    node,
    opset,
    has: i => (node.inputs[i] ?? '') !== '',
    int: (name, absent) => readAttribute(node, name, 'int') ?? absent,
    float: (name, absent) => readAttribute(node, name, 'float') ?? absent,
    text: (name, absent) => readAttribute(node, name, 'string') ?? absent,
    list: name => readAttribute(node, name, 'ints'),
    refuse(reason) {
      throw unsupportedNode(node, reason);
    },
    fail(problem) {
      throw badOnnx(`${nameOf(node)}: ${problem}`);
    },
  };
}

/** An axis from the front, checked. */
export function checkAxis(reader: NodeReader, axis: number, rank: number): number {
  if (axis < -rank || axis >= rank) reader.fail(`axis ${axis} of ${rank} dimensions`);
  return axis < 0 ? axis + rank : axis;
}

/** Axes from the front, checked, in ascending order. */
export function checkAxes(reader: NodeReader, axes: readonly number[], rank: number): number[] {
  for (const axis of axes) checkAxis(reader, axis, rank);
  const resolved = resolveAxes(axes, rank).sort((a, b) => a - b);
  if (new Set(resolved).size !== resolved.length) reader.fail(`axes [${axes.join(', ')}] name one twice`);
  return resolved;
}

/** Reads numbers of an input that has to be constant. */
export type ReadInts = (i: number) => number[];

/** The axes of Squeeze and Unsqueeze, and of the reductions: an attribute before `since`, input 1 from there on. */
export function axesOf(reader: NodeReader, since: number, ints: ReadInts): readonly number[] | undefined {
  if (reader.opset < since) return reader.list('axes');
  return reader.has(1) ? ints(1) : undefined;
}

/** Opset in which the axes of a reduction became an input. */
const reduceSince = (op: string): number => (op === 'ReduceSum' ? 13 : 18);

/** What a reduction does; undefined axes where it does nothing. */
export function reductionOf(
  reader: NodeReader,
  rank: number,
  ints: ReadInts,
): { readonly axes: number[] | undefined; readonly keepdims: 0 | 1 } {
  const given = axesOf(reader, reduceSince(reader.node.op), ints);
  const keepdims = reader.int('keepdims', 1) === 0 ? 0 : 1;
  if (given && given.length > 0) return { axes: checkAxes(reader, given, rank), keepdims };
  if (reader.int('noop_with_empty_axes', 0) === 1) return { axes: undefined, keepdims };
  return { axes: Array.from({ length: rank }, (_, axis) => axis), keepdims };
}

/** Start, end, axis and step of every range of a Slice: attributes before opset 10. */
export function slicesOf(
  reader: NodeReader,
  rank: number,
  ints: ReadInts,
): { readonly axis: number; readonly start: number; readonly end: number; readonly step: number }[] {
  const isOld = reader.opset < 10;
  const starts = (isOld ? reader.list('starts') : ints(1)) ?? [];
  const ends = (isOld ? reader.list('ends') : ints(2)) ?? [];
  const axes = (isOld ? reader.list('axes') : reader.has(3) ? ints(3) : undefined) ?? starts.map((_, axis) => axis);
  const steps = !isOld && reader.has(4) ? ints(4) : starts.map(() => 1);
  if (ends.length !== starts.length || axes.length !== starts.length || steps.length !== starts.length) {
    reader.fail('its starts, ends, axes and steps differ in number');
  }
  return axes.map((axis, i) => {
    if (steps[i] === 0) reader.fail('a step is 0');
    return { axis: checkAxis(reader, axis, rank), start: starts[i]!, end: ends[i]!, step: steps[i]! };
  });
}

/** Sizes of the parts of a Split: an attribute before opset 13; equal ones where nothing is said, the last one smaller. */
export function splitOf(reader: NodeReader, size: number, ints: ReadInts): readonly number[] {
  const given = reader.opset < 13 ? reader.list('split') : reader.has(1) ? ints(1) : undefined;
  const count = reader.node.outputs.length;
  const each = Math.ceil(size / count);
  const parts = given ?? Array.from({ length: count }, (_, i) => Math.max(0, Math.min(each, size - i * each)));
  if (parts.length !== count || parts.reduce((sum, part) => sum + part, 0) !== size || parts.some(part => part < 0)) {
    reader.fail(`${size} elements cannot be split into [${parts.join(', ')}]`);
  }
  return parts;
}

/** The shape that a Reshape gives; 0 copies unless `allowzero` is set, -1 takes what is left. */
export function reshapedTo(reader: NodeReader, shape: Shape, target: readonly number[]): number[] {
  const copies = reader.int('allowzero', 0) === 0;
  const wanted = target.map((dim, axis) => (dim === 0 && copies ? (shape[axis] ?? -2) : dim));
  const known = wanted.reduce((product, dim) => (dim === -1 ? product : product * dim), 1);
  const size = shape.reduce((product, dim) => product * dim, 1);
  const full = wanted.map(dim => (dim === -1 ? size / known : dim));
  const fits = full.every(dim => Number.isSafeInteger(dim) && dim >= 0) && full.reduce((a, b) => a * b, 1) === size;
  if (!fits || wanted.filter(dim => dim === -1).length > 1) {
    reader.fail(`[${shape.join(', ')}] cannot be reshaped to [${target.join(', ')}]`);
  }
  return full;
}

/** Shape after Unsqueeze. */
export function unsqueezed(reader: NodeReader, shape: Shape, axes: readonly number[]): number[] {
  const rank = shape.length + axes.length;
  if (rank > MAX_RANK) reader.fail(`it makes a value of ${rank} dimensions, more than ${MAX_RANK}`);
  const added = checkAxes(reader, axes, rank);
  const rest = [...shape];
  return Array.from({ length: rank }, (_, axis) => (added.includes(axis) ? 1 : rest.shift()!));
}
