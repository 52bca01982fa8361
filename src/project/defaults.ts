// Defaults that verbs share.
import { availableParallelism } from 'node:os';

/** Photos that are decoded at the same time: one per core. */
export function defaultWorkers(): number {
  return availableParallelism();
}
