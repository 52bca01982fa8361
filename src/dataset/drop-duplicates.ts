// The same file twice: counted once, kept out of two splits at a time, and left out when its two labels disagree.
import { GraftError } from '../base/errors.ts';
import type { Excluded } from './folder.ts';
import type { ScannedPhoto } from './scan-folder.ts';
import { compareCodePoints, quoteName, type Split } from './splits.ts';

/** Which copy stays when a folder's splits share a file: the exam's, so that what was learned is never examined. */
const precedence: readonly (Split | null)[] = ['test', 'validation', 'train', null];

/**
 * Keeps one photo of each content.
 * - Identical files in two classes: all are left out, because one of the labels is wrong and nobody can say which.
 * - Identical files in one class: the first path stays, since a copy adds nothing to learn but would count twice in
 *   training and in accuracy. Across given splits the test copy stays, then the validation copy: a photo that is also in
 *   train would make the accuracy too good.
 * @returns photos in the order they came, and what was left out with the path of the other copy.
 */
export function dropDuplicates(photos: readonly ScannedPhoto[]): { kept: ScannedPhoto[]; excluded: Excluded[] } {
  const copies = new Map<string, ScannedPhoto[]>();
  for (const photo of photos) {
    const group = copies.get(photo.sha256);
    if (group === undefined) copies.set(photo.sha256, [photo]);
    else group.push(photo);
  }
  const kept = new Set<ScannedPhoto>();
  const excluded: Excluded[] = [];
  for (const group of copies.values()) {
    group.sort(
      (a, b) => precedence.indexOf(a.split) - precedence.indexOf(b.split) || compareCodePoints(a.path, b.path),
    );
    const first = group[0]!;
    if (group.every(photo => photo.class === first.class)) {
      kept.add(first);
      for (const photo of group.slice(1)) {
        const where = photo.split === first.split ? '' : `, which is in ${first.split}`;
        excluded.push({ path: photo.path, reason: `a copy of ${quoteName(first.path)}${where}` });
      }
      continue;
    }
    for (const photo of group) {
      const other = group.find(item => item.class !== photo.class)!;
      const reason = `the same file is in the class ${quoteName(other.class)} too: ${quoteName(other.path)}`;
      excluded.push({ path: photo.path, reason });
    }
  }
  excluded.sort((a, b) => compareCodePoints(a.path, b.path));
  return { kept: photos.filter(photo => kept.has(photo)), excluded };
}

/**
 * Throws when there is nothing to work with.
 * @throws GraftError `empty-dataset` that says why the first file was left out.
 */
export function requirePhotos(root: string, photos: readonly ScannedPhoto[], excluded: readonly Excluded[]): void {
  if (photos.length > 0) return;
  const [first] = excluded;
  const why = first === undefined ? '' : `, e.g. ${quoteName(first.path)}: ${first.reason}`;
  throw new GraftError(
    'empty-dataset',
    `None of the ${excluded.length} files in ${quoteName(root)} is a usable photo${why}.`,
    'Put photos as JPEG, PNG, WebP, GIF, TIFF or AVIF files into the class folders.',
  );
}
