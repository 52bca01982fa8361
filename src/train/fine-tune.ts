// Fine-tuning: all stages from one on and the head are trained at a low learning rate, BatchNorm in inference mode. Every
// random choice is a function of the seed and the epoch, so that training goes on exactly from any step that was saved.

import type { OptimiserName } from '../autodiff/optimisers.ts';
import { GraftError } from '../base/errors.ts';
import type { ProgressEvent, Steps } from '../base/events.ts';
import { makeRng } from '../base/rng.ts';
import { argMax } from '../evaluate/metrics.ts';
import type { EpochRecord } from './head.ts';
import type { OptimiserState } from './optimiser.ts';
import { rateAt, type ScheduleName } from './schedules.ts';
import type { TrainSample } from './train-worker.ts';
import type { Trainer, TrainRow } from './trainer.ts';

/** Settings of fine-tuning. */
export interface FineTuneOptions {
  /** Most epochs. */
  readonly epochs: number;
  /** Photos per step. */
  readonly batch: number;
  /** Highest learning rate, that of the head. */
  readonly lr: number;
  /** The learning rate of each stage is that of the next one times this. */
  readonly layerDecay: number;
  readonly schedule: ScheduleName;
  /** Epochs over which the rate rises from zero; may be a fraction. */
  readonly warmup: number;
  readonly optimiser: OptimiserName;
  /** Decoupled weight decay of weights; biases and BatchNorm do not decay. */
  readonly weightDecay: number;
  /** Share of each target that is spread evenly over all classes. */
  readonly labelSmoothing: number;
  /** Strength of mixup (the parameter of its beta distribution); 0 for none. */
  readonly mixup: number;
  /** Largest norm of the gradient. */
  readonly clipNorm: number;
  /** How slowly the average of the weights follows them, per step; the average is what is kept. 0 keeps the weights themselves. */
  readonly averageDecay: number;
  /** Epochs without a better one after which training stops. */
  readonly patience: number;
  readonly seed: number;
}

/** Settings that were measured best over photos of several kinds (docs/performance.md). */
export const defaultFineTuneOptions: FineTuneOptions = {
  epochs: 20,
  batch: 32,
  lr: 1e-3,
  layerDecay: 1,
  schedule: 'cosine',
  warmup: 1,
  optimiser: 'adamw',
  weightDecay: 0.05,
  labelSmoothing: 0.1,
  mixup: 0,
  clipNorm: 5,
  averageDecay: 0.98,
  patience: 10,
  seed: 0,
};

/** A photo to train on or to validate with. */
export interface FineTunePhoto {
  readonly label: number;
  /** The photo in an epoch: epoch 0 is for validation and shows it as it is. */
  readonly sample: (epoch: number) => TrainSample;
}

/** How good the model was after an epoch. */
export interface BestEpoch {
  /** 0 for the head that fine-tuning started from. */
  readonly epoch: number;
  readonly validationLoss: number;
  readonly validationAccuracy: number;
}

/** Everything that training needs to go on exactly where it was. */
export interface FineTuneState {
  /** Epoch that is going on, from 1, and steps that were made in it. */
  readonly epoch: number;
  readonly step: number;
  /** Sums over the photos of this epoch so far. */
  readonly lossSum: number;
  readonly correct: number;
  readonly records: readonly EpochRecord[];
  /** The validation photos before the first step. */
  readonly start: Omit<BestEpoch, 'epoch'>;
  readonly best: BestEpoch;
  /** Steps of the optimiser and its vectors. */
  readonly steps: number;
  readonly vectors: OptimiserState;
  /** The parameters of the best epoch. */
  readonly bestParameters: Float32Array;
}

/** What fine-tuning gives. */
export interface FineTuneResult {
  readonly records: readonly EpochRecord[];
  /** The validation photos before the first step. */
  readonly start: Omit<BestEpoch, 'epoch'>;
  readonly best: BestEpoch;
  /** The parameters of the best epoch, in the trainer's order. */
  readonly parameters: Float32Array;
}

