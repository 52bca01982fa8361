// Which axis of the graph each axis of the file is. TFLite has images as [1, H, W, C], so that the order of axes differs from
// the graph's; moving axes in the graph changes only the order, until an operator or a reshape needs another one.
import { sizeOf, type Tensor, transpose } from '../tensor/tensor.ts';

/** A computed value. */
export interface Value {
  /** Axis i of the file is axis `order[i]` of the graph. */
  readonly order: readonly number[];
  /** Shape in the file. */
  readonly shape: readonly number[];
  /** Element type. Default FLOAT32. */
  readonly type?: 'INT32';
}

/** The order in which the file has an image that the graph has as [N, C, H, W]. */
export const IMAGE_ORDER: readonly number[] = [0, 2, 3, 1];

/** The graph's own order. */
export const graphOrder = (rank: number): number[] => Array.from({ length: rank }, (_, axis) => axis);

/** A value that the file has as the graph has it. */
export const plainValue = (shape: readonly number[]): Value => ({ order: graphOrder(shape.length), shape });

/** True where both have the same axes in the same places. */
export const isSameOrder = (a: readonly number[], b: readonly number[]): boolean => a.join() === b.join();

/** The shape by the axes of the graph. */
export function graphShape({ order, shape }: Value): number[] {
  const out = new Array<number>(shape.length);
  order.forEach((axis, place) => {
    out[axis] = shape[place]!;
  });
  return out;
}

/** The same value with its axes in another order. */
export function arranged(value: Value, order: readonly number[]): Value {
  const shape = graphShape(value);
  return { ...value, order, shape: order.map(axis => shape[axis]!) };
}

/** The value with axes of size 1 before its own, as broadcasting adds them. */
export function widened({ order, shape, ...rest }: Value, rank: number): Value {
  const added = rank - order.length;
  return {
    ...rest,
    order: [...graphOrder(added), ...order.map(axis => axis + added)],
    shape: [...new Array<number>(added).fill(1), ...shape],
  };
}

/** Where an axis of the graph lies in the file, or -1 when there is no such axis. */
export function fileAxis({ order }: Value, axis: number): number {
  return order.indexOf(axis < 0 ? axis + order.length : axis);
}

/** The order with these axes of the graph last, in the order given. */
export const withLast = (order: readonly number[], last: readonly number[]): number[] => [
  ...order.filter(axis => !last.includes(axis)),
  ...last,
];

/** The order that is left of the axes that are not `gone`, numbered anew. */
export function withoutAxes(order: readonly number[], gone: readonly number[]): number[] {
  const kept = graphOrder(order.length).filter(axis => !gone.includes(axis));
  return order.filter(axis => !gone.includes(axis)).map(axis => kept.indexOf(axis));
}

/**
 * A constant operand of an element-wise op as the file wants it: its axes moved, leading ones dropped.
 * Undefined when it would change the rank of the value it is combined with.
 */
export function operandTensor(tensor: Tensor<'float32'>, { order }: Value): Tensor<'float32'> | undefined {
  const rank = order.length;
  if (tensor.shape.length > rank) return undefined;
  const padded = { ...tensor, shape: [...new Array<number>(rank - tensor.shape.length).fill(1), ...tensor.shape] };
  const { shape, data } = isSameOrder(order, graphOrder(rank)) ? padded : transpose(padded, order);
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

/** A movement of axes with the fewest of them: those of size 1 left out, neighbours that stay together joined. */
export interface Movement {
  readonly shape: readonly number[];
  /** Axis of `shape` that goes to each place; ascending where nothing moves in memory. */
  readonly perm: readonly number[];
}

/** @param perm axis of `shape` that goes to each place. */
export function compactMovement(shape: readonly number[], perm: readonly number[]): Movement {
  const wide = graphOrder(shape.length).filter(axis => shape[axis] !== 1);
  const runs: number[][] = [];
  for (const axis of perm.filter(candidate => shape[candidate] !== 1)) {
    const run = runs.at(-1);
    if (run && wide.indexOf(run.at(-1)!) + 1 === wide.indexOf(axis)) run.push(axis);
    else runs.push([axis]);
  }
  const inPlace = runs.toSorted((a, b) => a[0]! - b[0]!);
  return {
    shape: inPlace.map(run => sizeOf(run.map(axis => shape[axis]!))),
    perm: runs.map(run => inPlace.indexOf(run)),
  };
}

/** How a value is reshaped: the order that it needs first, and the value that the same numbers then are. */
export interface Reshaping {
  readonly before: readonly number[];
  readonly after: Value;
}

/**
 * The value in the graph's shape `target`, of the same size. Axes that are split or joined have to lie side by side in the
 * file; where they do, as channels that are split into groups or positions that become a list, nothing moves.
 */
export function reshapeValue(input: Value, target: readonly number[]): Reshaping {
  const from = graphShape(input);
  const groups = matchAxes(from, target);
  const place = ({ source }: AxisGroup) => Math.max(...source.map(axis => input.order.indexOf(axis)));
  // A group takes the place of its last axis.
  const inFile = groups.toSorted((a, b) => place(a) - place(b));
  const isKept = groups.every(({ source }) => isInLine(input, source));
  const narrow = input.order.filter(axis => from[axis] === 1);
  const order = inFile.flatMap(group => group.target);
  for (const axis of graphOrder(target.length)) {
    if (!order.includes(axis)) order.splice(axis === 0 ? 0 : order.indexOf(axis - 1) + 1, 0, axis);
  }
  return {
    before: isKept ? input.order : [...narrow, ...inFile.flatMap(group => group.source)],
    after: { ...input, order, shape: order.map(axis => target[axis]!) },
  };
}

/** True where the axes follow each other in the file, with nothing but axes of size 1 between them. */
function isInLine({ order, shape }: Value, axes: readonly number[]): boolean {
  const places = axes.map(axis => order.indexOf(axis));
  return places.every((place, i) => {
    const before = places[i - 1];
    return before === undefined || (before < place && shape.slice(before + 1, place).every(dim => dim === 1));
  });
}

/** Axes of one shape that hold the same numbers as axes of another. */
interface AxisGroup {
  readonly source: readonly number[];
  readonly target: readonly number[];
}

/** The finest groups of axes larger than 1, of two shapes of the same size. */
function matchAxes(from: readonly number[], to: readonly number[]): AxisGroup[] {
  const wide = (shape: readonly number[]) => graphOrder(shape.length).filter(axis => shape[axis] !== 1);
  const [sources, targets] = [wide(from), wide(to)];
  const groups: AxisGroup[] = [];
  while (sources.length > 0) {
    const source = [sources.shift()!];
    const target = [targets.shift()!];
    const size = (shape: readonly number[], axes: readonly number[]) => sizeOf(axes.map(axis => shape[axis]!));
    while (size(from, source) !== size(to, target)) {
      if (size(from, source) < size(to, target)) source.push(sources.shift()!);
      else target.push(targets.shift()!);
    }
    groups.push({ source, target });
  }
  return groups;
}
