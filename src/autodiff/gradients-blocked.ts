// Gradients of convolutions whose values lie in memory in blocks of b channels (engine/block-channels.ts). A value
// [N, C, H, W] of that layout is in memory [N, C / b, H, W, b]; a depthwise filter [C, 1, kh, kw] is
// [C / b, kh, kw, b], a dense filter [O, I, kh, kw] is [O / b, I / b, kh, kw, b of I, b of O].
import type { Emitter } from '../onnx/emitter.ts';
import type { ConvAttributes } from '../onnx/ops.ts';
import { denseFilter, denseInput } from './blocked-dense.ts';
import { blockOf, type Four } from './blocked-layout.ts';
import { flip, full, pad, slice, spread } from './gradient.ts';

export const blockedConvGradient = full<'nchwc.Conv'>((g, node, dy, wants) => {
  const { inputs, attributes } = node;
  const [x, w] = inputs as readonly [string, string];
  const parts = partsOf(g, x, attributes);
  if (!parts) throw new RangeError(`${node.op} ${node.name} has groups of more than one channel.`);
  return [
    wants[0] ? parts.input(g, x, w, dy, attributes) : null,
    wants[1] ? parts.filter(g, x, w, dy, attributes) : null,
    wants[2] ? g.reshape(sumPositions(g, dy), [g.shapeOf(w)[0]!]) : null,
  ];
});

type Part = (g: Emitter, x: string, w: string, dy: string, attributes: ConvAttributes) => string;

interface Parts {
  readonly input: Part;
  readonly filter: Part;
}

function partsOf(g: Emitter, x: string, { group }: ConvAttributes): Parts | undefined {
  const channels = g.shapeOf(x)[1]!;
  if (group === 1 && channels < blockOf(g)) return { input: noInput, filter: firstFilter };
  if (group === 1) return { input: denseInput, filter: denseFilter };
  if (group === channels) return { input: depthwiseInput, filter: depthwiseFilter };
  return undefined;
}

/** Sum over photos and positions of a blocked value, in two steps, for each of which the engine has a fast way. */
function sumPositions(g: Emitter, dy: string): string {
  const block = blockOf(g);
  const [n, c, h, w] = g.shapeOf(dy) as Four;
  const byPhoto = g.reduceSum(g.reshape(dy, [n, c / block, h * w, block]), [2], 0);
  return g.reduceSum(g.reshape(byPhoto, [n, c]), [0], 0);
}

/** dX = dY, spread by the stride, convolved with the flipped filter. */
function depthwiseInput(g: Emitter, x: string, w: string, dy: string, attributes: ConvAttributes): string {
  const { kernel_shape, strides, pads, dilations, group } = attributes;
  const block = blockOf(g);
  const [channels, , kh, kw] = g.shapeOf(w) as Four;
  const [n, , height, width] = g.shapeOf(x) as Four;
  const flipped = flip(g, g.reshape(w, [channels / block, kh, kw, block]), [1, 2]);
  const [, , rows, columns] = g.shapeOf(dy) as Four;
  const wide = spread(g, g.reshape(dy, [n, channels / block, rows, columns, block]), [2, 3], strides);
  const before = (axis: 0 | 1) => (kernel_shape[axis] - 1) * dilations[axis] - pads[axis];
  const behind = (axis: 0 | 1, from: number, to: number) => to - from * strides[axis] + pads[axis];
  const sides = [before(0), before(1), behind(0, rows, height), behind(1, columns, width)] as const;
  // Padding below zero cuts off, which a convolution does not do itself.
  const [top, left, bottom, right] = sides.map(count => Math.min(0, count)) as Four;
  const cut = pad(g, wide, [0, 0, top, left, 0], [0, 0, bottom, right, 0]);
  const [, , cutRows, cutColumns] = g.shapeOf(cut) as Four;
  const image = g.reshape(cut, [n, channels, cutRows, cutColumns]);
  return g.emit('nchwc.Conv', [image, g.reshape(flipped, g.shapeOf(w))], {
    kernel_shape,
    strides: [1, 1],
    pads: sides.map(count => Math.max(0, count)) as Four,
    dilations,
    group,
  });
}

/**
 * dW = the depthwise convolution of X with the kernel dY: every channel of every photo is a channel of one image, and
 * dY already lies in memory as the filter of such a convolution. Then the sum over photos.
 */
