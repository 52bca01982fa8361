// What a model said of photos whose class is known: what all figures are made of.

/** Predictions, photo by photo. */
export interface Predictions {
  /** Names, by index. */
  readonly classes: readonly string[];
  /** Class index per photo; -1 for a photo that is none of the classes. */
  readonly truth: readonly number[];
  /** Per photo, the probability of each class; they sum to 1. */
  readonly probabilities: readonly Float32Array[];
}
