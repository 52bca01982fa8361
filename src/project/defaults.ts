// Defaults that verbs share.
import { availableParallelism } from 'node:os';

/** Threads: one per core, at most 8, since each holds its own runtimes (about 150 MB). */
export function defaultWorkers(): number {
  return Math.min(8, availableParallelism());
}

/** Files that are read and hashed at a time by so many threads: reading waits for the disk more than for the processor. */
export function readers(workers: number): number {
  return Math.min(16, 4 * workers);
}
