// graft train: photos in class folders in; a run folder with a proven .tflite file out, in two phases.
import { join } from 'node:path';
import type { Steps, VerbEvent } from '../base/events.ts';
import { writeJson } from '../base/files.ts';
import { writeManifest } from '../dataset/manifest.ts';
import { chooseDevice } from '../engine/device.ts';
import type { Metrics } from '../evaluate/metrics.ts';
import type { RejectRule } from '../evaluate/rejection.ts';
import type { CameraChoice } from '../image/camera.ts';
import { loadHead, saveHead } from '../train/checkpoint.ts';
import type { TrainedHead } from '../train/head.ts';
import type { ModelChoice } from './auto-model.ts';
import { cacheFolder } from './cache-folder.ts';
import { openChosen } from './choose-model.ts';
import { startClassifiers } from './classify-files.ts';
import { startClock } from './clock.ts';
import { describeModel, describeRun } from './describe-run.ts';
import { exportModel } from './export-model.ts';
import { checkModelName } from './open-backbone.ts';
import { labelledFiles, type ProofFigures } from './proof.ts';
import { completeProvenance, type Provenance } from './provenance.ts';
import { writeResults } from './results.ts';
import { resumeRun } from './resume.ts';
import { clearRunFolder, dropEmptyRunFolder, dropUnfinishedFiles, makeRunFolder, runFiles } from './run-folder.ts';
import { type Confidence, settleConfidence } from './settle-confidence.ts';
import { countPhotos, countValidation, readDataset, requireUnchanged } from './train-dataset.ts';
import { resolveTrainOptions, type TrainingJob, type TrainOptions } from './train-options.ts';
import { type Features, openFeatures, trainOnFeatures } from './train-phase-one.ts';
import { type FineTuned, fineTuneRun, identifyTraining, type PhaseTwoSettings } from './train-phase-two.ts';
import { linearHead, type TrainedNetwork } from './trained-run.ts';

/**
 * Wall-clock seconds of a run, by part: `scan`, `features` (with fetching the weights on first use), `head`, `fine_tuning`
 * (with decoding and caching for it), `calibrate`, `export` and `proof`; `total` is from the start to the end.
 */
export type TrainSeconds = Readonly<Record<string, number>> & { readonly total: number };

/** What phase two did. Accuracies are in 0..1 and, like losses, of the validation photos as the epoch was chosen on them. */
export interface FineTuningResult {
  /** Epochs that were trained, in this process and before it was resumed. */
  readonly epochs: number;
  /** The epoch that was kept; 0 when none was better than the head of phase one, which was kept then. */
  readonly best_epoch: number;
  readonly head: { readonly loss: number; readonly accuracy: number };
  readonly best: { readonly loss: number; readonly accuracy: number };
}

/** What metrics.json holds, beside the run's folder. Accuracies are in 0..1. */
export interface TrainResult {
  readonly run: string;
  /** The backbone, as `--model` names it. */
  readonly model: string;
  /** How `auto` chose it; null where it was named. */
  readonly choice: ModelChoice | null;
  readonly classes: readonly string[];
  /** Photos per split and class. */
  readonly counts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly excluded: number;
  /** Epochs of the head, and the one that was kept. */
  readonly best_epoch: number;
  readonly epochs: number;
  /** null when there was no phase two. */
  readonly fine_tuning: FineTuningResult | null;
  /** What the validation photos were seen through when the epoch was chosen, and the kept model's accuracy on them then. */
  readonly chosen_on: { readonly camera: CameraChoice; readonly accuracy: number };
  /**
   * The temperature that makes probabilities mean what they say, and the expected calibration error on the validation photos
   * without it and with it.
   */
  readonly calibration: Omit<Confidence, 'reject'>;
  /** Below which probability a photo is none of the classes. */
  readonly reject: RejectRule;
  /** The trained model on the validation photos as they are. The epoch was chosen on the same photos, which flatters a little. */
  readonly validation: Metrics;
  readonly proof: ProofFigures;
  /** Bytes of model.tflite. */
  readonly size: number;
  readonly features: { readonly computed: number; readonly cached: number };
  readonly seconds: TrainSeconds;
}

/**
 * Trains a classifier: scans and splits the photos, extracts features with the frozen backbone, trains a new head on them,
 * fine-tunes the backbone where that makes it better, exports model.onnx and model.tflite, and proves the latter in LiteRT
 * on the validation photos. With `resume`, a run that was cut off goes on exactly where it was.
 * @throws GraftError `proof-failed` when the file disagrees with the model (it is then named model.tflite.rejected), and
 * others for what is wrong with the photos, the options, the disk, the checkpoint or the network.
 */
export async function* train(options: TrainOptions): AsyncGenerator<VerbEvent<TrainResult>> {
  const job =
    options.resume === undefined ? { options, settings: resolveTrainOptions(options) } : await resumeRun(options);
  const result = yield* runTraining(job, 'train');
  yield { type: 'result', result };
}

