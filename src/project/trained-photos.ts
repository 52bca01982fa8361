// Which photos a model has learned from, where its run folder is known.
import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { loadManifest, type Manifest } from '../dataset/manifest.ts';
import type { Split } from '../dataset/splits.ts';
import type { Classifier } from './open-classifier.ts';
import { runFiles } from './run-folder.ts';
import { hashDataset } from './train-dataset.ts';

/**
 * The manifest of the run that a model is from: of the run folder, or of the folder that a .tflite file lies in where that is
 * the manifest that the file was trained with. undefined where there is none.
 */
export async function manifestOf({ name, provenance }: Classifier): Promise<Manifest | undefined> {
  if (!provenance) return undefined;
  const isFolder = (await stat(name)).isDirectory();
  const file = join(isFolder ? name : dirname(name), runFiles.manifest);
  const manifest = await loadManifest(file).catch(() => undefined);
  return manifest && hashDataset(manifest) === provenance.dataset ? manifest : undefined;
}

/** sha256 of the photos of a part of a run: empty where there is none. */
export const hashesOf = (manifest: Manifest | undefined, split: Split): ReadonlySet<string> =>
  new Set(manifest?.photos.filter(photo => photo.split === split).map(({ sha256 }) => sha256));

/** How many photos have one of the hashes. */
export const countIn = (hashes: ReadonlySet<string>, photos: readonly { readonly sha256?: string }[]): number =>
  photos.filter(({ sha256 }) => hashes.has(sha256 ?? '')).length;
