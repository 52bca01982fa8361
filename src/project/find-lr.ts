// graft find-lr: which learning rate fine-tuning takes on these photos, tried out on a rate that rises step by step.
import type { VerbEvent } from '../base/events.ts';
import { chooseDevice } from '../engine/device.ts';
import { type FoundRate, findRate } from '../train/find-rate.ts';
import { cacheFolder } from './cache-folder.ts';
import { openChosen } from './choose-model.ts';
import { describeModel } from './describe-run.ts';
import { checkModelName } from './open-backbone.ts';
import { checkRanges } from './setting-ranges.ts';
import { readDataset } from './train-dataset.ts';
import { resolveTrainOptions, type TrainOptions } from './train-options.ts';
import { openFeatures, trainOnFeatures } from './train-phase-one.ts';
import { openPhaseTwo } from './train-phase-two.ts';

/** Options of `findLr`: those of `train` that say what is trained, and how many steps are tried. */
export interface FindLrOptions extends Omit<TrainOptions, 'resume' | 'fineTuneLr'> {
  /** Steps from the lowest rate to the highest. Default: 100. */
  readonly steps?: number;
}

/** Result of `findLr`. */
export type FindLrResult = FoundRate;

/** Trains the head, then tries rates from 1e-6 to 1 on the backbone; nothing is written but caches. */
export async function* findLr(options: FindLrOptions): AsyncGenerator<VerbEvent<FindLrResult>> {
  checkRanges(options);
  const resolved = resolveTrainOptions(options);
  const asked = { ...resolved, device: await chooseDevice(resolved.device) };
  const cache = cacheFolder();
  await checkModelName(asked.model);
  const scanned = yield* readDataset(asked, cache);
  const { settings } = yield* openChosen(asked, scanned, cache);
  const features = yield* openFeatures(settings, scanned, cache);
  const { manifest } = features;
  const head = yield* trainOnFeatures(settings, features);
  await features.cache.close();
  const provenance = describeModel(settings, manifest);
  const opened = yield* openPhaseTwo({ settings, manifest, head, provenance });
  try {
    const { trainer, train } = opened;
    const steps = options.steps ?? 100;
    const result = yield* findRate(trainer, train, manifest.classes.length, settings.fineTune, steps);
    yield { type: 'result', result };
  } finally {
    await opened.close();
  }
}
