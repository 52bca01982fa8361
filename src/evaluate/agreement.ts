// Whether an exported file says the same as the trained model: the proof that an export needs.
import { argMax } from './metrics.ts';

/** Largest difference of a probability that an export may show. */
export const MAX_DIFFERENCE = 1e-3;
/** A top class may differ only where the model's best two classes are closer than this. */
export const MIN_MARGIN = 0.01;

/** How two sets of probabilities compare. */
export interface Agreement {
  readonly images: number;
  /** Part of the photos with the same top class. */
  readonly top_class_agreement: number;
  /** Largest absolute difference of a probability; NaN when either side holds one. */
  readonly max_difference: number;
  /** Photos, by index, whose top class differs although the model's margin is over MIN_MARGIN. */
  readonly disagreements: readonly number[];
  readonly passed: boolean;
}

/** Compares `file` with `model`: a list of probability vectors each, photo by photo. */
export function compareProbabilities(
  model: readonly ArrayLike<number>[],
  file: readonly ArrayLike<number>[],
): Agreement {
  if (model.length === 0 || model.length !== file.length) {
    throw new RangeError(`${model.length} and ${file.length} predictions cannot be compared.`);
  }
  let largest = 0;
  let same = 0;
  const disagreements: number[] = [];
  model.forEach((expected, i) => {
    const got = file[i]!;
    for (let k = 0; k < expected.length; k++) {
      const difference = Math.abs(expected[k]! - got[k]!);
      // Math.max keeps NaN, so that a file that gives NaN never passes.
      largest = Math.max(largest, difference);
    }
    if (argMax(expected) === argMax(got)) same++;
    else if (margin(expected) > MIN_MARGIN) disagreements.push(i);
  });
  return {
    images: model.length,
    top_class_agreement: same / model.length,
    max_difference: largest,
    disagreements,
    passed: disagreements.length === 0 && largest <= MAX_DIFFERENCE,
  };
}

function margin(probabilities: ArrayLike<number>): number {
  const [first = 0, second = 0] = Array.from(probabilities).sort((a, b) => b - a);
  return first - second;
}
