// The proof of exported files: every one runs on the validation photos, beside the trained model.
import { resolve } from 'node:path';
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import type { Manifest } from '../dataset/manifest.ts';
import type { Split } from '../dataset/splits.ts';
import { compareProbabilities } from '../evaluate/agreement.ts';
import { argMax, type Metrics, measurePredictions } from '../evaluate/metrics.ts';
import type { CameraChoice } from '../image/camera.ts';
import { type Classifiers, classifyWith, measureModel } from './classify-files.ts';
import { percent } from './number-words.ts';
import type { ModelFile } from './read-model.ts';
import type { Precision } from './tflite-file.ts';
import type { TrainedNetwork } from './trained-run.ts';

/** A photo and the number of its class. */
export interface LabelledFile {
  readonly file: string;
  readonly label: number;
}

/** The photos of a part of a manifest, as files. */
export function labelledFiles(manifest: Manifest, split: Split, data: string): LabelledFile[] {
  return manifest.photos
    .filter(photo => photo.split === split)
    .map(photo => ({ file: resolve(data, photo.path), label: manifest.classes.indexOf(photo.class) }));
}

/** The proof's figures; accuracies and agreement in 0..1, latency in milliseconds with one thread. */
export interface ProofFigures {
  /** Accuracy of the file in its runtime. */
  readonly accuracy: number;
  /** Largest absolute difference of a probability from the trained model's. */
  readonly max_difference: number;
  readonly top_class_agreement: number;
  readonly images: number;
  readonly latency_ms: { readonly median: number; readonly p95: number };
}

/** What a proof gives: the trained model on the photos, and the figures of each file. */
export interface Proof {
  readonly validation: Metrics;
  readonly figures: readonly ProofFigures[];
}

/** What a file may differ by from the trained model, in parts of 1. */
export interface Bounds {
  /** Largest difference of a probability. */
  readonly difference?: number;
  /** Loss of accuracy. */
  readonly drop?: number;
}

/**
 * Bounds of each precision. The first two compute the same numbers but for rounding: with differences of at most d, the
 * best class can only change on a photo where the two best are closer than 2 d. A float32 file of an ordinary model differs
 * by 1e-5; one that is sure of everything, with logits in the hundreds, by more. The other two are another model, which is
 * judged by its accuracy.
 * @param maxDrop in parts of 1.
 */
export function boundsOf(precision: Precision, maxDrop: number): Bounds {
  if (precision === 'float32') return { difference: 1e-3 };
  if (precision === 'float16') return { difference: 5e-3 };
  return { drop: maxDrop };
}

/** Whether files of a precision are judged by their accuracy, so that some of it may be lost. */
export const mayLose = (precision: Precision): boolean => boundsOf(precision, 0).drop !== undefined;

/**
 * What models say of photos, each photo decoded once: per model and photo the probability of each class.
 * @param classifiers threads; what they were given before is gone.
 * @param stage name of the progress.
 * @throws GraftError `bad-photo` for one that cannot be read.
 */
export async function* askModels(
  { provenance: { classes, preprocess } }: Pick<TrainedNetwork, 'provenance'>,
  models: readonly ModelFile[],
  photos: readonly LabelledFile[],
  classifiers: Classifiers,
  camera: CameraChoice,
  stage: string,
): Steps<Float32Array[][]> {
  const said: Float32Array[][] = models.map(() => []);
  let done = 0;
  yield { type: 'progress', stage, done, total: photos.length, unit: 'photos' };
  classifiers.equip({ models, preprocess, camera, classes: classes.length });
  for await (const outcome of classifyWith(
    classifiers,
    photos.map(({ file }) => file),
  )) {
    if ('reason' in outcome) throw new GraftError('bad-photo', outcome.reason, outcome.hint);
    outcome.probabilities.forEach((probabilities, model) => {
      said[model]![outcome.index] = probabilities;
    });
    yield { type: 'progress', stage, done: ++done, total: photos.length, unit: 'photos' };
  }
  return said;
}

/**
 * Runs the trained model and the files on the photos, each photo decoded once.
 * @param trained the run's model.onnx.
 * @param classifiers threads; what they were given before is gone.
 * @param camera what the photos are seen through. Default: none.
 */
export async function* prove(
  network: Pick<TrainedNetwork, 'provenance'>,
  trained: Uint8Array,
  files: readonly ModelFile[],
  photos: readonly LabelledFile[],
  classifiers: Classifiers,
  camera: CameraChoice = 'none',
): Steps<Proof> {
  const { classes } = network.provenance;
  const models = [{ runtime: 'onnx', bytes: trained } as const, ...files];
  const said = yield* askModels(network, models, photos, classifiers, camera, 'proof');
  const truth = photos.map(({ label }) => label);
  const measure = (answers: readonly Float32Array[]) => measurePredictions(truth, answers.map(argMax), classes);
  const [model, ...others] = said as [Float32Array[], ...Float32Array[][]];
  const figures: ProofFigures[] = [];
  for (const [i, answers] of others.entries()) {
    const { max_difference, top_class_agreement, images } = compareProbabilities(model, answers);
    figures.push({
      accuracy: measure(answers).accuracy,
      max_difference,
      top_class_agreement,
      images,
      latency_ms: await measureModel(classifiers, i + 1),
    });
  }
  return { validation: measure(model), figures };
}

/** Why a file is not safe to use; undefined when it is. `accuracy` is the trained model's. */
export function objectionTo(figures: ProofFigures, bounds: Bounds, accuracy: number): string | undefined {
  const { difference, drop } = bounds;
  if (Number.isNaN(figures.max_difference))
    return 'it gives numbers that are none (NaN), or boxes that lie outside of the picture';
  if (difference !== undefined && figures.max_difference > difference) {
    return (
      `a probability differs by ${figures.max_difference.toExponential(1)} from the trained model's (${difference} is ` +
      `allowed), and the best class on ${Math.round((1 - figures.top_class_agreement) * figures.images)} of ${figures.images} photos`
    );
  }
  // Accuracies are ratios of whole numbers, so that equal drops may differ in their last digit.
  const lost = accuracy - figures.accuracy;
  if (drop !== undefined && lost > drop + 1e-9) {
    return (
      `it is right on ${percent(figures.accuracy)} of the ${figures.images} photos and the trained model on ` +
      `${percent(accuracy)}: ${(100 * lost).toFixed(1)} points less, and ${(100 * drop).toFixed(1)} are allowed` +
      (drop < 1 / figures.images ? ` (one photo is ${(100 / figures.images).toFixed(1)} points)` : '')
    );
  }
  return undefined;
}
