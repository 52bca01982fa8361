// Gradients of dense convolutions in blocks of b channels. Layouts: gradients-blocked.ts.
import type { Emitter } from '../onnx/emitter.ts';
import type { ConvAttributes } from '../onnx/ops.ts';
import { float32 } from '../tensor/tensor.ts';
import { inputByPhases, takeTaps } from './blocked-input.ts';
import { blockOf, type Four, phaseLength, type Tap, tapsOf } from './blocked-layout.ts';
import { pad, slice } from './gradient.ts';

const pointwise = { kernel_shape: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 } as const;

/** dX: see `inputByPhases`; the filter's channels change places. */
export function denseInput(g: Emitter, x: string, w: string, dy: string, attributes: ConvAttributes): string {
  const block = blockOf(g);
  const [out, channels, kh, kw] = g.shapeOf(w) as Four;
  // [O / b, I / b, kh, kw, b of I, b of O] to [I / b, O / b, kh, kw, b of O, b of I], in two steps that are fast each: a
  // picture of b channels and b positions is brought into blocks, and whole filters change places.
  const [taps, square] = [kh * kw, block * block];
  const small = g.reshape(w, [(out * channels * taps) / square, block, 1, block]);
  const inside = g.emit('nchwc.ReorderInput', [small], { channels_last: 0 });
  const outside = g.transpose(g.reshape(inside, [out / block, channels / block, taps * square]), [1, 0, 2]);
  const turned = g.reshape(outside, [channels / block, out / block, kh, kw, block, block]);
  return inputByPhases(g, g.shapeOf(x) as Four, dy, attributes, (rows, columns) =>
    g.reshape(takeTaps(g, turned, rows, columns), [channels, out, rows.count, columns.count]),
  );
}

/**
 * dW of each tap = dY^T X, over all positions of all photos, of X shifted by the tap. A product over positions is a
 * pointwise convolution as well, whose channels are the positions: one side lies in memory as its filter does, but for the
 * order of photos and blocks, and the channels of the other side become the positions of its picture. It runs at the speed
 * of a forward convolution, which the engine's matrix products of such shapes do not reach. X is shifted along the rows and
 * dY along the columns, so that kh + kw shifted copies are made and not kh * kw.
 */
export function denseFilter(g: Emitter, x: string, w: string, dy: string, attributes: ConvAttributes): string {
  const block = blockOf(g);
  const [out, channels, kh, kw] = g.shapeOf(w) as Four;
  const [, , height, width] = g.shapeOf(x) as Four;
  const [, , rows, columns] = g.shapeOf(dy) as Four;
  const [down, across] = attributes.strides;
  const [rowTaps, columnTaps] = [tapsOf(attributes, 0), tapsOf(attributes, 1)];
  // The picture's side is moved more often: it should be the smaller one.
  const outFilters = out >= channels;
  const [asFilter, asPicture] = [filterSide(g), pictureSide(g)];
  const [xSide, dySide] = outFilters ? [asPicture, asFilter] : [asFilter, asPicture];
  const [image, slopes] = [xSide.open(x), dySide.open(dy)];
  const made = new Map<string, string>();
  const once = (key: string, make: () => string) => {
    const value = made.get(key) ?? make();
    made.set(key, value);
    return value;
  };
  /** X at every `stride`-th position. */
  const phaseOf = (row: number, column: number) =>
    once(`phase ${row} ${column}`, () =>
      down * across === 1 ? image : slice(g, image, xSide.axes, [row, column], [height, width], [down, across]),
    );
  /** Rows of X that outputs 0 to `rows` - 1 meet with this tap. */
  const imageOf = ({ phase, shift }: Tap, column: number) =>
    once(`x ${phase} ${shift} ${column}`, () => {
      const length = phaseLength(height, down, phase);
      return xSide.close(shiftAxis(g, phaseOf(phase, column), xSide.axes[0], -shift, rows + shift - length));
    });
  /** Columns of dY that columns of a phase of X meet with this tap. */
  const slopesOf = ({ phase, shift }: Tap) =>
    once(`dy ${phase} ${shift}`, () => {
      const length = phaseLength(width, across, phase);
      return dySide.close(shiftAxis(g, slopes, dySide.axes[1], shift, length - columns - shift));
    });
  const meets = (tap: Tap, size: number, stride: number, outputs: number) =>
    Math.max(0, -tap.shift) < Math.min(outputs, phaseLength(size, stride, tap.phase) - tap.shift);
  const size = [out / block, channels / block, 1, block * block] as const;
  const products = rowTaps.flatMap(row =>
    columnTaps.map(column => {
      if (!meets(row, height, down, rows) || !meets(column, width, across, columns)) {
        return g.constant(float32(size, new Float32Array(out * channels)));
      }
      const [a, b] = [imageOf(row, column.phase), slopesOf(column)];
      const product = g.emit('nchwc.Conv', outFilters ? [a, b] : [b, a], pointwise);
      if (outFilters) return g.reshape(product, size);
      const turned = g.transpose(g.reshape(product, [channels / block, out / block, block, block]), [1, 0, 3, 2]);
      return g.reshape(turned, size);
    }),
  );
  const all = products.length === 1 ? products[0]! : g.emit('Concat', products, { axis: 2 });
  return g.reshape(all, [out, channels, kh, kw]);
}

/** How a blocked value becomes one side of the product over positions. */
interface Side {
  /** The value with rows and columns on `axes`, where they can be shifted. */
  open(value: string): string;
  readonly axes: readonly [number, number];
  /** The side, with positions filled up to whole blocks. */
  close(value: string): string;
}

/** [C, P, 1, 1] in memory [C / b, P / b, b of P, b of C]. */
function filterSide(g: Emitter): Side {
  const block = blockOf(g);
  return {
    axes: [2, 3],
    open(value) {
      const [n, c, h, w] = g.shapeOf(value) as Four;
      return g.transpose(g.reshape(value, [n, c / block, h, w, block]), [1, 0, 2, 3, 4]);
    },
    close(value) {
      const [blocks, n, h, w] = g.shapeOf(value) as [number, number, number, number];
      const filled = fillPositions(g, g.reshape(value, [blocks, n * h * w, block]), 1);
      return g.reshape(filled, [blocks * block, g.shapeOf(filled)[1]!, 1, 1]);
    },
  };
}

/** [1, P, 1, C] in memory [P / b, C, b of P]. */
function pictureSide(g: Emitter): Side {
  return {
    axes: [1, 2],
    open: value => g.emit('nchwc.ReorderOutput', [value], { channels: g.shapeOf(value)[1]!, channels_last: 1 }),
    close(value) {
      const [n, h, w, c] = g.shapeOf(value) as Four;
      const filled = fillPositions(g, g.reshape(value, [n * h * w, c]), 0);
      const image = g.reshape(filled, [1, g.shapeOf(filled)[0]!, 1, c]);
      return g.emit('nchwc.ReorderInput', [image], { channels_last: 0 });
    },
  };
}

function fillPositions(g: Emitter, value: string, axis: number): string {
  const block = blockOf(g);
  const shape = g.shapeOf(value);
  const missing = Math.ceil(shape[axis]! / block) * block - shape[axis]!;
  return shiftAxis(g, value, axis, 0, missing);
}

/** Zeros before and behind an axis; a number below zero cuts off. */
function shiftAxis(g: Emitter, value: string, axis: number, before: number, behind: number): string {
  const at = (count: number) => g.shapeOf(value).map((_, i) => (i === axis ? count : 0));
  return pad(g, value, at(before), at(behind));
}
