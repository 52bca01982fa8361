// How good probabilities are, not only the best class: log-loss, Brier score, top-k accuracy.
import type { Predictions } from './predictions.ts';

/** The smallest probability that log-loss counts with, as in scikit-learn 1.2: float32's epsilon. */
const EPSILON = 2 ** -23;

/** Mean of -ln p(truth) in nats, with p within EPSILON of 0 and 1. Every photo has a class. */
export function logLoss({ truth, probabilities }: Predictions): number {
  return mean(probabilities, (row, i) => {
    const sum = row.reduce((total, value) => total + value, 0);
    return -Math.log(Math.min(1 - EPSILON, Math.max(EPSILON, row[truth[i]!]! / sum)));
  });
}

/** Brier's score (1950): mean over the photos of Σ (p - y)² over the classes, 0..2. With two classes others halve it. */
export function brierScore({ truth, probabilities }: Predictions): number {
  return mean(probabilities, (row, i) => row.reduce((sum, p, k) => sum + (p - (k === truth[i] ? 1 : 0)) ** 2, 0));
}

/** Part of the photos whose class is among the k with the highest probability; of equal ones the first count. */
export function topKAccuracy({ truth, probabilities }: Predictions, k: number): number {
  return mean(probabilities, (row, i) => {
    const own = row[truth[i]!]!;
    const before = row.reduce((count, p, j) => count + (p > own || (p === own && j < truth[i]!) ? 1 : 0), 0);
    return before < k ? 1 : 0;
  });
}

function mean(rows: readonly Float32Array[], score: (row: Float32Array, i: number) => number): number {
  return rows.reduce((sum, row, i) => sum + score(row, i), 0) / rows.length;
}
