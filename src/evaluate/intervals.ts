// How far a measured part may be from the true one.

/** Bounds of a part, in 0..1. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** The two-sided 95 % quantile of the normal distribution. */
const Z = 1.959963984540054;

/**
 * Wilson's score interval (1927) at 95 %: (p + z²/2n ± z √(p(1 - p)/n + z²/4n²)) / (1 + z²/n). Unlike p ± z √(p(1 - p)/n) it
 * holds for few photos and for parts near 0 and 1.
 * @param hits of `total`, which is at least 1.
 */
export function wilson(hits: number, total: number): Interval {
  if (!(total >= 1 && hits >= 0 && hits <= total)) throw new RangeError(`${hits} of ${total} is no part.`);
  const part = hits / total;
  const square = Z ** 2 / total;
  const middle = part + square / 2;
  const reach = Z * Math.sqrt((part * (1 - part)) / total + square / (4 * total));
  // At the ends the bound is exact, and rounding would leave 1e-17.
  return {
    low: hits === 0 ? 0 : Math.max(0, (middle - reach) / (1 + square)),
    high: hits === total ? 1 : Math.min(1, (middle + reach) / (1 + square)),
  };
}