/** What fine-tuning works with. */
export interface FineTuneJob {
  readonly trainer: Trainer;
  readonly train: readonly FineTunePhoto[];
  readonly validation: readonly FineTunePhoto[];
  readonly classes: number;
  readonly options: FineTuneOptions;
  /** A state that was saved, to go on from. */
  readonly resume?: FineTuneState | undefined;
  /**
   * Saves a state. Called after every epoch, and within one when `saveDue` says so or when nobody listens any more.
   * @param improved whether bestParameters are new.
   */
  readonly save: (state: FineTuneState, improved: boolean) => Promise<void>;
  readonly saveDue: () => boolean;
}

/**
 * Trains and keeps the best epoch on the validation photos (`isBetter`); epoch 0, the state before, is among them.
 * @throws GraftError `diverged` when the loss or a gradient is no number any more.
 */
export async function* fineTune(job: FineTuneJob): Steps<FineTuneResult> {
  const { trainer, train, validation, classes, options } = job;
  const { batch, epochs } = options;
  const { optimiser } = trainer;
  const stepsPerEpoch = Math.ceil(train.length / batch);
  const [total, warmup] = [epochs * stepsPerEpoch, Math.round(options.warmup * stepsPerEpoch)];
  const averaged = options.averageDecay > 0;
  const rateOf = (at: number) => options.lr * rateAt(options.schedule, at, total, warmup);

  const evaluate = async (): Promise<Omit<BestEpoch, 'epoch'>> => {
    const samples = validation.map(photo => photo.sample(0));
    const logits = await trainer.classify(samples, averaged);
    const { lossSum, correct } = scoreLogits(
      logits,
      validation.map(({ label }) => label),
    );
    return { validationLoss: lossSum / validation.length, validationAccuracy: correct / validation.length };
  };
  const kept = () => optimiser.state()[averaged ? 'average' : 'parameter']!.slice();

  let state: FineTuneState;
  if (job.resume) {
    state = job.resume;
    optimiser.restore(state.vectors, state.steps);
  } else {
    const start = await evaluate();
    const best = { epoch: 0, ...start };
    const begin = { start, epoch: 1, step: 0, lossSum: 0, correct: 0, records: [], steps: 0 };
    state = { ...begin, best, vectors: optimiser.state(), bestParameters: kept() };
    await job.save(state, true);
  }

  const clock = { photos: 0, start: performance.now(), shown: 0 };
  for (; state.epoch <= epochs; state = { ...state, epoch: state.epoch + 1, step: 0, lossSum: 0, correct: 0 }) {
    if (hasStalled(state, options.patience)) break;
    const { epoch } = state;
    const batches = drawBatches(train, classes, options, epoch);
    while (state.step < stepsPerEpoch) {
      const { step } = state;
      const at = (epoch - 1) * stepsPerEpoch + step;
      const rate = rateOf(at);
      const rows = batches(step);
      const ahead = step + 1 < stepsPerEpoch ? batches(step + 1) : undefined;
      const { loss, logits, norm } = await trainer.step(rows, rate, ahead);
      if (!Number.isFinite(norm)) throw diverged(epoch, step + 1, options.lr);
      const labels = rows.map(({ target }) => argMax(target));
      const correct = state.correct + scoreLogits(logits, labels).correct;
      const lossSum = state.lossSum + loss * rows.length;
      state = { ...state, step: step + 1, lossSum, correct, steps: optimiser.steps(), vectors: optimiser.state() };
      clock.photos += rows.length;
      if (job.saveDue()) await job.save(state, false);
      const now = performance.now();
      if (now - clock.shown > 200 || at + 1 === total) {
        clock.shown = now;
        const speed = (1000 * clock.photos) / (now - clock.start);
        const seen = Math.min(state.step * batch, train.length);
        const progress: ProgressEvent = {
          type: 'progress',
          stage: 'fine-tuning',
          done: at + 1,
          total,
          unit: 'steps',
          detail: `epoch ${epoch}/${epochs}, loss ${(lossSum / seen).toFixed(3)}, accuracy ${percent(correct / seen)}, rate ${rate.toExponential(1)}, ${speed.toFixed(0)} photos/s, best ${percent(state.best.validationAccuracy)}`,
        };
        let stopped = true;
        try {
          yield progress;
          stopped = false;
        } finally {
          if (stopped) await job.save(state, false);
        }
      }
    }
    const found = await evaluate();
    if (!Number.isFinite(found.validationLoss)) throw diverged(epoch, stepsPerEpoch, options.lr);
    const record: EpochRecord = {
      epoch,
      learningRate: rateOf(epoch * stepsPerEpoch - 1),
      trainLoss: state.lossSum / train.length,
      trainAccuracy: state.correct / train.length,
      ...found,
    };
    const improved = isBetter(found, state.best);
    state = {
      ...state,
      records: [...state.records, record],
      best: improved ? { epoch, ...found } : state.best,
      bestParameters: improved ? kept() : state.bestParameters,
    };
    const next = { ...state, epoch: epoch + 1, step: 0, lossSum: 0, correct: 0 };
    await job.save(next, improved);
  }
  const { records, start, best, bestParameters: parameters } = state;
  return { records, start, best, parameters };
}

