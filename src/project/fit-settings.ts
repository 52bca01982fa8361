// Settings that depend on the backbone, which is opened after the rest has been checked.
import { GraftError } from '../base/errors.ts';
import { sizeOf } from '../tensor/tensor.ts';
import type { Backbone } from '../zoo/backbone.ts';
import { cutShape } from '../zoo/graphs.ts';
import type { TrainSettings } from './train-options.ts';

/** Every setting, and the backbone. */
export type FittedSettings = Omit<TrainSettings, 'cutViews'> & {
  readonly backbone: Backbone;
  readonly cutViews: number;
};

/** Augmented views whose activations are cached unless asked otherwise. */
export const DEFAULT_CUT_VIEWS = 8;

/** Largest activations that are cached unless asked otherwise, in bytes of float16: mobilenet_v3_small has less from stage 5 on. */
export const CACHED_UP_TO = 32 * 1024;

/**
 * Fits settings to a backbone.
 * @throws GraftError `usage` when more stages are to stay frozen than it has before the last one.
 */
export function fitSettings<S extends TrainSettings>(settings: S, backbone: Backbone): S & FittedSettings {
  const { freeze, views, fineTune } = settings;
  const most = backbone.stages.length - 1;
  if (freeze > most) {
    throw new GraftError(
      'usage',
      `The setting freeze is ${freeze}, and ${backbone.title} has ${backbone.stages.length} stages.`,
      `Use at most ${most}, or --fine-tune-epochs 0 to train the head only.`,
    );
  }
  const cacheable =
    freeze > 0 && views > 0 && fineTune.mixup === 0 && 2 * sizeOf(cutShape(backbone, freeze)) <= CACHED_UP_TO;
  return { ...settings, backbone, cutViews: settings.cutViews ?? (cacheable ? DEFAULT_CUT_VIEWS : 0) };
}
