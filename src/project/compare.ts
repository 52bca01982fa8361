// graft compare: models on the same photos, photo by photo, and whether what lies between them is more than chance.
import { GraftError } from '../base/errors.ts';
import type { VerbEvent } from '../base/events.ts';
import type { Latency } from '../engine/latency.ts';
import { type Figures, measureFigures } from '../evaluate/figures.ts';
import { argMax } from '../evaluate/metrics.ts';
import { comparePaired, correctHolm, type Paired } from '../evaluate/paired.ts';
import { type CameraChoice, cameraChoices } from '../image/camera.ts';
import type { PixelsName } from '../import/find-preprocess.ts';
import { measureModel, startClassifiers } from './classify-files.ts';
import { findComparedPhotos } from './compare-photos.ts';
import { defaultWorkers } from './defaults.ts';
import type { KnownPhoto } from './evaluate-model.ts';
import { type Classifier, openClassifier, requireUse } from './open-classifier.ts';
import { pickName } from './pick-name.ts';
import { pixelsNames } from './pixels-names.ts';
import { describeCamera, predictPhotos, requireAnswers } from './predict-photos.ts';
import type { ModelFile } from './read-model.ts';
import { checkRanges } from './setting-ranges.ts';

/** Options of `compare`. */
export interface CompareOptions {
  /** Two or more run folders or .tflite files. Up to four are compared each with each, more with the first alone. */
  readonly models: readonly string[];
  /** A labelled folder. Default: the validation photos of the first run folder. */
  readonly data?: string;
  /** The robot's camera, through which the photos are seen. Default: none. */
  readonly camera?: CameraChoice;
  /** As of `val`, for somebody else's models. */
  readonly labels?: string;
  readonly pixels?: PixelsName;
  /** Threads. Default: the machine's cores, at most 8. */
  readonly workers?: number;
}

/** One of the models. */
export interface ComparedModel {
  readonly model: string;
  /** What runs it: ONNX Runtime the `model.onnx` of a run folder, LiteRT a .tflite file. */
  readonly runtime: ModelFile['runtime'];
  readonly precision: string;
  /** Bytes of its file. */
  readonly size: number;
  /** Milliseconds for a photo's pixels, on one thread. */
  readonly latency_ms: Latency;
  readonly figures: Figures;
}

/** A model against one that was named before it. */
export interface ComparedPair {
  readonly model: string;
  readonly against: string;
  /** Accuracy of the model less that of the other, with the interval in which it is at 95 %. */
  readonly difference: number;
  readonly interval: Paired['interval'];
  /** McNemar's exact test, and the same corrected for the number of pairs (Holm). */
  readonly p: number;
  readonly p_corrected: number;
  /** Photos that only the model has right, and that only the other has. */
  readonly won: readonly string[];
  readonly lost: readonly string[];
  /** Which is better, or that nobody can tell. */
  readonly verdict: string;
}

/** Result of `compare`. */
export interface CompareResult {
  readonly images: number;
  readonly classes: readonly string[];
  readonly camera: CameraChoice;
  readonly models: readonly ComparedModel[];
  readonly pairs: readonly ComparedPair[];
}

/** What is less likely by chance counts as a difference. */
const SIGNIFICANT = 0.05;

/** Most models that are compared each with each. */
const MAX_ALL_PAIRS = 4;

/**
 * Compares models. Photos that one of them was trained on are left out. Up to MAX_ALL_PAIRS models are compared each with each,
 * more with the first alone: each further pair makes the correction harder.
 * @throws GraftError `usage` for less than two models or without photos, `label-mismatch` for models with other classes,
 * `too-few-photos` when none is left.
 */
