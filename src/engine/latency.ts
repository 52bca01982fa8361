// How long runs of a model take, and the noise that they are given to work on.
import { makeRng } from '../base/rng.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';

/** Median and 95th percentile of the time of one run, in milliseconds. */
export interface Latency {
  readonly median: number;
  readonly p95: number;
  readonly runs: number;
}

/** Milliseconds of each of `runs` runs, after `warmUp` that do not count. `run` runs the model once. */
export async function collectTimes(run: () => Promise<unknown>, runs: number, warmUp: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = -warmUp; i < runs; i++) {
    const start = performance.now();
    await run();
    if (i >= 0) times.push(performance.now() - start);
  }
  return times;
}

/**
 * Times single runs, after a few to warm up.
 * @param run runs the model once.
 * @param runs how many are timed; default 20.
 */
export async function timeRuns(run: () => Promise<unknown>, runs = 20): Promise<Latency> {
  return summariseTimes(await collectTimes(run, runs, 3));
}

/** Sums up the times of single runs, in milliseconds; there is one at least. */
export function summariseTimes(times: readonly number[]): Latency {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1]!;
  return { median: at(0.5), p95: at(0.95), runs: sorted.length };
}

/** Uniform noise in the range that a type usually has at a model's input: -1..1, bytes, 0..255 in wider numbers. */
const noiseMakers: { readonly [D in Tensor['dtype']]: (size: number, next: () => number) => Tensor<D>['data'] } = {
  float32: (size, next) => Float32Array.from({ length: size }, () => 2 * next() - 1),
  // The patterns below that of 1.0, with either sign.
  float16: (size, next) => Uint16Array.from({ length: size }, () => 0x3c00 * next() + (next() < 0.5 ? 0 : 0x8000)),
  uint8: (size, next) => Uint8Array.from({ length: size }, () => 256 * next()),
  int8: (size, next) => Int8Array.from({ length: size }, () => 256 * next() - 128),
  int32: (size, next) => Int32Array.from({ length: size }, () => 256 * next()),
  int64: (size, next) => BigInt64Array.from({ length: size }, () => BigInt(Math.floor(256 * next()))),
  bool: (size, next) => Uint8Array.from({ length: size }, () => Math.floor(2 * next())),
};

/** Element types that there is noise for. */
export const isNoisy = (dtype: string): dtype is Tensor['dtype'] => Object.hasOwn(noiseMakers, dtype);

/** A tensor of noise, the same one every time. */
export function makeNoise<D extends Tensor['dtype']>(dtype: D, shape: readonly number[]): Tensor<D> {
  const data = noiseMakers[dtype](sizeOf(shape), makeRng(0, 'latency').next);
  return { dtype, shape, data } as unknown as Tensor<D>;
}
