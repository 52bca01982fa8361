// A thread for the test of a failing proof: the second model says the opposite of the first.
import { serve } from '../../src/base/worker-pool.ts';
import type { ClassifyAnswer, ClassifyQuestion, ClassifySetup } from '../../src/project/classify-worker.ts';

serve<ClassifySetup, ClassifyQuestion, ClassifyAnswer>(async () => async question => {
  if ('latencyOf' in question) return { latency: { median: 1, p95: 1, runs: 1 } };
  return { probabilities: [Float32Array.of(0.9, 0.1), Float32Array.of(0.1, 0.9)] };
});
