// Files appear whole or not at all: written under a temporary name beside the target, flushed, then renamed.
// Not with npm's write-file-atomic: version 7 takes one fs.write for the whole file, and on a disk that fills up in the
// middle that write is short without an error, so that half a file gets the name of a whole one (test/base/files.test.ts).
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { explainSystemError } from './errors.ts';

let temporaryFiles = 0;

/** Writes `data` to `path` atomically, making the folders above it. Throws `disk-full` or `no-access`. */
export async function writeWhole(path: string, data: string | Uint8Array): Promise<void> {
  const temporary = `${path}.part-${process.pid}-${temporaryFiles++}`;
  try {
    await mkdir(dirname(path), { recursive: true });
    const file = await open(temporary, 'wx');
    try {
      await file.writeFile(data);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {});
    throw explainSystemError(error, path);
  }
}

/** Writes `value` as indented JSON with a final newline, atomically. */
export function writeJson(path: string, value: unknown): Promise<void> {
  return writeWhole(path, `${JSON.stringify(value, null, 2)}\n`);
}
