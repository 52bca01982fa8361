// Everything that is measured of a set of predictions, as one value that can be printed, drawn and written as JSON.
import { type Calibration, measureCalibration } from './calibration.ts';
import { type Curve, precisionRecallCurve, rocCurve } from './curves.ts';
import { argMax, type Metrics, measurePredictions } from './metrics.ts';
import type { Predictions } from './predictions.ts';
import { brierScore, logLoss, topKAccuracy } from './probability-scores.ts';
import { measureRejection, type Rejection, type RiskPoint, riskCoverage, riskCoverageArea } from './rejection.ts';

/** One class against the rest; null where there are photos on one side only. */
export interface ClassCurves {
  readonly class: string;
  readonly roc: Curve | null;
  readonly precision_recall: Curve | null;
}

/** Figures that need the probability of every class. */
export interface ProbabilityFigures {
  /** In nats. */
  readonly log_loss: number;
  /** 0..2. */
  readonly brier: number;
  /** Part of the photos whose class is among the k best, by k: 2, 3 and 5 where there are more classes. */
  readonly top_k: Readonly<Record<string, number>>;
  readonly curves: readonly ClassCurves[];
  readonly calibration: Calibration;
  readonly risk_coverage: readonly RiskPoint[];
  /** Area under that curve. */
  readonly risk_coverage_area: number;
}

/** All figures. */
export interface Figures extends Metrics {
  /** null where the model does not tell the probability of every class. */
  readonly probability: ProbabilityFigures | null;
  /** null without a threshold. */
  readonly rejection: Rejection | null;
  /** Sentences on what the figures cannot say. */
  readonly notes: readonly string[];
}

/** An interval that is wider is worth a sentence. */
const WIDE = 0.15;

/**
 * Measures predictions. Photos that are none of the classes (truth -1) count for `rejection.none` alone.
 * @param below threshold of rejection. Default: none.
 */
export function measureFigures(predictions: Predictions, below?: number): Figures {
  const { classes } = predictions;
  const known = keepKnown(predictions);
  const { truth, probabilities } = known;
  const metrics = measurePredictions(truth, probabilities.map(argMax), classes);
  const isWhole = probabilities.every(row => row.every(p => p >= 0));
  return {
    ...metrics,
    probability: isWhole ? measureProbabilities(known) : null,
    rejection: below === undefined ? null : measureRejection(predictions, below),
    notes: describeLimits(metrics),
  };
}

/** The photos that are of a class. */
function keepKnown({ classes, truth, probabilities }: Predictions): Predictions {
  return {
    classes,
    truth: truth.filter(label => label >= 0),
    probabilities: probabilities.filter((_, i) => truth[i]! >= 0),
  };
}

function measureProbabilities(known: Predictions): ProbabilityFigures {
  const { classes, truth, probabilities } = known;
  const ks = [2, 3, 5].filter(k => k < classes.length);
  return {
    log_loss: logLoss(known),
    brier: brierScore(known),
    top_k: Object.fromEntries(ks.map(k => [k, topKAccuracy(known, k)])),
    curves: classes.map((name, k) => {
      const scores = probabilities.map(row => row[k]!);
      const isOwn = (i: number) => truth[i] === k;
      return { class: name, roc: rocCurve(scores, isOwn), precision_recall: precisionRecallCurve(scores, isOwn) };
    }),
    calibration: measureCalibration(known),
    risk_coverage: riskCoverage(known),
    risk_coverage_area: riskCoverageArea(known)!,
  };
}

function describeLimits({ images, interval, per_class }: Metrics): string[] {
  const notes: string[] = [];
  const percent = (part: number) => (100 * part).toFixed(0);
  if (interval.high - interval.low > WIDE) {
    notes.push(
      `${images} ${images === 1 ? 'photo is' : 'photos are'} few: the accuracy on others may be anywhere from ` +
        `${percent(interval.low)} to ${percent(interval.high)} %.`,
    );
  }
  const absent = per_class.filter(figures => figures.images === 0).map(figures => figures.class);
  if (absent.length > 0) notes.push(`Nothing is known of classes without photos: ${absent.slice(0, 10).join(', ')}.`);
  return notes;
}
