// A thread that runs a network on photos and tells, per value and channel, how large the numbers become.
import { serve } from '../base/worker-pool.ts';
import { loadLiteRt } from '../engine/litert.ts';
import type { CameraChoice } from '../image/camera.ts';
import type { Preprocess } from '../image/preprocess.ts';
import { type ChannelRanges, channelExtremes } from '../tflite/channel-ranges.ts';
import { readPixels, type UnreadPhoto } from './read-pixels.ts';
import { signedPixels } from './signed-pixels.ts';

/** What a thread opens. */
export interface CalibrateSetup {
  /** A .tflite file with one float32 input and the observed values as its float32 outputs. */
  readonly model: Uint8Array;
  /** Channels of each output. */
  readonly channels: readonly number[];
  readonly preprocess: Preprocess;
  readonly camera: CameraChoice;
}

/** A photo's file. */
export interface CalibrateQuestion {
  readonly file: string;
}

/** Ranges of every output; or why the photo could not be read. */
export type CalibrateAnswer = { readonly ranges: readonly ChannelRanges[] } | UnreadPhoto;

serve<CalibrateSetup, CalibrateQuestion, CalibrateAnswer>(async ({ model, channels, preprocess, camera }) => {
  const loaded = await loadLiteRt(model);
  return async ({ file }) => {
    const pixels = await readPixels(file, camera, preprocess);
    if ('reason' in pixels) return pixels;
    const outputs = await loaded.run([signedPixels(pixels)]);
    return { ranges: outputs.map((values, i) => channelExtremes(values as Float32Array, channels[i]!)) };
  };
});
