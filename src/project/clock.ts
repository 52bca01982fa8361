// Wall-clock seconds of a run, by part.

/** A stopwatch with laps. */
export interface Clock {
  /** Ends the part called `name`. */
  lap(name: string): void;
  /** Seconds of each part, and `total`. */
  seconds(): Record<string, number> & { readonly total: number };
}

/** Starts it. */
export function startClock(): Clock {
  const start = performance.now();
  let last = start;
  const laps: Record<string, number> = {};
  const seconds = (from: number, to: number) => Math.round(to - from) / 1000;
  return {
    lap(name: string) {
      const now = performance.now();
      laps[name] = seconds(last, now);
      last = now;
    },
    seconds: () => ({ ...laps, total: seconds(start, performance.now()) }),
  };
}
