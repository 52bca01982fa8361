// The new head: a linear softmax classifier trained on cached features with AdamW, exact and the same on any machine
// with the same seed. Rows are read from the cache as they are needed, so memory does not grow with the photos.
import { setImmediate } from 'node:timers/promises';
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { makeRng, type Rng } from '../base/rng.ts';
import { adamwStep, makeAdamW } from './adamw.ts';
import { softmaxCrossEntropy } from './cross-entropy.ts';
import { type FeatureSet, makeFeatureSet } from './feature-set.ts';

/** Settings of the head's training. */
export interface HeadOptions {
  readonly epochs: number;
  readonly batch: number;
  /** Highest learning rate; it rises over the first tenth of all steps and falls to zero along a cosine. */
  readonly lr: number;
  readonly weightDecay: number;
  /** Probability with which a feature is set to zero in training. */
  readonly dropout: number;
  readonly labelSmoothing: number;
  /** Epochs without a better validation loss after which training stops. */
  readonly patience: number;
  readonly seed: number;
}

/** Settings that were measured best on photos of leaves (see docs/architecture.md). */
export const defaultHeadOptions: HeadOptions = {
  epochs: 60,
  batch: 64,
  lr: 3e-3,
  weightDecay: 0.01,
  dropout: 0,
  labelSmoothing: 0.1,
  patience: 15,
  seed: 0,
};

/** One epoch, as it stands in results.csv. Losses are mean cross-entropies in nats. */
export interface EpochRecord {
  readonly epoch: number;
  readonly learningRate: number;
  readonly trainLoss: number;
  readonly trainAccuracy: number;
  readonly validationLoss: number;
  readonly validationAccuracy: number;
}

