// Fills a folder with drawn photos of healthy and sick leaves, laid out as anybody's photos would be: one folder a class.
// Several processes draw while the caller only waits; the bytes depend on the seed alone, not on how many draw.
import { fork } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ErrorCode, explainSystemError, GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { drawLeafJob, type LeafJob, type LeafMessage, type LeafTask } from './draw-leaf-process.ts';

/** What `drawLeafDataset` draws. */
export interface LeafDatasetOptions {
  /** Photos of both classes together, 2..20000; healthy ones get the odd one. Default 300. */
  readonly photos?: number;
  /** Default 0. */
  readonly seed?: number;
  /** Processes that draw, 1..16; 1 draws in the calling process. Default: the cores of the machine, at most 8. */
  readonly workers?: number;
  /** Longer edge of the photos, see `LeafPhotoOptions`. */
  readonly size?: number;
  /** Stops drawing; photos that were written stay. */
  readonly signal?: AbortSignal;
}

/** Where the photos are and how many each class has. */
export interface LeafDataset {
  readonly folder: string;
  readonly counts: { readonly healthy: number; readonly unhealthy: number };
}

/** Starts a process for a share of the photos; settles when it has ended. `onDone` after each photo. */
function drawInProcess(job: LeafJob, onDone: () => void, signal: AbortSignal): Promise<void> {
  // Beside this file, .ts in the source tree and .js in the compiled one.
  const here = fileURLToPath(import.meta.url);
  const child = fork(join(dirname(here), `draw-leaf-process${extname(here)}`), {
    env: { ...process.env, GRAFT_LEAF_PROCESS: '1' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const stop = (): void => void child.kill();
  signal.addEventListener('abort', stop, { once: true });
  return new Promise<void>((resolve, reject) => {
    child.on('message', (message: LeafMessage) => {
      if ('done' in message) return onDone();
      const { code, message: text, hint } = message.failed;
      reject(code === undefined ? new Error(text) : new GraftError(code as ErrorCode, text, hint));
    });
    child.on('error', reject);
    child.on('exit', (status, by) => {
      if (status === 0 || signal.aborted) resolve();
      else reject(new Error(`A process that draws leaves ended with ${by ?? `status ${status}`}.`));
    });
    child.send(job);
  }).finally(() => signal.removeEventListener('abort', stop));
}

/** Shares the photos among processes; the first that fails stops the others. */
async function drawInProcesses(job: LeafJob, count: number, onDone: () => void, signal: AbortSignal): Promise<void> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const shares = Array.from({ length: count }, (_, k) => job.tasks.filter((_task, i) => i % count === k));
  await Promise.all(
    shares.map(tasks =>
      drawInProcess({ ...job, tasks }, onDone, either).catch((error: unknown) => {
        failed.abort();
        throw error;
      }),
    ),
  );
}

function checkRange(name: string, value: number, low: number, high: number): void {
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new GraftError('usage', `${name} is ${value}.`, `Give a whole number from ${low} to ${high}.`);
  }
}

/** Refuses a folder that holds other photos: they would be trained on as leaves. */
async function refuseStrangers(folder: string, wanted: ReadonlySet<string>): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true, recursive: true }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw explainSystemError(error, folder);
  });
  // What a killed run was writing (see writeWhole), and what desktops leave behind, are no photos.
  const bystander = /^\.|\.jpg\.part-\d+-\d+$|^(?:Thumbs\.db|desktop\.ini)$/;
  const stranger = entries.find(
    entry => !entry.isDirectory() && !bystander.test(entry.name) && !wanted.has(join(entry.parentPath, entry.name)),
  );
  if (stranger) {
    throw new GraftError(
      'exists',
      `${folder} already holds ${stranger.name}, which is not one of the leaves to be drawn.`,
      'Choose a new or empty folder.',
    );
  }
}

/**
 * Draws `folder/healthy/leaf-0001.jpg`... and `folder/unhealthy/leaf-0001.jpg`..., each file whole or not at all.
 * The same seed and count give the same bytes; drawing again into the same folder overwrites them.
 * @throws GraftError `usage` for numbers out of range, `exists` when the folder holds other files, `interrupted` when
 * the signal fires, `disk-full` or `no-access` from writing.
 */
export async function* drawLeafDataset(folder: string, options: LeafDatasetOptions = {}): Steps<LeafDataset> {
  const { photos = 300, seed = 0, workers = Math.min(8, availableParallelism()), size, signal } = options;
  checkRange('The number of photos', photos, 2, 20_000);
  checkRange('The number of workers', workers, 1, 16);
  const tasks = Array.from({ length: photos }, (_, k): LeafTask => {
    const healthy = k % 2 === 0;
    const index = Math.floor(k / 2);
    const name = `leaf-${String(index + 1).padStart(4, '0')}.jpg`;
    return { healthy, index, file: join(healthy ? 'healthy' : 'unhealthy', name) };
  });
  await refuseStrangers(folder, new Set(tasks.map(task => join(folder, task.file))));

  const progress = (done: number) =>
    ({ type: 'progress', stage: 'draw', done, total: photos, unit: 'photos' }) as const;
  const stopped = (): boolean => signal?.aborted === true;
  const refuseStopped = (done: number): void => {
    if (!stopped()) return;
    throw new GraftError('interrupted', `Stopped after ${done} of ${photos} photos.`, 'Run the same command again.');
  };
  refuseStopped(0);
  yield progress(0);
  let done = 0;
  let ended = false;
  let wake = (): void => undefined;
  const onDone = (): void => {
    done++;
    wake();
  };
  const job: LeafJob = { folder, seed, size, tasks };
  const processes = Math.min(workers, photos);
  // A caller that leaves the loop early stops the drawing too.
  const leave = new AbortController();
  const either = signal ? AbortSignal.any([signal, leave.signal]) : leave.signal;
  const drawing = (
    processes === 1 ? drawLeafJob(job, onDone, () => either.aborted) : drawInProcesses(job, processes, onDone, either)
  )
    .then(
      () => undefined,
      (error: unknown) => ({ error }),
    )
    .finally(() => {
      ended = true;
      wake();
    });
  try {
    let told = 0;
    while (!ended) {
      if (done === told) {
        await new Promise<void>(resolve => {
          wake = resolve;
        });
      }
      if (done > told) {
        told = done;
        yield progress(told);
      }
    }
    const failure = await drawing;
    if (done > told) yield progress(done);
    refuseStopped(done);
    if (failure) throw failure.error;
    if (done !== photos) throw new Error(`Drawing ended early: ${done} of ${photos} photos.`);
  } finally {
    leave.abort();
    await drawing;
  }
  return { folder, counts: { healthy: Math.ceil(photos / 2), unhealthy: Math.floor(photos / 2) } };
}
