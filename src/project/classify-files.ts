// Classifies files from disk on all cores; memory does not grow with their number.
import { startPool, type WorkerPool } from '../base/worker-pool.ts';
import type { Latency } from '../engine/latency.ts';
import type { ClassifyAnswer, ClassifyQuestion, ClassifySetup } from './classify-worker.ts';
import type { ModelFile } from './read-model.ts';

/** Threads that will classify. */
export type Classifiers = WorkerPool<ClassifySetup, ClassifyQuestion, ClassifyAnswer>;

/** One file's outcome: per model the probability of each class, or why the photo could not be read. */
export type Classified = { readonly index: number } & (
  | { readonly probabilities: readonly Float32Array[] }
  | { readonly reason: string; readonly hint: string | undefined }
);

/** Starts threads that load `runtimes` at once and are given their models later. The caller closes them. */
export function startClassifiers(workers: number, runtimes: readonly ModelFile['runtime'][]): Classifiers {
  return startPool(new URL('./classify-worker.ts', import.meta.url), workers, runtimes);
}

/** Classifies `files` with threads that have their models; the outcomes come in the order in which they are ready. */
export async function* classifyWith(classifiers: Classifiers, files: readonly string[]): AsyncGenerator<Classified> {
  for await (const { index, answer } of classifiers.map(files.map(file => ({ file })))) {
    if (!('latency' in answer)) yield { index, ...answer };
  }
}

/** Classifies `files` with threads of its own. */
export async function* classifyFiles(
  setup: ClassifySetup,
  files: readonly string[],
  workers: number,
): AsyncGenerator<Classified> {
  const runtimes = setup.models.map(({ runtime }) => runtime);
  const classifiers = startClassifiers(Math.min(workers, files.length), runtimes);
  try {
    classifiers.equip(setup);
    yield* classifyWith(classifiers, files);
  } finally {
    await classifiers.close();
  }
}

/** Time of one run of a model, by its place among the models, on one thread while the others rest. */
export async function measureModel(classifiers: Classifiers, model: number): Promise<Latency> {
  for await (const { answer } of classifiers.map([{ latencyOf: model }])) {
    if ('latency' in answer) return answer.latency;
  }
  throw new Error('The speed of the model was not measured.');
}
