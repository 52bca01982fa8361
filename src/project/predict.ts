// graft predict: the class of single photos.
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import type { VerbEvent } from '../base/events.ts';
import { argMax } from '../evaluate/metrics.ts';
import { type CameraChoice, cameraChoices } from '../image/camera.ts';
import type { PixelsName } from '../import/find-preprocess.ts';
import { defaultWorkers } from './defaults.ts';
import { openClassifier, requireUse } from './open-classifier.ts';
import { pickName } from './pick-name.ts';
import { pixelsNames } from './pixels-names.ts';
import { describeCamera, predictPhotos } from './predict-photos.ts';
import { checkRanges } from './setting-ranges.ts';

/** Options of `predict`. */
export interface PredictOptions {
  /** A run folder or a .tflite file; somebody else's file works where it is a classifier. */
  readonly model: string;
  /** Photos, or folders whose files are photos (not searched deeper). */
  readonly files: readonly string[];
  /** The robot's camera, through which the photos are seen. Default: none, the photos as they are. */
  readonly camera?: CameraChoice;
  /** A photo whose largest probability is below this is unknown; 0 for none. Default: what the model says of itself. */
  readonly rejectBelow?: number;
  /** A file with the names of the classes, one in each line, of somebody else's model. Default: as its metadata says. */
  readonly labels?: string;
  /** How somebody else's model wants its pixels. Default: as the file says. */
  readonly pixels?: PixelsName;
  /** Threads that decode photos and run the model. Default: the machine's cores, at most 8. */
  readonly workers?: number;
}

/** What `predict` says of a photo that is none of the classes. */
export const UNKNOWN = 'unknown';

/** One photo's prediction. */
export interface Prediction {
  readonly file: string;
  /** The best class, or `unknown` where it is not likely enough. */
  readonly label: string;
  /** Whether `label` is a class. */
  readonly known: boolean;
  readonly best: string;
  /** Of the best class. */
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
  const pixels = options.pixels === undefined ? undefined : pickName('pixels', options.pixels, pixelsNames);
  const foreign = { labels: options.labels, pixels };
  const classifier = await openClassifier(options.model, foreign);
  requireUse([classifier], foreign);
  const files = await expandFolders(options.files);
  for (const message of [...classifier.notes, ...describeCamera(classifier, camera)]) yield { type: 'note', message };
  // The classes of a file that does not name them are numbers, as programs count them.
  const classes = classifier.classes ?? Array.from({ length: classifier.width }, (_, k) => String(k));
  const below = options.rejectBelow ?? classifier.provenance?.reject?.below ?? 0;
  const workers = options.workers ?? defaultWorkers();
  const answers = yield* predictPhotos(classifier, files, { camera, workers, stage: 'predict' });
  const outcomes = answers.map((answer, i): Prediction | Unread => {
    const file = files[i]!;
    if (!(answer instanceof Float32Array)) return { file, error: answer.reason };
    return { ...describePrediction(file, classes, answer, below), camera };
  });
  const predictions = outcomes.filter(outcome => 'label' in outcome);
  const unread = outcomes.filter(outcome => 'error' in outcome);
  yield { type: 'result', result: { photos: outcomes, predictions, unread } };
}

function describePrediction(
  file: string,
  classes: readonly string[],
  probabilities: Float32Array,
  below: number,
): Omit<Prediction, 'camera'> {
  const top = argMax(probabilities);
  const known = probabilities[top]! >= below;
  return {
    file,
    label: known ? classes[top]! : UNKNOWN,
    known,
    best: classes[top]!,
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
