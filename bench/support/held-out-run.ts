// A run whose photos for the last exam were kept from it: trained on a manifest with a test part.
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Manifest, writeManifest } from '../../src/dataset/manifest.ts';
import { scanFolder } from '../../src/dataset/scan-folder.ts';
import { splitPhotos } from '../../src/dataset/split-photos.ts';
import { runFiles } from '../../src/project/run-folder.ts';
import { drain } from './drain.ts';
import { timeGraft } from './time-process.ts';

/** The run and what it was made of. */
export interface HeldOutRun {
  readonly run: string;
  readonly manifest: Manifest;
  readonly data: string;
}

/** How it is trained. */
export interface HeldOutOptions {
  readonly seed: number;
  /** Folder of runs; one that is there is taken as it is. */
  readonly runs: string;
  readonly weights: string;
  readonly words: readonly string[];
  /** A class whose photos are kept out altogether. */
  readonly leaveOut?: string;
}

/** Trains on 70 % of the photos, with 15 % for validation and 15 % that training never sees. */
export async function trainHeldOut(photos: string, options: HeldOutOptions): Promise<HeldOutRun> {
  const { seed, runs, weights, words, leaveOut } = options;
  const data = resolve(photos);
  const scan = await drain(scanFolder(data, { workers: 4 }));
  const kept = {
    ...scan,
    classes: scan.classes.filter(name => name !== leaveOut),
    photos: scan.photos.filter(photo => photo.class !== leaveOut),
  };
  const manifest = splitPhotos(kept, { seed, validationFraction: 0.15, testFraction: 0.15 });
  const name = `seed-${seed}${leaveOut === undefined ? '' : `-without-${leaveOut}`}`;
  const run = resolve(runs, name);
  if (!existsSync(join(run, runFiles.metrics))) {
    await mkdir(resolve(runs), { recursive: true });
    const file = resolve(runs, `${name}.json`);
    await writeManifest(file, manifest);
    const place = ['--project', resolve(runs), '--name', name, '--exist-ok', '--weights', resolve(weights)];
    await timeGraft(['train', data, '--manifest', file, '--seed', String(seed), ...place, ...words, '--json']);
  }
  return { run, manifest, data };
}
