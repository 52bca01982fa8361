// Photos with known labels for examining a finished model: any labelled folder, held against the model's class names.

import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { dropDuplicates, requirePhotos } from './drop-duplicates.ts';
import type { Excluded } from './folder.ts';
import { type Layout, readLayout } from './layout.ts';
import { type ScannedPhoto, type ScanOptions, scanLayout } from './scan-folder.ts';
import { compareCodePoints, listNames, quoteName, type Split } from './splits.ts';

/** What `labelledFolder` found. */
export interface LabelledPhotos {
  /** Absolute path of the folder. */
  readonly root: string;
  /** Each content once; every photo's class is one of the model's. */
  readonly photos: readonly ScannedPhoto[];
  /** What the photos are: the folder's test, else its validation, else everything there is. */
  readonly used: Extract<Split, 'test' | 'validation'> | 'everything';
  /** Classes of the model without a photo here, in the model's order. */
  readonly missing: readonly string[];
  readonly excluded: readonly Excluded[];
}

/**
 * Reads a labelled folder, flat or with splits, to examine a model with the class names `classes`. Notes say which split
 * was taken and which classes are missing. Names are checked before any photo is read, over all splits.
 * @throws GraftError `label-mismatch` naming the folder's classes that the model does not know; `empty-dataset` without
 * a usable photo; and what `readLayout` throws.
 */
export async function* labelledFolder(
  root: string,
  classes: readonly string[],
  options: Omit<ScanOptions, 'onlySplits'> = {},
): Steps<LabelledPhotos> {
  return yield* labelledLayout(await readLayout(root), classes, options);
}

/** `labelledFolder` for a folder whose layout has been read. */
export async function* labelledLayout(
  layout: Layout,
  classes: readonly string[],
  options: Omit<ScanOptions, 'onlySplits'> = {},
): Steps<LabelledPhotos> {
  const unknown = layout.classes.filter(name => !classes.includes(name));
  if (unknown.length > 0) {
    throw new GraftError(
      'label-mismatch',
      `The model does not know ${listNames(unknown)}; its classes are ${listNames(classes, 12)}.`,
      `Rename or remove these folders in ${quoteName(layout.root)}, or train a model with them.`,
    );
  }
  const has = (split: Split) => layout.classFolders.some(folder => folder.split === split);
  const used = has('test') ? 'test' : has('validation') ? 'validation' : 'everything';
  if (layout.kind === 'splits') {
    const message = used === 'everything' ? 'train photos: the only ones there are' : `${used} photos`;
    yield { type: used === 'everything' ? 'warning' : 'note', message: `Taking the ${message}.` };
  }
  const onlySplits = used === 'everything' ? undefined : [used as Split];
  const scan = yield* scanLayout(layout, { ...options, onlySplits });
  requirePhotos(scan.root, scan.photos, scan.excluded);
  const { kept, excluded } = dropDuplicates(scan.photos);
  const left = [...scan.excluded.map(({ path, reason }) => ({ path, reason })), ...excluded];
  left.sort((a, b) => compareCodePoints(a.path, b.path));
  requirePhotos(scan.root, kept, left);
  const present = new Set(kept.map(photo => photo.class));
  const missing = classes.filter(name => !present.has(name));
  if (missing.length > 0) {
    yield { type: 'warning', message: `No photos of ${listNames(missing)}: nothing is said about these classes.` };
  }
  return { root: scan.root, photos: kept, used, missing, excluded: left };
}
