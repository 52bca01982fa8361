// A classifier on photos with known classes: every answer kept, and all figures made of them.
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { type Excluded, isNamedLikeImage } from '../dataset/folder.ts';
import { labelledLayout } from '../dataset/labelled-folder.ts';
import { type Layout, readLayout } from '../dataset/layout.ts';
import { type Figures, measureFigures } from '../evaluate/figures.ts';
import type { Predictions } from '../evaluate/predictions.ts';
import type { CameraChoice } from '../image/camera.ts';
import { cacheFolder } from './cache-folder.ts';
import { readers } from './defaults.ts';
import type { Classifier } from './open-classifier.ts';
import { describeCamera, predictPhotos, requireAnswers } from './predict-photos.ts';
import { countIn, hashesOf, manifestOf } from './trained-photos.ts';
import { openVerdicts } from './verdict-cache.ts';

/** A photo with a known class. */
export interface KnownPhoto {
  /** For people. */
  readonly path: string;
  readonly file: string;
  /** Index of its class; -1 for none of them. */
  readonly label: number;
  /** undefined where it was not read whole yet. */
  readonly sha256?: string;
}

/** How a classifier is examined. */
export interface EvaluateOptions {
  readonly camera: CameraChoice;
  readonly workers: number;
  /** Threshold of rejection. Default: the model's own. */
  readonly rejectBelow?: number | undefined;
}

/** An examined classifier. */
export interface Evaluated {
  /** In the order of the predictions. */
  readonly photos: readonly KnownPhoto[];
  readonly predictions: Predictions;
  readonly figures: Figures;
  /** Photos that could not be read. */
  readonly excluded: readonly Excluded[];
}

/** Examines a classifier on photos. */
export async function* evaluateModel(
  classifier: Classifier,
  classes: readonly string[],
  photos: readonly KnownPhoto[],
  options: EvaluateOptions,
): Steps<Evaluated> {
  const files = photos.map(({ file }) => file);
  const answers = yield* predictPhotos(classifier, files, { ...options, stage: 'val' });
  requireAnswers(answers, 'the folder');
  const read = photos.filter((_, i) => answers[i] instanceof Float32Array);
  const excluded = photos.flatMap(({ path }, i) => {
    const answer = answers[i]!;
    return answer instanceof Float32Array ? [] : [{ path, reason: answer.reason }];
  });
  const predictions: Predictions = {
    classes,
    truth: read.map(({ label }) => label),
    probabilities: answers.filter(answer => answer instanceof Float32Array),
  };
  const below = options.rejectBelow ?? classifier.provenance?.reject?.below;
  return { photos: read, predictions, figures: measureFigures(predictions, below || undefined), excluded };
}

/** The photos of a labelled folder, and what they are held against. */
export interface KnownFolder {
  readonly classes: readonly string[];
  readonly photos: readonly KnownPhoto[];
  readonly part: 'test' | 'validation' | 'everything';
  readonly excluded: readonly Excluded[];
}

/**
 * Reads a labelled folder to examine a classifier with.
 * @throws GraftError `label-mismatch` where the folder's classes are not the model's.
 */
export async function* openKnownFolder(classifier: Classifier, data: string, workers: number): Steps<KnownFolder> {
  for (const message of classifier.notes) yield { type: 'note', message };
  const layout = await readClassFolders(data);
  const classes = classifier.classes ?? (yield* guessClasses(classifier, data, layout.classes));
  const verdicts = await openVerdicts(cacheFolder());
  const folder = yield* labelledLayout(layout, classes, { workers: readers(workers), verify: false, verdicts });
  const photos = folder.photos.map(photo => ({
    path: photo.path,
    file: resolve(data, photo.path),
    label: classes.indexOf(photo.class),
    sha256: photo.sha256,
  }));
  yield* warnOfTraining(classifier, photos);
  return { classes, photos, part: folder.used, excluded: folder.excluded };
}

/** That some of the photos are those that the model was trained on, as a sentence. */
export const describeTrained = (seen: number, photos: number): string =>
  `The model was trained on ${seen} of these ${photos} photos: how good it is on others they cannot tell.`;

/** Says how many of the photos the model has learned from: of these it is right too often. */
async function* warnOfTraining(classifier: Classifier, photos: readonly KnownPhoto[]): Steps<void> {
  const seen = countIn(hashesOf(await manifestOf(classifier), 'train'), photos);
  if (seen === 0) return;
  yield { type: 'warning', message: describeTrained(seen, photos.length) };
}

/** Says what photos are seen through, where that is not what the model was trained for. */
export async function* noteCamera(classifier: Classifier, camera: CameraChoice): Steps<void> {
  for (const message of describeCamera(classifier, camera)) yield { type: 'note', message };
}

/** The layout of a folder; one without classes gets a hint of what else can be done with it. */
async function readClassFolders(data: string): Promise<Layout> {
  try {
    return await readLayout(data);
  } catch (error) {
    if (!(error instanceof GraftError) || error.code !== 'bad-dataset') throw error;
    const hint = [error.hint, 'What a model says of photos without class folders: graft predict.'].join(' ').trim();
    throw new GraftError(error.code, error.message, hint, error);
  }
}

/** Names for the classes of a file that names none: the folder's, where they are as many. */
async function* guessClasses(
  { name, width }: Classifier,
  data: string,
  classes: readonly string[],
): Steps<readonly string[]> {
  if (classes.length !== width) {
    throw new GraftError(
      'label-mismatch',
      `${name} does not say what its ${width} classes are called, and ${data} has ${classes.length}.`,
      'Name them with --labels FILE, a class in each line. If its numbers are features of a photo, it is no classifier.',
    );
  }
  const message = `${name} does not say what its classes are called: taken for ${classes.join(', ')}, in this order.`;
  yield { type: 'warning', message };
  return classes;
}

/** Most photos that are none of the classes. */
const MAX_NONE = 1_000_000;

/**
 * The photos in a folder, at any depth, none of which is of any class.
 * @throws GraftError `empty-dataset` without any.
 */
export async function listNone(folder: string): Promise<KnownPhoto[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(error => {
    throw explainSystemError(error, folder);
  });
  const files = entries
    .filter(entry => entry.isFile() && !entry.name.startsWith('.') && isNamedLikeImage(entry.name))
    .map(entry => join(entry.parentPath, entry.name))
    .sort();
  if (files.length === 0 || files.length > MAX_NONE) {
    throw new GraftError(
      'empty-dataset',
      `${folder} holds ${files.length} photos.`,
      `Name a folder with photos that are none of the classes, at most ${MAX_NONE}.`,
    );
  }
  return files.map(file => ({ path: file, file, label: -1 }));
}
