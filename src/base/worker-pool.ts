// Spreads work over threads: each opens its tools once and then answers questions, two of which wait at any time.
import { parentPort, Worker } from 'node:worker_threads';
import { type ErrorCode, GraftError } from './errors.ts';

/** An answer, in the order in which answers come. */
export interface Answered<A> {
  readonly index: number;
  readonly answer: A;
}

/** Questions per thread: one that is worked on and one that waits. */
const DEPTH = 2;

/** An error on its way between threads, which would strip it to its message. */
interface Failure {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: ErrorCode | undefined;
  readonly hint: string | undefined;
}

interface Setup<S> {
  readonly setup: S;
}

/** Ends the thread once the question that it works on is answered. */
interface Stop {
  readonly stop: true;
}

interface Question<Q> {
  readonly index: number;
  readonly question: Q;
}

/** A failure without an index is that of the thread's setup. */
type Reply<A> = Answered<A> | { readonly index: number | null; readonly failure: Failure };

/** Threads that have started. */
export interface WorkerPool<S, Q, A> {
  /** Gives every thread what it opens its tools with; it is copied. Before the first `map`, and again between two of them. */
  equip(setup: S): void;
  /**
   * Asks; questions and answers are copied.
   * @yields answers as they come.
   * @throws what the threads throw, GraftErrors with code and hint.
   */
  map(questions: readonly Q[]): AsyncGenerator<Answered<A>, void>;
  /** How many threads there are. */
  readonly size: number;
  /** Asks one thread, by its number; it answers its questions in the order in which they are asked. */
  ask(thread: number, question: Q): Promise<A>;
  /** Ends the threads; the questions that they work on are finished first. */
  close(): Promise<void>;
}

/**
 * Starts threads that run `module`, which calls `serve`. They load its imports at once, so that a pool may be started
 * while other work goes on.
 * @param module URL of the module's file, .ts in the sources and .js when compiled: `new URL('./x.ts', import.meta.url)`.
 * @param early what the module finds as `workerData` when it starts.
 */
export function startPool<S, Q, A>(module: URL, workers: number, early?: unknown): WorkerPool<S, Q, A> {
  const threads = Array.from({ length: workers }, () => hire<S, Q, A>(module, early));
  let asked = 0;
  return {
    size: workers,
    // Numbers below zero, so that they are never those of a map.
    ask: async (thread, question) => (await threads[thread]!.ask({ index: --asked, question })).answer,
    close: async () => {
      await Promise.all(threads.map(thread => thread.dismiss()));
    },
    equip(setup) {
      for (const thread of threads) thread.equip(setup);
    },
    async *map(questions) {
      const pending = new Map<number, Promise<Answered<A>>>();
      let next = 0;
      while (next < questions.length || pending.size > 0) {
        while (next < questions.length && pending.size < threads.length * DEPTH) {
          const thread = threads.reduce((least, other) => (other.load() < least.load() ? other : least));
          const task = thread.ask({ index: next, question: questions[next]! });
          // The first failure ends the loop; nobody waits for those that follow it.
          task.catch(() => {});
          pending.set(next++, task);
        }
        const answered = await Promise.race(pending.values());
        pending.delete(answered.index);
        yield answered;
      }
    },
  };
}

/** A pool for one list of questions: no more threads than there are questions, ended when the loop ends. */
export async function* mapInWorkers<S, Q, A>(
  module: URL,
  setup: S,
  questions: readonly Q[],
  workers: number,
): AsyncGenerator<Answered<A>, void> {
  const pool = startPool<S, Q, A>(module, Math.min(workers, questions.length));
  try {
    pool.equip(setup);
    yield* pool.map(questions);
  } finally {
    await pool.close();
  }
}

/**
 * The thread's side: opens the tools with the setup, then answers.
 * @param open gives the function that answers a question.
 */
export function serve<S, Q, A>(open: (setup: S) => Promise<(question: Q) => Promise<A>>): void {
  const port = parentPort!;
  let tools: Promise<(question: Q) => Promise<A>>;
  port.on('message', async (message: Setup<S> | Question<Q> | Stop) => {
    if ('stop' in message) return port.close();
    if ('setup' in message) {
      tools = open(message.setup);
      tools.catch(error => port.postMessage({ index: null, failure: pack(error) } satisfies Reply<A>));
      return;
    }
    const { index, question } = message;
    try {
      const answer = await (await tools)(question);
      port.postMessage({ index, answer } satisfies Reply<A>);
    } catch (error) {
      port.postMessage({ index, failure: pack(error) } satisfies Reply<A>);
    }
  });
}

interface Thread<S, Q, A> {
  load(): number;
  equip(setup: S): void;
  ask(question: Question<Q>): Promise<Answered<A>>;
  dismiss(): Promise<void>;
}

function hire<S, Q, A>(module: URL, early: unknown): Thread<S, Q, A> {
  const worker = startWorker(module, early);
  const waiting = new Map<number, { resolve: (answer: Answered<A>) => void; reject: (error: Error) => void }>();
  let end: Error | undefined;
  const giveUp = (error: Error) => {
    end ??= error;
    for (const { reject } of waiting.values()) reject(end);
    waiting.clear();
  };
  worker.on('message', (reply: Reply<A>) => {
    if ('failure' in reply && reply.index === null) return giveUp(unpack(reply.failure));
    const asker = waiting.get(reply.index!);
    waiting.delete(reply.index!);
    if ('failure' in reply) asker?.reject(unpack(reply.failure));
    else asker?.resolve(reply);
  });
  const gone = new Promise<void>(resolve => worker.once('exit', () => resolve()));
  worker.on('error', giveUp);
  worker.on('exit', status => giveUp(new Error(`A worker thread ended with status ${status}.`)));
  return {
    load: () => waiting.size,
    equip: setup => worker.postMessage({ setup } satisfies Setup<S>),
    ask: question =>
      new Promise((resolve, reject) => {
        if (end) return reject(end);
        waiting.set(question.index, { resolve, reject });
        worker.postMessage(question);
      }),
    // Not worker.terminate(): it aborts the whole process when a native addon is at work in the thread.
    dismiss: () => {
      worker.postMessage({ stop: true } satisfies Stop);
      return gone;
    },
  };
}

function startWorker(module: URL, early: unknown): Worker {
  if (import.meta.url.endsWith('.js')) {
    return new Worker(new URL(module.href.replace(/\.ts$/, '.js')), { workerData: early });
  }
  // Run from its sources: a thread does not take the loader for TypeScript along from its parent, and starts its own.
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const script = `import(${loader}).then(({ register }) => { register(); return import(${JSON.stringify(module.href)}); });`;
  return new Worker(script, { eval: true, workerData: early });
}

function pack(error: unknown): Failure {
  if (!(error instanceof Error))
    return { name: 'Error', message: String(error), stack: undefined, code: undefined, hint: undefined };
  const { code, hint } = error instanceof GraftError ? error : { code: undefined, hint: undefined };
  return { name: error.name, message: error.message, stack: error.stack, code, hint };
}

function unpack({ message, stack, code, hint }: Failure): Error {
  const error = code === undefined ? new Error(message) : new GraftError(code, message, hint);
  if (stack !== undefined) error.stack = stack;
  return error;
}
