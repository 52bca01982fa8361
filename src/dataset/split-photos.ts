// From a scan to a manifest: which photo is for learning and which for checking. The same folder and seed give the same
// split on every machine, and photos that are added later hardly move the old ones.
import { createHash } from 'node:crypto';
import { GraftError } from '../base/errors.ts';
import { dropDuplicates, requirePhotos } from './drop-duplicates.ts';
import type { Excluded } from './folder.ts';
import { MANIFEST_VERSION, type Manifest, type ManifestPhoto } from './manifest.ts';
import type { Scan, ScannedPhoto } from './scan-folder.ts';
import { compareCodePoints, listNames, quoteName, type Split, splits } from './splits.ts';

/** Options of `splitPhotos`. */
export interface SplitOptions {
  /** Whole number >= 0 that chooses the automatic split. Default: 0. */
  readonly seed?: number | undefined;
  /**
   * Part of each class for validation, 0 < f < 1, rounded, at least one photo. Only used when the folder does not come
   * with validation photos. Default: 0.15.
   */
  readonly validationFraction?: number | undefined;
  /** Part of each class for a test, 0 <= f < 1, as above. Only used without test photos. Default: 0, no test. */
  readonly testFraction?: number | undefined;
}

/** The defaults of `SplitOptions`. */
export const splitDefaults = { seed: 0, validationFraction: 0.15, testFraction: 0 } as const;

/**
 * Splits a scan into train, validation and (if there or asked for) test.
 * - Splits that the folder comes with are taken as they are; a missing validation is taken from train, never from test.
 * - Otherwise the split is automatic and per class: photos are ordered by sha256(seed, their own sha256), the first are
 *   for validation, the last for the test. A photo's place depends on nothing but itself, so added photos only shift
 *   the borders.
 * - Identical files count once and are never in two splits; see `dropDuplicates`.
 * @throws GraftError `usage` for fractions that make no sense; `empty-dataset` without a usable photo; `too-few-classes`
 * for less than two; `too-few-photos` naming each class that has fewer than the split needs; `bad-dataset` without train.
 */
export function splitPhotos(scan: Scan, options: SplitOptions = {}): Manifest {
  const seed = options.seed ?? splitDefaults.seed;
  const validationFraction = options.validationFraction ?? splitDefaults.validationFraction;
  const testFraction = options.testFraction ?? splitDefaults.testFraction;
  checkOptions(seed, validationFraction, testFraction);
  requirePhotos(scan.root, scan.photos, scan.excluded);
  requireTwoClasses(scan);
  const { kept, excluded } = dropDuplicates(scan.photos);
  const has = (split: Split) => kept.some(photo => photo.split === split);
  const given = scan.kind === 'splits';
  if (given && !has('train')) throw noTrain(scan);
  const take = {
    validation: given && has('validation') ? 0 : validationFraction,
    test: given && has('test') ? 0 : testFraction,
  };
  const photos: ManifestPhoto[] = [];
  const short: string[] = [];
  const byClass = new Map<string, ScannedPhoto[]>(scan.classes.map(label => [label, []]));
  for (const photo of kept) byClass.get(photo.class)!.push(photo);
  for (const [label, own] of byClass) {
    for (const photo of own) {
      if (photo.split !== null && photo.split !== 'train') photos.push({ ...photo, split: photo.split });
    }
    const pool = own.filter(photo => photo.split === null || photo.split === 'train');
    const wanted = 1 + Number(take.validation > 0) + Number(take.test > 0);
    if (pool.length < wanted) short.push(describeShort(scan, excluded, label, pool.length, wanted));
    else photos.push(...divide(pool, seed, take));
  }
  if (short.length > 0) throw tooFew(short, take);
  photos.sort((a, b) => compareCodePoints(a.path, b.path));
  const left = [...scan.excluded.map(({ path, reason }) => ({ path, reason })), ...excluded];
  return {
    version: MANIFEST_VERSION,
    classes: scan.classes,
    photos,
    excluded: left.sort((a, b) => compareCodePoints(a.path, b.path)),
    seed,
    how: describeSplit(scan, photos, seed, take),
  };
}

/** Divides the photos of one class; there are at least as many as splits. */
function divide(
  pool: readonly ScannedPhoto[],
  seed: number,
  take: { validation: number; test: number },
): ManifestPhoto[] {
  const ordered = pool
    .map(photo => ({ photo, key: createHash('sha256').update(`${seed}\n${photo.sha256}`).digest('hex') }))
    .sort((a, b) => (a.key < b.key ? -1 : 1));
  const count = (fraction: number) => (fraction === 0 ? 0 : Math.max(1, Math.round(fraction * pool.length)));
  // Small classes: rounding up must leave a photo to learn from; validation keeps its share, then test, each >= 1.
  const room = pool.length - 1;
  const validation = Math.min(count(take.validation), room - Number(take.test > 0));
  const test = Math.min(count(take.test), room - validation);
  return ordered.map(({ photo }, i) => {
    const split = i < validation ? 'validation' : i >= pool.length - test ? 'test' : 'train';
    return { ...photo, split };
  });
}

