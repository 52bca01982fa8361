// Two models on the same photos: whether one is better, or whether it is chance.
import { makeRng } from '../base/rng.ts';
import type { Interval } from './intervals.ts';

/** How two models compare, of which each photo is right or wrong. */
export interface Paired {
  readonly images: number;
  /** Accuracy of the second less that of the first. */
  readonly difference: number;
  /** 95 % of the differences on photos drawn anew; 0 to 0 where no photo is won or lost, since nothing else can be drawn. */
  readonly interval: Interval;
  /** Photos, by index, that only the second has right, and that only the first has. */
  readonly won: readonly number[];
  readonly lost: readonly number[];
  /** Probability of a difference at least as large if the models were equally good: McNemar's exact test, two-sided. */
  readonly p: number;
}

const RESAMPLES = 2000;

/**
 * Compares two models photo by photo.
 * - The interval is a percentile bootstrap over photos (Efron 1979) with a fixed seed. The photos on which the two agree add
 *   nothing, so that only won and lost ones are drawn: their numbers among n photos are multinomial.
 * - McNemar (1947): of the photos that one of the two has right, half would be each one's if they were equally good.
 */
export function comparePaired(first: readonly boolean[], second: readonly boolean[]): Paired {
  if (first.length === 0 || first.length !== second.length) {
    throw new RangeError(`${first.length} and ${second.length} answers cannot be compared.`);
  }
  const images = first.length;
  const places = first.map((_, i) => i);
  const won = places.filter(i => second[i] && !first[i]);
  const lost = places.filter(i => first[i] && !second[i]);
  const rng = makeRng(0, 'paired');
  const drawn = Array.from({ length: RESAMPLES }, () => {
    let sum = 0;
    for (let i = 0; i < images; i++) {
      const place = rng.int(images);
      sum += place < won.length ? 1 : place < won.length + lost.length ? -1 : 0;
    }
    return sum / images;
  }).sort((a, b) => a - b);
  return {
    images,
    difference: (won.length - lost.length) / images,
    interval: { low: drawn[Math.round(0.025 * (RESAMPLES - 1))]!, high: drawn[Math.round(0.975 * (RESAMPLES - 1))]! },
    won,
    lost,
    p: binomialTest(Math.min(won.length, lost.length), won.length + lost.length),
  };
}

/** Two-sided probability of at most `fewer` or at least `total - fewer` of `total` fair coins, at most 1. */
function binomialTest(fewer: number, total: number): number {
  // ln of the binomial coefficient, from term to term.
  let log = -total * Math.LN2;
  let sum = 0;
  for (let k = 0; k <= fewer; k++) {
    sum += Math.exp(log);
    log += Math.log((total - k) / (k + 1));
  }
  return Math.min(1, 2 * sum);
}

/** Holm's correction (1979) for several tests: in the order of the p given. */
export function correctHolm(p: readonly number[]): number[] {
  const order = p.map((_, i) => i).sort((a, b) => p[a]! - p[b]!);
  const corrected = new Array<number>(p.length);
  let largest = 0;
  order.forEach((i, rank) => {
    largest = Math.max(largest, Math.min(1, p[i]! * (p.length - rank)));
    corrected[i] = largest;
  });
  return corrected;
}
