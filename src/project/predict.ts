// graft predict: the class of single photos.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import type { VerbEvent } from '../base/events.ts';
import { argMax } from '../evaluate/metrics.ts';
import { type CameraChoice, cameraChoices } from '../image/camera.ts';
import { classifyFiles } from './classify-files.ts';
import { defaultWorkers } from './defaults.ts';
import { pickName } from './pick-name.ts';
import { readModel } from './read-model.ts';
import { checkRanges } from './setting-ranges.ts';

/** Options of `predict`. */
export interface PredictOptions {
  /** A run folder or a .tflite file that graft wrote. */
  readonly model: string;
  /** Photos, or folders whose files are photos (not searched deeper). */
  readonly files: readonly string[];
  /** The robot's camera, through which the photos are seen. Default: none, the photos as they are. */
  readonly camera?: CameraChoice;
  /** Threads that decode photos and run the model. Default: the machine's cores, at most 8. */
  readonly workers?: number;
}

/** One photo's prediction. */
export interface Prediction {
  readonly file: string;
  readonly label: string;
  readonly probability: number;
  /** Probability of every class, by name; they sum to 1. A detector tells of its two best classes only. */
  readonly probabilities: Readonly<Record<string, number>>;
  /** What the photo was seen through. */
  readonly camera: CameraChoice;
}

/** A photo that could not be read. */
export interface Unread {
  readonly file: string;
  readonly error: string;
}

/** Result of `predict`: all photos in the order given, and the two kinds apart. */
export interface PredictResult {
  readonly photos: readonly (Prediction | Unread)[];
  readonly predictions: readonly Prediction[];
  readonly unread: readonly Unread[];
}

/** Classifies photos. A photo that cannot be read is reported and does not stop the others. */
export async function* predict(options: PredictOptions): AsyncGenerator<VerbEvent<PredictResult>> {
  checkRanges(options);
  const camera = pickName('camera', options.camera ?? 'none', cameraChoices);
  const model = await readModel(options.model);
  const files = await expandFolders(options.files);
  const { classes, preprocess, camera: trainedFor = 'none' } = model.provenance;
  if (trainedFor !== camera && trainedFor !== 'none') {
    const message = `The model was trained for the camera ${trainedFor}: --camera ${trainedFor} shows it the photos as that sees them.`;
    yield { type: 'note', message };
  }
  const outcomes: (Prediction | Unread)[] = [];
  let done = 0;
  for await (const outcome of classifyFiles(
    { models: [model], preprocess, camera, classes: classes.length },
    files,
    options.workers ?? defaultWorkers(),
  )) {
    const file = files[outcome.index]!;
    outcomes[outcome.index] =
      'reason' in outcome
        ? { file, error: outcome.reason }
        : { ...describePrediction(file, classes, outcome.probabilities[0]!), camera };
    yield { type: 'progress', stage: 'predict', done: ++done, total: files.length, unit: 'photos' };
  }
  const predictions = outcomes.filter(outcome => 'label' in outcome);
  const unread = outcomes.filter(outcome => 'error' in outcome);
  yield { type: 'result', result: { photos: outcomes, predictions, unread } };
}

function describePrediction(
  file: string,
  classes: readonly string[],
  probabilities: Float32Array,
): Omit<Prediction, 'camera'> {
  const top = argMax(probabilities);
  return {
    file,
    label: classes[top]!,
    probability: probabilities[top]!,
    probabilities: Object.fromEntries(
      classes.map((name, k) => [name, probabilities[k]!] as const).filter(([, probability]) => probability >= 0),
    ),
  };
}

/** Folders become their files; what is not there stays in the list, to be reported with the others. */
async function expandFolders(paths: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const path of paths) {
    const isFolder = await stat(path).then(
      found => found.isDirectory(),
      () => false,
    );
    if (!isFolder) {
      files.push(path);
      continue;
    }
    const entries = await readdir(path, { withFileTypes: true }).catch(error => {
      throw explainSystemError(error, path);
    });
    const inside = entries.filter(entry => entry.isFile() && !entry.name.startsWith('.')).map(entry => entry.name);
    if (inside.length === 0) {
      throw new GraftError(
        'empty-dataset',
        `The folder ${path} holds no files.`,
        'Name photos, or a folder of photos.',
      );
    }
    files.push(...inside.sort().map(name => join(path, name)));
  }
  return files;
}
