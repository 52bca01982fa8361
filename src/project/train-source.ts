// What fine-tuning reads: decoded photos or activations in a cache that is filled first, and the photos' places in it.
import { join, resolve } from 'node:path';
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import type { Manifest, ManifestPhoto } from '../dataset/manifest.ts';
import { writeOnnx } from '../onnx/write.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { extractViews, viewKey } from '../train/extract.ts';
import type { FineTunePhoto } from '../train/fine-tune.ts';
import { openRecordCache, type RecordCache } from '../train/record-cache.ts';
import type { TrainSource } from '../train/train-worker.ts';
import { buildFrozenGraph, cutShape, frozenWidth } from '../zoo/graphs.ts';
import type { Weights } from '../zoo/load-weights.ts';
import { cacheFolder } from './cache-folder.ts';
import { dropUnreadable } from './train-dataset.ts';
import type { TrainSettings } from './train-options.ts';
import { backboneFolder } from './train-phase-one.ts';

/** Most bytes that decoded photos, and activations, may take in the cache: each 28,000 photos at 224 px. */
const MAX_CACHE_BYTES = 4 * 2 ** 30;

/** The photos as fine-tuning reads them. */
export interface Source {
  readonly kind: TrainSource;
  readonly train: readonly FineTunePhoto[];
  readonly validation: readonly FineTunePhoto[];
  readonly close: () => Promise<void>;
}

/**
 * Fills the cache that fine-tuning reads: decoded photos, of which a new view is rendered in every epoch; or, with
 * `cutViews`, what the frozen stages make of so many views, so that they are never computed again.
 */
export async function* openSource(settings: TrainSettings, manifest: Manifest, weights: Weights): Steps<Source> {
  const { card, freeze, preprocess, workers, cutViews, data } = settings;
  const augmentation = settings.fineTuneAugmentation;
  const { seed } = settings.fineTune;
  const sized = { ...card, preprocess };
  const fileOf = (photo: ManifestPhoto) => resolve(data, photo.path);
  const photos = manifest.photos.filter(photo => photo.split !== 'test');
  const common = { preprocess, augmentation, workers };
  const cut = cutViews > 0;
  let cache: RecordCache;
  let kind: TrainSource;
  if (cut) {
    const [shape, pooled] = [cutShape(sized, freeze), frozenWidth(card, freeze)];
    kind = { kind: 'activations', cut: shape, pooled };
    const bytes = 2 * (sizeOf(shape) + pooled);
    requireRoom(photos, cutViews, bytes);
    cache = await openRecordCache({
      folder: join(cacheFolder(), 'activations', `${backboneFolder(settings, weights)}-${freeze}`),
      suffix: 'activations',
      bytes,
      maxBytes: MAX_CACHE_BYTES,
    });
  } else {
    const { size, fit, kernel } = preprocess;
    kind = { kind: 'pixels', preprocess, augmentation };
    cache = await openRecordCache({
      folder: join(cacheFolder(), 'pixels', `${size}-${fit}-${kernel}`),
      suffix: 'pixels',
      bytes: size * size * 3,
      maxBytes: MAX_CACHE_BYTES,
    });
  }
  try {
    const { failed } = yield* extractViews({
      ...common,
      stage: cut ? 'activations' : 'photos',
      photos: photos.map(photo => ({
        file: fileOf(photo),
        sha256: photo.sha256,
        views: cut && photo.split === 'train' ? cutViews : 0,
      })),
      cache,
      outputs: cut ? ['cut', 'pooled'] : [],
      ...(cut ? { makeGraph: () => writeOnnx(buildFrozenGraph(sized, weights.parameters, freeze)) } : {}),
    });
    const readable = yield* dropUnreadable(manifest, data, failed);
    if (cut) requireViews(cache, readable, settings);
    const list = (split: string): FineTunePhoto[] =>
      readable.photos
        .filter(photo => photo.split === split)
        .map(photo => {
          const { sha256 } = photo;
          const place = (view: number) => cache.locate(viewKey(sha256, view, preprocess, augmentation));
          const plain = place(0);
          return {
            label: manifest.classes.indexOf(photo.class),
            sample(epoch) {
              const common = { file: fileOf(photo), sha256 };
              if (epoch === 0) return { ...common, place: plain, view: null };
              if (!cut) return { ...common, place: plain, view: settings.views > 0 ? [seed, sha256, epoch] : null };
              return { ...common, place: place(1 + ((epoch - 1) % cutViews)), view: null };
            },
          };
        });
    return { kind, train: list('train'), validation: list('validation'), close: () => cache.close() };
  } catch (error) {
    await cache.close();
    throw error;
  }
}

/** Activations have to fit into the cache: unlike pixels, they are not made again on the way. */
function requireRoom(photos: readonly ManifestPhoto[], cutViews: number, bytes: number): void {
  const records = photos.reduce((sum, { split }) => sum + 1 + (split === 'train' ? cutViews : 0), 0);
  if (records * bytes <= MAX_CACHE_BYTES) return;
  const gigabytes = (size: number) => `${(size / 1e9).toFixed(1)} GB`;
  throw new GraftError(
    'usage',
    `With ${cutViews} cut-views the activations take ${gigabytes(records * bytes)}, and ${gigabytes(MAX_CACHE_BYTES)} may be cached.`,
    'Use fewer --cut-views (0 renders new views in every epoch), or a larger --freeze: later stages give less.',
  );
}

/** Makes sure that every view is there; others' records may have taken the room. */
export function requireViews(cache: Pick<RecordCache, 'locate'>, manifest: Manifest, settings: TrainSettings): void {
  const { preprocess, fineTuneAugmentation, cutViews } = settings;
  for (const { sha256, split } of manifest.photos) {
    if (split === 'test') continue;
    for (let view = 0; view <= (split === 'train' ? cutViews : 0); view++) {
      if (cache.locate(viewKey(sha256, view, preprocess, fineTuneAugmentation))) continue;
      throw new GraftError(
        'usage',
        `The cache of activations in ${cacheFolder()} is full of those of other trainings.`,
        'Delete its folder "activations" and run it again, or add --cut-views 0.',
      );
    }
  }
}
