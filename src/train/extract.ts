// Feature extraction: the frozen backbone runs once per photo and view; what is in the cache is not computed again.
import { readFile } from 'node:fs/promises';
import { aheadOf } from '../base/ahead.ts';
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { makeRng } from '../base/rng.ts';
import type { Session } from '../engine/session.ts';
import { type Augmentation, renderView, sampleView } from '../image/augment.ts';
import { decodePhoto } from '../image/decode.ts';
import type { Preprocess } from '../image/preprocess.ts';
import { type FeatureCache, featureKey } from './feature-cache.ts';

/** Photos whose views go through the backbone in one run: large enough for both cores, small enough for their caches. */
const BATCH = 8;

/** A photo to extract: its file, its content and how many augmented views it wants beside the plain one. */
export interface ExtractPhoto {
  readonly file: string;
  readonly sha256: string;
  readonly views: number;
}

/** What extraction reads. */
export interface ExtractOptions {
  readonly photos: readonly ExtractPhoto[];
  readonly cache: FeatureCache;
  /** Opens the backbone: `image` [N, size, size, 3] uint8 in, `features` [N, width] out. Called only if needed. */
  readonly openBackbone: () => Promise<Session>;
  readonly preprocess: Preprocess;
  readonly augmentation: Augmentation;
  /** Photos decoded ahead of the backbone. */
  readonly workers: number;
}

/** What extraction did. */
export interface Extraction {
  /** Views computed now and views found in the cache. */
  readonly computed: number;
  readonly cached: number;
  /** Photos that could not be decoded, with the reason. */
  readonly failed: readonly { readonly file: string; readonly reason: string }[];
}

/**
 * Key of view `view` of a photo; 0 is the plain photo. A view depends on the photo's content and on the augmentation, not
 * on the run's seed, so that runs share views.
 */
export function viewKey(sha256: string, view: number, preprocess: Preprocess, augmentation: Augmentation): string {
  return featureKey(sha256, view, preprocess, view === 0 ? null : augmentation);
}

/** Fills the cache with the features of all views of all photos. */
export async function* extractFeatures(options: ExtractOptions): Steps<Extraction> {
  const { cache, preprocess, augmentation } = options;
  const wanted = options.photos.map(photo => {
    const keys = Array.from({ length: photo.views + 1 }, (_, view) =>
      viewKey(photo.sha256, view, preprocess, augmentation),
    );
    return { photo, missing: keys.flatMap((key, view) => (cache.has(key) ? [] : [{ key, view }])) };
  });
  const todo = wanted.filter(({ missing }) => missing.length > 0);
  const total = options.photos.length;
  let done = total - todo.length;
  let computed = 0;
  const failed: { file: string; reason: string }[] = [];
  const views = options.photos.reduce((sum, photo) => sum + photo.views + 1, 0);
  const cached = views - todo.reduce((sum, { missing }) => sum + missing.length, 0);
  yield { type: 'progress', stage: 'features', done, total, unit: 'photos' };
  if (todo.length === 0) return { computed, cached, failed };

  const { size } = preprocess;
  const pixels = size * size * 3;
  const decodes = aheadOf(todo, options.workers, ({ photo }) => readAndDecode(photo.file, preprocess));
  const session = await options.openBackbone();
  let running: Promise<void> = Promise.resolve();
  try {
    let batch = new Uint8Array(BATCH * pixels);
    let keys: string[] = [];
    const flush = async () => {
      if (keys.length === 0) return;
      const [images, names] = [batch, keys];
      batch = new Uint8Array(BATCH * pixels);
      keys = [];
      // The backbone works on one batch while the next one is rendered.
      await running;
      running = runBackbone(session, images.subarray(0, names.length * pixels), size, names, cache);
      running.catch(() => {});
      computed += names.length;
    };
    for (const [i, { photo, missing }] of todo.entries()) {
      const decoded = await decodes(i);
      if (decoded instanceof GraftError) {
        failed.push({ file: photo.file, reason: decoded.message });
      } else {
        for (const { key, view } of missing) {
          const out = batch.subarray(keys.length * pixels, (keys.length + 1) * pixels);
          if (view === 0) out.set(decoded);
          else renderView(decoded, size, sampleView(augmentation, size, makeRng(0, photo.sha256, view)), out);
          keys.push(key);
          if (keys.length === BATCH) await flush();
        }
      }
      done++;
      yield { type: 'progress', stage: 'features', done, total, unit: 'photos' };
    }
    await flush();
    await running;
  } finally {
    await running.catch(() => {});
    await session.close();
  }
  return { computed, cached, failed };
}

async function runBackbone(
  session: Session,
  images: Uint8Array,
  size: number,
  keys: readonly string[],
  cache: FeatureCache,
): Promise<void> {
  const image = { dtype: 'uint8', shape: [keys.length, size, size, 3], data: images } as const;
  const features = (await session.run({ image })).features!.data as Float32Array;
  for (const [row, key] of keys.entries()) {
    await cache.add(key, features.subarray(row * cache.width, (row + 1) * cache.width));
  }
}

async function readAndDecode(file: string, preprocess: Preprocess): Promise<Uint8Array | GraftError> {
  try {
    return await decodePhoto(await readFile(file), preprocess);
  } catch (error) {
    if (error instanceof GraftError) return error;
    return new GraftError('bad-photo', error instanceof Error ? error.message : String(error));
  }
}
