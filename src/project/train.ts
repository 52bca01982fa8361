// graft train: photos in class folders in; a run folder with a proven .tflite file out.
import { createHash } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { stringify } from 'csv-stringify/sync';
import { GraftError } from '../base/errors.ts';
import type { Steps, VerbEvent } from '../base/events.ts';
import { writeJson, writeWhole } from '../base/files.ts';
import { loadManifest, type Manifest, type ManifestPhoto, writeManifest } from '../dataset/manifest.ts';
import { describeExcluded, scanFolder } from '../dataset/scan-folder.ts';
import { splitPhotos } from '../dataset/split-photos.ts';
import type { Metrics } from '../evaluate/metrics.ts';
import { writeOnnx } from '../onnx/write.ts';
import { extractFeatures, viewKey } from '../train/extract.ts';
import { type FeatureCache, openFeatureCache } from '../train/feature-cache.ts';
import type { FeatureSet } from '../train/feature-set.ts';
import { type EpochRecord, type TrainedHead, trainHead } from '../train/head.ts';
import { recordKey } from '../train/record-cache.ts';
import { buildFeatureGraph, featureWidth } from '../zoo/graphs.ts';
import { loadWeights, type Weights } from '../zoo/load-weights.ts';
import { cacheFolder } from './cache-folder.ts';
import { startClassifiers } from './classify-files.ts';
import { readers } from './defaults.ts';
import { exportModel, type ProofFigures } from './export-model.ts';
import { describeMachine, packageVersion } from './machine.ts';
import type { Provenance } from './provenance.ts';
import { dropEmptyRunFolder, makeRunFolder, runFiles } from './run-folder.ts';
import { resolveTrainOptions, type TrainOptions, type TrainSettings } from './train-options.ts';
import { openVerdicts } from './verdict-cache.ts';

/** Wall-clock seconds of a run, by part. `features` includes fetching the weights on first use. */
export interface TrainSeconds {
  readonly scan: number;
  readonly features: number;
  readonly head: number;
  readonly export: number;
  readonly proof: number;
  readonly total: number;
}

/** What metrics.json holds, beside the run's folder. Accuracies are in 0..1. */
export interface TrainResult {
  readonly run: string;
  readonly classes: readonly string[];
  /** Photos per split and class. */
  readonly counts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly excluded: number;
  readonly best_epoch: number;
  readonly epochs: number;
  /** The trained model on the validation photos. The epoch was chosen on the same photos, which flatters a little. */
  readonly validation: Metrics;
  readonly proof: ProofFigures;
  /** Bytes of model.tflite. */
  readonly size: number;
  readonly features: { readonly computed: number; readonly cached: number };
  readonly seconds: TrainSeconds;
}

/**
 * Trains a classifier: scans and splits the photos, extracts features with the frozen backbone, trains a new head on them,
 * exports model.onnx and model.tflite, and proves the latter in LiteRT on the validation photos.
 * @throws GraftError `proof-failed` when the file disagrees with the model (it is then named model.tflite.rejected), and
 * others for what is wrong with the photos, the options, the disk or the network.
 */
export async function* train(options: TrainOptions): AsyncGenerator<VerbEvent<TrainResult>> {
  const result = yield* runTraining(resolveTrainOptions(options), 'train');
  yield { type: 'result', result };
}

