// One class against the rest at every threshold: the ROC curve and the precision-recall curve, and the areas under them.

/** Points of a curve, thinned out for drawing, and the exact area under all of them. */
export interface Curve {
  readonly area: number;
  readonly points: readonly (readonly [x: number, y: number])[];
}

/** Most points of a curve that are kept. */
const MAX_POINTS = 200;

/** Counts of what lies at or above a threshold. */
interface Counts {
  readonly hits: number;
  readonly falseAlarms: number;
}

/** The counts at every distinct score, from the highest on. */
function countDown(scores: ArrayLike<number>, isPositive: (i: number) => boolean): Counts[] {
  const order = Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[b]! - scores[a]!);
  const counts: Counts[] = [];
  let [hits, falseAlarms] = [0, 0];
  order.forEach((photo, place) => {
    if (isPositive(photo)) hits++;
    else falseAlarms++;
    const next = order[place + 1];
    if (next === undefined || scores[next] !== scores[photo]) counts.push({ hits, falseAlarms });
  });
  return counts;
}

/**
 * Receiver operating characteristic: the part of the others that is called this class (x) against the part of its own photos that
 * is (y). The area is the probability that a photo of the class scores higher than another one, equal scores counting half
 * (Mann and Whitney 1947).
 * @returns null where there is nothing on one of the sides.
 */
export function rocCurve(scores: ArrayLike<number>, isPositive: (i: number) => boolean): Curve | null {
  const counts = countDown(scores, isPositive);
  const { hits: own, falseAlarms: others } = counts.at(-1) ?? { hits: 0, falseAlarms: 0 };
  if (own === 0 || others === 0) return null;
  const points = [
    [0, 0] as const,
    ...counts.map(({ hits, falseAlarms }) => [falseAlarms / others, hits / own] as const),
  ];
  let area = 0;
  for (let i = 1; i < points.length; i++) {
    area += ((points[i]![0] - points[i - 1]![0]) * (points[i]![1] + points[i - 1]![1])) / 2;
  }
  return { area, points: thinOut(points) };
}

/**
 * Recall (x) against precision (y). The area is the average precision Σ (R_n - R_{n-1}) P_n, without interpolation, as in
 * scikit-learn.
 * @returns null where the class has no photo.
 */
export function precisionRecallCurve(scores: ArrayLike<number>, isPositive: (i: number) => boolean): Curve | null {
  const counts = countDown(scores, isPositive);
  const own = counts.at(-1)?.hits ?? 0;
  if (own === 0) return null;
  const points = counts.map(({ hits, falseAlarms }) => [hits / own, hits / (hits + falseAlarms)] as const);
  const area = points.reduce(
    (sum, [recall, precision], i) => sum + (recall - (points[i - 1]?.[0] ?? 0)) * precision,
    0,
  );
  return { area, points: thinOut([[0, points[0]![1]], ...points]) };
}

/** Evenly picked points, the first and the last among them. */
export function thinOut<T>(points: readonly T[], most = MAX_POINTS): T[] {
  if (points.length <= most) return [...points];
  return Array.from({ length: most }, (_, i) => points[Math.round((i * (points.length - 1)) / (most - 1))]!);
}
