// graft demo: draws sample leaf photos, trains on them as on anybody's photos, and shows the result as a picture.
import { join, resolve } from 'node:path';
import type { Steps, VerbEvent } from '../base/events.ts';
import { writeWhole } from '../base/files.ts';
import { loadManifest } from '../dataset/manifest.ts';
import { drawLeafDataset } from '../demo/draw-leaf-dataset.ts';
import { type ContactTile, drawContactSheet } from '../evaluate/contact-sheet.ts';
import { argMax } from '../evaluate/metrics.ts';
import { classifyFiles } from './classify-files.ts';
import { defaultWorkers } from './defaults.ts';
import { readModel } from './read-model.ts';
import { runFiles } from './run-folder.ts';
import { checkRanges } from './setting-ranges.ts';
import { runTraining, type TrainResult } from './train.ts';
import { resolveTrainOptions } from './train-options.ts';

/** Options of `demo`. */
export interface DemoOptions {
  /** Photos to draw, half of them healthy. Default: 300. */
  readonly photos?: number;
  /** Seed of the drawings, the split and training. Default: 0. */
  readonly seed?: number;
  /** Folder that holds the runs and the drawn photos. Default: runs. */
  readonly project?: string;
  /** Threads. Default: the machine's cores, at most 8. */
  readonly workers?: number;
}

/** Result of `demo`. */
export interface DemoResult extends TrainResult {
  /** Folder of the drawn photos. */
  readonly photos: string;
  /** PNG that shows the validation photos with what the model says. */
  readonly picture: string;
}

/** Draws, trains, exports, proves, and paints a contact sheet of the validation photos. */
export async function* demo(options: DemoOptions = {}): AsyncGenerator<VerbEvent<DemoResult>> {
  checkRanges(options);
  const { photos = 300, seed = 0, project = 'runs', workers = defaultWorkers() } = options;
  const folder = join(project, `leaves-${photos}-seed-${seed}`);
  yield {
    type: 'note',
    message: `Drawing ${photos} leaves into ${folder}: an example that stands for your own photos.`,
  };
  yield* drawLeafDataset(folder, { photos, seed, workers: Math.min(workers, 8) });
  const training = { data: folder, seed, project, workers };
  const job = { options: training, settings: resolveTrainOptions(training) };
  const result = yield* runTraining(job, 'demo');
  const picture = join(result.run, 'predictions.png');
  yield* paintPredictions(result, folder, picture, workers);
  yield { type: 'result', result: { ...result, photos: folder, picture } };
}

/** Classifies the validation photos with the exported file and paints them. */
async function* paintPredictions(result: TrainResult, data: string, picture: string, workers: number): Steps<void> {
  const manifest = await loadManifest(join(result.run, runFiles.manifest));
  const photos = manifest.photos.filter(photo => photo.split === 'validation');
  const files = photos.map(photo => resolve(data, photo.path));
  const model = await readModel(join(result.run, runFiles.tflite));
  const { classes, preprocess } = model.provenance;
  const tiles: ContactTile[] = [];
  let done = 0;
  for await (const outcome of classifyFiles({ models: [model], preprocess, classes: classes.length }, files, workers)) {
    yield { type: 'progress', stage: 'picture', done: ++done, total: files.length, unit: 'photos' };
    if ('reason' in outcome) continue;
    const probabilities = outcome.probabilities[0]!;
    const top = argMax(probabilities);
    tiles[outcome.index] = {
      file: files[outcome.index]!,
      truth: photos[outcome.index]!.class,
      predicted: classes[top]!,
      probability: probabilities[top]!,
    };
  }
  await writeWhole(picture, await drawContactSheet(tiles.filter(Boolean)));
}
