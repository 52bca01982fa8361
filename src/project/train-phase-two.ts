// Phase two: fine-tuning of the backbone in a run folder, with its caches, checkpoints and records.
import { join } from 'node:path';
import type { Steps } from '../base/events.ts';
import type { Manifest } from '../dataset/manifest.ts';
import type { Device } from '../engine/device.ts';
import { float32 } from '../tensor/tensor.ts';
import { type CheckpointIdentity, loadCheckpoint, saveCheckpoint } from '../train/checkpoint.ts';
import { type BestEpoch, type FineTunePhoto, type FineTuneState, fineTune } from '../train/fine-tune.ts';
import { viewTensors } from '../train/flat-vector.ts';
import {
  balanceClasses,
  type EpochRecord,
  foldScaling,
  type HeadWeights,
  type TrainedHead,
  unfoldScaling,
} from '../train/head.ts';
import { type EventFile, openEventFile } from '../train/tensorboard.ts';
import { openTrainer, type Trainer } from '../train/trainer.ts';
import type { Backbone } from '../zoo/backbone.ts';
import { buildTrainedGraph, trainedParameters } from '../zoo/graphs.ts';
import { stageParameters, withParameters } from '../zoo/stages.ts';
import type { FittedSettings } from './fit-settings.ts';
import { dependencyVersion } from './machine.ts';
import type { Provenance } from './provenance.ts';
import { scalarsOf, writeResults } from './results.ts';
import { runFiles } from './run-folder.ts';
import { openSource } from './train-source.ts';

/** Settings with the device that was chosen. */
export type PhaseTwoSettings = FittedSettings & { readonly device: Device };

/** What fine-tuning starts from. */
export interface PhaseTwo {
  readonly settings: PhaseTwoSettings;
  readonly folder: string;
  readonly manifest: Manifest;
  readonly head: TrainedHead;
  readonly provenance: Provenance;
}

/** What it gives: the backbone and the head of the best epoch. */
export interface FineTuned {
  readonly backbone: Backbone;
  readonly head: HeadWeights;
  readonly records: readonly EpochRecord[];
  readonly best: BestEpoch;
  /** The head of phase one on the validation photos. */
  readonly start: Omit<BestEpoch, 'epoch'>;
}

/** All that a checkpoint depends on: it can be resumed only where this is the same. */
export function identifyTraining(settings: PhaseTwoSettings, provenance: Provenance): CheckpointIdentity {
  const { head, fineTune: options, freeze, cutViews, views, augmentation, backbone, camera } = settings;
  return {
    graft: provenance.graft,
    'onnxruntime-node': dependencyVersion('onnxruntime-node'),
    backbone: backbone.name,
    weights: provenance.weights,
    classes: provenance.classes,
    dataset: provenance.dataset,
    preprocess: backbone.preprocess,
    augmentation,
    views,
    camera,
    camera_share: settings.cameraShare,
    head,
    fine_tuning: options,
    fine_tuning_augmentation: settings.fineTuneAugmentation,
    freeze,
    cut_views: cutViews,
    device: settings.device,
  };
}

/** Threads that are ready to fine-tune, and the photos. */
export interface OpenedPhaseTwo {
  readonly trainer: Trainer;
  readonly train: readonly FineTunePhoto[];
  readonly validation: readonly FineTunePhoto[];
  readonly close: () => Promise<void>;
}

