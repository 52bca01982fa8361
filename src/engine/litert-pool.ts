// Runs a .tflite model on many inputs over worker threads, each with its own LiteRT, so that all cores are used.
import { availableParallelism } from 'node:os';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { GraftError } from '../base/errors.ts';
import { makeRng } from '../base/rng.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { type LiteRtTensorInfo, type LiteRtValues, liteRtArrays, loadLiteRt } from './litert.ts';

/** The outputs for one input, in the order of the model's outputs. */
export interface LiteRtResult {
  readonly index: number;
  readonly outputs: readonly LiteRtValues[];
}

/** What a worker is asked. */
export interface PoolQuestion {
  readonly index: number;
  readonly input: LiteRtValues;
}

/** What a worker answers. */
export type PoolReply =
  | { readonly index: number; readonly outputs: LiteRtValues[] }
  | { readonly index: number; readonly failure: { readonly message: string; readonly hint: string | undefined } };

/** Median and 95th percentile of the time of one run, in milliseconds. */
export interface Latency {
  readonly median: number;
  readonly p95: number;
  readonly runs: number;
}

/** Options of a pool. */
export interface PoolOptions {
  /** Worker threads; default: the machine's cores, and no more than there are inputs. */
  readonly workers?: number;
}

/** Inputs in flight per worker: one that runs and one that waits, while the next is being made. */
const DEPTH = 2;

/**
 * Runs a model with one input on `count` inputs.
 * @param bytes the .tflite file.
 * @param getInput makes input `index` (0 to count - 1) when a worker is about to need it; it is copied, not kept.
 *   At most two inputs per worker are in memory.
 * @yields the results as they come, which is not the order of the indexes. Leaving the loop early stops the workers.
 * @throws GraftError `bad-model` when LiteRT refuses the model or a worker dies; what `getInput` throws.
 */
export async function* runLiteRt(
  bytes: Uint8Array,
  count: number,
  getInput: (index: number) => Promise<LiteRtValues> | LiteRtValues,
  options: PoolOptions = {},
): AsyncGenerator<LiteRtResult, void> {
  const size = Math.max(1, Math.min(options.workers ?? availableParallelism(), count));
  const hands = Array.from({ length: count > 0 ? size : 0 }, () => hire(bytes));
  const pending = new Map<number, Promise<LiteRtResult>>();
  const begin = async (index: number): Promise<LiteRtResult> => {
    const input = await getInput(index);
    const hand = hands.reduce((least, other) => (other.load() < least.load() ? other : least));
    return { index, outputs: await hand.ask({ index, input }) };
  };
  try {
    let next = 0;
    while (next < count || pending.size > 0) {
      while (next < count && pending.size < size * DEPTH) {
        const task = begin(next);
        // The first failure ends the loop; those that follow it have nobody waiting.
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

/**
 * Times single runs on one thread, on noise, after a few runs to warm up.
 * @param options.runs how many are timed; default 50.
 */
export async function measureLatency(bytes: Uint8Array, options: { readonly runs?: number } = {}): Promise<Latency> {
  const runs = options.runs ?? 50;
  const model = await loadLiteRt(bytes);
  try {
    const inputs = model.inputs.map(makeNoise);
    const times: number[] = [];
    const warmUp = Math.min(5, runs);
    for (let i = -warmUp; i < runs; i++) {
      const start = performance.now();
      await model.run(...inputs);
      if (i >= 0) times.push(performance.now() - start);
    }
    times.sort((a, b) => a - b);
    const at = (share: number) => times[Math.min(runs - 1, Math.ceil(share * runs) - 1)] ?? 0;
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

/** One worker: how many questions it has, how to ask, how to end it. */
interface Hand {
  load(): number;
  ask(question: PoolQuestion): Promise<LiteRtValues[]>;
  dismiss(): Promise<unknown>;
}

function hire(bytes: Uint8Array): Hand {
  // The worker is this file's neighbour: .ts when the sources run as they are, .js once compiled.
  const file = new URL(`./litert-worker${extname(import.meta.url)}`, import.meta.url);
  const worker = new Worker(file, { workerData: bytes });
  const waiting = new Map<number, { resolve: (outputs: LiteRtValues[]) => void; reject: (error: Error) => void }>();
  let end: Error | undefined;
  const giveUp = (error: Error) => {
    end ??= error;
    for (const { reject } of waiting.values()) reject(end);
    waiting.clear();
  };
  worker.on('message', (reply: PoolReply) => {
    const asker = waiting.get(reply.index);
    waiting.delete(reply.index);
    if ('outputs' in reply) asker?.resolve(reply.outputs);
    else asker?.reject(new GraftError('bad-model', reply.failure.message, reply.failure.hint));
  });
  worker.on('error', error => giveUp(died(error.message, error)));
  worker.on('exit', status => giveUp(died(`it ended with status ${status}`)));
  return {
    load: () => waiting.size,
    ask: question =>
      new Promise((resolve, reject) => {
        if (end) return reject(end);
        waiting.set(question.index, { resolve, reject });
        worker.postMessage(question);
      }),
    dismiss: () => worker.terminate(),
  };
}

function died(reason: string, cause?: unknown): GraftError {
  return new GraftError(
    'bad-model',
    `A LiteRT worker thread stopped: ${reason}.`,
    'Try fewer workers; if that does not help, the model is too large for LiteRT here.',
    cause,
  );
}
