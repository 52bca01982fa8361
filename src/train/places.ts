// Reads records of a cache by their place, from any thread; files are opened once.
import { openSync, readSync } from 'node:fs';
import type { RecordPlace } from './record-cache.ts';

/** Open files of a cache. */
export interface Places {
  /** Fills `out` with the record at `place`. */
  read(place: RecordPlace, out: Uint8Array): void;
}

/** Starts with no file open; they are closed when the thread ends. */
export function openPlaces(): Places {
  const files = new Map<string, number>();
  return {
    read({ path, position }, out) {
      const file = files.get(path) ?? openSync(path, 'r');
      files.set(path, file);
      if (readSync(file, out, 0, out.length, position) !== out.length) {
        throw new Error(`${path} was cut short while it was in use.`);
      }
    },
  };
}
