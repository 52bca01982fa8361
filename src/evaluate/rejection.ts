// When a model should say that it does not know: photos whose largest probability is below a threshold are rejected.
import { thinOut } from './curves.ts';
import { type Interval, wilson } from './intervals.ts';
import { argMax } from './metrics.ts';
import type { Predictions } from './predictions.ts';

/** A threshold and what it does to the photos that it was chosen on. */
export interface RejectRule {
  /** A photo is accepted where its largest probability is at least this. */
  readonly below: number;
  /** The part of the accepted photos that should be right; null where somebody named the threshold. */
  readonly wanted: number | null;
  /** The part that was right, with how far it may be from the truth; null where none is accepted. */
  readonly precision: number | null;
  readonly interval: Interval | null;
  /** Part of the photos that are accepted. */
  readonly coverage: number;
  readonly images: number;
}

/** A threshold on the risk-coverage curve (El-Yaniv and Wiener 2010). */
export interface RiskPoint {
  readonly threshold: number;
  /** Part of the photos that are accepted. */
  readonly coverage: number;
  /** Part of these that are wrong. */
  readonly risk: number;
}

/** What a threshold does to photos. */
export interface Rejection {
  readonly below: number;
  /** Photos of the classes. */
  readonly images: number;
  readonly accepted: number;
  /** Part of the accepted that is right, with its interval; null where none is accepted. */
  readonly precision: number | null;
  readonly interval: Interval | null;
  /** Photos that are none of the classes, and how many of these are accepted; null without any. */
  readonly none: { readonly images: number; readonly accepted: number } | null;
}

interface Answer {
  readonly confidence: number;
  readonly isRight: boolean;
}

/** Largest probability and rightness of the photos that are of a class, the surest first. */
function rankAnswers({ truth, probabilities }: Predictions): Answer[] {
  return probabilities
    .map((row, i) => ({ row, label: truth[i]! }))
    .filter(({ label }) => label >= 0)
    .map(({ row, label }) => {
      const top = argMax(row);
      return { confidence: row[top]!, isRight: top === label };
    })
    .sort((a, b) => b.confidence - a.confidence);
}

/** Counts at every distinct confidence, from the highest on. */
function countAccepted(answers: readonly Answer[]): { threshold: number; accepted: number; hits: number }[] {
  let hits = 0;
  return answers.flatMap(({ confidence, isRight }, i) => {
    if (isRight) hits++;
    return answers[i + 1]?.confidence === confidence ? [] : [{ threshold: confidence, accepted: i + 1, hits }];
  });
}

/** The risk at every coverage, thinned out for drawing. */
export function riskCoverage(predictions: Predictions): RiskPoint[] {
  const answers = rankAnswers(predictions);
  const points = countAccepted(answers).map(({ threshold, accepted, hits }) => ({
    threshold,
    coverage: accepted / answers.length,
    risk: 1 - hits / accepted,
  }));
  return thinOut(points);
}

/** Area under the risk-coverage curve over all photos; less is better. null without a photo. */
export function riskCoverageArea(predictions: Predictions): number | null {
  const answers = rankAnswers(predictions);
  if (answers.length === 0) return null;
  let [wrong, sum] = [0, 0];
  answers.forEach(({ isRight }, i) => {
    if (!isRight) wrong++;
    sum += wrong / (i + 1);
  });
  return sum / answers.length;
}

/**
 * The lowest threshold at which the accepted photos are right as often as is wanted, by their own calibrated probabilities: their
 * mean is what they expect. That is steadier than counting the few photos that are wrong (docs/architecture.md). The threshold lies
 * halfway between the least sure photo that is accepted and the surest that is not. Where all are accepted it is the least sure
 * one's probability: what the model is less sure of than of any photo that it was chosen on is rejected.
 * @param wanted precision in 0..1; where no photo is as sure, the surest alone is accepted.
 * @param leastCoverage part of the photos that are accepted in any case. Default: none.
 */
export function chooseThreshold(predictions: Predictions, wanted: number, leastCoverage = 0): RejectRule {
  const answers = rankAnswers(predictions);
  if (answers.length === 0) throw new RangeError('There is no photo to choose a threshold on.');
  const counts = countAccepted(answers);
  let [sum, photo] = [0, 0];
  const expected = counts.map(({ accepted }) => {
    for (; photo < accepted; photo++) sum += answers[photo]!.confidence;
    return sum / accepted;
  });
  const chosen = Math.max(
    0,
    // Rounding of float32 is no lack of precision.
    expected.findLastIndex(precision => precision >= wanted - 1e-6),
    counts.findIndex(({ accepted }) => accepted >= leastCoverage * answers.length),
  );
  const { threshold, accepted, hits } = counts[chosen]!;
  const next = counts[chosen + 1]?.threshold;
  return {
    // Runtimes differ in the last digits.
    below: next === undefined ? Math.floor(threshold * 1000) / 1000 : (threshold + next) / 2,
    wanted,
    precision: hits / accepted,
    interval: wilson(hits, accepted),
    coverage: accepted / answers.length,
    images: answers.length,
  };
}

/** The rule of a threshold that somebody named. */
export function measureRule(predictions: Predictions, below: number): RejectRule {
  const { accepted, images, precision, interval } = measureRejection(predictions, below);
  return { below, wanted: null, precision, interval, coverage: accepted / images, images };
}

/** What becomes of photos at the threshold `below`. */
export function measureRejection(predictions: Predictions, below: number): Rejection {
  const answers = rankAnswers(predictions);
  const accepted = answers.filter(({ confidence }) => confidence >= below);
  const hits = accepted.filter(({ isRight }) => isRight).length;
  const none = predictions.probabilities.filter((_, i) => predictions.truth[i] === -1);
  return {
    below,
    images: answers.length,
    accepted: accepted.length,
    precision: accepted.length === 0 ? null : hits / accepted.length,
    interval: accepted.length === 0 ? null : wilson(hits, accepted.length),
    none:
      none.length === 0
        ? null
        : { images: none.length, accepted: none.filter(row => row[argMax(row)]! >= below).length },
  };
}
