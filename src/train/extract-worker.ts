// A thread that extracts features: decodes a photo, renders the wanted views and runs the backbone on each.
import { createHash } from 'node:crypto';
import { GraftError } from '../base/errors.ts';
import { makeRng } from '../base/rng.ts';
import { serve } from '../base/worker-pool.ts';
import { openSession } from '../engine/session.ts';
import { type Augmentation, renderView, sampleView } from '../image/augment.ts';
import { decodePhoto } from '../image/decode.ts';
import type { Preprocess } from '../image/preprocess.ts';
import { readPhoto } from '../image/read-photo.ts';

/** What a thread opens. */
export interface ExtractSetup {
  /** ONNX file: `image` [N, size, size, 3] uint8 in, `features` [N, width] out. */
  readonly backbone: Uint8Array;
  readonly preprocess: Preprocess;
  readonly augmentation: Augmentation;
}

/** A photo and the views of it that are wanted; view 0 is the plain photo. */
export interface ExtractQuestion {
  readonly file: string;
  readonly sha256: string;
  readonly views: readonly number[];
}

/** Features per view, or why the photo could not be read. */
export type ExtractAnswer = { readonly features: readonly Float32Array[] } | { readonly reason: string };

// One thread and one view at a time: the views then stay in a core's own cache (0.95 ms against 1.2 ms in batches of 8).
serve<ExtractSetup, ExtractQuestion, ExtractAnswer>(async ({ backbone, preprocess, augmentation }) => {
  const session = await openSession(backbone, { threads: 1 });
  const { size } = preprocess;
  return async ({ file, sha256, views }) => {
    let photo: Uint8Array;
    try {
      const bytes = await readPhoto(file);
      if (createHash('sha256').update(bytes).digest('hex') !== sha256)
        return { reason: 'it has changed since it was scanned' };
      photo = await decodePhoto(bytes, preprocess);
    } catch (error) {
      if (error instanceof GraftError) return { reason: error.message };
      throw error;
    }
    // Not shared between photos: the next one may be decoded while this one runs.
    const view = new Uint8Array(size * size * 3);
    const features: Float32Array[] = [];
    for (const number of views) {
      if (number > 0) renderView(photo, size, sampleView(augmentation, size, makeRng(0, sha256, number)), view);
      const image = { dtype: 'uint8', shape: [1, size, size, 3], data: number > 0 ? view : photo } as const;
      features.push((await session.run({ image })).features!.data as Float32Array);
    }
    return { features };
  };
});
