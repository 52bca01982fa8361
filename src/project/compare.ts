// graft compare: models on the same photos, photo by photo, and whether what lies between them is more than chance.
import { stat } from 'node:fs/promises';
import { GraftError } from '../base/errors.ts';
import type { Steps, VerbEvent } from '../base/events.ts';
import type { Latency } from '../engine/latency.ts';
import { type Figures, measureFigures } from '../evaluate/figures.ts';
import { argMax } from '../evaluate/metrics.ts';
import { comparePaired, correctHolm, type Paired } from '../evaluate/paired.ts';
import { type CameraChoice, cameraChoices } from '../image/camera.ts';
import type { PixelsName } from '../import/find-preprocess.ts';
import { measureModel, startClassifiers } from './classify-files.ts';
import { defaultWorkers } from './defaults.ts';
import { type KnownPhoto, openKnownFolder } from './evaluate-model.ts';
import { type Classifier, isForeign, openClassifier } from './open-classifier.ts';
import { pickName } from './pick-name.ts';
import { pixelsNames } from './pixels-names.ts';
import { describeCamera, predictPhotos, requireAnswers } from './predict-photos.ts';
import { openRunPhotos } from './run-photos.ts';
import { checkRanges } from './setting-ranges.ts';
import { trainedPhotos } from './trained-photos.ts';

/** Options of `compare`. */
export interface CompareOptions {
  /** Two or more run folders or .tflite files; the others are held against the first. */
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
  readonly precision: string;
  /** Bytes of its file. */
  readonly size: number;
  /** Milliseconds for a photo's pixels, on one thread. */
  readonly latency_ms: Latency;
  readonly figures: Figures;
}

