// graft val: the accuracy of a run or a .tflite file on any labelled folder.
import { resolve } from 'node:path';
import { GraftError } from '../base/errors.ts';
import type { VerbEvent } from '../base/events.ts';
import { labelledFolder } from '../dataset/labelled-folder.ts';
import { argMax, type Metrics, measurePredictions } from '../evaluate/metrics.ts';
import { type CameraChoice, cameraChoices } from '../image/camera.ts';
import { classifyFiles } from './classify-files.ts';
import { defaultWorkers, readers } from './defaults.ts';
import { pickName } from './pick-name.ts';
import { readModel } from './read-model.ts';
import { checkRanges } from './setting-ranges.ts';

/** Options of `val`. */
export interface ValOptions {
  /** A run folder or a .tflite file that graft wrote. */
  readonly model: string;
  /** A folder with one folder per class, or with split folders. */
  readonly data: string;
  /** The robot's camera, through which the photos are seen. Default: none, the photos as they are. */
  readonly camera?: CameraChoice;
  /** Threads that decode photos and run the model. Default: the machine's cores, at most 8. */
  readonly workers?: number;
}

/** Result of `val`. */
export interface ValResult extends Metrics {
  readonly model: string;
  readonly data: string;
  readonly classes: readonly string[];
  /** Which part of the folder was used: its test split, else its validation split, else everything. */
  readonly part: 'test' | 'validation' | 'everything';
  /** What the photos were seen through. */
  readonly camera: CameraChoice;
  /** Files that were left out, with the reason. */
  readonly excluded: readonly { readonly path: string; readonly reason: string }[];
}

/**
 * Measures a model on a labelled folder.
 * @throws GraftError `label-mismatch` when the folder has classes that the model does not know.
 */
export async function* val(options: ValOptions): AsyncGenerator<VerbEvent<ValResult>> {
  checkRanges(options);
  const camera = pickName('camera', options.camera ?? 'none', cameraChoices);
  const workers = options.workers ?? defaultWorkers();
  const model = await readModel(options.model);
  const { classes, preprocess, camera: trainedFor = 'none' } = model.provenance;
  if (trainedFor !== camera && trainedFor !== 'none') {
    const message = `The model was trained for the camera ${trainedFor}: --camera ${trainedFor} shows it the photos as that sees them.`;
    yield { type: 'note', message };
  }
  const folder = yield* labelledFolder(options.data, classes, { workers: readers(workers) });
  const truth: number[] = [];
  const predicted: number[] = [];
  const excluded = [...folder.excluded];
  const files = folder.photos.map(photo => resolve(options.data, photo.path));
  const setup = { models: [model], preprocess, camera, classes: classes.length };
  let done = 0;
  for await (const outcome of classifyFiles(setup, files, workers)) {
    const photo = folder.photos[outcome.index]!;
    if ('reason' in outcome) {
      excluded.push({ path: photo.path, reason: outcome.reason });
    } else {
      truth.push(classes.indexOf(photo.class));
      predicted.push(argMax(outcome.probabilities[0]!));
    }
    yield { type: 'progress', stage: 'val', done: ++done, total: files.length, unit: 'photos' };
  }
  if (truth.length === 0) {
    throw new GraftError(
      'empty-dataset',
      `None of the ${files.length} photos in ${options.data} can be read.`,
      'Give a folder with JPEG, PNG or WebP photos.',
    );
  }
  const metrics = measurePredictions(truth, predicted, classes);
  const { model: name, data } = options;
  yield { type: 'result', result: { model: name, data, classes, part: folder.used, camera, ...metrics, excluded } };
}