/** Fills the caches that fine-tuning reads and starts its threads, at the head of phase one. */
export async function* openPhaseTwo(job: Omit<PhaseTwo, 'folder'>): Steps<OpenedPhaseTwo> {
  const { settings, manifest, head, provenance } = job;
  const { backbone, freeze, fineTune: options } = settings;
  const classes = provenance.classes.length;
  const source = yield* openSource(settings, manifest);
  try {
    const { train, validation } = source;
    const unfolded = unfoldScaling(head, head.scaling);
    const width = head.scaling.mean.length;
    const tensors = {
      weight: float32([classes, width], unfolded.weight),
      bias: float32([classes], unfolded.bias),
      mean: float32([width], head.scaling.mean),
      inverse: float32([width], head.scaling.inverse),
    };
    const stages = backbone.stages.length;
    const stageOf = new Map(stageParameters(backbone).flatMap((names, stage) => names.map(name => [name, stage])));
    const classWeights = balanceClasses(
      train.map(({ label }) => label),
      classes,
    );
    const trainer = await openTrainer({
      model: buildTrainedGraph(backbone, tensors, freeze, source.kind.kind === 'activations'),
      parameters: trainedParameters(backbone, freeze),
      classes,
      source: source.kind,
      loss: { labelSmoothing: options.labelSmoothing, classWeights },
      batch: options.batch,
      workers: settings.workers,
      device: settings.device,
      optimiser: { name: options.optimiser, clipNorm: options.clipNorm, averageDecay: options.averageDecay },
      rateOf: name => options.layerDecay ** (stages - (stageOf.get(name) ?? stages)),
      // Biases and BatchNorm do not decay: they have one dimension, whatever their shape.
      decayOf: (_name, shape) => (shape.filter(dim => dim > 1).length > 1 ? options.weightDecay : 0),
    });
    const close = async () => {
      await trainer.close();
      await source.close();
    };
    return { trainer, train, validation, close };
  } catch (error) {
    await source.close();
    throw error;
  }
}

/** Fine-tunes, from the run's last checkpoint if there is one. */
export async function* fineTuneRun(job: PhaseTwo): Steps<FineTuned> {
  const { settings, folder, head, provenance } = job;
  const opened = yield* openPhaseTwo(job);
  const { spans } = opened.trainer;
  let events: EventFile | undefined;
  try {
    const weightsFolder = join(folder, runFiles.weights);
    const identity = identifyTraining(settings, provenance);
    const resume = await loadCheckpoint(weightsFolder, spans, identity);
    if (resume) {
      yield { type: 'note', message: describeResume(resume, settings.fineTune.epochs) };
      // It may have been cut off between the checkpoint and these.
      await writeResults(folder, { head: head.epochs, fineTuning: resume.records });
    }
    if (settings.tensorboard) {
      const told = resume?.records.at(-1);
      events = await openEventFile(join(folder, runFiles.tensorboard), told?.epoch ?? resume?.epoch);
      if (told) await events.scalars(told.epoch, scalarsOf(told));
    }
    let lastSave = performance.now();
    const result = yield* fineTune({
      trainer: opened.trainer,
      train: opened.train,
      validation: opened.validation,
      classes: provenance.classes.length,
      options: settings.fineTune,
      resume,
      saveDue: () => performance.now() - lastSave > settings.saveEvery * 60_000,
      async save(state, improved) {
        await saveCheckpoint(weightsFolder, spans, identity, state, improved);
        lastSave = performance.now();
        if (state.step > 0) return;
        await writeResults(folder, { head: head.epochs, fineTuning: state.records });
        const record = state.records.at(-1);
        if (record) await events?.scalars(record.epoch, scalarsOf(record));
      },
    });
    if (result.best.epoch === 0) {
      const message =
        'Fine-tuning did not make the model better on the validation photos: the frozen backbone is kept.';
      yield { type: 'note', message };
    }
    const tuned = viewTensors({ spans }, result.parameters);
    const { 'head.weight': weight, 'head.bias': bias, ...others } = tuned;
    const backbone = withParameters(settings.backbone, new Map(Object.entries(others)));
    const trained = { weight: weight!.data, bias: bias!.data };
    const { records, best, start } = result;
    return { backbone, head: foldScaling(trained, head.scaling), records, best, start };
  } finally {
    await opened.close();
    await events?.close();
  }
}

function describeResume({ epoch, step, best }: FineTuneState, epochs: number): string {
  const within = step > 0 ? ` after step ${step}` : '';
  const place = epoch > epochs ? 'Going on behind the last epoch' : `Going on in epoch ${epoch}${within}`;
  return `${place}; the best so far is epoch ${best.epoch}, ${(100 * best.validationAccuracy).toFixed(1)} % right.`;
}
