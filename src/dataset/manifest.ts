// The list of photos that a model was made from: plain JSON, with every photo's hash, class and split.
// Read back as a stranger's file: every field is checked, and no path leads out of the data set's folder.
import { readFile, stat } from 'node:fs/promises';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { writeJson } from '../base/files.ts';
import { type Excluded, isInnerPath } from './folder.ts';
import type { ScannedPhoto } from './scan-folder.ts';
import { badClassName, quoteName, type Split, splits } from './splits.ts';

/** A photo of a manifest: its class is one of the manifest's. */
export interface ManifestPhoto extends Omit<ScannedPhoto, 'split'> {
  readonly split: Split;
}

/** A data set, split. It holds no absolute path, so that the folder may move. */
export interface Manifest {
  readonly version: typeof MANIFEST_VERSION;
  /** At least two, each once; a name's place is the number that a model gives for it. */
  readonly classes: readonly string[];
  readonly photos: readonly ManifestPhoto[];
  /** What was left out, for people: these paths are never opened. */
  readonly excluded: readonly Excluded[];
  /** Seed of the automatic split. */
  readonly seed: number;
  /** How the split was made, in sentences. */
  readonly how: readonly string[];
}

/** The only version there is. */
export const MANIFEST_VERSION = 1;

/** Most bytes of a manifest file: a million photos fit. */
export const MAX_MANIFEST_BYTES = 400_000_000;

/** Most photos, and most classes, of a manifest. */
const MAX_PHOTOS = 1_000_000;

/** Writes a manifest as indented JSON, atomically. Throws `disk-full` or `no-access`. */
export function writeManifest(path: string, manifest: Manifest): Promise<void> {
  return writeJson(path, manifest);
}

/**
 * Reads a manifest file.
 * @throws GraftError `not-found`, `no-access`, or what `readManifest` throws.
 */
export async function loadManifest(path: string): Promise<Manifest> {
  let text: string;
  try {
    const { size } = await stat(path);
    if (size > MAX_MANIFEST_BYTES) {
      throw refuse(path, 'the file', `has ${size} bytes`, `at most ${MAX_MANIFEST_BYTES}`);
    }
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw explainSystemError(error, path);
  }
  return readManifest(text, path);
}

/**
 * Reads and checks a manifest from JSON text or parsed JSON. Unknown fields are dropped.
 * @param where names the manifest in messages; default 'manifest'.
 * @throws GraftError `bad-dataset` that names the field, what it is and what was wanted.
 */
export function readManifest(json: unknown, where = 'manifest'): Manifest {
  const at = fieldReader(where);
  let value = json;
  if (typeof json === 'string') {
    try {
      value = JSON.parse(json);
    } catch (error) {
      throw refuse(where, 'the text', `is no JSON (${(error as Error).message})`, 'a JSON object');
    }
  }
  const top = at.object('the manifest', value);
  if (top.version !== MANIFEST_VERSION) at.fail('version', top.version, String(MANIFEST_VERSION));
  const classes = at.list('classes', top.classes, 2).map((name, i) => {
    const text = at.text(`classes[${i}]`, name);
    const bad = badClassName(text);
    if (bad !== null) at.fail(`classes[${i}]`, text, `a class name, but ${bad}`);
    return text;
  });
  const known = new Set(classes);
  if (known.size < classes.length) at.fail('classes', top.classes, 'each name once');
  const paths = new Set<string>();
  const splitOfContent = new Map<string, Split>();
  const photos = at.list('photos', top.photos, 1).map((item, i): ManifestPhoto => {
    const name = `photos[${i}]`;
    const photo = at.object(name, item);
    const path = at.innerPath(`${name}.path`, photo.path);
    if (paths.has(path)) at.fail(`${name}.path`, path, 'each path once');
    paths.add(path);
    const sha256 = at.text(`${name}.sha256`, photo.sha256);
    if (!/^[0-9a-f]{64}$/.test(sha256)) at.fail(`${name}.sha256`, sha256, '64 lower-case hexadecimal digits');
    const label = at.text(`${name}.class`, photo.class);
    if (!known.has(label)) at.fail(`${name}.class`, label, 'one of the classes');
    const split = splits.find(one => one === photo.split);
    if (split === undefined) return at.fail(`${name}.split`, photo.split, splits.join(', '));
    if ((splitOfContent.get(sha256) ?? split) !== split) {
      at.fail(`${name}.split`, split, `${splitOfContent.get(sha256)}, where a photo with the same sha256 is`);
    }
    splitOfContent.set(sha256, split);
    return {
      path,
      sha256,
      bytes: at.whole(`${name}.bytes`, photo.bytes, 1),
      width: at.whole(`${name}.width`, photo.width, 1),
      height: at.whole(`${name}.height`, photo.height, 1),
      class: label,
      split,
    };
  });
  const excluded = at.list('excluded', top.excluded, 0).map((item, i): Excluded => {
    const entry = at.object(`excluded[${i}]`, item);
    const reason = at.text(`excluded[${i}].reason`, entry.reason);
    return { path: at.text(`excluded[${i}].path`, entry.path), reason };
  });
  const how = at.list('how', top.how, 0).map((item, i) => at.text(`how[${i}]`, item));
  return { version: MANIFEST_VERSION, classes, photos, excluded, seed: at.whole('seed', top.seed, 0), how };
}

/** Typed readers of fields that name the field when it is not what it should be. */
function fieldReader(where: string) {
  const fail = (field: string, found: unknown, wanted: string): never => {
    throw refuse(where, field, `is ${shorten(found)}`, wanted);
  };
  const text = (field: string, value: unknown): string =>
    typeof value === 'string' ? value : fail(field, value, 'a text');
  return {
    fail,
    text,
    object: (field: string, value: unknown): Readonly<Record<string, unknown>> =>
      typeof value === 'object' && value !== null && !Array.isArray(value)
        ? (value as Record<string, unknown>)
        : fail(field, value, 'an object'),
    list: (field: string, value: unknown, least: number): readonly unknown[] =>
      Array.isArray(value) && value.length >= least && value.length <= MAX_PHOTOS
        ? value
        : fail(field, value, `a list of ${least} to ${MAX_PHOTOS}`),
    whole: (field: string, value: unknown, least: number): number =>
      typeof value === 'number' && Number.isSafeInteger(value) && value >= least
        ? value
        : fail(field, value, `a whole number of at least ${least}`),
    innerPath: (field: string, value: unknown): string => {
      const path = text(field, value);
      return isInnerPath(path) ? path : fail(field, path, "a relative path without '..' that stays in the folder");
    },
  };
}

function shorten(value: unknown): string {
  if (value === undefined) return 'missing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  const text = typeof value === 'string' ? quoteName(value) : String(JSON.stringify(value));
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function refuse(where: string, field: string, found: string, wanted: string): GraftError {
  return new GraftError(
    'bad-dataset',
    `${where}: ${field} ${found}; wanted: ${wanted}.`,
    'Make the manifest again from the folder of photos.',
  );
}