function depthwiseFilter(g: Emitter, x: string, w: string, dy: string, attributes: ConvAttributes): string {
  const [n, c, height, width] = g.shapeOf(x) as Four;
  const [, , kh, kw] = g.shapeOf(w) as Four;
  const [, , rows, columns] = g.shapeOf(dy) as Four;
  const block = blockOf(g);
  const image = g.reshape(x, [1, n * c, height, width]);
  const kernel = g.reshape(dy, [n * c, 1, rows, columns]);
  const perPhoto = correlate(g, image, kernel, attributes, n * c, [kh, kw], [n, c / block]);
  return g.reshape(g.reduceSum(perPhoto, [0], 0), g.shapeOf(w));
}

/**
 * The convolution of an image with dY as its kernel, whose dilation is the stride and whose stride is the dilation, cut to
 * the size of the filter. `leading` are the first two dimensions of the result, [.., .., kh, kw, b].
 */
function correlate(
  g: Emitter,
  image: string,
  kernel: string,
  { strides, pads, dilations }: ConvAttributes,
  group: number,
  [kh, kw]: readonly [number, number],
  leading: readonly [number, number],
): string {
  const [, , height, width] = g.shapeOf(image) as Four;
  const [, , rows, columns] = g.shapeOf(kernel) as Four;
  // Padding behind such that the output is no larger than the filter.
  const after = (axis: 0 | 1, size: number, out: number, taps: number) =>
    Math.max(0, (taps - 1) * dilations[axis] + (out - 1) * strides[axis] + 1 - size - pads[axis]);
  const correlated = g.emit('nchwc.Conv', [image, kernel], {
    kernel_shape: [rows, columns],
    strides: dilations,
    pads: [pads[0], pads[1], after(0, height, rows, kh), after(1, width, columns, kw)],
    dilations: strides,
    group,
  });
  const [, , gotRows, gotColumns] = g.shapeOf(correlated) as Four;
  const blocked = g.reshape(correlated, [...leading, gotRows, gotColumns, blockOf(g)]);
  return gotRows === kh && gotColumns === kw ? blocked : slice(g, blocked, [2, 3], [0, 0], [kh, kw]);
}

/** A first convolution reads the picture itself, which nobody trains. */
function noInput(): string {
  throw new RangeError('A blocked first convolution has no gradient with respect to its picture.');
}

/**
 * The filter of a convolution of few channels in NCHW, [O / b, I, kh, kw, b] in memory: a convolution of the same kind
 * whose photos are the input channels, whose channels are the photos, and whose filter is dY.
 */
function firstFilter(g: Emitter, x: string, w: string, dy: string, attributes: ConvAttributes): string {
  const block = blockOf(g);
  const [n, channels] = g.shapeOf(x) as Four;
  const [out, , kh, kw] = g.shapeOf(w) as Four;
  const [, , rows, columns] = g.shapeOf(dy) as Four;
  // Photos in groups of fewer than a block: as many channels as a block would be read as a blocked value.
  const most = Math.min(n, block - 1);
  let sum: string | undefined;
  const blockedDy = g.reshape(dy, [n, out / block, rows, columns, block]);
  for (let start = 0; start < n; start += most) {
    const count = Math.min(most, n - start);
    const part = (value: string) => (count === n ? value : slice(g, value, [0], [start], [start + count]));
    const images = g.transpose(part(x), [1, 0, 2, 3]);
    const turned = g.transpose(part(blockedDy), [1, 0, 2, 3, 4]);
    const kernels = g.reshape(turned, [out, count, rows, columns]);
    const cut = correlate(g, images, kernels, attributes, 1, [kh, kw], [channels, out / block]);
    sum = sum === undefined ? cut : g.emit('Add', [sum, cut], {});
  }
  return g.reshape(g.transpose(sum!, [1, 0, 2, 3, 4]), g.shapeOf(w));
}

// The layouts differ in the order of elements only, so gradients take the same way back.
export const reorderInputGradient = full<'nchwc.ReorderInput'>((g, { inputs: [x], attributes }, dy) => {
  const channels = g.shapeOf(x!)[attributes.channels_last ? 3 : 1]!;
  return [g.emit('nchwc.ReorderOutput', [dy], { channels, channels_last: attributes.channels_last })];
});

// Channels that were left out, since they only fill up a block, get zeros.
export const reorderOutputGradient = full<'nchwc.ReorderOutput'>((g, { inputs: [x], attributes }, dy) => {
  const missing = g.shapeOf(x!)[1]! - attributes.channels;
  const zeros = [0, 0, 0, 0];
  const after = attributes.channels_last ? [0, 0, 0, missing] : [0, missing, 0, 0];
  return [g.emit('nchwc.ReorderInput', [pad(g, dy, zeros, after)], { channels_last: attributes.channels_last })];
});
