// The photos of a finished run: which they are, and where they lie.
import { join, resolve } from 'node:path';
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { loadManifest, type Manifest } from '../dataset/manifest.ts';
import type { Split } from '../dataset/splits.ts';
import type { KnownPhoto } from './evaluate-model.ts';
import { runFiles } from './run-folder.ts';
import { requireUnchanged } from './train-dataset.ts';
import { readArgs } from './trained-run.ts';

/** Photos of a part of a run. */
export interface RunPhotos {
  readonly manifest: Manifest;
  /** Folder of the photos. */
  readonly data: string;
  readonly photos: readonly KnownPhoto[];
}

/**
 * The photos of one part of a run, which are those that the run was made with.
 * @throws GraftError `bad-run` without a manifest, `bad-photo` for photos that have changed or gone.
 */
export async function* openRunPhotos(folder: string, split: Split, workers: number): Steps<RunPhotos> {
  const manifest = await loadManifest(join(folder, runFiles.manifest));
  const place = resolve((await readArgs(folder)).photos);
  const part = manifest.photos.filter(photo => photo.split === split);
  if (part.length === 0) {
    throw new GraftError('too-few-photos', `${folder} has no ${split} photos.`, 'Name a labelled folder with --data.');
  }
  const hint = 'Put them back as they were, or name a labelled folder with --data.';
  yield* requireUnchanged(part, { data: place, workers }, hint);
  const photos = part.map(({ path, class: name, sha256 }) => ({
    path,
    file: resolve(place, path),
    label: manifest.classes.indexOf(name),
    sha256,
  }));
  return { manifest, data: place, photos };
}
