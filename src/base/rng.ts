// Seeded random numbers: sfc32 (Chris Doty-Humphrey, PractRand), keyed by a string, so that every use has its own
// stream and adding one use never changes another.
import { createHash } from 'node:crypto';

/** A seeded stream of random numbers. */
export interface Rng {
  /** A float in [0, 1) with 32 random bits. */
  next(): number;
  /** A float in [low, high). */
  uniform(low: number, high: number): number;
  /** A whole number in [0, n). */
  int(n: number): number;
  /** A sample of the standard normal distribution (Box-Muller). */
  normal(): number;
  /** True with probability p. */
  chance(p: number): boolean;
  /** One element of a non-empty list. */
  pick<T>(items: readonly T[]): T;
  /** Shuffles in place (Fisher-Yates) and returns the same array. */
  shuffle<T extends { length: number; [index: number]: unknown }>(items: T): T;
  /** Fills an array with random words: as many calls of `next`, several times as fast. */
  fill(words: Uint32Array): void;
}

function fromState(state: readonly number[]): Rng {
  let [a, b, c, d] = state.map(word => word | 0) as [number, number, number, number];
  const word = () => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  };
  const next = () => word() / 4294967296;
  const int = (n: number) => Math.floor(next() * n);
  return {
    next,
    int,
    uniform: (low, high) => low + (high - low) * next(),
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    chance: p => next() < p,
    pick: items => {
      if (items.length === 0) throw new RangeError('pick needs at least one item');
      return items[int(items.length)]!;
    },
    shuffle: items => {
      for (let i = items.length - 1; i > 0; i--) {
        const j = int(i + 1);
        const held = items[i];
        items[i] = items[j];
        items[j] = held;
      }
      return items;
    },
    fill: words => {
      // The same recurrence on local variables, which V8 keeps in registers.
      let [p, q, r, s] = [a, b, c, d];
      for (let i = 0; i < words.length; i++) {
        const t = (((p + q) | 0) + s) | 0;
        s = (s + 1) | 0;
        p = q ^ (q >>> 9);
        q = (r + (r << 3)) | 0;
        r = (r << 21) | (r >>> 11);
        r = (r + t) | 0;
        words[i] = t;
      }
      [a, b, c, d] = [p, q, r, s];
    },
  };
}

/** A stream for `seed` and the given labels; equal arguments give equal streams on every machine. */
export function makeRng(seed: number, ...labels: (string | number)[]): Rng {
  const digest = createHash('sha256')
    .update(JSON.stringify([seed, ...labels]))
    .digest();
  return fromState([0, 4, 8, 12].map(offset => digest.readUInt32LE(offset)));
}
