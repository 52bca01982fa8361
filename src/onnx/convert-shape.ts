// Ops of ONNX that move numbers: reshaping, transposing, slicing, joining, padding; what does nothing in inference vanishes.
import { sizeOf } from '../tensor/tensor.ts';
import { batchAxis, type Conversion, isSame, type NodeContext, shapeAt } from './convert-node.ts';
import { BATCHES, type Both } from './draft.ts';
import { castType, permutationOf } from './evaluate.ts';
import { concatLiterals, emptyLiteral, expandLiteral } from './literal.ts';
import type { Literal } from './model.ts';
import { axesOf, checkAxis, reshapedTo, slicesOf, splitOf, unsqueezed } from './node-reader.ts';
import { broadcastShapes, type Shape, sliceRange } from './shapes.ts';

const both = <T>(make: (which: 0 | 1) => T): Both<T> => [make(0), make(1)];
const ints = (n: NodeContext) => (i: number) => n.ints(i);

/** The shapes that a Reshape gives. */
function reshaped(n: NodeContext): Both<Shape> {
  const given = n.shapes(0);
  const target = n.intsOfBoth(1);
  const { fixedBatch } = n;
  if (fixedBatch === undefined || !isSame(target) || isSame(given))
    return both(w => reshapedTo(n, given[w], target[w]));
  const before = shapeAt(given, fixedBatch);
  const after = reshapedTo(n, before, target[0]);
  const axis = batchAfter(before, batchAxis(given)!, after, fixedBatch);
  if (axis === undefined) n.refuse(`it mixes the photos of a batch ([${before.join(', ')}] to [${after.join(', ')}])`);
  return both(w => after.map((dim, i) => (i === axis ? (dim / fixedBatch) * BATCHES[w] : dim)));
}

/**
 * The axis of the batch after a Reshape in a file whose shapes are for one batch, of 1 most of the time: where the numbers
 * of a photo stand tells between which dimensions it is, but not whether it went into the one before or behind.
 */
function batchAfter(before: Shape, axis: number, after: Shape, batch: number): number | undefined {
  const lead = sizeOf(before.slice(0, axis));
  const inner = (lead * before[axis]!) / batch;
  const ahead = (i: number) => sizeOf(after.slice(0, i));
  const rules: readonly ((dim: number, i: number) => boolean)[] = [
    (dim, i) => dim === batch && ahead(i) === lead,
    (dim, i) => dim === batch && ahead(i) === inner,
    // Not into the last dimension, which is features: [positions, photos, features] becomes [positions * photos, features].
    (_, i) => ahead(i) === lead && (i < after.length - 1 || i === 0),
    (_, i) => ahead(i + 1) === lead * batch,
    (_, i) => ahead(i) === lead,
  ];
  for (const rule of rules) {
    const found = after.findIndex((dim, i) => dim % batch === 0 && rule(dim, i));
    if (found >= 0) return found;
  }
  return undefined;
}

/** Slice that leaves out ranges of everything. `ranges` are per axis as ONNX has them. */
function slice(
  n: NodeContext,
  x: string,
  ranges: readonly { readonly axis: number; readonly start: number; readonly end: number; readonly step: number }[],
): string {
  const shapes = n.shapes(x);
  const kept = ranges.flatMap(({ axis, start: from, end: to, step }) => {
    const [size, other] = shapes.map(shape => shape[axis]!) as [number, number];
    const takesAll = (count: number) => step === 1 && sliceRange(count, from, to, step).length === count;
    if (takesAll(size) && takesAll(other)) return [];
    if (size !== other) {
      if (n.fixedBatch !== undefined && takesAll(shapeAt(shapes, n.fixedBatch)[axis]!)) return [];
      n.refuse('it takes some photos of a batch');
    }
    const { start, length } = sliceRange(size, from, to, step);
    const end = start + length * step;
    // Backwards to the first one: an end before it, since -1 would be the last.
    return [{ axis, start, end: step > 0 ? Math.min(end, size) : end < 0 ? -size - 1 : end, step }];
  });
  if (kept.length === 0) return x;
  const list = (key: 'axis' | 'start' | 'end' | 'step') => n.intConstant(kept.map(range => range[key]));
  return n.emit('Slice', [x, list('start'), list('end'), list('axis'), list('step')], {});
}

