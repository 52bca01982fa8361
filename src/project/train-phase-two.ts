// Phase two: fine-tuning of the backbone in a run folder, with its caches, checkpoints and records.
import { join, resolve } from 'node:path';
import type { Steps } from '../base/events.ts';
import type { Manifest, ManifestPhoto } from '../dataset/manifest.ts';
import type { Device } from '../engine/device.ts';
import { writeOnnx } from '../onnx/write.ts';
import { float32, sizeOf, type Tensor } from '../tensor/tensor.ts';
import { type CheckpointIdentity, loadCheckpoint, saveCheckpoint } from '../train/checkpoint.ts';
import { extractViews, viewKey } from '../train/extract.ts';
import { type BestEpoch, type FineTunePhoto, type FineTuneState, fineTune, weighClasses } from '../train/fine-tune.ts';
import { type EpochRecord, foldScaling, type HeadWeights, type TrainedHead, unfoldScaling } from '../train/head.ts';
import { openRecordCache, type RecordCache } from '../train/record-cache.ts';
import { type EventFile, openEventFile } from '../train/tensorboard.ts';
import type { TrainSource } from '../train/train-worker.ts';
import { openTrainer, type Trainer } from '../train/trainer.ts';
import {
  buildFrozenGraph,
  buildTrainedGraph,
  cutShape,
  frozenWidth,
  stageOfParameter,
  trainedParameters,
} from '../zoo/graphs.ts';
import type { Weights } from '../zoo/load-weights.ts';
import type { Parameters } from '../zoo/parameters.ts';
import { cacheFolder } from './cache-folder.ts';
import { dependencyVersion } from './machine.ts';
import type { Provenance } from './provenance.ts';
import { scalarsOf, writeResults } from './results.ts';
import { runFiles } from './run-folder.ts';
import { dropUnreadable } from './train-dataset.ts';
import type { TrainSettings } from './train-options.ts';
import { backboneFolder } from './train-phase-one.ts';

/** Most bytes that decoded photos, and activations, may take in the cache: each 28,000 photos at 224 px. */
const MAX_CACHE_BYTES = 4 * 2 ** 30;

/** Settings with the device that was chosen. */
export type PhaseTwoSettings = TrainSettings & { readonly device: Device };

/** What fine-tuning starts from. */
export interface PhaseTwo {
  readonly settings: PhaseTwoSettings;
  readonly folder: string;
  readonly manifest: Manifest;
  readonly weights: Weights;
  readonly head: TrainedHead;
  readonly provenance: Provenance;
}

/** What it gives: the backbone and the head of the best epoch. */
export interface FineTuned {
  readonly parameters: Parameters;
  readonly head: HeadWeights;
  readonly records: readonly EpochRecord[];
  readonly best: BestEpoch;
  /** The head of phase one on the validation photos. */
  readonly start: Omit<BestEpoch, 'epoch'>;
}

/** All that a checkpoint depends on: it can be resumed only where this is the same. */
export function identifyTraining(settings: PhaseTwoSettings, provenance: Provenance): CheckpointIdentity {
  const { head, fineTune: options, freeze, cutViews, views, augmentation, card, preprocess } = settings;
  return {
    graft: provenance.graft,
    'onnxruntime-node': dependencyVersion('onnxruntime-node'),
    backbone: card.name,
    weights: provenance.weights,
    classes: provenance.classes,
    dataset: provenance.dataset,
    preprocess,
    augmentation,
    views,
    head,
    fine_tuning: options,
    freeze,
    cut_views: cutViews,
    device: settings.device,
  };
}