/** `train` as a part of other verbs. `base` is the name of a run that the user did not name. */
export async function* runTraining(settings: TrainSettings, base: string): Steps<TrainResult> {
  const clock = startClock();
  const cache = cacheFolder();
  const scanned = yield* readDataset(settings, cache);
  clock.lap('scan');

  const weights = yield* loadWeights(settings.card, cache, settings.weights);
  const { project, name, existOk } = settings;
  const folder = await makeRunFolder({ project, name, existOk }, base);
  // The runtimes that will prove the export load on one core while the head trains on another.
  const classifiers = startClassifiers(Math.min(settings.workers, countValidation(scanned)), ['onnx', 'tflite']);
  try {
    const backbone = recordKey(weights.sha256, settings.card.name, settings.card.architecture).slice(0, 16);
    const features = await openFeatureCache(
      join(cache, 'features', `${settings.card.name}-${backbone}`),
      featureWidth(settings.card),
    );
    let head: TrainedHead;
    let manifest: Manifest;
    let counts: { computed: number; cached: number };
    try {
      ({ manifest, counts } = yield* fillCache(settings, scanned, weights, features));
      clock.lap('features');
      head = yield* trainOnCache(settings, manifest, features);
      clock.lap('head');
    } finally {
      await features.close();
    }

    const provenance: Provenance = {
      format: 1,
      graft: packageVersion(),
      backbone: settings.card.name,
      classes: manifest.classes,
      preprocess: settings.preprocess,
      weights: weights.sha256,
      dataset: hashDataset(manifest),
    };
    // metrics.json is written last and marks a finished run.
    await rm(join(folder, runFiles.metrics), { force: true });
    await rm(join(folder, runFiles.tflite), { force: true });
    await writeManifest(join(folder, runFiles.manifest), manifest);
    await writeWhole(join(folder, runFiles.results), formatResults(head.epochs));
    await writeJson(join(folder, runFiles.args), describeRun(settings, provenance));
    const photos = manifest.photos.filter(photo => photo.split === 'validation');
    const exported = yield* exportModel({
      folder,
      card: settings.card,
      parameters: weights.parameters,
      head,
      provenance,
      photos: photos.map(photo => ({
        file: resolve(settings.data, photo.path),
        label: manifest.classes.indexOf(photo.class),
      })),
      classifiers,
      onWritten: () => clock.lap('export'),
    });
    clock.lap('proof');

    const result: TrainResult = {
      run: folder,
      classes: manifest.classes,
      counts: countPhotos(manifest),
      excluded: manifest.excluded.length,
      best_epoch: head.bestEpoch,
      epochs: head.epochs.length,
      validation: exported.validation,
      proof: exported.proof,
      size: exported.size,
      features: counts,
      seconds: clock.seconds(),
    };
    await writeJson(join(folder, runFiles.metrics), result);
    return result;
  } finally {
    await classifiers.close();
    await dropEmptyRunFolder(folder);
  }
}

/** Scans and splits, or takes an earlier run's manifest; says what was left out. */
async function* readDataset(settings: TrainSettings, cache: string): Steps<Manifest> {
  if (settings.manifest !== undefined) {
    const manifest = await loadManifest(settings.manifest);
    requireTrainable(manifest, settings.manifest);
    yield { type: 'note', message: `${manifest.photos.length} photos and their split from ${settings.manifest}.` };
    return manifest;
  }
  const verdicts = await openVerdicts(cache);
  const scan = yield* scanFolder(settings.data, { workers: readers(settings.workers), verdicts });
  await verdicts.save();
  if (settings.validationFraction !== undefined && scan.photos.some(photo => photo.split === 'validation')) {
    throw new GraftError(
      'usage',
      `val is set, but ${settings.data} comes with its own validation photos.`,
      'Leave --val out to use them, or move all photos into one folder per class.',
    );
  }
  const { seed } = settings.head;
  const manifest = splitPhotos(scan, { seed, validationFraction: settings.validationFraction });
  const told = new Set(scan.excluded.map(({ path }) => path));
  const doubles = manifest.excluded.filter(({ path }) => !told.has(path));
  if (doubles.length > 0) yield { type: 'warning', message: describeExcluded(doubles) };
  for (const message of manifest.how) yield { type: 'note', message };
  return manifest;
}

/** A manifest of somebody's making may lack what splitPhotos sees to: train photos of every class, and validation photos. */
function requireTrainable(manifest: Manifest, file: string): void {
  const lacks = (what: string) =>
    new GraftError(
      'too-few-photos',
      `${file} has no ${what}.`,
      'Use the manifest.json of a run, or leave --manifest out.',
    );
  for (const name of manifest.classes) {
    if (manifest.photos.some(photo => photo.split === 'train' && photo.class === name)) continue;
    throw lacks(`train photo of the class "${name}"`);
  }
  if (countValidation(manifest) === 0) throw lacks('validation photo');
}