export async function* compare(options: CompareOptions): AsyncGenerator<VerbEvent<CompareResult>> {
  checkRanges(options);
  const camera = pickName('camera', options.camera ?? 'none', cameraChoices);
  const workers = options.workers ?? defaultWorkers();
  const pixels = options.pixels === undefined ? undefined : pickName('pixels', options.pixels, pixelsNames);
  if (options.models.length < 2) {
    throw new GraftError('usage', 'There is nothing to compare one model with.', 'Name two models or more.');
  }
  const opened: Classifier[] = [];
  const foreign = { labels: options.labels, pixels };
  for (const name of options.models) opened.push(await openClassifier(name, foreign));
  requireUse(opened, foreign);
  for (const model of opened) {
    for (const message of [...model.notes, ...describeCamera(model, camera)]) yield { type: 'note', message };
  }
  const { classes, photos } = yield* findComparedPhotos(opened, options.data, workers);
  const truth = photos.map(({ label }) => label);

  const models: ComparedModel[] = [];
  const right: boolean[][] = [];
  for (const model of opened) {
    const answers = yield* predictPhotos(
      model,
      photos.map(({ file }) => file),
      { camera, workers, stage: 'compare' },
    );
    requireAnswers(answers, 'the folder');
    const order = classes.map(name => (model.classes ?? classes).indexOf(name));
    const probabilities = answers.map((answer, i) => {
      if (answer instanceof Float32Array) return Float32Array.from(order, place => answer[place]!);
      throw new GraftError('bad-photo', `${photos[i]!.path}: ${answer.reason}`, answer.hint);
    });
    right.push(probabilities.map((row, i) => argMax(row) === truth[i]));
    const { name, precision, size, file } = model;
    const latency_ms = await measureLatencyOf(model);
    models.push({
      model: name,
      runtime: file.runtime,
      precision,
      size,
      latency_ms,
      figures: measureFigures({ classes, truth, probabilities }, model.provenance?.reject?.below || undefined),
    });
  }
  const names = opened.map(({ name }) => name);
  const pairs = comparePairs(names, right, photos);
  yield { type: 'result', result: { images: photos.length, classes, camera, models, pairs } };
}

/** Which models are compared: with the first, and with one another where they are few. */
function choosePairs(count: number): (readonly [against: number, model: number])[] {
  const firsts = count <= MAX_ALL_PAIRS ? Array.from({ length: count }, (_, i) => i) : [0];
  return firsts.flatMap(first => Array.from({ length: count - first - 1 }, (_, i) => [first, first + 1 + i] as const));
}

/** @param right per model, which of the photos it has right. */
function comparePairs(
  names: readonly string[],
  right: readonly (readonly boolean[])[],
  photos: readonly KnownPhoto[],
): ComparedPair[] {
  const places = choosePairs(names.length);
  const pairs = places.map(([against, model]) => comparePaired(right[against]!, right[model]!));
  const corrected = correctHolm(pairs.map(({ p }) => p));
  const pathsOf = (list: readonly number[]) => list.map(photo => photos[photo]!.path);
  return pairs.map((pair, i) => {
    const [against, model] = places[i]!.map(place => names[place]!) as [string, string];
    const { difference, interval, p, won, lost } = pair;
    return {
      model,
      against,
      difference,
      interval,
      p,
      p_corrected: corrected[i]!,
      won: pathsOf(won),
      lost: pathsOf(lost),
      verdict: judge(model, against, pair, corrected[i]!),
    };
  });
}

/** Which of two is better in words, or that the photos cannot tell. */
function judge(model: string, against: string, { difference, interval, won, lost, images }: Paired, p: number): string {
  if (won.length + lost.length === 0) return `${model} and ${against} are right on the same photos.`;
  const points = (value: number) => (100 * value).toFixed(1);
  const counts = (one: string, other: string) =>
    `${one} is right on ${won.length} that ${other} has wrong, and wrong on ${lost.length} that ${other} has right, ` +
    `of ${images} (p ${p < 0.001 ? '< 0.001' : `= ${p.toFixed(p < SIGNIFICANT ? 3 : 2)}`})`;
  if (p >= SIGNIFICANT) {
    return (
      `No difference between ${model} and ${against} that is more than noise: ${counts('the former', 'the latter')}. ` +
      `The former may be better by ${points(interval.low)} to ${points(interval.high)} points.`
    );
  }
  const [low, high] = difference > 0 ? [interval.low, interval.high] : [-interval.high, -interval.low];
  return (
    `${model} is ${difference > 0 ? 'better' : 'worse'} than ${against} by ${points(Math.abs(difference))} points ` +
    `(${points(low)} to ${points(high)}): ${counts('it', 'the other')}.`
  );
}

async function measureLatencyOf({ file, preprocess, width }: Classifier): Promise<Latency> {
  const classifiers = startClassifiers(1, [file.runtime]);
  try {
    classifiers.equip({ models: [file], preprocess, classes: width });
    return await measureModel(classifiers, 0);
  } finally {
    await classifiers.close();
  }
}