/** `train` as a part of other verbs. `base` is the name of a run that the user did not name. */
export async function* runTraining(job: TrainingJob, base: string): Steps<TrainResult> {
  const { options } = job;
  const asked = { ...job.settings, device: await chooseDevice(job.settings.device) };
  const clock = startClock();
  if (asked.camera !== 'none') {
    const message = `For the camera ${asked.camera}: ${100 * asked.cameraShare} % of the augmented views are as it sees a photo, and the epoch is chosen on the validation photos as it sees them.`;
    yield { type: 'note', message };
  }
  const cache = cacheFolder();
  await checkModelName(asked.model);
  const scanned = yield* readDataset(asked, cache);
  clock.lap('scan');

  const { settings, choice = job.choice ?? null } = yield* openChosen(asked, scanned, cache);
  const { project, name, existOk } = settings;
  const folder = job.folder ?? (await makeRunFolder({ project, name, existOk }, base));
  // The runtimes that will prove the export load on one core while the head trains on another.
  const classifiers = startClassifiers(Math.min(settings.workers, countValidation(scanned)), ['onnx', 'tflite']);
  try {
    await dropUnfinishedFiles(folder);
    if (job.folder === undefined) await clearRunFolder(folder);
    else
      yield* requireUnchanged(
        scanned.photos.filter(photo => photo.split !== 'test'),
        settings,
      );
    const features = yield* openFeatures(settings, scanned, cache);
    const { manifest, counts } = features;
    const provenance = describeModel(settings, manifest);
    clock.lap('features');
    let head: TrainedHead;
    try {
      if (job.folder === undefined) {
        await writeManifest(join(folder, runFiles.manifest), manifest);
        await writeJson(join(folder, runFiles.args), describeRun(options, settings, provenance, choice));
      }
      yield { type: 'resumable', run: folder };
      head = yield* trainOrLoadHead(settings, folder, features, provenance);
    } finally {
      await features.cache.close();
    }
    clock.lap('head');

    const tuned =
      settings.fineTune.epochs > 0 ? yield* fineTuneRun({ settings, folder, manifest, head, provenance }) : undefined;
    if (tuned) clock.lap('fine_tuning');

    const photos = labelledFiles(manifest, 'validation', settings.data);
    const chosenOn = { camera: settings.camera, accuracy: (tuned?.best ?? bestOfHead(head)).validationAccuracy };
    const backbone = tuned?.backbone ?? settings.backbone;
    const trained = { backbone, head: linearHead(tuned?.head ?? head), provenance };
    const confidence = yield* settleConfidence(trained, photos, classifiers, settings.camera, settings);
    const { temperature, reject, ...errors } = confidence;
    const validation = { accuracy: chosenOn.accuracy, images: photos.length };
    const network: TrainedNetwork = {
      backbone,
      head: linearHead(tuned?.head ?? head, temperature),
      provenance: completeProvenance(provenance, { validation, temperature, reject }),
    };
    clock.lap('calibrate');
    const exported = yield* exportModel({
      folder,
      network,
      photos,
      classifiers,
      onWritten: () => clock.lap('export'),
    });
    clock.lap('proof');

    const result: TrainResult = {
      run: folder,
      model: settings.model,
      choice,
      classes: manifest.classes,
      counts: countPhotos(manifest),
      excluded: manifest.excluded.length,
      best_epoch: head.bestEpoch,
      epochs: head.epochs.length,
      fine_tuning: tuned ? describeFineTuning(tuned) : null,
      chosen_on: chosenOn,
      calibration: { temperature, ...errors },
      reject,
      validation: exported.validation,
      proof: exported.proof,
      size: exported.size,
      features: counts,
      seconds: clock.seconds(),
    };
    // Written last: it marks a finished run.
    await writeJson(join(folder, runFiles.metrics), result);
    return result;
  } finally {
    await classifiers.close();
    await dropEmptyRunFolder(folder);
  }
}

/** The head of phase one: trained, or read from the run's folder when that was done before it was cut off. */
async function* trainOrLoadHead(
  settings: PhaseTwoSettings,
  folder: string,
  features: Features,
  provenance: Provenance,
): Steps<TrainedHead> {
  const weightsFolder = join(folder, runFiles.weights);
  const identity = identifyTraining(settings, provenance);
  const saved = await loadHead(weightsFolder, identity);
  if (saved) return { ...saved.weights, scaling: saved.scaling, epochs: saved.records, bestEpoch: saved.bestEpoch };
  const head = yield* trainOnFeatures(settings, features);
  const { weight, bias, scaling, epochs: records, bestEpoch } = head;
  await writeResults(folder, { head: records, fineTuning: [] });
  await saveHead(weightsFolder, identity, { weights: { weight, bias }, scaling, records, bestEpoch });
  return head;
}

const bestOfHead = ({ epochs, bestEpoch }: TrainedHead) => epochs[bestEpoch - 1]!;

function describeFineTuning({ records, best, start }: FineTuned): FineTuningResult {
  return {
    epochs: records.length,
    best_epoch: best.epoch,
    head: { loss: start.validationLoss, accuracy: start.validationAccuracy },
    best: { loss: best.validationLoss, accuracy: best.validationAccuracy },
  };
}
