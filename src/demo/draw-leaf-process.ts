// Entry of a process that draws its share of the demo's photos: gets one job, sends a message per photo, and leaves.
// Started by drawLeafDataset only. Processes rather than threads: they take the parent's loaders along.
import { join } from 'node:path';
import { GraftError } from '../base/errors.ts';
import { writeWhole } from '../base/files.ts';
import { drawLeafPhoto } from './draw-leaf-photo.ts';

/** A share of a dataset. */
export interface LeafJob {
  readonly folder: string;
  readonly seed: number;
  readonly size: number | undefined;
  readonly tasks: readonly LeafTask[];
}

/** One photo; `file` is relative to the folder. */
export interface LeafTask {
  readonly file: string;
  readonly healthy: boolean;
  readonly index: number;
}

/** From process to parent: a photo is written, or why it could not be. */
export type LeafMessage =
  | { readonly done: true }
  | { readonly failed: { readonly code: string | undefined; readonly message: string; readonly hint?: string } };

/** Draws all tasks, two at a time so that encoding and writing overlap drawing; `onDone` after each. */
export async function drawLeafJob(job: LeafJob, onDone: () => void, stopped: () => boolean): Promise<void> {
  const { folder, seed, size, tasks } = job;
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < tasks.length && !stopped()) {
      const { file, healthy, index } = tasks[next++]!;
      const jpeg = await drawLeafPhoto({ seed, index, healthy, ...(size === undefined ? {} : { size }) });
      await writeWhole(join(folder, file), jpeg);
      onDone();
    }
  };
  await Promise.all([lane(), lane()]);
}

/** Waits for the job, draws it and ends the process. */
function serve(): void {
  const send = (message: LeafMessage): void => {
    process.send?.(message);
  };
  // Ctrl-C reaches the whole group of processes; the parent is the one that decides.
  process.on('SIGINT', () => {});
  // The parent is gone: nobody waits for the photos.
  process.on('disconnect', () => process.exit(1));
  process.once('message', (job: LeafJob) => {
    drawLeafJob(
      job,
      () => send({ done: true }),
      () => false,
    )
      .catch((error: unknown) => {
        const { code, hint } = error instanceof GraftError ? error : { code: undefined, hint: undefined };
        const message = error instanceof Error ? error.message : String(error);
        send({ failed: { code, message, ...(hint === undefined ? {} : { hint }) } });
      })
      .finally(() => {
        process.removeAllListeners('disconnect');
        process.disconnect();
      });
  });
}

if (process.send && process.env.GRAFT_LEAF_PROCESS === '1') serve();
