// Reads a photo's file with a bound, whatever it turns out to be: a folder, a pipe, a film of ten gigabytes.
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { MAX_PHOTO_BYTES, tooManyBytes } from './sniff.ts';

/**
 * The bytes of a photo's file, at most MAX_PHOTO_BYTES.
 * @throws GraftError `bad-photo` for what is no regular file or is too large; `not-found` or `no-access`.
 */
export async function readPhoto(path: string): Promise<Uint8Array> {
  try {
    // O_NONBLOCK, so that opening a pipe does not wait for a writer (Windows has neither).
    const handle = await open(path, process.platform === 'win32' ? 'r' : constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const found = await handle.stat();
      if (!found.isFile()) throw new GraftError('bad-photo', `${path} is not a file.`, 'Name a photo.');
      if (found.size > MAX_PHOTO_BYTES) throw new GraftError('bad-photo', `${path}: ${tooManyBytes(found.size)}.`);
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw explainSystemError(error, path);
  }
}
