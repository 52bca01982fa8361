// Entry of a process that loads one model and runs it. Started by benchmark only: in a process of its own, memory is the model's.
import { readFile } from 'node:fs/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { GraftError } from '../base/errors.ts';
import { collectTimes, isNoisy, makeNoise } from '../engine/latency.ts';
import { loadLiteRt } from '../engine/litert.ts';
import { startLiteRt } from '../engine/litert-runtime.ts';
import { loadRuntime, openSession } from '../engine/session.ts';
import type { BenchmarkAnswer, BenchmarkQuestion, BenchmarkRuntime } from './benchmark.ts';

/** A loaded model with noise for its inputs. */
interface Runner {
  /** What its inputs are, e.g. 'uint8 [1, 224, 224, 3]'. */
  readonly inputs: readonly string[];
  run(): Promise<unknown>;
}

/** How many runs warm a model up. */
const WARM_UP = 5;

/** Most further copies of the model that show its memory, and the bytes that all their files together may have. */
const COPIES = 5;
const MAX_COPIED_BYTES = 2 ** 28;

// Not by --expose-gc on the command line: arguments of this process's parent, a script among them, must not be repeated.
setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

let file: Uint8Array;
let load: () => Promise<Runner>;
let runner: Runner;

async function answer(question: BenchmarkQuestion): Promise<BenchmarkAnswer> {
  if ('load' in question) {
    const { runtime, path, threads } = question.load;
    file = await readFile(path);
    await (runtime === 'LiteRT' ? startLiteRt() : loadRuntime());
    load = () => loaders[runtime](file, threads);
    const start = performance.now();
    runner = await load();
    const loadTime = performance.now() - start;
    for (let i = 0; i < WARM_UP; i++) await runner.run();
    return { loaded: { bytes: file.length, inputs: runner.inputs, milliseconds: loadTime } };
  }
  if ('memory' in question) return { memory: await measureMemory() };
  // The first run of a turn finds its memory out of the processor's caches, which another model has used.
  return { times: await collectTimes(() => runner.run(), question.runs, 1) };
}

/**
 * By how much the process grows with one more copy of the model that has run: the median of a few. The first copy would
 * say more of the runtime, which compiles itself while it runs, than of the model.
 */
async function measureMemory(): Promise<number> {
  const copies = Math.max(1, Math.min(COPIES, Math.floor(MAX_COPIED_BYTES / file.length)));
  const kept: Runner[] = [];
  const growth: number[] = [];
  while (kept.length < copies) {
    const before = residentMemory();
    const copy = await load();
    for (let i = 0; i < WARM_UP; i++) await copy.run();
    kept.push(copy);
    growth.push(residentMemory() - before);
  }
  return growth.toSorted((a, b) => a - b)[copies >> 1]!;
}

const loaders: Readonly<Record<BenchmarkRuntime, (bytes: Uint8Array, threads: number) => Promise<Runner>>> = {
  async LiteRT(bytes) {
    const model = await loadLiteRt(bytes);
    const inputs = model.inputs.map(({ dtype, shape }) => makeNoise(dtype, shape).data);
    return { inputs: model.inputs.map(({ dtype, shape }) => describe(dtype, shape)), run: () => model.run(inputs) };
  },
  async 'ONNX Runtime'(bytes, threads) {
    const session = await openSession(bytes, { threads });
    // What may be of any size, as the batch, is 1.
    const inputs = session.inputs.map(({ name, dtype, shape }) => ({
      name,
      dtype,
      shape: shape.map(dim => dim ?? 1),
    }));
    const feeds = Object.fromEntries(
      inputs.map(({ name, dtype, shape }) => {
        if (isNoisy(dtype)) return [name, makeNoise(dtype, shape)];
        throw new GraftError(
          'bad-model',
          `Input ${name} is of type ${dtype}, which graft has no random values for.`,
          'Benchmark a model with number inputs.',
        );
      }),
    );
    return { inputs: inputs.map(({ dtype, shape }) => describe(dtype, shape)), run: () => session.run(feeds) };
  },
};

const describe = (dtype: string, shape: readonly number[]) => `${dtype} [${shape.join(', ')}]`;

/** Without what JavaScript has let go of. */
function residentMemory(): number {
  collectGarbage();
  return process.memoryUsage.rss();
}

// Ctrl-C reaches the whole group of processes; the parent is the one that decides.
process.on('SIGINT', () => {});
process.on('disconnect', () => process.exit());
process.on('message', (question: BenchmarkQuestion) => {
  answer(question).then(
    answered => process.send!(answered),
    (error: Error) => {
      const { code, hint } = error instanceof GraftError ? error : { code: undefined, hint: undefined };
      process.send!({ failure: { message: error.message, code, hint } } satisfies BenchmarkAnswer);
    },
  );
});