/** A model against the first. */
export interface ComparedPair {
  readonly model: string;
  readonly against: string;
  /** Accuracy of the model less that of the first, with the interval in which it is at 95 %. */
  readonly difference: number;
  readonly interval: Paired['interval'];
  /** McNemar's exact test, and the same corrected for the number of models (Holm). */
  readonly p: number;
  readonly p_corrected: number;
  /** Photos that only the model has right, and that only the first has. */
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

/**
 * Compares models. Photos that one of them was trained on are left out.
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
  for (const name of options.models) {
    opened.push(await openClassifier(name, (await isForeign(name)) ? { labels: options.labels, pixels } : {}));
  }
  for (const model of opened) {
    for (const message of [...model.notes, ...describeCamera(model, camera)]) yield { type: 'note', message };
  }
  const { classes, photos } = yield* findPhotos(opened, options, workers);
  yield* warnOfChoice(opened, photos);
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
    const { name, precision, size } = model;
    const latency_ms = await measureLatencyOf(model);
    models.push({
      model: name,
      precision,
      size,
      latency_ms,
      figures: measureFigures({ classes, truth, probabilities }, model.provenance?.reject?.below || undefined),
    });
  }
  const pairs = right.slice(1).map(answers => comparePaired(right[0]!, answers));
  const corrected = correctHolm(pairs.map(({ p }) => p));
  const result: CompareResult = {
    images: photos.length,
    classes,
    camera,
    models,
    pairs: pairs.map(({ difference, interval, p, won, lost }, i) => {
      const [model, against] = [opened[i + 1]!.name, opened[0]!.name];
      const paths = (list: readonly number[]) => list.map(photo => photos[photo]!.path);
      const [p_corrected, numbers] = [corrected[i]!, { won: won.length, lost: lost.length, images: photos.length }];
      return {
        model,
        against,
        difference,
        interval,
        p,
        p_corrected,
        won: paths(won),
        lost: paths(lost),
        verdict: judge(model, against, difference, interval, p_corrected, numbers),
      };
    }),
  };
  yield { type: 'result', result };
}

function judge(
  model: string,
  against: string,
  difference: number,
  { low, high }: Paired['interval'],
  p: number,
  { won, lost, images }: { readonly won: number; readonly lost: number; readonly images: number },
): string {
  const points = (value: number) => (100 * Math.abs(value)).toFixed(1);
  const counts = `it is right on ${won} that the other has wrong, and wrong on ${lost} that the other has right, of ${images}`;
  if (won + lost === 0) return `${model} and ${against} are right on the same photos.`;
  if (p >= SIGNIFICANT) {
    return `No difference between ${model} and ${against} that is more than noise: ${counts} (p = ${p.toFixed(2)}).`;
  }
  const ends = [points(low), points(high)];
  if (difference < 0) ends.reverse();
  return `${model} is ${difference > 0 ? 'better' : 'worse'} than ${against} by ${points(difference)} points (${ends.join(' to ')}): ${counts} (p = ${p < 0.001 ? '< 0.001' : p.toFixed(3)}).`;
}

/** The photos to compare on, and the classes that all models know. */
async function* findPhotos(
  models: readonly Classifier[],
  { data, models: names }: CompareOptions,
  workers: number,
): Steps<{ readonly classes: readonly string[]; readonly photos: readonly KnownPhoto[] }> {
  const named = models.find(model => model.classes !== undefined);
  const { classes, photos } = yield* readPhotos(models, names, data, named, workers);
  for (const model of models) {
    const known = model.classes;
    if (known === undefined ? model.width === classes.length : sameNames(known, classes)) continue;
    throw new GraftError(
      'label-mismatch',
      `${model.name} knows ${known?.join(', ') ?? `${model.width} classes`}, and the photos are compared by ${classes.join(', ')}.`,
      'Compare models of the same classes.',
    );
  }
  const trained = new Set<string>();
  for (const model of models) for (const sha256 of await trainedPhotos(model)) trained.add(sha256);
  const fresh = photos.filter(({ sha256 }) => !trained.has(sha256 ?? ''));
  if (fresh.length < photos.length) {
    const message = `${photos.length - fresh.length} of the ${photos.length} photos are left out: one of the models was trained on them.`;
    yield { type: 'warning', message };
  }
  if (fresh.length === 0) {
    throw new GraftError(
      'too-few-photos',
      'No photo is left that none of the models was trained on.',
      'Name a folder with other photos with --data.',
    );
  }
  return { classes, photos: fresh };
}

const sameNames = (a: readonly string[], b: readonly string[]) =>
  a.length === b.length && [...a].sort().join('\0') === [...b].sort().join('\0');

async function* readPhotos(
  models: readonly Classifier[],
  names: readonly string[],
  data: string | undefined,
  named: Classifier | undefined,
  workers: number,
): Steps<{ readonly classes: readonly string[]; readonly photos: readonly KnownPhoto[] }> {
  if (data !== undefined) {
    return yield* openKnownFolder({ ...(named ?? models[0]!), provenance: null, notes: [] }, data, workers);
  }
  for (const name of names) {
    if (!(await stat(name)).isDirectory()) continue;
    const { manifest, photos } = yield* openRunPhotos(name, 'validation', workers);
    yield { type: 'note', message: `The ${photos.length} validation photos of ${name}.` };
    return { classes: manifest.classes, photos };
  }
  throw new GraftError(
    'usage',
    'None of the models is a run folder, so that there are no photos to compare on.',
    'Name a labelled folder with --data.',
  );
}

/** The model whose epoch was chosen on the photos has an advantage over one that has never seen them. */
async function* warnOfChoice(models: readonly Classifier[], photos: readonly KnownPhoto[]): Steps<void> {
  const chosen: string[] = [];
  for (const model of models) {
    const validation = await trainedPhotos(model, 'validation');
    if (photos.some(({ sha256 }) => validation.has(sha256 ?? ''))) chosen.push(model.name);
  }
  if (chosen.length === 0 || chosen.length === models.length) return;
  const message = `${chosen.join(', ')} chose its epoch on these photos, and others did not: that flatters it a little.`;
  yield { type: 'warning', message };
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
