// What a report is made of: a finished run, examined anew on photos, with what it wrote down.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import type { Steps } from '../base/events.ts';
import type { Manifest } from '../dataset/manifest.ts';
import type { Split } from '../dataset/splits.ts';
import type { Explanation } from '../evaluate/explanation.ts';
import { drawHeatMap } from '../evaluate/heat-map.ts';
import { argMax } from '../evaluate/metrics.ts';
import type { CameraChoice } from '../image/camera.ts';
import { readPhoto } from '../image/read-photo.ts';
import { type Evaluated, evaluateModel, type KnownPhoto, noteCamera, openKnownFolder } from './evaluate-model.ts';
import { type Background, explainPhotos, measureBackground } from './explain-photos.ts';
import type { ExportedFile } from './export.ts';
import { type Fields, fieldsOf, parseFields } from './fields.ts';
import { type Classifier, openClassifier } from './open-classifier.ts';
import { runFiles } from './run-folder.ts';
import { openRunPhotos } from './run-photos.ts';
import { countIn, hashesOf } from './trained-photos.ts';
import { openTrainedRun, type TrainedRun } from './trained-run.ts';

/** One line of results.csv. */
export interface EpochLine {
  readonly phase: string;
  readonly epoch: number;
  readonly train_loss: number;
  readonly train_accuracy: number;
  readonly validation_loss: number;
  readonly validation_accuracy: number;
}

/** A photo with where the model sees what it says, and what is so. */
export interface ExplainedExample {
  /** Its place among the evaluated photos. */
  readonly index: number;
  /** WebP; undefined where the network cannot tell. */
  readonly map: Uint8Array | undefined;
}

/** Everything that a report shows. */
export interface ReportData {
  readonly run: TrainedRun;
  readonly manifest: Manifest;
  /** In words, e.g. `155 validation photos`. */
  readonly photosAre: string;
  /** How many of them training has learned from, and chosen its epoch, temperature and threshold by. */
  readonly seen: { readonly train: number; readonly validation: number };
  readonly camera: CameraChoice;
  readonly evaluated: Evaluated;
  readonly mistakes: readonly ExplainedExample[];
  readonly best: readonly ExplainedExample[];
  readonly background: Background;
  readonly epochs: readonly EpochLine[];
  readonly exports: readonly ExportedFile[];
  /** metrics.json and args.json as they are. */
  readonly metrics: Fields;
  readonly args: Fields;
}

/** How the run is examined. */
export interface CollectOptions {
  readonly run: string;
  /** A labelled folder. Default: the run's test photos, else its validation photos. */
  readonly data?: string | undefined;
  readonly camera: CameraChoice;
  readonly workers: number;
}

/** Most mistakes that are explained, and best examples of each class and of all together: of many classes fewer of each. */
const MAX_MISTAKES = 24;
const MAX_BEST = 4;
const MAX_EXAMPLES = 60;

/** Longer side of examples and their maps, in pixels. */
export const EXAMPLE_SIZE = 200;

/** Examines a run. */
export async function* collectReport({ run: folder, data, camera, workers }: CollectOptions): Steps<ReportData> {
  const run = yield* openTrainedRun(folder);
  const classifier = await openClassifier(folder);
  yield* noteCamera(classifier, camera);
  const { classes } = run.provenance;
  const { photos, photosAre } = yield* findPhotos(folder, classifier, data, workers, run.manifest);
  const evaluated = yield* evaluateModel(classifier, classes, photos, { camera, workers });

  const { predictions } = evaluated;
  const all = predictions.truth.map((label, index) => {
    const row = predictions.probabilities[index]!;
    const top = argMax(row);
    return { index, label, top, sure: row[top]! };
  });
  all.sort((a, b) => b.sure - a.sure);
  const mistakes = all.filter(({ label, top }) => label !== top).slice(0, MAX_MISTAKES);
  const each = Math.max(1, Math.min(MAX_BEST, Math.floor(MAX_EXAMPLES / classes.length)));
  const best = classes
    .flatMap((_, k) => all.filter(({ label, top }) => label === k && top === k).slice(0, each))
    .slice(0, MAX_EXAMPLES);
  const shown = [...mistakes, ...best];
  const files = shown.map(({ index }) => ({ file: evaluated.photos[index]!.file }));
  const draw = async (explanation: Explanation, i: number) => {
    if (explanation.side === 1) return { map: undefined };
    const options = { size: EXAMPLE_SIZE, format: 'webp', camera } as const;
    return { map: await drawHeatMap(await readPhoto(files[i]!.file), explanation, shown[i]!.top, options) };
  };
  const answers = yield* explainPhotos(run, files, { camera, workers }, draw);
  const explained = shown.map(({ index }, i): ExplainedExample => {
    const answer = answers[i]!;
    return { index, map: 'reason' in answer ? undefined : answer.map };
  });
  const background = yield* measureBackground(run, evaluated.photos, { camera, workers });
  return {
    run,
    manifest: run.manifest,
    photosAre,
    seen: countSeen(run.manifest, evaluated.photos),
    camera,
    evaluated,
    mistakes: explained.slice(0, mistakes.length),
    best: explained.slice(mistakes.length),
    background,
    epochs: await readEpochs(folder),
    exports: listExports(await readFields(folder, runFiles.exports)),
    metrics: await readFields(folder, runFiles.metrics),
    args: await readFields(folder, runFiles.args),
  };
}

async function* findPhotos(
  folder: string,
  classifier: Classifier,
  data: string | undefined,
  workers: number,
  manifest: Manifest,
) {
  if (data !== undefined) {
    const known = yield* openKnownFolder(classifier, data, workers);
    return { photos: known.photos, photosAre: `${known.photos.length} photos in ${data}` };
  }
  const split = manifest.photos.some(photo => photo.split === 'test') ? 'test' : 'validation';
  const { photos } = yield* openRunPhotos(folder, split, workers);
  return { photos, photosAre: `${photos.length} ${split} photos` };
}

function countSeen(manifest: Manifest, photos: readonly KnownPhoto[]): ReportData['seen'] {
  const count = (split: Split) => countIn(hashesOf(manifest, split), photos);
  return { train: count('train'), validation: count('validation') };
}

async function readEpochs(folder: string): Promise<EpochLine[]> {
  const text = await readFile(join(folder, runFiles.results), 'utf8').catch(() => '');
  const cast = (value: string, { column, header }: { readonly column: string | number; readonly header: boolean }) =>
    header || column === 'phase' ? value : Number(value);
  try {
    return parse(text, { columns: true, cast, to: 100_000 }) as EpochLine[];
  } catch {
    // Somebody has edited it: the report says that there is none.
    return [];
  }
}

/** The object in a JSON file of the run; an empty one where there is none. */
async function readFields(folder: string, name: string): Promise<Fields> {
  return parseFields(await readFile(join(folder, name), 'utf8').catch(() => ''));
}

/** The files of exports.json that have what is shown of them. */
function listExports({ files }: Fields): ExportedFile[] {
  const numbers = ['bytes', 'accuracy', 'top_class_agreement'];
  return (Array.isArray(files) ? files.map(fieldsOf) : []).filter(
    row =>
      numbers.every(name => typeof row[name] === 'number') &&
      typeof fieldsOf(row.latency_ms).median === 'number' &&
      typeof row.file === 'string',
  ) as unknown as ExportedFile[];
}
