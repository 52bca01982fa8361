// Which stages of a backbone give features.

/** Above this, the head would have more parameters to fit than small sets of photos can tell. */
const MAX_FEATURES = 3000;

/**
 * All stages are pooled while the features are at most 3,000; else the last one of each resolution.
 * @param stages channels of each, and its positions along one side.
 */
export function choosePooled(stages: readonly { readonly channels: number; readonly side: number }[]): boolean[] {
  const width = stages.reduce((sum, { channels }) => sum + channels, 0);
  return stages.map(({ side }, i) => width <= MAX_FEATURES || stages[i + 1]?.side !== side);
}
