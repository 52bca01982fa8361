// Lists folders that a stranger may have made: links, pipes, hidden files and odd names are sorted out before any reading.
import type { Dirent } from 'node:fs';
import { open, readdir, realpath, stat } from 'node:fs/promises';
import { extname, join, posix, sep, win32 } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { HEAD_BYTES, sniffImage } from '../image/sniff.ts';
import { compareCodePoints, quoteName } from './splits.ts';

/** Something that was left out, and why. `path` is relative to the data set's folder, with '/' between its parts. */
export interface Excluded {
  readonly path: string;
  readonly reason: string;
}

/** What a folder directly holds; names in code-point order. */
export interface Listing {
  readonly folders: readonly string[];
  readonly files: readonly string[];
  readonly excluded: readonly Excluded[];
  /** Hidden files and folders, and folders whose names start with two underscores. */
  readonly hidden: readonly string[];
}

/** Most entries that one folder may have; more is surely not a folder of photos. */
export const MAX_ENTRIES = 1_000_000;

/** How deep photos are looked for below a class folder, only to say where they are. */
const MAX_DEPTH = 6;

/** Extensions by which people name images: a file that claims to be one and is not is worth a line in the report. */
const imageExtensions = new Set(
  (
    'jpg jpeg jpe jfif png apng gif webp tif tiff avif heic heif bmp dib svg svgz pdf psd jp2 j2k jxl ico ' +
    'ppm pgm pbm pnm tga dds exr hdr raw dng cr2 cr3 nef arw orf rw2'
  )
    .split(' ')
    .map(name => `.${name}`),
);

/** True when the file's name says that it is an image. */
export function isNamedLikeImage(name: string): boolean {
  return imageExtensions.has(extname(name).toLowerCase());
}

/**
 * True for a relative path that stays inside its folder on every system: no '..', no drive, no leading slash, no empty
 * part, no NUL. Backslashes count as separators, because on Windows they are.
 */
export function isInnerPath(path: string): boolean {
  if (path === '' || path.includes('\0') || posix.isAbsolute(path) || win32.isAbsolute(path)) return false;
  return path.split(/[/\\]/).every(part => part !== '' && part !== '.' && part !== '..');
}

/**
 * The data set's folder with all links in its own path resolved.
 * @throws GraftError `not-found` or `no-access`; `bad-dataset` when the path is a file.
 */
export async function resolveRoot(root: string): Promise<string> {
  try {
    const real = await realpath(root);
    if ((await stat(real)).isDirectory()) return real;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new GraftError(
        'not-found',
        `The folder ${quoteName(root)} does not exist.`,
        'Check the path; it should be a folder with one folder of photos per class.',
        error,
      );
    }
    throw explainSystemError(error, root);
  }
  throw new GraftError(
    'bad-dataset',
    `${quoteName(root)} is a file, not a folder.`,
    'Give a folder with one folder of photos per class. An archive has to be unpacked first.',
  );
}

/**
 * Lists one folder. `inner` is its path relative to `root` ('' for root itself). Links to files inside root are taken as
 * files; links to folders, to nothing, to themselves or out of root are left out, so no loop and no escape is possible.
 * @throws GraftError `no-access`, `bad-dataset` for a name that is no valid text or a folder with too many entries.
 */
export async function listFolder(root: string, inner: string): Promise<Listing> {
  const folders: string[] = [];
  const files: string[] = [];
  const excluded: Excluded[] = [];
  const hidden: string[] = [];
  for (const entry of await readEntries(root, inner)) {
    const path = joinInner(inner, entry.name);
    if (entry.name.startsWith('.') || (entry.isDirectory() && entry.name.startsWith('__'))) {
      hidden.push(path);
    } else if (!isInnerPath(entry.name)) {
      const reason = 'its name means another place on some systems; rename it without backslashes';
      if (entry.isDirectory())
        throw new GraftError('bad-dataset', `${quoteName(path)}: ${reason}.`, 'Rename the folder.');
      excluded.push({ path, reason });
    } else if (entry.isDirectory()) {
      folders.push(entry.name);
    } else if (entry.isFile()) {
      files.push(entry.name);
    } else if (entry.isSymbolicLink()) {
      const reason = await refuseLink(root, path);
      if (reason === null) files.push(entry.name);
      else excluded.push({ path, reason });
    } else {
      excluded.push({ path, reason: 'neither a file nor a folder (a pipe, socket or device)' });
    }
  }
  return {
    folders: folders.sort(compareCodePoints),
    files: files.sort(compareCodePoints),
    excluded: excluded.sort((a, b) => compareCodePoints(a.path, b.path)),
    hidden: hidden.sort(compareCodePoints),
  };
}

async function readEntries(root: string, inner: string): Promise<Dirent[]> {
  const folder = join(root, inner);
  let entries: Dirent[];
  try {
    entries = await readdir(folder, { withFileTypes: true });
  } catch (error) {
    // A name that is not UTF-8 comes out of readdir with replacement characters and cannot be opened again.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT' && inner.includes('\ufffd')) {
      throw new GraftError(
        'bad-dataset',
        `The folder ${quoteName(inner)} has a name that is not valid UTF-8.`,
        'Rename the folder.',
        error,
      );
    }
    throw explainSystemError(error, folder);
  }
  if (entries.length > MAX_ENTRIES) {
    throw new GraftError(
      'bad-dataset',
      `${quoteName(folder)} has ${entries.length} entries, more than the limit of ${MAX_ENTRIES}.`,
      'Check that this is a folder of photos.',
    );
  }
  return entries;
}

/** Why a link is not followed, or null when it leads to a file inside root. */
async function refuseLink(root: string, path: string): Promise<string | null> {
  try {
    const target = await realpath(join(root, path));
    const kind = await stat(target);
    if (kind.isDirectory()) return 'a link to a folder; such links are not followed, put the folder itself here';
    if (!kind.isFile()) return 'a link to something that is no file';
    const inside = target.startsWith(root.endsWith(sep) ? root : root + sep);
    return inside ? null : 'a link to a file outside of this folder; put the file itself here';
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ELOOP') return 'a link that leads to itself';
    return code === 'ENOENT' ? 'a link to nothing' : `a link that cannot be followed (${code})`;
  }
}

/** Joins two parts of a root-relative path. */
export function joinInner(inner: string, name: string): string {
  return inner === '' ? name : `${inner}/${name}`;
}

/** True when the file at the root-relative `path` is an image by its content or claims to be one by its name. */
export async function looksLikePhoto(root: string, path: string): Promise<boolean> {
  if (isNamedLikeImage(path)) return true;
  try {
    const file = await open(join(root, path), 'r');
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
      return sniffImage(buffer.subarray(0, bytesRead)) !== null;
    } finally {
      await file.close();
    }
  } catch {
    return false;
  }
}

/** The first photo at any depth below the root-relative folder `inner`, or null. */
export async function findPhoto(root: string, inner: string, depth = MAX_DEPTH): Promise<string | null> {
  const { files, folders } = await listFolder(root, inner);
  for (const name of files) {
    if (await looksLikePhoto(root, joinInner(inner, name))) return joinInner(inner, name);
  }
  if (depth === 0) return null;
  for (const name of folders) {
    const found = await findPhoto(root, joinInner(inner, name), depth - 1);
    if (found !== null) return found;
  }
  return null;
}
