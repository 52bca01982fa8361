// Where in a picture a model sees what speaks for each class.

/** What a model says of a photo, and where that comes from. */
export interface Explanation {
  readonly probabilities: Float32Array;
  /** Cells on each side of the maps. */
  readonly side: number;
  /**
   * [classes, side, side], rows from the top: what each cell adds to the class's logit, as a mean over the cells. Less the mean
   * over the classes: above 0 speaks for the class, below 0 for others.
   */
  readonly evidence: Float32Array;
}

/** Evidence with square cells of one size. */
export interface PartialMap {
  readonly side: number;
  /** [classes, side, side] */
  readonly values: Float32Array;
}

/**
 * Adds maps of different sizes up, on the cells of the finest: coarse cells are drawn out bilinearly and shifted back to their
 * mean, and what the maps do not explain of the logits is spread evenly, so that the mean over the cells is the logit.
 * @param logits of each class.
 */
export function joinMaps(probabilities: Float32Array, logits: Float32Array, maps: readonly PartialMap[]): Explanation {
  const side = Math.max(1, ...maps.map(map => map.side));
  const area = side * side;
  const evidence = new Float32Array(logits.length * area);
  for (let k = 0; k < logits.length; k++) {
    const own = evidence.subarray(k * area, (k + 1) * area);
    for (const { side: cells, values } of maps) {
      enlarge(values.subarray(k * cells * cells, (k + 1) * cells * cells), cells, own, side);
    }
    const rest = logits[k]! - mean(own);
    for (let i = 0; i < area; i++) own[i]! += rest;
  }
  return { probabilities, side, evidence };
}

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Adds a square map, drawn out bilinearly from the middles of its cells, to a larger one. */
function enlarge(map: Float32Array, cells: number, out: Float32Array, side: number): void {
  const place = (i: number) => {
    const at = Math.min(cells - 1, Math.max(0, ((i + 0.5) * cells) / side - 0.5));
    const low = Math.min(Math.floor(at), Math.max(0, cells - 2));
    return { low, high: Math.min(low + 1, cells - 1), part: at - low };
  };
  for (let y = 0; y < side; y++) {
    const { low: top, high: bottom, part: down } = place(y);
    for (let x = 0; x < side; x++) {
      const { low: left, high: right, part: across } = place(x);
      const row = (line: number) => map[line * cells + left]! * (1 - across) + map[line * cells + right]! * across;
      out[y * side + x]! += row(top) * (1 - down) + row(bottom) * down;
    }
  }
}

/** The map of one class. */
export function mapOf({ evidence, side }: Explanation, classIndex: number): Float32Array {
  return evidence.subarray(classIndex * side * side, (classIndex + 1) * side * side);
}

/** The evidence above its average, or nothing where it is the same everywhere. */
function aboveMean(map: Float32Array): Float32Array {
  const average = mean(map);
  return map.map(value => Math.max(0, value - average));
}

/** Part of a picture's side that its border takes at each end: the middle is then about half of its area. */
export const BORDER = 1 / 7;

/** Part of the evidence above its average that lies in the border, 0..1; about 0.49 where it is spread evenly. */
export function borderShare(explanation: Explanation, classIndex: number): number {
  const { side } = explanation;
  const weights = aboveMean(mapOf(explanation, classIndex));
  const isOutside = (i: number) => (i + 0.5) / side < BORDER || (i + 0.5) / side > 1 - BORDER;
  let [outside, total] = [0, 0];
  weights.forEach((weight, i) => {
    total += weight;
    if (isOutside(i % side) || isOutside(Math.floor(i / side))) outside += weight;
  });
  return total === 0 ? 1 - (1 - 2 * BORDER) ** 2 : outside / total;
}

/** Where the evidence above its average is: its mean place, in 0..1 from the left and the top, and its deviation from it. */
export interface Place {
  readonly x: number;
  readonly y: number;
  readonly spread: number;
}

/** Where the model sees a class. */
export function placeOf(explanation: Explanation, classIndex: number): Place {
  const { side } = explanation;
  const weights = aboveMean(mapOf(explanation, classIndex));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  if (total === 0) return { x: 0.5, y: 0.5, spread: Math.sqrt(1 / 6) };
  const average = (term: (x: number, y: number) => number) =>
    weights.reduce((sum, w, i) => sum + w * term(((i % side) + 0.5) / side, (Math.floor(i / side) + 0.5) / side), 0) /
    total;
  const [x, y] = [average(at => at), average((_, at) => at)];
  return { x, y, spread: Math.sqrt(average((u, v) => (u - x) ** 2 + (v - y) ** 2)) };
}

/** A place in words: "upper left", "the middle"; "all over" where the evidence is spread. */
export function describePlace({ x, y, spread }: Place): string {
  // Evenly spread over the picture it is 0.41.
  if (spread > 0.36 && Math.hypot(x - 0.5, y - 0.5) < 0.12) return 'all over';
  const vertical = y < 0.4 ? 'upper' : y > 0.6 ? 'lower' : '';
  const horizontal = x < 0.4 ? 'left' : x > 0.6 ? 'right' : '';
  if (!vertical && !horizontal) return 'the middle';
  if (!horizontal) return `${vertical} middle`;
  return vertical ? `${vertical} ${horizontal}` : horizontal;
}
