// A thread that tells where in photos a network sees what it says, also with a part of them covered.
import { serve } from '../base/worker-pool.ts';
import { openSession } from '../engine/session.ts';
import { BORDER, type Explanation, joinMaps } from '../evaluate/explanation.ts';
import type { CameraChoice } from '../image/camera.ts';
import type { Preprocess } from '../image/preprocess.ts';
import type { EvidenceMap } from '../zoo/evidence-graph.ts';
import { readPixels, type UnreadPhoto } from './read-pixels.ts';

/** What a thread opens. */
export interface ExplainSetup {
  /** The evidence graph as an ONNX file. */
  readonly model: Uint8Array;
  readonly maps: readonly EvidenceMap[];
  readonly preprocess: Preprocess;
  readonly camera: CameraChoice;
}

/** What of the picture is covered, with the colour that the network takes for nothing. */
export type Cover = 'none' | 'middle' | 'border';

/** A photo's file. */
export interface ExplainQuestion {
  readonly file: string;
  /** Default: none. */
  readonly cover?: Cover;
}

/** What the network says, and where it sees it; or why the photo could not be read. */
export type ExplainAnswer = { readonly explanation: Explanation } | UnreadPhoto;

serve<ExplainSetup, ExplainQuestion, ExplainAnswer>(async ({ model, maps, preprocess, camera }) => {
  const session = await openSession(model, { threads: 1 });
  const { size } = preprocess;
  const colour = preprocess.mean.map(mean => Math.round(255 * mean));
  return async ({ file, cover = 'none' }) => {
    const pixels = await readPixels(file, camera, preprocess);
    if ('reason' in pixels) return pixels;
    if (cover !== 'none') coverPart(pixels, size, cover, colour);
    const said = await session.run({ image: { dtype: 'uint8', shape: [1, size, size, 3], data: pixels } });
    const read = (name: string) => said[name]!.data as Float32Array;
    const parts = maps.map(({ output, side }) => ({ side, values: read(output) }));
    return { explanation: joinMaps(read('probabilities'), read('logits'), parts) };
  };
});

/** Fills the middle of a picture, or all around it. Not with its own mean, which would tell what was there. */
function coverPart(pixels: Uint8Array, size: number, cover: 'middle' | 'border', colour: readonly number[]): void {
  const [low, high] = [BORDER * size, (1 - BORDER) * size];
  const isInside = (i: number) => i + 0.5 > low && i + 0.5 < high;
  for (let i = 0; i < size * size; i++) {
    const isMiddle = isInside(i % size) && isInside(Math.floor(i / size));
    if (isMiddle === (cover === 'middle')) pixels.set(colour, 3 * i);
  }
}
