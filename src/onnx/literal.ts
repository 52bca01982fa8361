// Arithmetic on constants while a model is imported: small pieces that the table of constant operators is made of.
import { sizeOf } from '../tensor/tensor.ts';
import type { ElementType, Literal } from './model.ts';
import { broadcastShapes, type Shape } from './shapes.ts';

/** Most elements of a constant that is made of smaller ones: 64 MB of float32. Others have as many as what they are made of. */
const MAX_COMPUTED = 2 ** 24;

/** Most dimensions of a value: more than any op of a classifier needs. */
export const MAX_RANK = 16;

/** Throws RangeError for too many dimensions. */
export function checkRank(shape: Shape): void {
  if (shape.length > MAX_RANK) throw new RangeError(`a value has ${shape.length} dimensions, more than ${MAX_RANK}.`);
}

const isFloat = (dtype: ElementType): boolean => dtype.includes('float');

/** A constant with room for the numbers of a shape. Throws RangeError when it would have over 2^24, and over `given`. */
export function emptyLiteral(dtype: ElementType, shape: Shape, given = 0): Literal {
  checkRank(shape);
  const count = sizeOf(shape);
  if (!(count <= Math.max(MAX_COMPUTED, given)) || shape.some(dim => dim < 0)) {
    throw new RangeError(`a computed constant of shape [${shape.join(', ')}] has over ${MAX_COMPUTED} elements.`);
  }
  return { dtype, shape, data: dtype === 'float32' ? new Float32Array(count) : new Float64Array(count) };
}

/** A constant of some numbers. */
export function literal(dtype: ElementType, shape: Shape, values: ArrayLike<number>): Literal {
  const made = emptyLiteral(dtype, shape, values.length);
  if (made.data.length !== values.length)
    throw new RangeError(`[${shape.join(', ')}] is no shape of ${values.length} numbers.`);
  made.data.set(values);
  return made;
}

/** A list of whole numbers. */
export const intList = (values: readonly number[]): Literal => literal('int64', [values.length], values);

/** The same numbers in another shape. */
export function reshapeLiteral(given: Literal, shape: Shape): Literal {
  checkRank(shape);
  if (sizeOf(shape) !== given.data.length) {
    throw new RangeError(`[${given.shape.join(', ')}] cannot be reshaped to [${shape.join(', ')}].`);
  }
  return { ...given, shape };
}

/** Steps between neighbours along each axis of a row-major array. */
const stridesOf = (shape: Shape): number[] => shape.map((_, axis) => sizeOf(shape.slice(axis + 1)));

