// The photos of a training run: scanned and split, or taken from an earlier run's manifest.
import { createHash } from 'node:crypto';
import { resolve } from 'node:path';
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { loadManifest, type Manifest, type ManifestPhoto } from '../dataset/manifest.ts';
import { mapBounded } from '../dataset/map-bounded.ts';
import { describeExcluded, scanFolder } from '../dataset/scan-folder.ts';
import { splitPhotos } from '../dataset/split-photos.ts';
import { readPhoto } from '../image/read-photo.ts';
import { readers } from './defaults.ts';
import type { TrainSettings } from './train-options.ts';
import { openVerdicts } from './verdict-cache.ts';

/** Scans and splits, or takes an earlier run's manifest; says what was left out. */
export async function* readDataset(settings: TrainSettings, cache: string): Steps<Manifest> {
  if (settings.manifest !== undefined) {
    const manifest = await loadManifest(settings.manifest);
    requireTrainable(manifest, settings.manifest);
    yield { type: 'note', message: `${manifest.photos.length} photos and their split from ${settings.manifest}.` };
    return manifest;
  }
  const verdicts = await openVerdicts(cache);
  const scan = yield* scanFolder(settings.data, { workers: readers(settings.workers), verdicts });
  await verdicts.save();
  if (settings.validationFraction !== undefined && scan.photos.some(photo => photo.split === 'validation')) {
    throw new GraftError(
      'usage',
      `val is set, but ${settings.data} comes with its own validation photos.`,
      'Leave --val out to use them, or move all photos into one folder per class.',
    );
  }
  const { seed } = settings.head;
  const manifest = splitPhotos(scan, { seed, validationFraction: settings.validationFraction });
  const told = new Set(scan.excluded.map(({ path }) => path));
  const doubles = manifest.excluded.filter(({ path }) => !told.has(path));
  if (doubles.length > 0) yield { type: 'warning', message: describeExcluded(doubles) };
  for (const message of manifest.how) yield { type: 'note', message };
  return manifest;
}

/** A manifest of somebody's making may lack what splitPhotos sees to: train photos of every class, and validation photos. */
function requireTrainable(manifest: Manifest, file: string): void {
  const lacks = (what: string) =>
    new GraftError(
      'too-few-photos',
      `${file} has no ${what}.`,
      'Use the manifest.json of a run, or leave --manifest out.',
    );
  for (const name of manifest.classes) {
    if (manifest.photos.some(photo => photo.split === 'train' && photo.class === name)) continue;
    throw lacks(`train photo of the class "${name}"`);
  }
  if (countValidation(manifest) === 0) throw lacks('validation photo');
}

/**
 * The manifest without photos that could not be decoded after all, with a warning that names them.
 * @param failed files that could not be read, with the reason.
 * @throws GraftError `too-few-photos` when a class has none left in a split.
 */
export async function* dropUnreadable(
  manifest: Manifest,
  data: string,
  failed: readonly { readonly file: string; readonly reason: string }[],
): Steps<Manifest> {
  if (failed.length === 0) return manifest;
  const fileOf = (photo: ManifestPhoto) => resolve(data, photo.path);
  const reasons = new Map(failed.map(({ file, reason }) => [file, reason]));
  const kept = manifest.photos.filter(photo => !reasons.has(fileOf(photo)));
  const lost = manifest.photos.filter(photo => reasons.has(fileOf(photo)));
  const left = lost.map(photo => ({ path: photo.path, reason: reasons.get(fileOf(photo))! }));
  yield { type: 'warning', message: describeExcluded(left) };
  for (const split of ['train', 'validation'] as const) {
    for (const name of manifest.classes) {
      const isLike = (photo: ManifestPhoto) => photo.split === split && photo.class === name;
      if (kept.some(isLike) || !lost.some(isLike)) continue;
      throw new GraftError(
        'too-few-photos',
        `No readable ${split} photo of the class "${name}" is left.`,
        'Photos have gone or changed since they were scanned; run it again.',
      );
    }
  }
  return { ...manifest, photos: kept, excluded: [...manifest.excluded, ...left] };
}

/** Where photos are, and how many threads look at them. */
type Place = Pick<TrainSettings, 'data' | 'workers'>;

/**
 * Makes sure that photos of a run are those that it was started with: caches, checkpoints and proofs are made of them.
 * @param hint what to do otherwise.
 * @throws GraftError `bad-photo` that names photos that have changed or gone.
 */
export async function* requireUnchanged(
  photos: readonly ManifestPhoto[],
  place: Place,
  hint = 'Put them back as they were (graft export: or name their new place by --data), or train anew without --resume.',
): Steps<void> {
  const lost = yield* findChanged(photos, place);
  if (lost.length === 0) return;
  const more = lost.length > 3 ? `; and ${lost.length - 3} more` : '';
  throw new GraftError(
    'bad-photo',
    `Photos in ${place.data} are not what they were when the run was started: ${lost.slice(0, 3).join('; ')}${more}.`,
    hint,
  );
}

/** Which of the photos are not what they were: a sentence without an end for each. */
export async function* findChanged(photos: readonly ManifestPhoto[], { data, workers }: Place): Steps<string[]> {
  const look = async ({ path, sha256 }: ManifestPhoto): Promise<string | undefined> => {
    try {
      const bytes = await readPhoto(resolve(data, path));
      if (createHash('sha256').update(bytes).digest('hex') === sha256) return undefined;
      return `${JSON.stringify(path)} has changed`;
    } catch (error) {
      if (!(error instanceof GraftError)) throw error;
      return error.code === 'not-found' ? `${JSON.stringify(path)} has gone` : error.message;
    }
  };
  const found = yield* mapBounded(photos, readers(workers), look, { stage: 'photos', unit: 'photos' });
  return found.filter(reason => reason !== undefined);
}

/** How many photos are for validation. */
export function countValidation(manifest: Manifest): number {
  return manifest.photos.filter(photo => photo.split === 'validation').length;
}

/** Photos per split and class. */
export function countPhotos(manifest: Manifest): Record<string, Record<string, number>> {
  const counts: Record<string, Record<string, number>> = {};
  for (const photo of manifest.photos) {
    counts[photo.split] ??= Object.fromEntries(manifest.classes.map(name => [name, 0]));
    counts[photo.split]![photo.class]!++;
  }
  return counts;
}

/** sha256 over every photo's content, class and split: what the model was made from, wherever the folder lies. */
export function hashDataset(manifest: Manifest): string {
  const lines = manifest.photos.map(photo => JSON.stringify([photo.sha256, photo.class, photo.split])).sort();
  return createHash('sha256').update(lines.join('\n')).digest('hex');
}
