// The settings of a training run: what a caller may say, what is used when nothing is said, and what is not possible.
import { type OptimiserName, optimiserNames } from '../autodiff/optimisers.ts';
import { GraftError } from '../base/errors.ts';
import { type DeviceChoice, deviceChoices } from '../engine/device.ts';
import { type Augmentation, defaultAugmentation, strongAugmentation } from '../image/augment.ts';
import { type CameraChoice, cameraChoices } from '../image/camera.ts';
import type { PixelsName } from '../import/find-preprocess.ts';
import { defaultFineTuneOptions, type FineTuneOptions } from '../train/fine-tune.ts';
import { defaultHeadOptions, type HeadOptions } from '../train/head.ts';
import { type ScheduleName, scheduleNames } from '../train/schedules.ts';
import { DEFAULT_BACKBONE, findCard } from '../zoo/cards.ts';
import { AUTO, type ModelChoice, type ModelLimits } from './auto-model.ts';
import { defaultWorkers } from './defaults.ts';
import { isHubModel, isModelFile, requireNoPixels } from './open-backbone.ts';
import { pickName } from './pick-name.ts';
import { pixelsNames } from './pixels-names.ts';
import { checkRanges } from './setting-ranges.ts';

/** Options of `train`. Only `data` is needed, or `resume`. */
export interface TrainOptions {
  /** Folder with one folder of photos per class, or with split folders of these. */
  readonly data?: string;
  /** Folder of a run that was cut off: it goes on with its own settings, exactly where it was. */
  readonly resume?: string;
  /**
   * The backbone: a name of the zoo, `hf:owner/name[@revision]` for a model on the Hugging Face Hub, an .onnx or .tflite file
   * with an image classifier, or `auto` for the best of the cached ones of the zoo on these photos. Default:
   * mobilenet_v3_small.
   */
  readonly model?: string;
  /** With `auto`: most milliseconds that a photo may take in LiteRT here, on one thread. Default: no limit. */
  readonly maxLatency?: number;
  /** With `auto`: most megabytes of the float32 .tflite file. Default: no limit. */
  readonly maxSize?: number;
  /** Weights of a backbone of the zoo to use instead of its own: GGUF or safetensors. */
  readonly weights?: string;
  /** How a model file wants its pixels, where the file does not say: imagenet, signed, unit, bytes or caffe. */
  readonly pixels?: PixelsName;
  /** Fetch nothing: use what is cached. Default: false. */
  readonly offline?: boolean;
  /** Most epochs of the head. Default: 60. */
  readonly epochs?: number;
  /** Photos per step. Default: 64. */
  readonly batch?: number;
  /** Side of the input in pixels, a multiple of 32. Default: the backbone's own, mostly 224. */
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
  /**
   * The robot's camera that the model is for: training sees every photo as it is and as the camera would see it, and keeps the
   * epoch that is best on the validation photos as the camera sees them. Default: none.
   */
  readonly camera?: CameraChoice;
  /** Most epochs of fine-tuning; 0 trains the head only. Default: 20. */
  readonly fineTuneEpochs?: number;
  /** Stages before this one stay frozen in fine-tuning too. Default: 0. */
  readonly freeze?: number;
  /** Photos per step of fine-tuning. Default: 32. */
  readonly fineTuneBatch?: number;
  /** Highest learning rate of fine-tuning. Default: 0.001. */
  readonly fineTuneLr?: number;
  /** The learning rate of each stage is that of the next one times this. Default: 1. */
  readonly layerDecay?: number;
  /** How the learning rate changes. Default: cosine. */
  readonly schedule?: ScheduleName;
  /** Epochs over which the learning rate of fine-tuning rises. Default: 1. */
  readonly warmup?: number;
  /** Default: adamw. */
  readonly optimiser?: OptimiserName;
  /** Weight decay of fine-tuning. Default: 0.05. */
  readonly fineTuneWeightDecay?: number;
  /** Strength of mixup in fine-tuning. Default: 0. */
  readonly mixup?: number;
  /** Largest norm of the gradient. Default: 5. */
  readonly clipNorm?: number;
  /** How slowly the average of the weights follows them. Default: 0.98. */
  readonly averageDecay?: number;
  /** Epochs of fine-tuning without a better validation loss before it stops. Default: 10. */
  readonly fineTunePatience?: number;
  /**
   * Views per photo whose activations behind the frozen stages are cached; 0 renders new views in every epoch. Default: 8 where
   * they take at most 32 KB a view (mobilenet_v3_small: freeze 5 to 12) and neither views 0 nor mixup speak against it, else 0.
   */
  readonly cutViews?: number;
  /** Minutes between checkpoints within an epoch. Default: 2. */
  readonly saveEvery?: number;
  /**
   * Photos whose largest probability is below this are `unknown`. Default: the lowest threshold at which `wantedPrecision` of
   * the others should be right.
   */
  readonly rejectBelow?: number;
  /** In 0..1. Default: 0.95, and at least half of the validation photos are not unknown. */
  readonly wantedPrecision?: number;
  /** Write event files for TensorBoard. Default: false. */
  readonly tensorboard?: boolean;
  /** What fine-tuning computes on. Default: cpu. */
  readonly device?: DeviceChoice;
  /** Threads. Default: the machine's cores, at most 8. */
  readonly workers?: number;
  /** Another name for `workers`. */
  readonly threads?: number;
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
  readonly model: string;
  /** What the model may take when `auto` chooses it. */
  readonly limits: ModelLimits;
  readonly weights: string | undefined;
  readonly pixels: PixelsName | undefined;
  readonly offline: boolean;
  /** Side of the input; undefined for the backbone's own. */
  readonly imgsz: number | undefined;
  readonly head: HeadOptions;
  /** Part of each class for validation; undefined when nobody asked and the default holds for flat folders. */
  readonly validationFraction: number | undefined;
  readonly manifest: string | undefined;
  readonly views: number;
  readonly augmentation: Augmentation;
  readonly camera: CameraChoice;
  /** Part of the views that the camera sees: 0 without one. */
  readonly cameraShare: number;
  readonly fineTune: FineTuneOptions;
  /** Augmentation of the views of fine-tuning, which there are unless `views` is 0. */
  readonly fineTuneAugmentation: Augmentation;
  /** First stage that is fine-tuned. */
  readonly freeze: number;
  /** Undefined when nobody asked: the default depends on the backbone. */
  readonly cutViews: number | undefined;
  /** Undefined where it is chosen by `wantedPrecision`. */
  readonly rejectBelow: number | undefined;
  readonly wantedPrecision: number | undefined;
  /** Minutes. */
  readonly saveEvery: number;
  readonly tensorboard: boolean;
  readonly device: DeviceChoice;
  readonly workers: number;
  readonly project: string;
  readonly name: string | undefined;
  readonly existOk: boolean;
}

