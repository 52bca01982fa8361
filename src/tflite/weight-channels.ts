// Which channels an element of a weight belongs to, by TFLite's layouts: [out, kh, kw, in / groups] of CONV_2D, [out, in] of
// FULLY_CONNECTED, and [1, kh, kw, out] of DEPTHWISE_CONV_2D, with one input channel for each output channel.
import { sizeOf } from '../tensor/tensor.ts';
import type { OperatorName } from './schema.ts';

/** Channels of a weight. */
export interface WeightChannels {
  /** Axis of the output channels. */
  readonly axis: number;
  /** Number of output channels. */
  readonly outputs: number;
  outputOf(element: number): number;
  /** Channel of the input, of which there are `inputs`, that an element is multiplied with. */
  inputOf(element: number, inputs: number): number;
}

/** Channels of a weight of `op` with this shape. */
export function weightChannels(shape: readonly number[], op: OperatorName): WeightChannels {
  const isDepthwise = op === 'DEPTHWISE_CONV_2D';
  const axis = isDepthwise ? 3 : 0;
  const outputs = shape[axis]!;
  const perOutput = sizeOf(shape.slice(1));
  // Input channels that an output channel reads: one, or those of its group, of which an ordinary convolution has one.
  const read = isDepthwise ? 1 : shape.at(-1)!;
  const outputOf = isDepthwise
    ? (element: number) => element % outputs
    : (element: number) => Math.floor(element / perOutput);
  return {
    axis,
    outputs,
    outputOf,
    inputOf(element, inputs) {
      const groups = inputs / read;
      return Math.floor((outputOf(element) * groups) / outputs) * read + (element % read);
    },
  };
}
