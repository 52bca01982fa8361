// The gradient of a dense convolution in blocks with respect to its input: convolutions again. Layouts: gradients-blocked.ts.
import type { Emitter } from '../onnx/emitter.ts';
import type { ConvAttributes } from '../onnx/ops.ts';
import { blockOf, type Four, tapsOf } from './blocked-layout.ts';
import { pad, slice, spread } from './gradient.ts';

/** Taps of a filter along an axis that meet the same positions of the input: `count` of them from `first`, `every` apart. */
export interface TapRun {
  readonly first: number;
  readonly every: number;
  readonly count: number;
}

/** A run, and how far its taps lie from an output. */
interface Reach extends TapRun {
  /** Of the first and the last tap, in outputs. */
  readonly nearest: number;
  readonly farthest: number;
}

/**
 * dX = dY convolved with the flipped filter. With a stride s, positions of X that are s apart meet the same taps: each of the
 * s * s phases of dX is a convolution of its own with the taps that meet it, on dY as it is and not spread by zeros.
 * @param shape of X, [N, C, H, W].
 * @param filterOf the filter of such taps, flipped, for a convolution from dY's channels to X's.
 */
export function inputByPhases(
  g: Emitter,
  shape: Four,
  dy: string,
  attributes: ConvAttributes,
  filterOf: (rows: TapRun, columns: TapRun) => string,
): string {
  const block = blockOf(g);
  const [n, channels, height, width] = shape;
  const [, out, rows, columns] = g.shapeOf(dy) as Four;
  const [down, across] = attributes.strides;
  const [high, wide] = [Math.ceil(height / down), Math.ceil(width / across)];
  const blocked = g.reshape(dy, [n, out / block, rows, columns, block]);
  const phase = (vertical: Reach | undefined, horizontal: Reach | undefined): string | undefined => {
    if (!vertical || !horizontal) return undefined;
    const sides = [
      vertical.farthest,
      horizontal.farthest,
      high - rows - vertical.nearest,
      wide - columns - horizontal.nearest,
    ] as const;
    // Padding below zero cuts off, which a convolution does not do itself.
    const [top, left, bottom, right] = sides.map(count => Math.min(0, count)) as Four;
    if (rows + top + bottom <= 0 || columns + left + right <= 0) return undefined;
    const cut = pad(g, blocked, [0, 0, top, left, 0], [0, 0, bottom, right, 0]);
    const image = g.reshape(cut, [n, out, rows + top + bottom, columns + left + right]);
    const made = g.emit('nchwc.Conv', [image, filterOf(vertical, horizontal)], {
      kernel_shape: [vertical.count, horizontal.count],
      strides: [1, 1],
      pads: sides.map(count => Math.max(0, count)) as Four,
      dilations: [stepOf(vertical), stepOf(horizontal)],
      group: 1,
    });
    return g.reshape(made, [n, channels / block, high, wide, block]);
  };
  const runs = (axis: 0 | 1, stride: number) =>
    Array.from({ length: stride }, (_, index) => reachOf(attributes, axis, index));
  const [vertical, horizontal] = [runs(0, down), runs(1, across)];
  const lines = vertical.map(row =>
    interleave(
      g,
      horizontal.map(column => phase(row, column)),
      3,
    ),
  );
  const whole = interleave(g, lines, 2);
  if (whole === undefined) throw new RangeError('A convolution meets its padding only.');
  const fits = high * down === height && wide * across === width;
  const cut = fits ? whole : slice(g, whole, [2, 3], [0, 0], [height, width]);
  return g.reshape(cut, shape);
}

/** The taps that meet positions of a phase; undefined where there are none. */
function reachOf(attributes: ConvAttributes, axis: 0 | 1, phase: number): Reach | undefined {
  const taps = tapsOf(attributes, axis);
  const met = taps.flatMap((tap, index) => (tap.phase === phase ? [index] : []));
  if (met.length === 0) return undefined;
  const [first, last] = [met[0]!, met.at(-1)!];
  const every = met.length > 1 ? met[1]! - first : 1;
  return { first, every, count: met.length, nearest: taps[first]!.shift, farthest: taps[last]!.shift };
}

/** Outputs between neighbouring taps of a run. */
const stepOf = ({ nearest, farthest, count }: Reach) => (count > 1 ? (farthest - nearest) / (count - 1) : 1);

/** The taps of two runs, the last ones first, of a filter [.., .., kh, kw, .., ..]. */
export function takeTaps(g: Emitter, filter: string, rows: TapRun, columns: TapRun): string {
  const runs = [rows, columns];
  if (runs.every(({ count }, i) => count === 1 && g.shapeOf(filter)[2 + i] === 1)) return filter;
  const last = runs.map(({ first, every, count }) => first + every * (count - 1));
  // -1 would be the last element.
  const ends = runs.map(({ first }) => (first === 0 ? -(2 ** 31) : first - 1));
  return slice(
    g,
    filter,
    [2, 3],
    last,
    ends,
    runs.map(({ every }) => -every),
  );
}

/** Every first element of an axis from the first value, every second from the second, ...; zeros where there is none. */
function interleave(g: Emitter, values: readonly (string | undefined)[], axis: 2 | 3): string | undefined {
  const known = values.find(value => value !== undefined);
  if (known === undefined || values.length === 1) return known;
  const shape = g.shapeOf(known);
  if (values.every((value, i) => (value === undefined) === i > 0)) return spread(g, known, [axis], [values.length]);
  const zeros = () => g.emit('Expand', [g.scalar(0), g.ints(shape)], {});
  const rest = shape.slice(axis + 1).reduce((product, dim) => product * dim, 1);
  const rowsOf = (value: string) => g.reshape(value, [...shape.slice(0, axis + 1), rest]);
  const joined = g.emit(
    'Concat',
    values.map(value => rowsOf(value ?? zeros())),
    { axis: axis + 1 },
  );
  return g.reshape(
    joined,
    shape.map((dim, i) => (i === axis ? dim * values.length : dim)),
  );
}