/** Computes the features that the cache lacks; photos that cannot be decoded after all leave the manifest. */
async function* fillCache(
  settings: TrainSettings,
  manifest: Manifest,
  weights: Weights,
  cache: FeatureCache,
): Steps<{ manifest: Manifest; counts: { computed: number; cached: number } }> {
  const { card, preprocess } = settings;
  const photos = manifest.photos.filter(photo => photo.split !== 'test');
  const fileOf = (photo: ManifestPhoto) => resolve(settings.data, photo.path);
  const extraction = yield* extractFeatures({
    photos: photos.map(photo => ({
      file: fileOf(photo),
      sha256: photo.sha256,
      views: photo.split === 'train' ? settings.views : 0,
    })),
    cache,
    makeBackbone: () => writeOnnx(buildFeatureGraph({ ...card, preprocess }, weights.parameters)),
    preprocess,
    augmentation: settings.augmentation,
    workers: settings.workers,
  });
  const counts = { computed: extraction.computed, cached: extraction.cached };
  if (extraction.failed.length === 0) return { manifest, counts };

  const reasons = new Map(extraction.failed.map(({ file, reason }) => [file, reason]));
  const kept = manifest.photos.filter(photo => !reasons.has(fileOf(photo)));
  const lost = manifest.photos.filter(photo => reasons.has(fileOf(photo)));
  const left = lost.map(photo => ({ path: photo.path, reason: reasons.get(fileOf(photo))! }));
  yield { type: 'warning', message: describeExcluded(left) };
  for (const split of ['train', 'validation'] as const) {
    for (const name of manifest.classes) {
      const isLike = (photo: ManifestPhoto) => photo.split === split && photo.class === name;
      if (kept.some(isLike) || !lost.some(isLike)) continue;
      throw new GraftError(
        'too-few-photos',
        `No readable ${split} photo of the class "${name}" is left.`,
        'Photos have gone or changed since they were scanned; run it again.',
      );
    }
  }
  return { manifest: { ...manifest, photos: kept, excluded: [...manifest.excluded, ...left] }, counts };
}

/** Trains the head on the features of the manifest's train photos, watching its validation photos. */
async function* trainOnCache(settings: TrainSettings, manifest: Manifest, cache: FeatureCache): Steps<TrainedHead> {
  const featureSet = (split: string, views: number): FeatureSet => {
    const photos = manifest.photos.filter(photo => photo.split === split);
    const keys = photos.map(photo =>
      Array.from({ length: views }, (_, view) =>
        viewKey(photo.sha256, view, settings.preprocess, settings.augmentation),
      ),
    );
    const labels = photos.map(photo => manifest.classes.indexOf(photo.class));
    const read: FeatureSet['read'] = (photo, view, out, offset) => cache.read(keys[photo]![view]!, out, offset);
    return { width: cache.width, labels, views, read };
  };
  const [train, validation] = [featureSet('train', settings.views + 1), featureSet('validation', 1)];
  return yield* trainHead(train, validation, manifest.classes.length, settings.head);
}

function countValidation(manifest: Manifest): number {
  return manifest.photos.filter(photo => photo.split === 'validation').length;
}

function countPhotos(manifest: Manifest): Record<string, Record<string, number>> {
  const counts: Record<string, Record<string, number>> = {};
  for (const photo of manifest.photos) {
    counts[photo.split] ??= Object.fromEntries(manifest.classes.map(name => [name, 0]));
    counts[photo.split]![photo.class]!++;
  }
  return counts;
}

/** sha256 over every photo's content, class and split: what the model was made from, wherever the folder lies. */
function hashDataset(manifest: Manifest): string {
  const lines = manifest.photos.map(photo => JSON.stringify([photo.sha256, photo.class, photo.split])).sort();
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}

function describeRun(settings: TrainSettings, model: Provenance): unknown {
  const { card, preprocess: _, ...rest } = settings;
  const { title, paper } = card;
  // The card's licence and origin are not those of a file that the user brought.
  const weights = settings.weights === undefined ? card.weights : { file: settings.weights, sha256: model.weights };
  return {
    model,
    settings: { ...rest, data: resolve(settings.data) },
    backbone: { title, paper, weights },
    ...describeMachine(),
  };
}

function formatResults(epochs: readonly EpochRecord[]): string {
  const columns = {
    epoch: 'epoch',
    learningRate: 'learning_rate',
    trainLoss: 'train_loss',
    trainAccuracy: 'train_accuracy',
    validationLoss: 'validation_loss',
    validationAccuracy: 'validation_accuracy',
  };
  const cast = { number: (value: number) => String(Number(value.toPrecision(6))) };
  return stringify([...epochs], { header: true, columns, cast });
}

function startClock() {
  const start = performance.now();
  let last = start;
  const laps: Record<string, number> = {};
  const seconds = (from: number, to: number) => Math.round(to - from) / 1000;
  return {
    lap(name: string) {
      const now = performance.now();
      laps[name] = seconds(last, now);
      last = now;
    },
    seconds: () => ({ ...laps, total: seconds(start, performance.now()) }) as unknown as TrainSeconds,
  };
}
