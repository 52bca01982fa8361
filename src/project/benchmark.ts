// graft benchmark: how long a model takes, how much memory and how large it is, in LiteRT and in ONNX Runtime side by side.
import { type ChildProcess, fork } from 'node:child_process';
import { open, stat } from 'node:fs/promises';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ErrorCode, explainSystemError, GraftError } from '../base/errors.ts';
import type { VerbEvent } from '../base/events.ts';
import { type Latency, summariseTimes } from '../engine/latency.ts';
import { HEAD_BYTES } from '../image/sniff.ts';
import { isOnnx, sniffModel } from '../import/sniff-model.ts';
import { tfliteSchema } from '../tflite/schema.ts';
import { runFiles } from './run-folder.ts';
import { checkRanges } from './setting-ranges.ts';

/** Options of `benchmark`. */
export interface BenchmarkOptions {
  /** A .tflite or .onnx file, or a run folder. With a .tflite file a model.onnx beside it is measured too. */
  readonly model: string;
  /** Threads of ONNX Runtime; LiteRT has one here. Default: 1. */
  readonly threads?: number;
  /** Timed runs of each model. Default: 50. */
  readonly runs?: number;
}

/** A runtime that models are measured in. */
export type BenchmarkRuntime = 'LiteRT' | 'ONNX Runtime';

/** Figures of one model. */
export interface BenchmarkedModel {
  readonly file: string;
  readonly runtime: BenchmarkRuntime;
  readonly threads: number;
  readonly bytes: number;
  /** Types and shapes of the random inputs. */
  readonly inputs: readonly string[];
  /** Time from the bytes of the file to a model that can run, in milliseconds. */
  readonly load_ms: number;
  /** Time of one run, in milliseconds. */
  readonly latency_ms: Latency;
  /**
   * By how much a copy of the model that is loaded and run makes a process grow that has one already (resident memory):
   * its weights as the runtime holds them, and its values; not the runtime itself, nor the bytes of the file.
   */
  readonly memory_bytes: number;
}

/** Result of `benchmark`. */
export interface BenchmarkResult {
  readonly models: readonly BenchmarkedModel[];
}

/** From parent to child: load the model, run it so many times, or measure its memory. */
export type BenchmarkQuestion =
  | { readonly load: { readonly runtime: BenchmarkRuntime; readonly path: string; readonly threads: number } }
  | { readonly runs: number }
  | { readonly memory: true };

/** What a child has loaded. */
interface Loaded {
  readonly bytes: number;
  readonly inputs: readonly string[];
  readonly milliseconds: number;
}

/** From child to parent. */
export type BenchmarkAnswer =
  | { readonly loaded: Loaded }
  | { readonly times: readonly number[] }
  | { readonly memory: number }
  | {
      readonly failure: {
        readonly message: string;
        readonly code: ErrorCode | undefined;
        readonly hint: string | undefined;
      };
    };

const DEFAULT_RUNS = 50;

/** Runs of one model before it is another one's turn: what else the machine does then hits all of them. */
const TURN = 10;

/**
 * Measures models, each in a process of its own, in turns.
 * @throws GraftError `not-found`, `bad-run`, `bad-model`; `usage` when more than one thread is asked of LiteRT.
 */
export async function* benchmark(options: BenchmarkOptions): AsyncGenerator<VerbEvent<BenchmarkResult>> {
  checkRanges(options);
  const { threads = 1, runs = DEFAULT_RUNS } = options;
  const targets = await findTargets(options.model);
  const lite = targets.find(({ runtime }) => runtime === 'LiteRT');
  if (lite && threads !== 1) {
    const other = targets.find(({ runtime }) => runtime !== 'LiteRT');
    throw new GraftError(
      'usage',
      `${threads} threads are for ONNX Runtime: LiteRT, which runs ${lite.path}, has one thread here (WebAssembly).`,
      other
        ? `Measure the other file alone: graft benchmark ${other.path} --threads ${threads}`
        : 'Leave --threads out.',
    );
  }
  const children = targets.map(target => ({ ...target, ...startChild(), times: [] as number[], memory: 0 }));
  try {
    let done = 0;
    const total = runs * children.length;
    const progress = () => ({ type: 'progress', stage: 'benchmark', done, total, unit: 'runs' }) as const;
    yield progress();
    const loaded: Loaded[] = [];
    for (const child of children) {
      const { runtime, path } = child;
      const answer = await child.ask({ load: { runtime, path, threads } });
      if ('loaded' in answer) loaded.push(answer.loaded);
    }
    for (let turn = 0; turn < runs; turn += TURN) {
      for (const child of children) {
        const answer = await child.ask({ runs: Math.min(TURN, runs - turn) });
        if (!('times' in answer)) continue;
        child.times.push(...answer.times);
        done += answer.times.length;
        yield progress();
      }
    }
    for (const child of children) {
      const answer = await child.ask({ memory: true });
      if ('memory' in answer) child.memory = answer.memory;
    }
    const models = children.map(({ path, runtime, times, memory }, i): BenchmarkedModel => {
      const { bytes, inputs, milliseconds } = loaded[i]!;
      const figures = { load_ms: milliseconds, latency_ms: summariseTimes(times), memory_bytes: Math.max(0, memory) };
      return { file: path, runtime, threads, bytes, inputs, ...figures };
    });
    yield { type: 'result', result: { models } };
  } finally {
    for (const { stop } of children) stop();
  }
}