/**
 * More validation photos right; of as many, the lower loss. Not the loss alone: while a network is fine-tuned it becomes
 * surer of its mistakes too, so that the loss rises when the accuracy still does.
 */
export function isBetter(a: Omit<BestEpoch, 'epoch'>, b: Omit<BestEpoch, 'epoch'>): boolean {
  if (a.validationAccuracy !== b.validationAccuracy) return a.validationAccuracy > b.validationAccuracy;
  return a.validationLoss < b.validationLoss;
}

function hasStalled({ epoch, best }: FineTuneState, patience: number): boolean {
  return epoch - 1 - best.epoch >= patience;
}

const percent = (part: number) => `${(100 * part).toFixed(1)} %`;

function diverged(epoch: number, step: number, lr: number): GraftError {
  return new GraftError(
    'diverged',
    `Fine-tuning diverged in step ${step} of epoch ${epoch}: the loss or its gradient is no number any more (learning rate ${lr}).`,
    `The weights of the last good epoch are kept. Train again with a smaller --fine-tune-lr, for example ${Number((lr / 10).toPrecision(2))}.`,
  );
}

/** The batches of an epoch: each photo once, in an order drawn from seed and epoch. */
export function drawBatches(
  train: readonly FineTunePhoto[],
  classes: number,
  { batch, mixup, seed }: FineTuneOptions,
  epoch: number,
): (step: number) => TrainRow[] {
  const order = makeRng(seed, 'fine-tune', epoch).shuffle(train.map((_, i) => i));
  const row = (index: number): TrainRow => {
    const photo = train[order[index]!]!;
    const target = new Float32Array(classes);
    if (mixup === 0) {
      target[photo.label] = 1;
      return { sample: photo.sample(epoch), target };
    }
    const rng = makeRng(seed, 'mixup', epoch, index);
    const other = train[rng.int(train.length)]!;
    const part = drawBeta(mixup, rng);
    target[photo.label]! += part;
    target[other.label]! += 1 - part;
    return { sample: { ...photo.sample(epoch), blend: { with: other.sample(epoch), part } }, target };
  };
  return step => {
    const end = Math.min((step + 1) * batch, train.length);
    return Array.from({ length: end - step * batch }, (_, i) => row(step * batch + i));
  };
}

/** A sample of Beta(a, a), by Jöhnk's method (1964). */
function drawBeta(a: number, rng: { next(): number }): number {
  for (;;) {
    const [x, y] = [rng.next() ** (1 / a), rng.next() ** (1 / a)];
    if (x + y <= 1 && x + y > 0) return x / (x + y);
  }
}

/** Sum of the cross-entropies in nats, and how many labels are on top. */
export function scoreLogits(logits: Float32Array, labels: readonly number[]): { lossSum: number; correct: number } {
  const classes = logits.length / labels.length;
  let [lossSum, correct] = [0, 0];
  labels.forEach((label, i) => {
    const row = logits.subarray(i * classes, (i + 1) * classes);
    const top = argMax(row);
    if (top === label) correct++;
    let exponentials = 0;
    for (const value of row) exponentials += Math.exp(value - row[top]!);
    lossSum += row[top]! + Math.log(exponentials) - row[label]!;
  });
  return { lossSum, correct };
}
