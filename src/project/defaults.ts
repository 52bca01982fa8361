// Defaults that verbs share.
import { availableParallelism } from 'node:os';

/** Threads: one per core, at most 8, since each holds its own runtimes (about 150 MB). */
export function defaultWorkers(): number {
  return Math.min(8, availableParallelism());
}
