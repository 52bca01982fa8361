// Runs a .tflite model on many inputs in several threads, each with its own LiteRT, so that all cores are used;
// and times it on one.
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { GraftError } from '../base/errors.ts';
import { makeRng } from '../base/rng.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { type LiteRtTensorInfo, type LiteRtValues, liteRtArrays, loadLiteRt } from './litert.ts';
import type { LiteRtFailure, LiteRtQuestion, LiteRtReply } from './litert-worker.ts';

/** The outputs for one input, in the order of the model's outputs. */
export interface LiteRtResult {
  readonly index: number;
  readonly outputs: readonly LiteRtValues[];
}

/** Options of a pool. */
export interface PoolOptions {
  /** Threads; with 1 the calling thread does the work. Default: the machine's cores, and no more than there are inputs. */
  readonly workers?: number;
}

/** Inputs in flight per thread: one that runs and one that waits or is being made. */
const DEPTH = 2;

/**
 * Runs a model with one input on `count` inputs.
 * @param bytes the .tflite file.
 * @param getInput makes input `index` (asked for from 0 to count - 1, in this order) shortly before it is needed; it is
 *   copied, not kept. At most two inputs per thread are in memory.
 * @yields the results as they come, which is not the order of the indexes. Leaving the loop early ends the threads.
 * @throws GraftError `bad-model` when LiteRT refuses the model or a thread dies; TypeError when an input does not fit
 *   the model; what `getInput` throws.
 */
export async function* runLiteRt(
  bytes: Uint8Array,
  count: number,
  getInput: (index: number) => Promise<LiteRtValues> | LiteRtValues,
  options: PoolOptions = {},
): AsyncGenerator<LiteRtResult, void> {
  if (count <= 0) return;
  const size = Math.max(1, Math.min(options.workers ?? availableParallelism(), count));
  const hands = size === 1 ? [await workHere(bytes)] : Array.from({ length: size }, () => hire(bytes));
  const pending = new Map<number, Promise<LiteRtResult>>();
  const begin = async (index: number): Promise<LiteRtResult> => {
    const input = await getInput(index);
    const hand = hands.reduce((least, other) => (other.load() < least.load() ? other : least));
    return { index, outputs: await hand.ask(index, input) };
  };
  try {
    let next = 0;
    while (next < count || pending.size > 0) {
      while (next < count && pending.size < size * DEPTH) {
        const task = begin(next);
        // The first failure ends the loop; nobody waits for those that follow it.
        task.catch(() => {});
        pending.set(next++, task);
      }
      const result = await Promise.race(pending.values());
      pending.delete(result.index);
      yield result;
    }
  } finally {
    await Promise.all(hands.map(hand => hand.dismiss()));
  }
}

/** Median and 95th percentile of the time of one run, in milliseconds. */
export interface Latency {
  readonly median: number;
  readonly p95: number;
  readonly runs: number;
}

/**
 * Times single runs on the calling thread, on noise, after a few runs to warm up.
 * @param options.runs how many are timed; default 50.
 * @throws GraftError `bad-model` when LiteRT refuses the model.
 */
export async function measureLatency(bytes: Uint8Array, options: { readonly runs?: number } = {}): Promise<Latency> {
  const runs = Math.max(1, options.runs ?? 50);
  const model = await loadLiteRt(bytes);
  try {
    const inputs = model.inputs.map(makeNoise);
    const times: number[] = [];
    const warmUp = Math.min(5, runs);
    for (let i = -warmUp; i < runs; i++) {
      const start = performance.now();
      await model.run(inputs);
      if (i >= 0) times.push(performance.now() - start);
    }
    times.sort((a, b) => a - b);
    const at = (share: number) => times[Math.ceil(share * runs) - 1]!;
    return { median: at(0.5), p95: at(0.95), runs };
  } finally {
    model.close();
  }
}

/** Uniform noise in the range that the type has at a model's input: -1..1, or 0..255. */
function makeNoise({ dtype, shape }: LiteRtTensorInfo): LiteRtValues {
  const rng = makeRng(0, 'latency');
  const data = new liteRtArrays[dtype](sizeOf(shape));
  return data.map(() => (dtype === 'float32' ? rng.uniform(-1, 1) : rng.int(256)));
}

/** One that runs the model: how many inputs it has, how to give it one, how to end it. */
interface Hand {
  load(): number;
  ask(index: number, input: LiteRtValues): Promise<readonly LiteRtValues[]>;
  dismiss(): Promise<void>;
}

async function workHere(bytes: Uint8Array): Promise<Hand> {
  const model = await loadLiteRt(bytes);
  return { load: () => 0, ask: (_, input) => model.run([input]), dismiss: async () => model.close() };
}

function hire(bytes: Uint8Array): Hand {
  const worker = startWorker(bytes);
  const waiting = new Map<
    number,
    { resolve: (outputs: readonly LiteRtValues[]) => void; reject: (error: Error) => void }
  >();
  let end: Error | undefined;
  const giveUp = (error: Error) => {
    end ??= error;
    for (const { reject } of waiting.values()) reject(end);
    waiting.clear();
  };
  worker.on('message', (reply: LiteRtReply) => {
    if ('failure' in reply && reply.index === null) return giveUp(revive(reply.failure));
    const asker = waiting.get(reply.index!);
    waiting.delete(reply.index!);
    if ('failure' in reply) asker?.reject(revive(reply.failure));
    else asker?.resolve(reply.outputs);
  });
  worker.on('error', error => giveUp(stopped(error.message, error)));
  worker.on('exit', status => giveUp(stopped(`it ended with status ${status}`)));
  return {
    load: () => waiting.size,
    ask: (index, input) =>
      new Promise((resolve, reject) => {
        if (end) return reject(end);
        waiting.set(index, { resolve, reject });
        worker.postMessage({ index, input } satisfies LiteRtQuestion);
      }),
    dismiss: async () => {
      await worker.terminate();
    },
  };
}

function startWorker(bytes: Uint8Array): Worker {
  if (import.meta.url.endsWith('.js')) {
    return new Worker(new URL('./litert-worker.js', import.meta.url), { workerData: bytes });
  }
  // Run from its sources: a thread does not take the loader for TypeScript along from its parent, and starts its own.
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const source = JSON.stringify(new URL('./litert-worker.ts', import.meta.url).href);
  const script = `import(${loader}).then(({ register }) => { register(); return import(${source}); });`;
  return new Worker(script, { eval: true, workerData: bytes });
}

function revive({ name, message, hint }: LiteRtFailure): Error {
  if (name === 'GraftError') return new GraftError('bad-model', message, hint);
  return name === 'TypeError' ? new TypeError(message) : new Error(message);
}

function stopped(reason: string, cause?: unknown): GraftError {
  return new GraftError(
    'bad-model',
    `A thread that runs LiteRT stopped: ${reason}.`,
    'Use fewer workers; if that does not help, the model needs more memory than there is.',
    cause,
  );
}
