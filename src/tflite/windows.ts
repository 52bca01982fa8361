// Windows that slide over an image: the padding arithmetic of TFLite, for convolutions and pools.
import type { Node } from '../onnx/graph.ts';
import type { ConvAttributes, PoolAttributes } from '../onnx/ops.ts';
import { float32 } from '../tensor/tensor.ts';
import { arranged, IMAGE_ORDER } from './axes.ts';
import { getValue, int32, type Plan } from './plan.ts';
import { Padding } from './schema.ts';

/** Window of one axis: kernel, stride, dilation, the graph's padding before and after, and how sizes are rounded. */
export interface Window {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
  readonly before: number;
  readonly after: number;
  /** Whether a last window that sticks out counts. */
  readonly ceil: boolean;
}

/** The window along height and along width. */
export function windowsOf(attributes: ConvAttributes | PoolAttributes): [Window, Window] {
  const { kernel_shape: kernel, strides, dilations = [1, 1], pads } = attributes;
  const ceil = 'ceil_mode' in attributes && attributes.ceil_mode === 1;
  const axis = (i: 0 | 1): Window => ({
    kernel: kernel[i],
    stride: strides[i],
    dilation: dilations[i],
    before: pads[i],
    after: pads[i + 2]!,
    ceil,
  });
  return [axis(0), axis(1)];
}

const extent = ({ kernel, dilation }: Window): number => (kernel - 1) * dilation + 1;

/** Number of windows along an axis of `size`. */
export function outSize(size: number, window: Window): number {
  const steps = (size + window.before + window.after - extent(window)) / window.stride;
  if (!window.ceil) return Math.floor(steps) + 1;
  // A window that would start behind the image is dropped, by PyTorch and ONNX Runtime alike.
  const last = Math.ceil(steps);
  return last * window.stride >= size + window.before ? last : last + 1;
}

/** Padding that the windows really touch, and whether TFLite's SAME would put exactly this. */
interface Needed {
  readonly before: number;
  readonly after: number;
  readonly same: boolean;
}

/** At stride 2 the last zeros of a symmetric padding are often never read; only those that are count. */
function neededPadding(size: number, window: Window): Needed {
  const { stride, before } = window;
  const out = outSize(size, window);
  const reach = (out - 1) * stride + extent(window);
  const after = Math.max(0, reach - size - before);
  // SAME: out = ceil(in / s); total = max((out - 1) * s + k_eff - in, 0); before = floor(total / 2), the rest after.
  const sameOut = Math.ceil(size / stride);
  const total = Math.max((sameOut - 1) * stride + extent(window) - size, 0);
  const sameBefore = Math.floor(total / 2);
  return { before, after, same: sameOut === out && before === sameBefore && after === total - sameBefore };
}

/** TFLite's name for the padding of an image [1, H, W, C], or undefined when neither VALID nor SAME is it. */
export function paddingName(shape: readonly number[], windows: readonly Window[]): number | undefined {
  const axes = windows.map((window, i) => neededPadding(shape[i + 1]!, window));
  if (axes.every(axis => axis.before === 0 && axis.after === 0)) return Padding.VALID;
  return axes.every(axis => axis.same) ? Padding.SAME : undefined;
}

/**
 * The input and the padding of the operator for `node`; emits PAD, or PADV2 for another value than 0, where neither VALID
 * nor SAME fits.
 * @param counted whether the operator is to see the padding as numbers, so that SAME does not fit either.
 */
export function padFor(
  node: Node,
  windows: readonly Window[],
  plan: Plan,
  { fill = 0, counted = false } = {},
): { input: number; padding: number } {
  const source = node.inputs[0]!;
  const { shape } = arranged(getValue(plan, source), IMAGE_ORDER);
  const input = plan.arrange(source, IMAGE_ORDER);
  const named = paddingName(shape, windows);
  if (named === Padding.VALID || (named !== undefined && !counted)) return { input, padding: named };
  const sides = windows.map((window, i) => neededPadding(shape[i + 1]!, window));
  const amounts = [0, 0, ...sides.flatMap(({ before, after }) => [before, after]), 0, 0];
  const output = `${node.name}.padded`;
  return { input: emitPad(plan, input, shape, amounts, fill, output), padding: Padding.VALID };
}

/** Emits PAD or PADV2. `amounts`: before and after, axis by axis. Returns the index of `output`. */
export function emitPad(
  plan: Plan,
  input: number,
  shape: readonly number[],
  amounts: readonly number[],
  fill: number,
  output: string,
): number {
  const paddings = plan.store(`${output}.paddings`, int32([shape.length, 2], amounts));
  const padded = shape.map((dim, i) => dim + amounts[2 * i]! + amounts[2 * i + 1]!);
  if (fill === 0) return plan.emit('PAD', [input, paddings], output, padded, {});
  const value = plan.store(`${output}.value`, float32([1], [fill]));
  return plan.emit('PADV2', [input, paddings, value], output, padded, {});
}
