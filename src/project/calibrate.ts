// Calibration: what values a network has on training photos, and what rounding does to them.
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { startPool } from '../base/worker-pool.ts';
import { type ChannelRanges, summariseChannels } from '../tflite/channel-ranges.ts';
import { computedTensors, exposeTensors } from '../tflite/expose.ts';
import type { TfliteModel } from '../tflite/model.ts';
import { writeTflite } from '../tflite/write.ts';
import type { CalibrateAnswer, CalibrateQuestion, CalibrateSetup } from './calibrate-worker.ts';
import { type LabelledFile, labelledFiles } from './proof.ts';
import { type Calibration, LOGITS, lowerClassifier } from './tflite-file.ts';
import type { TrainedRun } from './trained-run.ts';

/** Photos that calibration looks at: TensorFlow's guide says 100 to 500; 300 gave no better files (bench/quantise.bench.ts). */
const CALIBRATION_PHOTOS = 128;

/**
 * Looks at training photos as the run's camera sees them.
 * @param isInt8 whether an int8 file will be made: the photos are then looked at with it once more.
 * @param workers threads.
 * @throws GraftError `bad-photo` when a photo cannot be read.
 */
export async function* calibrate(run: TrainedRun, isInt8: boolean, workers: number): Steps<Calibration> {
  const photos = calibrationPhotos(run);
  const seen = yield* observe(run, photos, workers);
  const ranges = new Map([...seen].map(([name, perPhoto]) => [name, summariseChannels(perPhoto)]));
  return isInt8 ? yield* correctLogits(run, { ranges }, photos, workers) : { ranges };
}

/** The calibration with what rounding everything to int8 does to the logits on average, measured on the photos. */
export async function* correctLogits(
  run: TrainedRun,
  { ranges }: Calibration,
  photos: readonly LabelledFile[],
  workers: number,
): Steps<Calibration> {
  const int8 = lowerClassifier(run, 'int8', { ranges });
  const seen = yield* observe(run, photos, workers, int8, [LOGITS]);
  const { mean } = summariseChannels(seen.get(LOGITS)!);
  return { ranges, logitShift: ranges.get(LOGITS)!.mean.map((value, c) => value - mean[c]!) };
}

/**
 * Extremes and means of values in each of the photos, by name.
 * @param model default: the run's classifier in float32.
 * @param names of the values. Default: all that operators compute but the answer.
 * @throws GraftError `bad-photo` when a photo cannot be read.
 */
export async function* observe(
  run: TrainedRun,
  photos: readonly LabelledFile[],
  workers: number,
  model: TfliteModel = lowerClassifier(run),
  names: readonly string[] = innerValues(model),
): Steps<ReadonlyMap<string, readonly ChannelRanges[]>> {
  const { preprocess, camera = 'none' } = run.provenance;
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
    return new Map(names.map((name, i) => [name, seen[i]!]));
  } finally {
    await pool.close();
  }
}

function innerValues(model: TfliteModel): string[] {
  const answers = new Set(model.outputs.map(index => model.tensors[index]!.name));
  return computedTensors(model).filter(name => !answers.has(name));
}

/** Training photos, as many of each class as there are, evenly over its list: `count`, rounded up to whole classes. */
export function calibrationPhotos(run: TrainedRun, count = CALIBRATION_PHOTOS): LabelledFile[] {
  const photos = labelledFiles(run.manifest, 'train', run.data);
  const { classes } = run.manifest;
  const perClass = Math.ceil(count / classes.length);
  return classes.flatMap((_, label) => {
    const own = photos.filter(photo => photo.label === label);
    const taken = Math.min(perClass, own.length);
    return Array.from({ length: taken }, (_, i) => own[Math.floor((i * own.length) / taken)]!);
  });
}