/** Fine-tunes, from the run's last checkpoint if there is one. */
export async function* fineTuneRun(job: PhaseTwo): Steps<FineTuned> {
  const { settings, folder, weights, head, provenance } = job;
  const { card, freeze } = settings;
  const sized = { ...card, preprocess: settings.preprocess };
  const classes = provenance.classes.length;
  const source = yield* openSource(job);
  let trainer: Trainer | undefined;
  let events: EventFile | undefined;
  try {
    const names = trainedParameters(card, weights.parameters, freeze);
    const unfolded = unfoldScaling(head, head.scaling);
    const width = head.scaling.mean.length;
    const tensors = {
      weight: float32([classes, width], unfolded.weight),
      bias: float32([classes], unfolded.bias),
      mean: float32([width], head.scaling.mean),
      inverse: float32([width], head.scaling.inverse),
    };
    const { train, validation } = source;
    const { fineTune: options } = settings;
    const stages = card.featureWidths.length;
    trainer = await openTrainer({
      model: buildTrainedGraph(sized, weights.parameters, tensors, freeze, source.kind.kind === 'activations'),
      parameters: names,
      classes,
      source: source.kind,
      loss: { labelSmoothing: options.labelSmoothing, classWeights: weighClasses(train, classes) },
      batch: options.batch,
      workers: settings.workers,
      device: settings.device,
      optimiser: { name: options.optimiser, clipNorm: options.clipNorm, averageDecay: options.averageDecay },
      rateOf: name => options.layerDecay ** (stages - (stageOfParameter(name) ?? stages)),
      // Biases and BatchNorm do not decay: they have one dimension.
      decayOf: (_name, shape) => (shape.length > 1 ? options.weightDecay : 0),
    });
    const weightsFolder = join(folder, runFiles.weights);
    const identity = identifyTraining(settings, provenance);
    const resume = await loadCheckpoint(weightsFolder, trainer.spans, identity);
    if (resume) yield { type: 'note', message: describeResume(resume) };
    if (settings.tensorboard) events = await openEventFile(join(folder, runFiles.tensorboard), resume?.epoch);
    let lastSave = performance.now();
    let start: FineTuneState['start'] | undefined = resume?.start;
    const { spans } = trainer;
    const result = yield* fineTune({
      trainer,
      train,
      validation,
      classes,
      options,
      resume,
      saveDue: () => performance.now() - lastSave > settings.saveEvery * 60_000,
      async save(state, improved) {
        await saveCheckpoint(weightsFolder, spans, identity, state, improved);
        lastSave = performance.now();
        start = state.start;
        if (state.step > 0) return;
        await writeResults(folder, { head: head.epochs, fineTuning: state.records });
        const record = state.records.at(-1);
        if (record) await events?.scalars(record.epoch, scalarsOf(record));
      },
    });
    if (result.best.epoch === 0) {
      yield {
        type: 'note',
        message: 'Fine-tuning did not make the validation loss lower: the model keeps the frozen backbone.',
      };
    }
    const tuned = new Map<string, Tensor<'float32'>>();
    for (const { name, shape, start: at } of spans) {
      tuned.set(name, float32(shape, result.parameters.slice(at, at + sizeOf(shape))));
    }
    const parameters = new Map(weights.parameters);
    for (const [name, tensor] of tuned) if (parameters.has(name)) parameters.set(name, tensor);
    const trained = { weight: tuned.get('head.weight')!.data, bias: tuned.get('head.bias')!.data };
    return {
      parameters,
      head: foldScaling(trained, head.scaling),
      records: result.records,
      best: result.best,
      start: start!,
    };
  } finally {
    await trainer?.close();
    await events?.close();
    await source.close();
  }
}

function describeResume({ epoch, step, best }: FineTuneState): string {
  const within = step > 0 ? ` after step ${step}` : '';
  return `Going on in epoch ${epoch}${within}; the best so far is epoch ${best.epoch}, ${(100 * best.validationAccuracy).toFixed(1)} % right.`;
}

/** The photos as fine-tuning reads them. */
interface Source {
  readonly kind: TrainSource;
  readonly train: readonly FineTunePhoto[];
  readonly validation: readonly FineTunePhoto[];
  readonly close: () => Promise<void>;
}

/**
 * Fills the cache that fine-tuning reads: decoded photos, of which a new view is rendered in every epoch; or, with
 * `cutViews`, what the frozen stages make of so many views, so that they are never computed again.
 */
async function* openSource({ settings, manifest, weights }: PhaseTwo): Steps<Source> {
  const { card, freeze, preprocess, augmentation, workers, cutViews, data } = settings;
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
    cache = await openRecordCache({
      folder: join(cacheFolder(), 'activations', `${backboneFolder(settings, weights)}-${freeze}`),
      suffix: 'activations',
      bytes: 2 * (sizeOf(shape) + pooled),
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
              if (!cut) return { ...common, place: plain, view: [seed, sha256, epoch] };
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
