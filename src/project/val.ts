// graft val: everything that can be measured of a run or a .tflite file, anybody's, on any labelled folder.
import { stringify } from 'csv-stringify/sync';
import type { VerbEvent } from '../base/events.ts';
import { writeWhole } from '../base/files.ts';
import type { Figures } from '../evaluate/figures.ts';
import { argMax } from '../evaluate/metrics.ts';
import { type CameraChoice, cameraChoices } from '../image/camera.ts';
import type { PixelsName } from '../import/find-preprocess.ts';
import { defaultWorkers } from './defaults.ts';
import { type Evaluated, evaluateModel, listNone, noteCamera, openKnownFolder } from './evaluate-model.ts';
import { openClassifier, requireUse } from './open-classifier.ts';
import { pickName } from './pick-name.ts';
import { pixelsNames } from './pixels-names.ts';
import { checkRanges } from './setting-ranges.ts';

/** Options of `val`. */
export interface ValOptions {
  /** A run folder or a .tflite file; somebody else's file works where it is a classifier. */
  readonly model: string;
  /** A folder with one folder per class, or with split folders. */
  readonly data: string;
  /** A folder of photos that are none of the classes, at any depth: how many of them does the model take for one? */
  readonly none?: string;
  /** Below which largest probability a photo is unknown; 0 for never. Default: as the model says. */
  readonly rejectBelow?: number;
  /** The robot's camera, through which the photos are seen. Default: none, the photos as they are. */
  readonly camera?: CameraChoice;
  /** A file with the names of the classes, one in each line, of somebody else's model. Default: as its metadata says. */
  readonly labels?: string;
  /** How somebody else's model wants its pixels. Default: as the file says. */
  readonly pixels?: PixelsName;
  /** Write a CSV file with a line per photo here: path, class, answer, probabilities. */
  readonly predictions?: string;
  /** Threads that decode photos and run the model. Default: the machine's cores, at most 8. */
  readonly workers?: number;
}

/** Result of `val`. */
export interface ValResult extends Figures {
  readonly model: string;
  /** Bytes of the model's file. */
  readonly size: number;
  readonly precision: string;
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
 * @throws GraftError `label-mismatch` when the folder has classes that the model does not know; `bad-model` for files that are
 * no classifiers.
 */
export async function* val(options: ValOptions): AsyncGenerator<VerbEvent<ValResult>> {
  checkRanges(options);
  const camera = pickName('camera', options.camera ?? 'none', cameraChoices);
  const workers = options.workers ?? defaultWorkers();
  const pixels = options.pixels === undefined ? undefined : pickName('pixels', options.pixels, pixelsNames);
  const foreign = { labels: options.labels, pixels };
  const classifier = await openClassifier(options.model, foreign);
  requireUse([classifier], foreign);
  yield* noteCamera(classifier, camera);
  const none = options.none === undefined ? [] : await listNone(options.none);
  const folder = yield* openKnownFolder(classifier, options.data, workers);
  const { classes, part } = folder;
  const evaluated = yield* evaluateModel(classifier, classes, [...folder.photos, ...none], {
    camera,
    workers,
    rejectBelow: options.rejectBelow,
  });
  if (options.predictions !== undefined) await writePredictions(options.predictions, evaluated);
  const { name: model, size, precision } = classifier;
  const excluded = [...folder.excluded, ...evaluated.excluded];
  const facts = { model, size, precision, data: options.data, classes, part, camera };
  yield { type: 'result', result: { ...facts, ...evaluated.figures, excluded } };
}

/** One line per photo; a photo of none of the classes has no class, and a probability that is not told is empty. */
async function writePredictions(file: string, { photos, predictions }: Evaluated): Promise<void> {
  const { classes, truth, probabilities } = predictions;
  const rows = photos.map(({ path }, i) => {
    const row = probabilities[i]!;
    return [path, classes[truth[i]!] ?? '', classes[argMax(row)]!, ...Array.from(row, p => (p < 0 ? '' : String(p)))];
  });
  await writeWhole(file, stringify([['path', 'class', 'predicted', ...classes], ...rows]));
}