/** A training to be done: settings, what was said of them, and the folder of a run that goes on. */
export interface TrainingJob {
  readonly options: TrainOptions;
  readonly settings: TrainSettings;
  readonly folder?: string;
  /** How `auto` chose the model before the run was cut off. */
  readonly choice?: ModelChoice | null;
}

/** Augmented views per training photo unless asked otherwise: more were not better on leaves (docs/architecture.md). */
export const DEFAULT_VIEWS = 3;

/**
 * Part of the views that the camera sees when there is one. With all of them, leaves gain 1.6 points as the camera sees them
 * (two seeds of 155 photos) and lose 8 as they are.
 */
export const CAMERA_SHARE = 0.5;

/** First stage that is fine-tuned unless asked otherwise (docs/performance.md). */
export const DEFAULT_FREEZE = 0;

/**
 * Fills in the defaults.
 * @throws GraftError `usage` for a value that cannot be used.
 */
export function resolveTrainOptions(options: TrainOptions): TrainSettings {
  if (options.data === undefined) {
    throw new GraftError('usage', 'No photos were named.', 'Name a folder with one folder of photos per class.');
  }
  checkRanges(options);
  checkModel(options);
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
  if (options.rejectBelow !== undefined && options.wantedPrecision !== undefined) {
    throw new GraftError(
      'usage',
      'reject-below is a threshold, and wanted-precision chooses one.',
      'Leave one of the two out.',
    );
  }
  if (options.workers !== undefined && options.threads !== undefined) {
    throw new GraftError('usage', 'workers and threads are two names for the same.', 'Leave one of the two out.');
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
  const fineTune = resolveFineTuning(options);
  const freeze = options.freeze ?? DEFAULT_FREEZE;
  const { cutViews } = options;
  if (cutViews && freeze === 0) {
    throw new GraftError(
      'usage',
      `cut-views is ${cutViews}, but no stage is frozen whose output could be cached.`,
      'Add --freeze with the number of stages that stay frozen, or leave --cut-views out.',
    );
  }
  if (cutViews && fineTune.mixup > 0) {
    throw new GraftError('usage', 'mixup blends photos, and cut-views keeps none.', 'Leave one of the two out.');
  }
  if (cutViews && options.views === 0) {
    throw new GraftError(
      'usage',
      `cut-views is ${cutViews}, but there are no augmented views (views is 0).`,
      'Leave one of the two out.',
    );
  }
  const camera = pickName('camera', options.camera ?? 'none', cameraChoices);
  const augment = (defaults: Augmentation) =>
    Object.fromEntries(
      Object.entries(defaults).map(([name, value]) => [name, options[name as keyof Augmentation] ?? value]),
    ) as unknown as Augmentation;
  return {
    data: options.data,
    model: options.model ?? DEFAULT_BACKBONE,
    limits: { maxLatency: options.maxLatency, maxSize: options.maxSize },
    weights: options.weights,
    pixels: options.pixels === undefined ? undefined : pickName('pixels', options.pixels, pixelsNames),
    offline: options.offline ?? false,
    imgsz: options.imgsz,
    head,
    validationFraction: options.val,
    manifest: options.manifest,
    views: options.views ?? DEFAULT_VIEWS,
    augmentation: augment(defaultAugmentation),
    camera,
    cameraShare: camera === 'none' ? 0 : CAMERA_SHARE,
    fineTune,
    fineTuneAugmentation: augment(strongAugmentation),
    freeze,
    cutViews,
    rejectBelow: options.rejectBelow,
    wantedPrecision: options.wantedPrecision,
    saveEvery: options.saveEvery ?? 2,
    tensorboard: options.tensorboard ?? false,
    device: pickName('device', options.device ?? 'cpu', deviceChoices),
    workers: options.workers ?? options.threads ?? defaultWorkers(),
    project: options.project ?? 'runs',
    name: options.name,
    existOk: options.existOk ?? false,
  };
}

/** Settings of the model that do not go together. */
function checkModel({ model = DEFAULT_BACKBONE, weights, pixels, imgsz, maxLatency, maxSize }: TrainOptions): void {
  const isNamed = model !== AUTO && !isModelFile(model) && !isHubModel(model);
  const card = isNamed ? findCard(model) : undefined;
  if (card) requireNoPixels({ model, pixels }, card.title);
  if (pixels !== undefined && model === AUTO) {
    throw new GraftError(
      'usage',
      'pixels is set, but auto chooses among networks that say it themselves.',
      'Leave --pixels out.',
    );
  }
  // Other sizes than a network's own do not halve five times; a file may take what it takes.
  if (imgsz !== undefined && !isModelFile(model) && imgsz % 32 !== 0 && imgsz !== card?.preprocess.size) {
    throw new GraftError(
      'usage',
      `The input size ${imgsz} cannot be used: it has to be a multiple of 32.`,
      `The nearest is ${Math.round(imgsz / 32) * 32}.`,
    );
  }
  const limit = maxLatency !== undefined ? 'max-latency' : maxSize !== undefined ? 'max-size' : undefined;
  if (limit !== undefined && model !== AUTO) {
    throw new GraftError('usage', `${limit} is set, but the model is ${model}.`, 'Add --model auto, or leave it out.');
  }
  if (weights !== undefined && !isNamed) {
    throw new GraftError(
      'usage',
      `weights is set, but the model ${model} comes with its own.`,
      'Leave --weights out, or name a backbone of the zoo (graft models).',
    );
  }
}

function resolveFineTuning(options: TrainOptions): FineTuneOptions {
  const defaults = defaultFineTuneOptions;
  return {
    epochs: options.fineTuneEpochs ?? defaults.epochs,
    batch: options.fineTuneBatch ?? defaults.batch,
    lr: options.fineTuneLr ?? defaults.lr,
    layerDecay: options.layerDecay ?? defaults.layerDecay,
    schedule: pickName('schedule', options.schedule ?? defaults.schedule, scheduleNames),
    warmup: options.warmup ?? defaults.warmup,
    optimiser: pickName('optimiser', options.optimiser ?? defaults.optimiser, optimiserNames),
    weightDecay: options.fineTuneWeightDecay ?? defaults.weightDecay,
    labelSmoothing: options.labelSmoothing ?? defaults.labelSmoothing,
    mixup: options.mixup ?? defaults.mixup,
    clipNorm: options.clipNorm ?? defaults.clipNorm,
    averageDecay: options.averageDecay ?? defaults.averageDecay,
    patience: options.fineTunePatience ?? defaults.patience,
    seed: options.seed ?? defaults.seed,
  };
}