/** Picks elements: that at `index` of the result is at `start` + the sum of `index[axis] * steps[axis]`. */
function pick(given: Literal, shape: Shape, start: number, steps: readonly number[]): Literal {
  const made = emptyLiteral(given.dtype, shape, given.data.length);
  const last = shape.length - 1;
  const [inner = 1, step = 1] = [shape[last], steps[last]];
  const index = new Array<number>(shape.length).fill(0);
  let source = start;
  for (let i = 0; i < made.data.length; ) {
    for (let k = 0; k < inner; k++) made.data[i++] = given.data[source + k * step]!;
    for (let axis = last - 1; axis >= 0; axis--) {
      source += steps[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      source -= steps[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return made;
}

/** Axis i of the result is axis `perm[i]`. */
export function transposeLiteral(given: Literal, perm: readonly number[]): Literal {
  const strides = stridesOf(given.shape);
  return pick(
    given,
    perm.map(axis => given.shape[axis]!),
    0,
    perm.map(axis => strides[axis]!),
  );
}

/** Repeats along axes of size 1, and along new axes in front. */
export function expandLiteral(given: Literal, shape: Shape): Literal {
  const strides = stridesOf(given.shape);
  const lead = shape.length - given.shape.length;
  const steps = shape.map((_, axis) => (axis < lead || given.shape[axis - lead] === 1 ? 0 : strides[axis - lead]!));
  return pick(given, shape, 0, steps);
}

/** Elements start, start + step, ... along each axis. */
export function sliceLiteral(
  given: Literal,
  ranges: readonly { readonly start: number; readonly length: number; readonly step: number }[],
): Literal {
  const strides = stridesOf(given.shape);
  const start = ranges.reduce((sum, range, axis) => sum + range.start * strides[axis]!, 0);
  return pick(
    given,
    ranges.map(({ length }) => length),
    start,
    ranges.map(({ step }, axis) => step * strides[axis]!),
  );
}

/** Joins along an axis. */
export function concatLiterals(parts: readonly Literal[], axis: number): Literal {
  const [first] = parts as [Literal];
  const shape = first.shape.map((dim, i) =>
    i === axis ? parts.reduce((sum, part) => sum + part.shape[axis]!, 0) : dim,
  );
  const made = emptyLiteral(
    first.dtype,
    shape,
    parts.reduce((sum, part) => sum + part.data.length, 0),
  );
  const outer = sizeOf(shape.slice(0, axis));
  const row = sizeOf(shape.slice(axis));
  let offset = 0;
  for (const part of parts) {
    const width = sizeOf(part.shape.slice(axis));
    if (outer * width !== part.data.length)
      throw new RangeError(`[${part.shape.join(', ')}] does not fit [${first.shape.join(', ')}].`);
    for (let i = 0; i < outer; i++) made.data.set(part.data.subarray(i * width, (i + 1) * width), i * row + offset);
    offset += width;
  }
  return made;
}

/** Rows along an axis by whole numbers, negative ones from the end. */
export function gatherLiteral(given: Literal, indices: Literal, axis: number): Literal {
  const size = given.shape[axis]!;
  const shape = [...given.shape.slice(0, axis), ...indices.shape, ...given.shape.slice(axis + 1)];
  const made = emptyLiteral(given.dtype, shape);
  const inner = sizeOf(given.shape.slice(axis + 1));
  const outer = sizeOf(given.shape.slice(0, axis));
  let at = 0;
  for (let i = 0; i < outer; i++) {
    for (const index of indices.data) {
      const row = index < 0 ? index + size : index;
      if (!(row >= 0 && row < size)) throw new RangeError(`the index ${index} lies outside of ${size} elements.`);
      const from = (i * size + row) * inner;
      made.data.set(given.data.subarray(from, from + inner), at);
      at += inner;
    }
  }
  return made;
}

/** A copy in which parts are replaced: the last axis of `indices` says which, by the leading axes. */
export function scatterLiteral(given: Literal, indices: Literal, updates: Literal): Literal {
  const depth = indices.shape.at(-1) ?? 0;
  const strides = stridesOf(given.shape);
  const part = sizeOf(given.shape.slice(depth));
  const count = depth > 0 ? indices.data.length / depth : 0;
  if (depth > given.shape.length || updates.data.length !== count * part) {
    throw new RangeError(`[${updates.shape.join(', ')}] are no updates of [${given.shape.join(', ')}].`);
  }
  const made = literal(given.dtype, given.shape, given.data);
  for (let i = 0; i < count; i++) {
    let at = 0;
    for (let axis = 0; axis < depth; axis++) {
      const index = indices.data[i * depth + axis]!;
      const size = given.shape[axis]!;
      if (!(index >= -size && index < size))
        throw new RangeError(`the index ${index} lies outside of ${size} elements.`);
      at += (index < 0 ? index + size : index) * strides[axis]!;
    }
    made.data.set(updates.data.subarray(i * part, (i + 1) * part), at);
  }
  return made;
}

/** Computes element by element with broadcasting of up to three operands. Default for the result's type: that of the first. */
export function combine(
  operands: readonly Literal[],
  compute: (...values: number[]) => number,
  dtype: ElementType = operands[0]!.dtype,
): Literal {
  const shape = operands.reduce<Shape>((all, { shape: one }) => broadcastShapes(all, one), []);
  const most = operands.reduce((count, { data }) => Math.max(count, data.length), 0);
  const made = emptyLiteral(dtype, shape, most);
  const [a, b, c] = operands.map(one => (one.shape.join() === shape.join() ? one : expandLiteral(one, shape)).data);
  const { data } = made;
  if (c) for (let i = 0; i < data.length; i++) data[i] = compute(a![i]!, b![i]!, c[i]!);
  else if (b) for (let i = 0; i < data.length; i++) data[i] = compute(a![i]!, b[i]!);
  else for (let i = 0; i < data.length; i++) data[i] = compute(a![i]!);
  return made;
}

/** Sums up, or the like, over some axes. */
export function reduceLiteral(
  given: Literal,
  axes: readonly number[],
  keepdims: boolean,
  combineAll: (values: Float64Array) => number,
): Literal {
  const kept = given.shape.map((_, axis) => axis).filter(axis => !axes.includes(axis));
  const turned = transposeLiteral(given, [...kept, ...axes]);
  const count = sizeOf(axes.map(axis => given.shape[axis]!));
  const shape = given.shape
    .map((dim, axis) => (axes.includes(axis) ? 1 : dim))
    .filter((_, axis) => keepdims || !axes.includes(axis));
  const made = emptyLiteral(given.dtype, shape);
  for (let i = 0; i < made.data.length; i++) {
    made.data[i] = combineAll(turned.data.subarray(i * count, (i + 1) * count) as Float64Array);
  }
  return made;
}

/** The range of each whole type: what does not fit wraps around. */
const wholeArrays: Readonly<Partial<Record<ElementType, { new (values: number[]): ArrayLike<number> }>>> = {
  int32: Int32Array,
  int16: Int16Array,
  int8: Int8Array,
  uint32: Uint32Array,
  uint16: Uint16Array,
  uint8: Uint8Array,
};

/** The numbers in another type. */
export function castLiteral(given: Literal, dtype: ElementType): Literal {
  const array = wholeArrays[dtype];
  const convert = (value: number): number => {
    if (dtype === 'bool') return value === 0 ? 0 : 1;
    if (isFloat(dtype)) return value;
    const whole = Math.trunc(value);
    return array ? new array([whole])[0]! : whole;
  };
  const made = emptyLiteral(dtype, given.shape, given.data.length);
  for (let i = 0; i < made.data.length; i++) made.data[i] = convert(given.data[i]!);
  return made;
}

/** Whether two constants are equal in all. */
export function sameLiteral(a: Literal, b: Literal): boolean {
  if (a === b) return true;
  return (
    a.dtype === b.dtype && a.shape.join() === b.shape.join() && a.data.every((value, i) => Object.is(value, b.data[i]))
  );
}