/** Joins computed values, and constants before and behind them. */
function concat(n: NodeContext): string {
  const axis = checkAxis(n, n.int('axis', 1), n.rank(0));
  const kinds = n.node.inputs.map((_, i) => n.value(i).kind);
  const [first, last] = [kinds.indexOf('computed'), kinds.lastIndexOf('computed')];
  const computed = n.node.inputs.slice(first, last + 1).map((_, i) => n.x(first + i));
  if (kinds.slice(first, last + 1).includes('constant')) n.refuse('a constant stands between computed values');
  const [shape, other] = n.shapes(first);
  const outline = (given: Shape) => given.map((dim, i) => (i === axis ? '*' : dim)).join();
  for (const value of computed) {
    const [found] = n.shapes(value);
    if (outline(found) !== outline(shape)) n.fail(`[${found}] and [${shape}] cannot be joined along axis ${axis}`);
  }
  // Rolling by nothing joins all with a slice of nothing.
  const filled = computed.filter(value => n.shapes(value)[0][axis] !== 0);
  const joined = filled.length < 2 ? (filled[0] ?? computed[0]!) : n.emit('Concat', filled, { axis });
  if (computed.length === kinds.length) return joined;
  // Tokens, the same for every photo: what is computed is padded where they go, and they are added.
  const row = shape.map((dim, i) => (dim === other[i] ? dim : 1));
  const token = (i: number) => {
    const given = n.literal(i);
    const wide = row.map((dim, k) => (k === axis ? (given.shape[k] ?? 0) : dim));
    if (given.shape.length !== row.length || outline(broadcastShapes(given.shape, wide)) !== outline(wide)) {
      n.fail(`[${given.shape}] and [${shape}] cannot be joined along axis ${axis}`);
    }
    return expandLiteral(given, wide);
  };
  const before = kinds.slice(0, first).map((_, i) => token(i));
  const after = kinds.slice(last + 1).map((_, i) => token(last + 1 + i));
  const zeros = emptyLiteral(
    'float32',
    row.map((dim, i) => (i === axis ? n.dim(joined, axis) : dim)),
  );
  const length = (parts: readonly Literal[]) => parts.reduce((sum, part) => sum + part.shape[axis]!, 0);
  const pads = [length(before), length(after)].flatMap(count => row.map((_, i) => (i === axis ? count : 0)));
  const padded = n.emit('Pad', [joined, n.intConstant(pads)], { mode: 'constant' });
  const tokens = concatLiterals([...before, zeros, ...after], axis);
  return n.emit('Add', [padded, n.constant(tokens, 'tokens')], {});
}

/** Rows by constant whole numbers: one or a range of them is a Slice. */
function gather(n: NodeContext): string {
  const axis = checkAxis(n, n.int('axis', 0), n.rank(0));
  const size = n.dim(0, axis);
  const indices = n.literal(1);
  const rows = Array.from(indices.data, index => (index < 0 ? index + size : index));
  if (rows.some(row => !(row >= 0 && row < size))) n.fail(`its rows [${rows.join(', ')}] lie outside of ${size}`);
  const [first = 0, second = first + 1] = rows;
  const step = second - first;
  if (step < 1 || indices.shape.length > 1 || rows.some((row, i) => row !== first + i * step)) {
    return n.emit('Gather', [n.x(0), n.x(1)], { axis });
  }
  const range = slice(n, n.x(), [{ axis, start: first, end: rows.at(-1)! + 1, step }]);
  if (indices.shape.length === 1) return range;
  const shapes = n.shapes(range);
  return n.reshape(
    range,
    both(w => shapes[w].filter((_, i) => i !== axis)),
  );
}

/** Amounts of a Pad, for all axes: an attribute before opset 11; since 18 only some axes may be named. */
function padsOf(n: NodeContext): number[] {
  const rank = n.rank(0);
  const given = (n.opset < 11 ? n.list('pads') : n.ints(1)) ?? [];
  const axes = n.has(3) ? n.ints(3).map(axis => checkAxis(n, axis, rank)) : Array.from({ length: rank }, (_, i) => i);
  if (given.length !== 2 * axes.length) n.fail(`it has ${given.length} pads for ${axes.length} axes`);
  const pads = new Array<number>(2 * rank).fill(0);
  axes.forEach((axis, i) => {
    pads[axis] = given[i]!;
    pads[axis + rank] = given[i + axes.length]!;
  });
  return pads;
}

/** The six-dimensional way of DepthToSpace and SpaceToDepth: reshape, transpose, reshape. */
function moveBlocks(
  n: NodeContext,
  split: (shape: Shape) => number[],
  perm: readonly number[],
  last: (shape: Shape) => number[],
) {
  const shapes = n.shapes(0);
  if (shapes[0].length !== 4) n.refuse(`its input has ${shapes[0].length} dimensions`);
  const blocks = n.reshape(
    n.x(),
    both(w => split(shapes[w])),
  );
  return n.reshape(
    n.emit('Transpose', [blocks], { perm }),
    both(w => last(shapes[w])),
  );
}

/** Whether a Dropout drops, which it does only in training. */
function isTraining(n: NodeContext): boolean {
  return n.opset >= 12 && n.has(2) && n.literal(2).data[0] !== 0 && !(n.has(1) && n.literal(1).data[0] === 0);
}

const castable = ['float32', 'int64', 'int32'] as const;

