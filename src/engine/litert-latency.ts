// How long one run of a .tflite file takes in LiteRT, on one thread.
import { type Latency, makeNoise, timeRuns } from './latency.ts';
import type { LiteRtModel } from './litert.ts';

/** Times single runs of a loaded model on the calling thread, on noise. `runs` are timed; default 20. */
export function measureLatency(model: LiteRtModel, runs?: number): Promise<Latency> {
  const inputs = model.inputs.map(({ dtype, shape }) => makeNoise(dtype, shape).data);
  return timeRuns(() => model.run(inputs), runs);
}
