// Phase one: features of the frozen backbone from the cache, and a head trained on them.
import { join, resolve } from 'node:path';
import type { Steps } from '../base/events.ts';
import type { Manifest, ManifestPhoto } from '../dataset/manifest.ts';
import type { PhotoView } from '../image/render-photo-view.ts';
import { writeOnnx } from '../onnx/write.ts';
import { extractViews, viewKey } from '../train/extract.ts';
import { type FeatureCache, openFeatureCache } from '../train/feature-cache.ts';
import type { FeatureSet } from '../train/feature-set.ts';
import { type TrainedHead, trainHead } from '../train/head.ts';
import { recordKey } from '../train/record-cache.ts';
import type { Backbone } from '../zoo/backbone.ts';
import { buildFeatureGraph, featureWidth } from '../zoo/graphs.ts';
import { headViews, validationView } from './camera-views.ts';
import type { FittedSettings } from './fit-settings.ts';
import { dropUnreadable } from './train-dataset.ts';

/** Features of this run's photos, and how many views were computed. */
export interface Features {
  readonly manifest: Manifest;
  readonly cache: FeatureCache;
  readonly counts: { readonly computed: number; readonly cached: number };
}

/** Name of the folder, in the parts of the cache, of what this backbone makes with its weights. */
export function backboneFolder({ name, graph, stages, weights }: Backbone): string {
  return `${name}-${recordKey(weights.sha256, graph.nodes, stages).slice(0, 16)}`;
}

/** Opens the feature cache and computes what it lacks; photos that cannot be decoded after all leave the manifest. */
export async function* openFeatures(settings: FittedSettings, scanned: Manifest, cacheFolder: string): Steps<Features> {
  const { backbone, augmentation, workers } = settings;
  const folder = join(cacheFolder, 'features', backboneFolder(backbone));
  const cache = await openFeatureCache(folder, featureWidth(backbone));
  try {
    const photos = scanned.photos.filter(photo => photo.split !== 'test');
    const { failed, ...counts } = yield* extractViews({
      stage: 'features',
      photos: photos.map(photo => ({
        file: resolve(settings.data, photo.path),
        sha256: photo.sha256,
        views: viewsOf(settings, photo),
      })),
      cache: cache.records,
      makeGraph: () => writeOnnx(buildFeatureGraph(backbone)),
      outputs: ['features'],
      preprocess: backbone.preprocess,
      augmentation,
      workers,
    });
    return { manifest: yield* dropUnreadable(scanned, settings.data, failed), cache, counts };
  } catch (error) {
    await cache.close();
    throw error;
  }
}

/** The views of a photo that phase one reads. */
function viewsOf(settings: FittedSettings, { sha256, split }: ManifestPhoto): readonly PhotoView[] {
  return split === 'train' ? headViews(settings, sha256, settings.views) : [validationView(settings)];
}

/** Trains the head on the features of the manifest's train photos, watching its validation photos. */
export async function* trainOnFeatures(settings: FittedSettings, { manifest, cache }: Features): Steps<TrainedHead> {
  const featureSet = (split: string): FeatureSet => {
    const photos = manifest.photos.filter(photo => photo.split === split);
    const keys = photos.map(photo =>
      viewsOf(settings, photo).map(view =>
        viewKey(photo.sha256, view, settings.backbone.preprocess, settings.augmentation),
      ),
    );
    const labels = photos.map(photo => manifest.classes.indexOf(photo.class));
    const read: FeatureSet['read'] = (photo, view, out, offset) => cache.read(keys[photo]![view]!, out, offset);
    return { width: cache.width, labels, views: keys[0]!.length, read };
  };
  return yield* trainHead(featureSet('train'), featureSet('validation'), manifest.classes.length, settings.head);
}
