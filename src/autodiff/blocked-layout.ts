// What the gradients of blocked values share: the size of a block, and what the taps of a filter meet.
import type { Emitter } from '../onnx/emitter.ts';
import type { ConvAttributes } from '../onnx/ops.ts';

/** Four dimensions. */
export type Four = [number, number, number, number];

/** Channels per block. */
export function blockOf(g: Emitter): number {
  if (g.channelBlock === undefined) throw new RangeError('The graph does not say how many channels a block has.');
  return g.channelBlock;
}

/** Where a tap of a filter reads along one axis: output y reads input `stride * (y + shift) + phase`. */
export interface Tap {
  readonly phase: number;
  readonly shift: number;
}

/** The taps of a convolution's filter along an axis. */
export function tapsOf({ kernel_shape, strides, pads, dilations }: ConvAttributes, axis: 0 | 1): Tap[] {
  const stride = strides[axis];
  return Array.from({ length: kernel_shape[axis] }, (_, tap) => {
    const start = tap * dilations[axis] - pads[axis];
    const shift = Math.floor(start / stride);
    return { phase: start - shift * stride, shift };
  });
}

/** How many of `size` positions there are in a phase: every `stride`-th from it on. */
export const phaseLength = (size: number, stride: number, phase: number) =>
  Math.max(0, Math.ceil((size - phase) / stride));
