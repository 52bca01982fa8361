// Whether probabilities mean what they say, and the temperature that makes them do so.
import { type Interval, wilson } from './intervals.ts';
import { argMax } from './metrics.ts';
import type { Predictions } from './predictions.ts';

/** Photos whose largest probability lies in low..high (high included). */
export interface ReliabilityBin {
  readonly low: number;
  readonly high: number;
  readonly images: number;
  /** Mean of the largest probability. */
  readonly confidence: number;
  readonly accuracy: number;
  readonly interval: Interval;
}

/** How well the largest probability says how often the model is right. */
export interface Calibration {
  /** Expected calibration error: Σ n_b / n |accuracy_b - confidence_b| over the bins. */
  readonly ece: number;
  /** Those that hold photos. */
  readonly bins: readonly ReliabilityBin[];
}

/** Bins of one width, as in Guo et al., "On Calibration of Modern Neural Networks" (2017). */
const BINS = 15;

/** The reliability of predictions; there is at least one photo, and each has a class. */
export function measureCalibration({ truth, probabilities }: Predictions, count = BINS): Calibration {
  const sums = Array.from({ length: count }, () => ({ images: 0, confidence: 0, hits: 0 }));
  probabilities.forEach((row, i) => {
    const top = argMax(row);
    const bin = sums[Math.min(count - 1, Math.max(0, Math.ceil(row[top]! * count) - 1))]!;
    bin.images++;
    bin.confidence += row[top]!;
    if (top === truth[i]) bin.hits++;
  });
  const bins = sums.flatMap(({ images, confidence, hits }, i): ReliabilityBin[] =>
    images === 0
      ? []
      : [
          {
            low: i / count,
            high: (i + 1) / count,
            images,
            confidence: confidence / images,
            accuracy: hits / images,
            interval: wilson(hits, images),
          },
        ],
  );
  const ece = bins.reduce((sum, bin) => sum + bin.images * Math.abs(bin.accuracy - bin.confidence), 0);
  return { ece: ece / probabilities.length, bins };
}

/** Bounds of a temperature. */
export const TEMPERATURES = { min: 0.05, max: 20 } as const;

/**
 * The temperature T for which softmax(logits / T) gives the predicted photos the highest likelihood (temperature scaling, Guo et
 * al. 2017). Logits are known but for a constant per photo, which softmax ignores: ln p.
 *
 * Where every photo is right, ever smaller temperatures are ever more likely. Therefore the targets are Platt's (1999): with n
 * photos the true class has (n + 1) / (n + 2), and the others share the rest.
 */
export function fitTemperature({ truth, probabilities }: Predictions): number {
  const rows = probabilities.map(logitsOf);
  const target = (rows.length + 1) / (rows.length + 2);
  // The loss is convex in b = 1 / T: Σ log Σ exp(b z) - b Σ target z, so that its slope has one zero.
  const slope = (b: number) =>
    rows.reduce((sum, logits, i) => {
      const others = (1 - target) / (logits.length - 1);
      const weights = logits.map(value => Math.exp(b * value));
      const total = weights.reduce((all, weight) => all + weight, 0);
      return logits.reduce(
        (part, value, k) => part + value * (weights[k]! / total - (k === truth[i] ? target : others)),
        sum,
      );
    }, 0);
  let [low, high] = [Math.log(1 / TEMPERATURES.max), Math.log(1 / TEMPERATURES.min)];
  if (slope(Math.exp(low)) >= 0) return TEMPERATURES.max;
  if (slope(Math.exp(high)) <= 0) return TEMPERATURES.min;
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2;
    if (slope(Math.exp(middle)) < 0) low = middle;
    else high = middle;
  }
  return Math.exp(-(low + high) / 2);
}

/** softmax(ln(p) / T): what the probabilities are when the logits are divided by T. */
export function applyTemperature(probabilities: Float32Array, temperature: number): Float32Array {
  const weights = logitsOf(probabilities).map(value => Math.exp(value / temperature));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return Float32Array.from(weights, weight => weight / total);
}

/** Logits less the largest one. A probability of 0 is float32's smallest number. */
function logitsOf(probabilities: Float32Array): number[] {
  const logs = Array.from(probabilities, p => Math.log(Math.max(p, 2 ** -126)));
  const largest = Math.max(...logs);
  return logs.map(value => value - largest);
}
