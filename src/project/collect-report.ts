// What a report is made of: a finished run, examined anew on photos, with what it wrote down.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parse } from 'csv-parse/sync';
import type { Steps } from '../base/events.ts';
import type { Manifest } from '../dataset/manifest.ts';
import type { Explanation } from '../evaluate/explanation.ts';
import { drawHeatMap } from '../evaluate/heat-map.ts';
import { argMax } from '../evaluate/metrics.ts';
import type { CameraChoice } from '../image/camera.ts';
import { type Evaluated, evaluateModel, noteCamera, openKnownFolder } from './evaluate-model.ts';
import { type Background, explainPhotos, measureBackground } from './explain-photos.ts';
import type { ExportedFile } from './export.ts';
import { openClassifier } from './open-classifier.ts';
import { runFiles } from './run-folder.ts';
import { openRunPhotos } from './run-photos.ts';
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
  readonly camera: CameraChoice;
  readonly evaluated: Evaluated;
  readonly mistakes: readonly ExplainedExample[];
  readonly best: readonly ExplainedExample[];
  readonly background: Background;
  readonly epochs: readonly EpochLine[];
  readonly exports: readonly ExportedFile[];
  /** metrics.json and args.json as they are. */
  readonly metrics: Readonly<Record<string, unknown>>;
  readonly args: Readonly<Record<string, unknown>>;
}

/** How the run is examined. */
export interface CollectOptions {
  readonly run: string;
  /** A labelled folder. Default: the run's test photos, else its validation photos. */
  readonly data?: string | undefined;
  readonly camera: CameraChoice;
  readonly workers: number;
}

/** Most mistakes that are explained, and best examples of each class and of all together. */
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
  const { photos, photosAre } = yield* findPhotos(folder, data, workers, run.manifest);
  const evaluated = yield* evaluateModel(classifier, classes, photos, { camera, workers });

  const { predictions } = evaluated;
  const all = predictions.truth.map((label, index) => {
    const row = predictions.probabilities[index]!;
    const top = argMax(row);
    return { index, label, top, sure: row[top]! };
  });
  all.sort((a, b) => b.sure - a.sure);
  const mistakes = all.filter(({ label, top }) => label !== top).slice(0, MAX_MISTAKES);
  const best = classes
    .flatMap((_, k) => all.filter(({ label, top }) => label === k && top === k).slice(0, MAX_BEST))
    .slice(0, MAX_EXAMPLES);
  const shown = [...mistakes, ...best];
  const files = shown.map(({ index }) => ({ file: evaluated.photos[index]!.file }));
  const draw = async (explanation: Explanation, i: number) => {
    if (explanation.side === 1) return { map: undefined };
    const options = { size: EXAMPLE_SIZE, format: 'webp', camera } as const;
    return { map: await drawHeatMap(await readFile(files[i]!.file), explanation, shown[i]!.top, options) };
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
    camera,
    evaluated,
    mistakes: explained.slice(0, mistakes.length),
    best: explained.slice(mistakes.length),
    background,
    epochs: await readEpochs(folder),
    exports: ((await readOptional(folder, runFiles.exports))?.files ?? []) as ExportedFile[],
    metrics: (await readOptional(folder, runFiles.metrics)) ?? {},
    args: (await readOptional(folder, runFiles.args)) ?? {},
  };
}

async function* findPhotos(folder: string, data: string | undefined, workers: number, manifest: Manifest) {
  if (data !== undefined) {
    const known = yield* openKnownFolder(await openClassifier(folder), data, workers);
    return { photos: known.photos, photosAre: `${known.photos.length} photos in ${data}` };
  }
  const split = manifest.photos.some(photo => photo.split === 'test') ? 'test' : 'validation';
  const { photos } = yield* openRunPhotos(folder, split, workers);
  return { photos, photosAre: `${photos.length} ${split} photos` };
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

async function readOptional(folder: string, name: string): Promise<Record<string, unknown> | undefined> {
  try {
    return (JSON.parse(await readFile(join(folder, name), 'utf8')) ?? undefined) as Record<string, unknown> | undefined;
  } catch {
    return undefined;
  }
}