/** A linear head for raw features: logits = weight * features + bias. */
export interface HeadWeights {
  /** [classes, width], row-major. */
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

/** How features are standardised: (feature - mean) * inverse. */
export interface Scaling {
  readonly mean: Float32Array;
  /** 1 / standard deviation. */
  readonly inverse: Float32Array;
}

/** A trained head. */
export interface TrainedHead extends HeadWeights {
  /** The standardisation that it was trained with, folded into its weights. */
  readonly scaling: Scaling;
  readonly epochs: readonly EpochRecord[];
  readonly bestEpoch: number;
}

/**
 * Trains the head. Features are standardised by the mean and deviation of the training views, classes weigh inversely to
 * their number of photos, each epoch shows each photo once in a random view, and the epoch with the lowest validation
 * loss is kept.
 */
export async function* trainHead(
  train: FeatureSet,
  validation: FeatureSet,
  classes: number,
  options: HeadOptions,
): Steps<TrainedHead> {
  const { width } = train;
  const { batch, epochs } = options;
  const scaling = measureScaling(train);
  const [learn, check] = [standardiseSet(train, scaling), standardiseSet(validation, scaling)];
  const classWeights = balanceClasses(train.labels, classes);
  const equalWeights = new Float64Array(classes).fill(1);
  const weight = new Float32Array(classes * width);
  const bias = new Float32Array(classes);
  const optimiser = makeAdamW(weight.length, bias.length);
  const gradient = { weight: new Float32Array(weight.length), bias: new Float32Array(classes) };
  const rows = new Float32Array(batch * width);
  const rng = makeRng(options.seed, 'head');
  const order = train.labels.map((_, i) => i);
  const steps = Math.ceil(order.length / batch);
  const records: EpochRecord[] = [];
  const best = { epoch: 0, loss: Number.POSITIVE_INFINITY, weight: weight.slice(), bias: bias.slice() };

  for (let epoch = 1; epoch <= epochs; epoch++) {
    rng.shuffle(order);
    let loss = 0;
    let correct = 0;
    let learningRate = 0;
    for (let step = 0; step < steps; step++) {
      const photos = order.slice(step * batch, (step + 1) * batch);
      photos.forEach((photo, row) => {
        learn.read(photo, rng.int(learn.views), rows, row * width);
      });
      dropFeatures(rows.subarray(0, photos.length * width), options.dropout, rng);
      const labels = photos.map(photo => train.labels[photo]!);
      const result = softmaxCrossEntropy(
        { rows, labels, width, weight, bias, classWeights, labelSmoothing: options.labelSmoothing },
        gradient,
      );
      loss += result.loss * photos.length;
      correct += result.correct;
      learningRate = oneCycle((epoch - 1) * steps + step, epochs * steps, options.lr);
      adamwStep(optimiser, { weight, bias }, gradient, learningRate, options.weightDecay);
    }
    const result = evaluateHead(check, { weight, bias }, rows, equalWeights);
    records.push({
      epoch,
      learningRate,
      trainLoss: loss / order.length,
      trainAccuracy: correct / order.length,
      validationLoss: result.loss,
      validationAccuracy: result.accuracy,
    });
    if (result.loss < best.loss) {
      best.epoch = epoch;
      best.loss = result.loss;
      best.weight.set(weight);
      best.bias.set(bias);
    }
    const detail = `loss ${result.loss.toFixed(3)}, accuracy ${(100 * result.accuracy).toFixed(1)} %`;
    // Everything above is one long computation: a pause lets signals and messages in.
    await setImmediate();
    yield { type: 'progress', stage: 'head', done: epoch, total: epochs, unit: 'epochs', detail };
    if (epoch - best.epoch >= options.patience) break;
  }
  if (best.epoch === 0) {
    throw new GraftError(
      'diverged',
      `Training diverged: the validation loss was never a number (learning rate ${options.lr}).`,
      `Use a smaller --lr, for example ${options.lr / 10}.`,
    );
  }
  return { ...foldScaling(best, scaling), scaling, epochs: records, bestEpoch: best.epoch };
}

/** Mean and standard deviation of each feature over all training views (Welford's update). */
function measureScaling(set: FeatureSet): Scaling {
  const { width } = set;
  const row = new Float32Array(width);
  const mean = new Float64Array(width);
  const square = new Float64Array(width);
  let count = 0;
  for (let photo = 0; photo < set.labels.length; photo++) {
    for (let view = 0; view < set.views; view++) {
      set.read(photo, view, row, 0);
      count++;
      for (let i = 0; i < width; i++) {
        const delta = row[i]! - mean[i]!;
        mean[i]! += delta / count;
        square[i]! += delta * (row[i]! - mean[i]!);
      }
    }
  }
  const deviation = square.map(sum => Math.sqrt(sum / count));
  // A feature that (nearly) never changes must not be blown up: the floor is a thousandth of the typical deviation.
  const floor = 1e-3 * (deviation.reduce((sum, value) => sum + value, 0) / width) || 1;
  const inverse = deviation.map(value => 1 / Math.max(value, floor));
  return { mean: Float32Array.from(mean), inverse: Float32Array.from(inverse) };
}

/** The same set with every feature less its mean, divided by its deviation. */
function standardiseSet(set: FeatureSet, { mean, inverse }: Scaling): FeatureSet {
  const { width, labels, views } = set;
  return makeFeatureSet(width, labels, views, (photo, view, out, offset) => {
    set.read(photo, view, out, offset);
    for (let i = 0; i < width; i++) out[offset + i] = (out[offset + i]! - mean[i]!) * inverse[i]!;
  });
}

/** Inverted dropout: what is kept is divided by the probability of keeping it. Each random word decides two values. */
function dropFeatures(values: Float32Array, probability: number, rng: Rng): void {
  if (probability === 0) return;
  const kept = 1 / (1 - probability);
  const limit = Math.round(probability * 65536);
  const words = new Uint32Array(Math.ceil(values.length / 2));
  rng.fill(words);
  const halves = new Uint16Array(words.buffer);
  for (let i = 0; i < values.length; i++) values[i] = halves[i]! < limit ? 0 : values[i]! * kept;
}

/** weight_c = photos / (classes * photos of c), so that every class counts the same (scikit-learn's "balanced"). */
export function balanceClasses(labels: readonly number[], classes: number): Float64Array {
  const counts = new Float64Array(classes);
  for (const label of labels) counts[label]!++;
  return counts.map(count => (count === 0 ? 0 : labels.length / (classes * count)));
}

/** Linear warm-up over the first tenth of the steps, then a cosine to zero. */
function oneCycle(step: number, steps: number, peak: number): number {
  const warm = Math.max(1, Math.round(steps / 10));
  if (step < warm) return (peak * (step + 1)) / warm;
  return (peak / 2) * (1 + Math.cos((Math.PI * (step - warm)) / Math.max(1, steps - warm)));
}

function evaluateHead(
  set: FeatureSet,
  head: { weight: Float32Array; bias: Float32Array },
  rows: Float32Array,
  classWeights: Float64Array,
): { loss: number; accuracy: number } {
  const { width } = set;
  const batch = rows.length / width;
  let loss = 0;
  let correct = 0;
  for (let start = 0; start < set.labels.length; start += batch) {
    const labels = set.labels.slice(start, start + batch);
    labels.forEach((_, row) => {
      set.read(start + row, 0, rows, row * width);
    });
    const result = softmaxCrossEntropy({ rows, labels, width, ...head, classWeights, labelSmoothing: 0 });
    loss += result.loss * labels.length;
    correct += result.correct;
  }
  return { loss: loss / set.labels.length, accuracy: correct / set.labels.length };
}

/** W' = W / deviation, b' = b - W' mean: the same logits from features that were not standardised. */
export function foldScaling({ weight, bias }: HeadWeights, { mean, inverse }: Scaling): HeadWeights {
  const width = mean.length;
  const folded = weight.map((value, i) => value * inverse[i % width]!);
  const shifted = bias.map((value, c) => {
    let sum = value;
    for (let i = 0; i < width; i++) sum -= weight[c * width + i]! * inverse[i]! * mean[i]!;
    return sum;
  });
  return { weight: folded, bias: shifted };
}

/** The inverse of `foldScaling`: the same logits from standardised features. */
export function unfoldScaling({ weight, bias }: HeadWeights, { mean, inverse }: Scaling): HeadWeights {
  const width = mean.length;
  const shifted = bias.map((value, c) => {
    let sum = value;
    for (let i = 0; i < width; i++) sum += weight[c * width + i]! * mean[i]!;
    return sum;
  });
  return { weight: weight.map((value, i) => value / inverse[i % width]!), bias: shifted };
}
