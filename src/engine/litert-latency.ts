// How long one run of a .tflite file takes in LiteRT, on one thread.
import { makeRng } from '../base/rng.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { type LiteRtModel, type LiteRtTensorInfo, type LiteRtValues, liteRtArrays } from './litert.ts';

/** Median and 95th percentile of the time of one run, in milliseconds. */
export interface Latency {
  readonly median: number;
  readonly p95: number;
  readonly runs: number;
}

/**
 * Times single runs of a loaded model on the calling thread, on noise, after a few runs to warm up.
 * @param runs how many are timed; default 20.
 */
export async function measureLatency(model: LiteRtModel, runs = 20): Promise<Latency> {
  const inputs = model.inputs.map(makeNoise);
  const times: number[] = [];
  for (let i = -3; i < runs; i++) {
    const start = performance.now();
    await model.run(inputs);
    if (i >= 0) times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.ceil(share * runs) - 1]!;
  return { median: at(0.5), p95: at(0.95), runs };
}

/** Uniform noise in the range that the type has at a model's input: -1..1, or 0..255. */
function makeNoise({ dtype, shape }: LiteRtTensorInfo): LiteRtValues {
  const rng = makeRng(0, 'latency');
  const data = new liteRtArrays[dtype](sizeOf(shape));
  return data.map(() => (dtype === 'float32' ? rng.uniform(-1, 1) : rng.int(256)));
}
