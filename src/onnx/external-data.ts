// Bytes of a tensor that an ONNX file keeps in another file beside it; no path leads out of the model's folder, but for the
// links of the Hugging Face Hub's cache.
import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, resolve, sep } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { badOnnx } from './model.ts';

/** Longest name of a file in a model. */
const MAX_LOCATION = 1000;

/**
 * Reads `size` bytes of a tensor.
 * @param entries the tensor's external_data: `location`, a path from `folder` down, `offset` and `length`.
 * @param folder where the model's file is; undefined when the model did not come from one.
 * @throws GraftError `bad-model` for a path that leads elsewhere and for a file that is too short; `not-found`.
 */
export function readExternalData(
  entries: ReadonlyMap<string, string>,
  size: number,
  folder: string | undefined,
  what: string,
): Uint8Array {
  const location = entries.get('location') ?? '';
  const offset = readCount(entries.get('offset') ?? '0', `offset of ${what}`);
  const length = readCount(entries.get('length') ?? String(size), `length of ${what}`);
  if (length !== size) throw badOnnx(`${what} has ${length} bytes in ${location}, and its shape takes ${size}`);
  if (folder === undefined) {
    throw new GraftError(
      'bad-model',
      `The model keeps ${what} in another file (${location}), which did not come with it.`,
      'Name the .onnx file by its path, with its data beside it.',
    );
  }
  const { path, bytes: there } = findExternalFile(location, folder, what);
  const bytes = new Uint8Array(size);
  try {
    if (offset + size > there) {
      throw badOnnx(`${what} takes the bytes ${offset} to ${offset + size} of ${location}, which has ${there}`);
    }
    const file = openSync(path, 'r');
    try {
      let done = 0;
      while (done < size) {
        const count = readSync(file, bytes, done, size - done, offset + done);
        if (count === 0) throw badOnnx(`${location} ends in the middle of ${what}`);
        done += count;
      }
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw explainSystemError(error, path);
  }
  return bytes;
}

/** Refuses a path that leads elsewhere than down. */
export function checkLocation(location: string, what: string): string[] {
  const parts = location.split(/[/\\]/);
  const isBad =
    location === '' ||
    location.length > MAX_LOCATION ||
    location.includes('\0') ||
    isAbsolute(location) ||
    /^[a-z]:/i.test(location) ||
    parts.includes('..');
  if (isBad) {
    throw badOnnx(
      `${what} is in the file ${JSON.stringify(location.slice(0, 200))}, and a path below the model's folder is wanted`,
    );
  }
  return parts;
}

/**
 * The file at a location, and its size. The path is checked by its parts, and again after links are followed.
 * @param what names in errors what is in it.
 * @throws GraftError `bad-model` for a path that leads elsewhere and for what is no file; `not-found`.
 */
export function findExternalFile(
  location: string,
  folder: string,
  what: string,
): { readonly path: string; readonly bytes: number } {
  const path = join(folder, ...checkLocation(location, what));
  try {
    const real = realpathSync(path);
    if (!allowedRoots(folder).some(root => real.startsWith(root.endsWith(sep) ? root : root + sep))) {
      throw badOnnx(`${what} is in ${location}, a link that leads out of the model's folder`);
    }
    const found = statSync(real);
    if (!found.isFile()) throw badOnnx(`${what} is in ${location}, which is no file`);
    return { path: real, bytes: found.size };
  } catch (error) {
    throw explainSystemError(error, path);
  }
}

/**
 * Real paths of folders that files may be in: the model's own. In the Hub's cache that is models--owner--name/snapshots/<commit>,
 * or a folder in it, and its files are links into models--owner--name/blobs, which belongs to the same repository.
 */
function allowedRoots(folder: string): string[] {
  const root = realpathSync(folder);
  const repository = /^(.*[/\\]models--[^/\\]+)[/\\]snapshots[/\\][0-9a-f]{40}(?:[/\\]|$)/.exec(root)?.[1];
  return repository === undefined ? [root] : [root, resolve(repository, 'blobs')];
}

function readCount(text: string, what: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value))
    throw badOnnx(`the ${what} is ${JSON.stringify(text.slice(0, 40))}, not a whole number`);
  return value;
}
