// Makes graft forget what it computed, so that the next run pays for it again.
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Empties graft's cache but for the weights, which would be fetched again. */
export function emptyCache(folder: string): void {
  for (const name of readdirSync(folder)) if (name !== 'weights') rmSync(join(folder, name), { recursive: true });
}
