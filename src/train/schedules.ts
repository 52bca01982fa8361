// Learning-rate schedules: what the rate is at each step, as a share of its peak.

/** Name of a schedule. */
export type ScheduleName = 'constant' | 'cosine' | 'one-cycle';

type Schedule = (step: number, steps: number, warmup: number) => number;

/** Linear rise over the first `warmup` steps, then what `after` says of the way from there (0) to the end (1). */
const warmed =
  (after: (way: number) => number): Schedule =>
  (step, steps, warmup) =>
    step < warmup ? (step + 1) / (warmup + 1) : after((step - warmup) / Math.max(1, steps - warmup));

const cosine = (way: number) => (1 + Math.cos(Math.PI * way)) / 2;

const schedules: Readonly<Record<ScheduleName, Schedule>> = {
  constant: warmed(() => 1),
  // Loshchilov and Hutter, arXiv:1608.03983, without restarts
  cosine: warmed(cosine),
  // Smith and Topin, arXiv:1708.07120, as PyTorch's OneCycleLR: on cosines from 1/25 up to the peak, where 30 % of the steps
  // end, and down to 1/250,000 in the last step
  'one-cycle'(step, steps) {
    const peak = 0.3 * steps - 1;
    const [start, end] = [1 / 25, 1 / 250_000];
    if (step <= peak) return 1 - (1 - start) * cosine(step / peak);
    return end + (1 - end) * cosine((step - peak) / (steps - 1 - peak));
  },
};

/** Names of all schedules. */
export const scheduleNames = Object.keys(schedules) as readonly ScheduleName[];

/**
 * The learning rate at a step, as a share of the peak.
 * @param step from 0 to steps - 1.
 * @param warmup steps over which the rate rises evenly, from 1 / (warmup + 1); the one-cycle schedule has its own rise and
 * ignores it.
 */
export function rateAt(schedule: ScheduleName, step: number, steps: number, warmup: number): number {
  return schedules[schedule](step, steps, warmup);
}
