// Calibration: the ranges that the values of a network have on training photos.

import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { startPool } from '../base/worker-pool.ts';
import { type ChannelRanges, summariseChannels } from '../tflite/channel-ranges.ts';
import { computedTensors, exposeTensors } from '../tflite/expose.ts';
import { writeTflite } from '../tflite/write.ts';
import type { CalibrateAnswer, CalibrateQuestion, CalibrateSetup } from './calibrate-worker.ts';
import { type LabelledFile, labelledFiles } from './proof.ts';
import { lowerClassifier } from './tflite-file.ts';
import type { TrainedRun } from './trained-run.ts';

/** Photos that calibration looks at: TensorFlow's guide says 100 to 500, and ranges of 128 and 300 gave the same. */
export const CALIBRATION_PHOTOS = 128;

/**
 * Ranges of every value of the run's classifier, by name, on training photos as the run's camera sees them.
 * @param workers threads.
 * @throws GraftError `bad-photo` when a photo cannot be read.
 */
export async function* calibrate(run: TrainedRun, workers: number): Steps<ReadonlyMap<string, ChannelRanges>> {
  const { preprocess, camera = 'none', classes } = run.provenance;
  const photos = spread(labelledFiles(run.manifest, 'train', run.data), classes.length);
  const model = lowerClassifier(run);
  const { outputs } = model;
  // The input's first readers need no range: they stay in float32. Nor does the answer.
  const names = computedTensors(model).filter(name => !outputs.some(index => model.tensors[index]!.name === name));
  const channels = names.map(name => model.tensors.find(tensor => tensor.name === name)!.shape.at(-1)!);
  const setup: CalibrateSetup = { model: writeTflite(exposeTensors(model, names)), channels, preprocess, camera };
  const pool = startPool<CalibrateSetup, CalibrateQuestion, CalibrateAnswer>(
    new URL('./calibrate-worker.ts', import.meta.url),
    Math.min(workers, photos.length),
  );
  try {
    pool.equip(setup);
    const seen: ChannelRanges[][] = names.map(() => []);
    let done = 0;
    yield { type: 'progress', stage: 'calibrate', done, total: photos.length, unit: 'photos' };
    for await (const { index, answer } of pool.map(photos.map(({ file }) => ({ file })))) {
      if ('reason' in answer) throw new GraftError('bad-photo', answer.reason, answer.hint);
      answer.ranges.forEach((ranges, i) => {
        seen[i]![index] = ranges;
      });
      yield { type: 'progress', stage: 'calibrate', done: ++done, total: photos.length, unit: 'photos' };
    }
    return new Map(names.map((name, i) => [name, summariseChannels(seen[i]!)]));
  } finally {
    await pool.close();
  }
}

/** At most CALIBRATION_PHOTOS of the photos, as many of each class as there are, evenly over its list. */
function spread(photos: readonly LabelledFile[], classes: number): LabelledFile[] {
  const perClass = Math.ceil(CALIBRATION_PHOTOS / classes);
  return Array.from({ length: classes }, (_, label) => {
    const own = photos.filter(photo => photo.label === label);
    const count = Math.min(perClass, own.length);
    return Array.from({ length: count }, (_, i) => own[Math.floor((i * own.length) / count)]!);
  }).flat();
}
