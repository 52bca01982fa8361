// Numbers that an ONNX file keeps in other files beside it; no path leads out of the model's folder, but for the links of the
// Hugging Face Hub's cache, and no region is held twice.
import { closeSync, openSync, readSync, realpathSync, statSync } from 'node:fs';
import { isAbsolute, join, resolve, sep } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { badOnnx } from './model.ts';

/** Longest name of a file in a model. */
const MAX_LOCATION = 1000;

/**
 * Most bytes that all tensors of a model may read out of its files, as a multiple of what these have: regions may overlap a
 * little, or be read as two types.
 */
const MAX_TIMES_READ = 2;

/** The files beside one model. */
export interface ExternalFiles {
  /** Locations that tensors name, as they say them. */
  readonly locations: ReadonlySet<string>;
  /** Checks a location and remembers it. Throws GraftError `bad-model` for one that leads elsewhere than down. */
  meet(location: string, what: string): void;
  /**
   * What `make` makes of `size` bytes of a tensor. Tensors of one region and one `type` share it.
   * @param entries the tensor's external_data: `location`, a path from the folder down, `offset` and `length`.
   * @throws GraftError `bad-model` for a path that leads elsewhere, for a file that is too short, and for tensors that read
   * the same bytes over and over; `not-found`.
   */
  read<T>(
    entries: ReadonlyMap<string, string>,
    size: number,
    type: string,
    what: string,
    make: (bytes: Uint8Array) => T,
  ): T;
}

/** Opens the files beside a model in `folder`; undefined when the model did not come from one. */
export function externalFiles(folder: string | undefined): ExternalFiles {
  const locations = new Set<string>();
  const sizes = new Map<string, number>();
  const made = new Map<string, unknown>();
  let total = 0;
  return {
    locations,
    meet(location, what) {
      checkLocation(location, what);
      locations.add(location);
    },
    read(entries, size, type, what, make) {
      const region = findRegion(entries, size, folder, what);
      const key = `${type} ${region.offset} ${size} ${region.path}`;
      if (!made.has(key)) {
        sizes.set(region.path, region.fileBytes);
        total += size;
        const there = [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0);
        if (total > MAX_TIMES_READ * there) {
          throw badOnnx(`its tensors take ${total} bytes out of files that have ${there}`);
        }
        made.set(key, make(readRegion(region, size, what)));
      }
      return made.get(key) as ReturnType<typeof make>;
    },
  };
}

interface Region {
  /** The real one. */
  readonly path: string;
  readonly location: string;
  readonly offset: number;
  readonly fileBytes: number;
}

/** Where a tensor lies. */
function findRegion(
  entries: ReadonlyMap<string, string>,
  size: number,
  folder: string | undefined,
  what: string,
): Region {
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
  const { path, bytes: fileBytes } = findExternalFile(location, folder, what);
  if (offset + size > fileBytes) {
    throw badOnnx(`${what} takes the bytes ${offset} to ${offset + size} of ${location}, which has ${fileBytes}`);
  }
  return { path, location, offset, fileBytes };
}

function readRegion({ path, location, offset }: Region, size: number, what: string): Uint8Array {
  const bytes = new Uint8Array(size);
  try {
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
function checkLocation(location: string, what: string): string[] {
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
