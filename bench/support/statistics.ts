// Means, deviations, medians, and numbers short enough to read.

/** Arithmetic mean. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Sample standard deviation; NaN of fewer than two values. */
export function deviation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

/** The value in the middle, or the mean of the two there. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length / 2;
  return (sorted[Math.ceil(half) - 1]! + sorted[Math.floor(half)]!) / 2;
}

/** `value` to so many decimals. */
export function round(value: number, decimals: number): number {
  return Number(value.toFixed(decimals));
}

/** `1,2,3` as numbers. */
export function numbers(text: string): number[] {
  return text.split(',').filter(Boolean).map(Number);
}
