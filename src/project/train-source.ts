// What fine-tuning reads: decoded photos or activations in a cache that is filled first, and the photos' places in it.
import { join, resolve } from 'node:path';
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import type { Manifest, ManifestPhoto } from '../dataset/manifest.ts';
import { type CameraChoice, FRAME } from '../image/camera.ts';
import { bytesForViews, type PhotoView } from '../image/render-photo-view.ts';
import { writeOnnx } from '../onnx/write.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { type Extraction, type ExtractOptions, extractViews, viewKey } from '../train/extract.ts';
import type { FineTunePhoto } from '../train/fine-tune.ts';
import { openRecordCache, type RecordCache, type RecordCacheOptions } from '../train/record-cache.ts';
import type { TrainSource } from '../train/train-worker.ts';
import { buildFrozenGraph, cutShape, pooledWidth } from '../zoo/graphs.ts';
import { cacheFolder } from './cache-folder.ts';
import { trainingView, validationView } from './camera-views.ts';
import type { FittedSettings } from './fit-settings.ts';
import { dropUnreadable } from './train-dataset.ts';
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

/** A cache that is filled before fine-tuning: where it is, and what of which photos goes into it. */
type Fill = Omit<RecordCacheOptions, 'maxBytes'> &
  Pick<ExtractOptions, 'stage' | 'photos' | 'outputs'> & { readonly makeGraph?: () => Uint8Array };

/**
 * Fills the caches that fine-tuning reads: decoded photos, of which a new view is rendered in every epoch, and frames where a
 * camera sees some of the views; or, with `cutViews`, what the frozen stages make of so many views, so that they are never
 * computed again.
 */
export async function* openSource(settings: FittedSettings, manifest: Manifest): Steps<Source> {
  const { camera, workers, cutViews, data } = settings;
  const { preprocess } = settings.backbone;
  const augmentation = settings.fineTuneAugmentation;
  const cut = cutViews > 0;
  const photos = manifest.photos.filter(photo => photo.split !== 'test');
  const fills = new Map<CameraChoice, Fill>();
  if (cut) fills.set(camera, fillActivations(settings, photos));
  else for (const seenBy of new Set(['none', camera] as const)) fills.set(seenBy, fillPhotos(settings, photos, seenBy));
  const caches = new Map<CameraChoice, RecordCache>();
  const close = async () => {
    for (const cache of caches.values()) await cache.close();
  };
  try {
    const failed: Extraction['failed'][number][] = [];
    for (const [seenBy, { folder, suffix, bytes, ...what }] of fills) {
      const cache = await openRecordCache({ folder, suffix, bytes, maxBytes: MAX_CACHE_BYTES });
      caches.set(seenBy, cache);
      const extraction = yield* extractViews({ ...what, cache, preprocess, augmentation, workers });
      failed.push(...extraction.failed);
    }
    const readable = yield* dropUnreadable(manifest, data, failed);
    if (cut) requireViews(caches.get(camera)!, readable, settings);
    const list = (split: string): FineTunePhoto[] =>
      readable.photos
        .filter(photo => photo.split === split)
        .map(photo => {
          const { sha256 } = photo;
          const common = { file: resolve(data, photo.path), sha256 };
          const place = (view: PhotoView) =>
            caches.get(cut ? camera : view.camera)!.locate(viewKey(sha256, view, preprocess, augmentation));
          const plain = { none: place({ number: 0, camera: 'none' }), [camera]: place({ number: 0, camera }) };
          return {
            label: manifest.classes.indexOf(photo.class),
            sample(epoch) {
              if (epoch === 0) return { ...common, camera, place: plain[camera], view: null };
              if (cut) {
                const number = 1 + ((epoch - 1) % cutViews);
                return { ...common, place: place(trainingView(settings, sha256, number)), view: null };
              }
              const { camera: seenBy } = trainingView(settings, sha256, epoch);
              const view = settings.views > 0 ? [settings.fineTune.seed, sha256, epoch] : null;
              return { ...common, camera: seenBy, place: plain[seenBy], view };
            },
          };
        });
    const kind = cut ? activationsOf(settings) : ({ kind: 'pixels', preprocess, augmentation } as const);
    return { kind, train: list('train'), validation: list('validation'), close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** Decoded photos, or their frames where a camera sees them. Validation photos are seen in one way only. */
function fillPhotos(settings: FittedSettings, photos: readonly ManifestPhoto[], camera: CameraChoice): Fill {
  const { backbone, data } = settings;
  const { size, fit, kernel } = backbone.preprocess;
  const kind = camera === 'none' ? 'pixels' : 'frames';
  const name = camera === 'none' ? `${size}-${fit}-${kernel}` : `${camera}-${FRAME.width}x${FRAME.height}`;
  return {
    stage: camera === 'none' ? 'photos' : 'frames',
    folder: join(cacheFolder(), kind, name),
    suffix: kind,
    bytes: bytesForViews(camera, backbone.preprocess),
    photos: photos
      .filter(({ split }) => split === 'train' || camera === settings.camera)
      .map(({ path, sha256 }) => ({ file: resolve(data, path), sha256, views: [{ number: 0, camera }] })),
    outputs: [],
  };
}

/** What the frozen stages make of the views. */
function fillActivations(settings: FittedSettings, photos: readonly ManifestPhoto[]): Fill {
  const { backbone, freeze, cutViews, data } = settings;
  const { cut, pooled } = activationsOf(settings);
  const bytes = 2 * (sizeOf(cut) + pooled);
  requireRoom(photos, cutViews, bytes);
  return {
    stage: 'activations',
    folder: join(cacheFolder(), 'activations', `${backboneFolder(backbone)}-${freeze}`),
    suffix: 'activations',
    bytes,
    photos: photos.map(photo => ({
      file: resolve(data, photo.path),
      sha256: photo.sha256,
      views: viewsOf(settings, photo),
    })),
    makeGraph: () => writeOnnx(buildFrozenGraph(backbone, freeze)),
    outputs: pooled > 0 ? ['cut', 'pooled'] : ['cut'],
  };
}

function activationsOf({ backbone, freeze }: FittedSettings): TrainSource & { kind: 'activations' } {
  return { kind: 'activations', cut: cutShape(backbone, freeze), pooled: pooledWidth(backbone, freeze) };
}

/** The views of a photo whose activations are cached. */
function viewsOf(settings: FittedSettings, { sha256, split }: ManifestPhoto): PhotoView[] {
  const cached = Array.from({ length: split === 'train' ? settings.cutViews : 0 }, (_, i) =>
    trainingView(settings, sha256, i + 1),
  );
  return [validationView(settings), ...cached];
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
export function requireViews(cache: Pick<RecordCache, 'locate'>, manifest: Manifest, settings: FittedSettings): void {
  const { fineTuneAugmentation } = settings;
  const { preprocess } = settings.backbone;
  for (const photo of manifest.photos) {
    if (photo.split === 'test') continue;
    for (const view of viewsOf(settings, photo)) {
      if (cache.locate(viewKey(photo.sha256, view, preprocess, fineTuneAugmentation))) continue;
      throw new GraftError(
        'usage',
        `The cache of activations in ${cacheFolder()} is full of those of other trainings.`,
        'Delete its folder "activations" and run it again, or add --cut-views 0.',
      );
    }
  }
}