interface Target {
  readonly path: string;
  readonly runtime: BenchmarkRuntime;
}

async function findTargets(model: string): Promise<Target[]> {
  const found = await stat(model).catch(error => {
    throw explainSystemError(error, model);
  });
  if (found.isDirectory()) {
    const files = [
      { path: join(model, runFiles.tflite), runtime: 'LiteRT' },
      { path: join(model, runFiles.onnx), runtime: 'ONNX Runtime' },
    ] as const;
    const there = await Promise.all(files.map(({ path }) => isFile(path)));
    const targets = files.filter((_, i) => there[i]);
    if (targets.length > 0) return targets;
    throw new GraftError(
      'bad-run',
      `${model} has neither ${runFiles.tflite} nor ${runFiles.onnx}.`,
      'Name a folder that graft train finished, or a model file.',
    );
  }
  if (!found.isFile()) {
    throw new GraftError('bad-model', `${model} is neither a file nor a folder.`, 'Name a model file or a run folder.');
  }
  const head = await readHead(model);
  if (Buffer.from(head.subarray(4, 8)).toString('latin1') === tfliteSchema.identifier) {
    const beside = join(dirname(model), runFiles.onnx);
    return [
      { path: model, runtime: 'LiteRT' },
      ...((await isFile(beside)) ? [{ path: beside, runtime: 'ONNX Runtime' } as const] : []),
    ];
  }
  if (isOnnx(head)) return [{ path: model, runtime: 'ONNX Runtime' }];
  const { kind, hint } = sniffModel(head);
  throw new GraftError('bad-model', `${model} is neither a .tflite nor an .onnx model: it seems to be ${kind}.`, hint);
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    found => found.isFile(),
    () => false,
  );

async function readHead(path: string): Promise<Uint8Array> {
  try {
    const file = await open(path);
    try {
      const { buffer, bytesRead } = await file.read(new Uint8Array(HEAD_BYTES), 0, HEAD_BYTES, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    throw explainSystemError(error, path);
  }
}

interface Child {
  /** One question at a time. Throws what the process throws, or that it has ended. */
  ask(question: BenchmarkQuestion): Promise<BenchmarkAnswer>;
  stop(): void;
}

function startChild(): Child {
  // Beside this file, .ts in the source tree and .js in the compiled one.
  const here = fileURLToPath(import.meta.url);
  const child: ChildProcess = fork(join(dirname(here), `benchmark-process${extname(here)}`), {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  let waiting: { resolve: (answer: BenchmarkAnswer) => void; reject: (error: Error) => void } | undefined;
  let end: GraftError | undefined;
  child.on('message', (answer: BenchmarkAnswer) => {
    if (!('failure' in answer)) return waiting?.resolve(answer);
    const { message, code, hint } = answer.failure;
    waiting?.reject(code ? new GraftError(code, message, hint) : new Error(message));
  });
  const giveUp = (how: string) => {
    end = new GraftError(
      'bad-model',
      `The process that ran the model ended ${how}.`,
      'It may have run out of memory, or the model is damaged.',
    );
    waiting?.reject(end);
  };
  child.on('error', error => giveUp(`with "${error.message}"`));
  child.on('exit', (status, signal) => giveUp(`by ${signal ?? `status ${status}`}`));
  return {
    ask: question =>
      new Promise((resolve, reject) => {
        if (end) return reject(end);
        waiting = { resolve, reject };
        child.send(question);
      }),
    stop: () => {
      child.kill('SIGKILL');
    },
  };
}
