// What a classifier says of photos, in their order: numbers alone are kept, so that memory hardly grows with the photos.
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import type { CameraChoice } from '../image/camera.ts';
import { classifyFiles } from './classify-files.ts';
import type { Classifier } from './open-classifier.ts';
import type { UnreadPhoto } from './read-pixels.ts';

/** The probability of each class (-1: the model does not tell it), or why the photo could not be read. */
export type PhotoAnswer = Float32Array | UnreadPhoto;

/** How photos are looked at. */
export interface PredictPhotosOptions {
  readonly camera: CameraChoice;
  readonly workers: number;
  /** Name of the progress. */
  readonly stage: string;
}

/** Classifies `files`. */
export async function* predictPhotos(
  { file, preprocess, width }: Classifier,
  files: readonly string[],
  { camera, workers, stage }: PredictPhotosOptions,
): Steps<readonly PhotoAnswer[]> {
  const answers = new Array<PhotoAnswer>(files.length);
  let done = 0;
  for await (const outcome of classifyFiles({ models: [file], preprocess, camera, classes: width }, files, workers)) {
    answers[outcome.index] = 'reason' in outcome ? outcome : outcome.probabilities[0]!;
    yield { type: 'progress', stage, done: ++done, total: files.length, unit: 'photos' };
  }
  return answers;
}

/** A note where photos are seen otherwise than in training. */
export function describeCamera({ camera: trainedFor }: Pick<Classifier, 'camera'>, camera: CameraChoice): string[] {
  if (trainedFor === camera || trainedFor === 'none') return [];
  return [
    `The model was trained for the camera ${trainedFor}: --camera ${trainedFor} shows it the photos as that sees them.`,
  ];
}

/** @throws GraftError `empty-dataset` where no photo could be read. */
export function requireAnswers(answers: readonly PhotoAnswer[], folder: string): void {
  if (answers.some(answer => answer instanceof Float32Array)) return;
  const [first] = answers as readonly UnreadPhoto[];
  throw new GraftError(
    'empty-dataset',
    `None of the ${answers.length} photos in ${folder} can be read${first ? `: ${first.reason}` : ''}.`,
    'Give a folder with JPEG, PNG or WebP photos.',
  );
}
