// How much an exported file says the same as the trained model.
import { argMax } from './metrics.ts';

/** How two sets of probabilities compare. */
export interface Agreement {
  readonly images: number;
  /** Part of the photos with the same top class. */
  readonly top_class_agreement: number;
  /** Largest absolute difference of a probability; NaN when either side holds one. */
  readonly max_difference: number;
  /** Photos, by index, whose top class differs. */
  readonly disagreements: readonly number[];
}

/**
 * Compares `file` with `model`: a list of probability vectors each, photo by photo. A -1 in a vector of `file` stands for a
 * class that it says nothing of.
 */
export function compareProbabilities(
  model: readonly ArrayLike<number>[],
  file: readonly ArrayLike<number>[],
): Agreement {
  if (model.length === 0 || model.length !== file.length) {
    throw new RangeError(`${model.length} and ${file.length} predictions cannot be compared.`);
  }
  let largest = 0;
  const disagreements: number[] = [];
  model.forEach((expected, i) => {
    const got = file[i]!;
    for (let k = 0; k < expected.length; k++) {
      if (got[k]! === -1) continue;
      // Math.max keeps NaN, so that a file that gives NaN never passes.
      largest = Math.max(largest, Math.abs(expected[k]! - got[k]!));
    }
    if (argMax(expected) !== argMax(got)) disagreements.push(i);
  });
  return {
    images: model.length,
    top_class_agreement: 1 - disagreements.length / model.length,
    max_difference: largest,
    disagreements,
  };
}
