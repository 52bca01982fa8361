// How hard the drawn leaves are to tell apart: every number that decides it, in one table.
// Harder: lower `severity`, raise `faint` and `distractors`. Easier: the other way round.

/** Range [low, high] of a uniform draw. */
export type Range = readonly [low: number, high: number];

/** The knobs of the demo's photos. Chances are 0..1; both classes share everything but the disease. */
export const difficulty = {
  /** Strength of a disease on the main leaf: how many lesions, how large, how far it has spread. */
  severity: [0.6, 1] as Range,
  /** Chance that a sick leaf is at an early stage, and its strength then. */
  faint: 0.05,
  faintSeverity: [0.25, 0.45] as Range,
  /** Number and size of lesions, as factors of what the painters draw at full strength. */
  lesionCount: 2,
  lesionSize: 1.2,
  /** Length of the main leaf, in parts of the photo's shorter edge: the smaller, the fewer pixels a lesion has. */
  leafLength: [0.85, 1.4] as Range,
  /** Opacity of lesions: 1 paints over the leaf, 0 is invisible. */
  opacity: [0.82, 1] as Range,
  /** Chance that a sick leaf has a second disease. */
  secondDisease: 0.4,
  /** Chance that another leaf in the same photo is sick too, when the main leaf is. */
  sickNeighbour: 0.95,
  /** Chance of each harmless distractor (dew, flecks of light, dirt, gloss, ladybird), in both classes. */
  distractors: { dew: 0.08, lightFlecks: 0.06, dirt: 0.08, gloss: 0.08, ladybird: 0.03, twigShadow: 0.08 },
  /** Chance of a harmless odd colour, in both classes: golden, purple and cream-edged varieties. */
  varieties: { golden: 0.1, purple: 0.03, variegated: 0.035 },
  /** Standard deviation of white balance per channel, and range of exposure. */
  whiteBalance: 0.055,
  exposure: [0.88, 1.32] as Range,
  /** Blur of the whole photo in pixels (standard deviation, at 360 px), sensor noise (of 255), JPEG quality. */
  blur: [0.25, 0.95] as Range,
  noise: [1, 5] as Range,
  jpegQuality: [62, 93] as Range,
} as const;
