// Files appear whole or not at all: written under a temporary name beside the target, flushed, then renamed.
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import writeAtomic from 'write-file-atomic';
import { explainSystemError } from './errors.ts';

/** Writes `data` to `path` atomically, making the folders above it. Throws `disk-full` or `no-access`. */
export async function writeWhole(path: string, data: string | Uint8Array): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true });
    await writeAtomic(
      path,
      typeof data === 'string' ? data : Buffer.from(data.buffer, data.byteOffset, data.byteLength),
    );
  } catch (error) {
    throw explainSystemError(error, path);
  }
}

/** Writes `value` as indented JSON with a final newline, atomically. */
export function writeJson(path: string, value: unknown): Promise<void> {
  return writeWhole(path, `${JSON.stringify(value, null, 2)}\n`);
}

/** Creates `path` only if nothing is there; returns false when it exists. */
export async function createExclusive(path: string, data: string): Promise<boolean> {
  try {
    await writeFile(path, data, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw explainSystemError(error, path);
  }
}
