// How good predictions are: accuracy, confusion, and precision, recall and F1 per class.
import { type Interval, wilson } from './intervals.ts';

/** Figures of one class. A figure whose denominator is zero is 0, as in scikit-learn. */
export interface ClassMetrics {
  readonly class: string;
  /** Photos of this class. */
  readonly images: number;
  /** Of the photos that were called this class, the part that is. */
  readonly precision: number;
  /** Of the photos that are this class, the part that was called so. */
  readonly recall: number;
  /** Harmonic mean of precision and recall: 2 tp / (2 tp + fp + fn). */
  readonly f1: number;
}

/** Means over classes: of those that have photos or were predicted (scikit-learn's default), or weighted by their photos. */
export interface ClassMeans {
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

/** Figures of a set of predictions; every figure is in 0..1. */
export interface Metrics {
  readonly images: number;
  readonly accuracy: number;
  /** Within which the accuracy on such photos is, at 95 %. */
  readonly interval: Interval;
  /** Mean recall of the classes that have photos. */
  readonly balanced_accuracy: number;
  /** `macro.f1`. */
  readonly macro_f1: number;
  readonly macro: ClassMeans;
  readonly weighted: ClassMeans;
  readonly per_class: readonly ClassMetrics[];
  /** confusion[truth][predicted], in photos. */
  readonly confusion: readonly (readonly number[])[];
}

/**
 * Compares predictions with the truth.
 * @param truth class index per photo; at least one photo.
 * @param predicted class index per photo, as many.
 * @param classes names, by index.
 */
export function measurePredictions(
  truth: readonly number[],
  predicted: readonly number[],
  classes: readonly string[],
): Metrics {
  if (truth.length === 0 || truth.length !== predicted.length) {
    throw new RangeError(`${truth.length} labels and ${predicted.length} predictions cannot be compared.`);
  }
  const confusion = classes.map(() => classes.map(() => 0));
  truth.forEach((label, i) => {
    confusion[label]![predicted[i]!]!++;
  });
  const perClass = classes.map((name, k): ClassMetrics => {
    const hits = confusion[k]![k]!;
    const images = confusion[k]!.reduce((sum, count) => sum + count, 0);
    const called = confusion.reduce((sum, row) => sum + row[k]!, 0);
    return {
      class: name,
      images,
      precision: ratio(hits, called),
      recall: ratio(hits, images),
      f1: ratio(2 * hits, images + called),
    };
  });
  const seen = perClass.filter((_, k) =>
    confusion.some((row, i) => row[k]! > 0 || (i === k && row.some(count => count > 0))),
  );
  const present = perClass.filter(({ images }) => images > 0);
  const macro = meansOf(seen, () => 1 / seen.length);
  const right = truth.filter((label, i) => label === predicted[i]).length;
  return {
    images: truth.length,
    accuracy: right / truth.length,
    interval: wilson(right, truth.length),
    balanced_accuracy: present.reduce((sum, { recall }) => sum + recall, 0) / present.length,
    macro_f1: macro.f1,
    macro,
    weighted: meansOf(perClass, ({ images }) => images / truth.length),
    per_class: perClass,
    confusion,
  };
}

function meansOf(classes: readonly ClassMetrics[], weigh: (figures: ClassMetrics) => number): ClassMeans {
  const mean = (name: keyof ClassMeans) => classes.reduce((sum, figures) => sum + weigh(figures) * figures[name], 0);
  return { precision: mean('precision'), recall: mean('recall'), f1: mean('f1') };
}

/** Index of the largest value; the first one when several are equal. */
export function argMax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
