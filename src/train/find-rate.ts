// The learning-rate finder (Smith, "Cyclical Learning Rates for Training Neural Networks", arXiv:1506.01186): the rate
// rises from step to step, and the loss tells where learning is fastest and where it breaks down.
import type { Steps } from '../base/events.ts';
import { drawBatches, type FineTuneOptions, type FineTunePhoto } from './fine-tune.ts';
import type { Trainer } from './trainer.ts';

/** Range of the rates that are tried. */
const LOWEST = 1e-6;
const HIGHEST = 1;
/** Smoothing of the loss: each new one counts so much. */
const FOLLOW = 0.1;
/** The search ends when the loss is so many times the lowest. */
const BROKEN = 2;

/** A rate and the loss there, smoothed. */
export interface RateTrial {
  readonly rate: number;
  readonly loss: number;
}

/** What the finder found. */
export interface FoundRate {
  readonly trials: readonly RateTrial[];
  /** Where the loss falls fastest over the logarithm of the rate; null when it never falls. */
  readonly steepest: number | null;
  /** A third of the rate with the lowest loss: a peak that is safe with a schedule. */
  readonly suggestion: number;
}

/**
 * Trains for `steps` steps at a rate that rises from 1e-6 to 1, or until the loss breaks down. The trainer is of no other
 * use afterwards.
 */
export async function* findRate(
  trainer: Trainer,
  train: readonly FineTunePhoto[],
  classes: number,
  options: FineTuneOptions,
  steps: number,
): Steps<FoundRate> {
  const perEpoch = Math.ceil(train.length / options.batch);
  const trials: RateTrial[] = [];
  let smooth = 0;
  for (let step = 0; step < steps; step++) {
    const rate = LOWEST * (HIGHEST / LOWEST) ** (step / (steps - 1));
    const rows = drawBatches(train, classes, options, 1 + Math.floor(step / perEpoch))(step % perEpoch);
    const { loss, norm } = await trainer.step(rows, rate);
    if (!Number.isFinite(norm)) break;
    smooth += FOLLOW * (loss - smooth);
    // Without the correction the first losses would count as if zeros had come before them.
    trials.push({ rate, loss: smooth / (1 - (1 - FOLLOW) ** (step + 1)) });
    const lowest = Math.min(...trials.map(trial => trial.loss));
    const detail = `rate ${rate.toExponential(1)}, loss ${trials.at(-1)!.loss.toFixed(3)}`;
    yield { type: 'progress', stage: 'rates', done: step + 1, total: steps, unit: 'steps', detail };
    if (trials.at(-1)!.loss > BROKEN * lowest) break;
  }
  return { trials, ...readTrials(trials) };
}

/** The rates worth telling. */
export function readTrials(trials: readonly RateTrial[]): Omit<FoundRate, 'trials'> {
  const lowest = trials.reduce((best, trial) => (trial.loss < best.loss ? trial : best), trials[0]!);
  let steepest: number | null = null;
  let slope = 0;
  for (let i = 1; i < trials.length; i++) {
    const fall = (trials[i]!.loss - trials[i - 1]!.loss) / Math.log(trials[i]!.rate / trials[i - 1]!.rate);
    if (fall < slope) [slope, steepest] = [fall, trials[i]!.rate];
  }
  return { steepest, suggestion: lowest.rate / 3 };
}
