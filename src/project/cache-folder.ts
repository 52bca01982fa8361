// Where graft keeps what it can make again: weights and features.
import { resolve } from 'node:path';
import envPaths from 'env-paths';

/** The user's cache folder: $GRAFT_CACHE, else the operating system's place for caches. Deleting it loses only time. */
export function cacheFolder(): string {
  const chosen = process.env.GRAFT_CACHE;
  return chosen ? resolve(chosen) : envPaths('graft', { suffix: '' }).cache;
}
