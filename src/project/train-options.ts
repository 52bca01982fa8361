// The settings of a training run: what a caller may say, what is used when nothing is said, and what is not possible.
import { GraftError } from '../base/errors.ts';
import { type Augmentation, defaultAugmentation } from '../image/augment.ts';
import type { Preprocess } from '../image/preprocess.ts';
import { defaultHeadOptions, type HeadOptions } from '../train/head.ts';
import type { BackboneCard } from '../zoo/card.ts';
import { DEFAULT_BACKBONE, findCard } from '../zoo/cards.ts';
import { defaultWorkers } from './defaults.ts';
import { checkRanges } from './setting-ranges.ts';

/** Options of `train`. Only `data` is needed. */
export interface TrainOptions {
  /** Folder with one folder of photos per class, or with split folders of these. */
  readonly data: string;
  /** Name of the backbone. Default: mobilenet_v3_small. */
  readonly model?: string;
  /** Backbone weights to use instead of the card's. */
  readonly weights?: string;
  /** Most epochs of the head. Default: 60. */
  readonly epochs?: number;
  /** Photos per step. Default: 64. */
  readonly batch?: number;
  /** Side of the input in pixels, a multiple of 32. Default: the card's, 224. */
  readonly imgsz?: number;
  /** Highest learning rate. Default: 0.003. */
  readonly lr?: number;
  /** Decoupled weight decay. Default: 0.01. */
  readonly weightDecay?: number;
  /** Probability of hiding a feature in training. Default: 0. */
  readonly dropout?: number;
  /** Share of each target that is spread over all classes. Default: 0.1. */
  readonly labelSmoothing?: number;
  /** Epochs without a better validation loss before training stops. Default: 15. */
  readonly patience?: number;
  /** Seed of the split and of training. Default: 0. */
  readonly seed?: number;
  /** Part of each class of a flat folder that is kept for validation. Default: 0.15. */
  readonly val?: number;
  /** manifest.json of an earlier run, to use the same photos and split again. Default: a new scan and split. */
  readonly manifest?: string;
  /** Augmented views per training photo, beside the plain one. Default: 3. */
  readonly views?: number;
  /** Mirrored views. Default: true. */
  readonly flip?: boolean;
  readonly verticalFlip?: boolean;
  readonly rotation?: number;
  readonly zoom?: number;
  readonly shift?: number;
  readonly squash?: number;
  readonly brightness?: number;
  readonly contrast?: number;
  readonly saturation?: number;
  readonly greyscale?: number;
  /** Threads. Default: the machine's cores, at most 8. */
  readonly workers?: number;
  /** Folder that holds the runs. Default: runs. */
  readonly project?: string;
  /** Name of the run. Default: the first free of train, train2, ... */
  readonly name?: string;
  /** Write into a named run folder that exists. Default: false. */
  readonly existOk?: boolean;
}

/** Every setting that a run really uses. */
export interface TrainSettings {
  readonly data: string;
  readonly card: BackboneCard;
  readonly preprocess: Preprocess;
  readonly weights: string | undefined;
  readonly head: HeadOptions;
  /** Part of each class for validation; undefined when nobody asked and the default holds for flat folders. */
  readonly validationFraction: number | undefined;
  readonly manifest: string | undefined;
  readonly views: number;
  readonly augmentation: Augmentation;
  readonly workers: number;
  readonly project: string;
  readonly name: string | undefined;
  readonly existOk: boolean;
}

/** Augmented views per training photo unless asked otherwise: more were not better on leaves (docs/architecture.md). */
export const DEFAULT_VIEWS = 3;

/** Fills in the defaults. Throws GraftError `usage` for a value that cannot be used. */
export function resolveTrainOptions(options: TrainOptions): TrainSettings {
  const card = findCard(options.model ?? DEFAULT_BACKBONE);
  checkRanges(options);
  const size = options.imgsz ?? card.preprocess.size;
  if (size % 32 !== 0) {
    throw new GraftError(
      'usage',
      `The input size ${size} cannot be used: it has to be a multiple of 32.`,
      `The nearest is ${Math.round(size / 32) * 32}.`,
    );
  }
  const idle = Object.keys(defaultAugmentation).find(name => options[name as keyof Augmentation] !== undefined);
  if (options.views === 0 && idle !== undefined) {
    throw new GraftError(
      'usage',
      `${idle} is set, but there are no augmented views (views is 0).`,
      'Leave one of the two out.',
    );
  }
  if (options.existOk && options.name === undefined) {
    throw new GraftError('usage', 'exist-ok is set, but the run has no name.', 'Give the name of the run folder too.');
  }
  if (options.manifest !== undefined && options.val !== undefined) {
    throw new GraftError(
      'usage',
      'val is set, but the manifest says which photos are for validation.',
      'Leave one of the two out.',
    );
  }
  const head: HeadOptions = {
    epochs: options.epochs ?? defaultHeadOptions.epochs,
    batch: options.batch ?? defaultHeadOptions.batch,
    lr: options.lr ?? defaultHeadOptions.lr,
    weightDecay: options.weightDecay ?? defaultHeadOptions.weightDecay,
    dropout: options.dropout ?? defaultHeadOptions.dropout,
    labelSmoothing: options.labelSmoothing ?? defaultHeadOptions.labelSmoothing,
    patience: options.patience ?? defaultHeadOptions.patience,
    seed: options.seed ?? defaultHeadOptions.seed,
  };
  const augmentation = Object.fromEntries(
    Object.entries(defaultAugmentation).map(([name, value]) => [name, options[name as keyof Augmentation] ?? value]),
  ) as unknown as Augmentation;
  return {
    data: options.data,
    card,
    preprocess: { ...card.preprocess, size },
    weights: options.weights,
    head,
    validationFraction: options.val,
    manifest: options.manifest,
    views: options.views ?? DEFAULT_VIEWS,
    augmentation,
    workers: options.workers ?? defaultWorkers(),
    project: options.project ?? 'runs',
    name: options.name,
    existOk: options.existOk ?? false,
  };
}