export const shapeConversions: Readonly<Record<string, Conversion>> = {
  Cast(n) {
    const value = n.value(0);
    const from = value.kind === 'computed' ? value.dtype : value.read(0).dtype;
    const wanted = castType(n);
    const to = wanted === 'float64' ? 'float32' : wanted;
    if (from === to) return n.x();
    const type = castable.find(name => name === to);
    return type ? n.emit('Cast', [n.x()], { to: type }) : n.refuse(`it makes ${to} of ${from}`);
  },
  Concat: concat,
  DepthToSpace(n) {
    const b = n.int('blocksize', 0);
    if (!(b > 0) || n.dim(0, 1) % (b * b) !== 0) n.fail(`its blocksize is ${b}`);
    const last = ([N, c, h, w]: Shape) => [N!, c! / (b * b), h! * b, w! * b];
    return n.text('mode', 'DCR') === 'DCR'
      ? moveBlocks(n, ([N, c, h, w]) => [N!, b, b, c! / (b * b), h!, w!], [0, 3, 4, 1, 5, 2], last)
      : moveBlocks(n, ([N, c, h, w]) => [N!, c! / (b * b), b, b, h!, w!], [0, 1, 4, 2, 5, 3], last);
  },
  Dropout(n) {
    if (isTraining(n)) n.refuse('it is in training mode');
    if (n.hasMoreOutputs) n.refuse('its mask is used');
    return n.x();
  },
  Expand(n) {
    const shapes = n.shapes(0);
    const target = n.intsOfBoth(1);
    const wanted = both(w => broadcastShapes(shapes[w], target[w]));
    if (shapes.every((shape, w) => shape.join() === wanted[w]!.join())) return n.x();
    // A dimension of the batch is there already, and 1 leaves it.
    const list = wanted[0].map((dim, axis) => (dim === wanted[1][axis] ? dim : 1));
    const made = n.emit('Expand', [n.x(), n.intConstant(list)], {});
    return isSame([n.shapes(made)[1], wanted[1]]) ? made : n.refuse('it repeats its input for every photo');
  },
  Flatten(n) {
    const shapes = n.shapes(0);
    const rank = shapes[0].length;
    const axis = n.int('axis', 1);
    if (axis < -rank || axis > rank) n.fail(`axis ${axis} of ${rank} dimensions`);
    const at = axis < 0 ? axis + rank : axis;
    if (at === 1) return rank === 2 ? n.x() : n.emit('Flatten', [n.x()], { axis: 1 });
    return n.reshape(
      n.x(),
      both(w => [sizeOf(shapes[w].slice(0, at)), sizeOf(shapes[w].slice(at))]),
    );
  },
  Gather: gather,
  Pad(n) {
    const mode = n.text('mode', 'constant');
    if (mode !== 'constant') n.refuse(`it pads by ${mode}`);
    const pads = padsOf(n);
    if (pads.every(pad => pad === 0)) return n.x();
    const fill = n.opset < 11 ? n.float('value', 0) : n.has(2) ? n.literal(2).data[0]! : 0;
    const inputs = [n.x(), n.intConstant(pads), ...(fill === 0 ? [] : [n.scalar(fill)])];
    return n.emit('Pad', inputs, { mode: 'constant' });
  },
  Reshape: n => n.reshape(n.x(), reshaped(n)),
  Slice: n => slice(n, n.x(), slicesOf(n, n.rank(0), ints(n))),
  SpaceToDepth(n) {
    const b = n.int('blocksize', 0);
    if (!(b > 0) || n.dim(0, 2) % b !== 0 || n.dim(0, 3) % b !== 0) n.fail(`its blocksize is ${b}`);
    return moveBlocks(
      n,
      ([N, c, h, w]) => [N!, c!, h! / b, b, w! / b, b],
      [0, 3, 5, 1, 2, 4],
      ([N, c, h, w]) => [N!, c! * b * b, h! / b, w! / b],
    );
  },
  Split(n) {
    const axis = checkAxis(n, n.int('axis', 0), n.rank(0));
    let start = 0;
    return splitOf(n, n.dim(0, axis), ints(n)).map(part => {
      start += part;
      return slice(n, n.x(), [{ axis, start: start - part, end: start, step: 1 }]);
    });
  },
  Squeeze(n) {
    const [shape, other] = n.shapes(0);
    const given = axesOf(n, 13, ints(n));
    const gone =
      given?.map(axis => checkAxis(n, axis, shape.length)) ?? shape.flatMap((dim, i) => (dim === 1 ? [i] : []));
    if (gone.some(axis => shape[axis] !== 1 || other[axis] !== 1))
      n.refuse(`its axes [${gone}] of [${shape}] are not all 1`);
    return gone.length === 0 ? n.x() : n.emit('Squeeze', [n.x(), n.intConstant(gone)], {});
  },
  Tile(n) {
    return n.ints(1).every(count => count === 1) ? n.x() : n.refuse('it repeats a computed value');
  },
  Transpose: n => n.emit('Transpose', [n.x()], { perm: permutationOf(n, n.rank(0)) }),
  Unsqueeze(n) {
    const axes = axesOf(n, 13, ints(n)) ?? [];
    const [shape] = n.shapes(0);
    const rank = unsqueezed(n, shape, axes).length;
    if (axes.length === 0) return n.x();
    return n.emit('Unsqueeze', [n.x(), n.intConstant(axes.map(axis => (axis < 0 ? axis + rank : axis)))], {});
  },
};