function checkOptions(seed: number, validation: number, test: number): void {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new GraftError('usage', `The seed is ${seed}.`, 'Give a whole number of at least 0.');
  }
  if (!(validation > 0 && validation < 1)) {
    throw new GraftError(
      'usage',
      `The validation fraction is ${validation}.`,
      'Give a number between 0 and 1, e.g. 0.15; without validation photos nobody knows how good a model is.',
    );
  }
  if (!(test >= 0 && test < 1)) {
    throw new GraftError('usage', `The test fraction is ${test}.`, 'Give 0 for no test, or a number below 1.');
  }
  if (validation + test >= 1) {
    throw new GraftError(
      'usage',
      `The validation fraction ${validation} and the test fraction ${test} leave nothing to learn from.`,
      'Choose fractions that add up to clearly less than 1.',
    );
  }
}

function requireTwoClasses(scan: Scan): void {
  if (scan.classes.length >= 2) return;
  throw new GraftError(
    'too-few-classes',
    `${quoteName(scan.root)} has one class only, ${listNames(scan.classes)}; at least two are wanted.`,
    'Add a folder with photos of something else, e.g. "other" with what the camera sees when it is not there.',
  );
}

function noTrain(scan: Scan): GraftError {
  return new GraftError(
    'bad-dataset',
    `${quoteName(scan.root)} has no train photos; its split folders are ` +
      `${listNames(scan.splitFolders.map(item => item.folder))}.`,
    'Add a train/ folder with one folder of photos per class.',
  );
}

function describeShort(scan: Scan, duplicates: readonly Excluded[], label: string, found: number, wanted: number) {
  const unreadable = scan.excluded.filter(item => item.class === label).length;
  const paths = new Set(scan.photos.filter(photo => photo.class === label).map(photo => photo.path));
  const copies = duplicates.filter(item => paths.has(item.path)).length;
  const where = scan.kind === 'splits' ? ' for train' : '';
  const notes = [
    ...(unreadable > 0 ? [`${unreadable} unreadable left out`] : []),
    ...(copies > 0 ? [`${copies} duplicates left out`] : []),
  ];
  const aside = notes.length > 0 ? ` (${notes.join(', ')})` : '';
  return `class ${quoteName(label)} has ${found} usable photo${found === 1 ? '' : 's'}${where}${aside}, wanted at least ${wanted}`;
}

function tooFew(short: readonly string[], take: { validation: number; test: number }): GraftError {
  const parts = ['train', ...(take.validation > 0 ? ['validation'] : []), ...(take.test > 0 ? ['test'] : [])];
  const shown = short.slice(0, 8).join('; ');
  const more = short.length > 8 ? `; and ${short.length - 8} more classes` : '';
  return new GraftError(
    'too-few-photos',
    `Too few photos: ${shown}${more} (one each for ${parts.join(', ')}).`,
    'Add photos to the class (20 or more per class give a useful model), or remove the class folder.',
  );
}

function describeSplit(
  scan: Scan,
  photos: readonly ManifestPhoto[],
  seed: number,
  take: { validation: number; test: number },
): string[] {
  const from = scan.kind === 'splits' ? 'train' : 'all photos';
  const sentences: string[] = [];
  for (const split of splits) {
    const own = photos.filter(photo => photo.split === split);
    const present = new Set(own.map(photo => photo.class));
    const count = own.length;
    const folders = scan.splitFolders.filter(item => item.split === split).map(item => `${item.folder}/`);
    const fraction = split === 'train' ? 0 : take[split];
    if (fraction > 0) {
      sentences.push(`${split}: ${count} photos, ${fraction} of each class of ${from}, chosen by seed ${seed}.`);
    } else if (split === 'train' && scan.kind === 'flat') {
      sentences.push(`train: ${count} photos, the rest.`);
    } else if (count > 0) {
      sentences.push(`${split}: ${count} photos, as given in ${folders.join(' and ')}.`);
    }
    const absent = scan.classes.filter(label => !present.has(label));
    if (count > 0 && absent.length > 0) sentences.push(`${split} has no photo of ${listNames(absent)}.`);
  }
  return sentences;
}
