// Reads every photo of a folder once: its class and split from the path, its hash and its health from the bytes.
// What cannot be used is listed with a reason and left alone; no file is ever changed or deleted.
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { MAX_PHOTO_BYTES, sniffImage, tooManyBytes } from '../image/sniff.ts';
import { type Verdict, verifyPhoto } from '../image/verify.ts';
import { type Excluded, isNamedLikeImage, joinInner } from './folder.ts';
import { type Layout, readLayout } from './layout.ts';
import { mapBounded } from './map-bounded.ts';
import { compareCodePoints, listNames, type Split } from './splits.ts';

/** Remembers what `verifyPhoto` said about a file with this sha256. Forget all when VERDICT_VERSION changes. */
export interface VerdictCache {
  get(sha256: string): Verdict | undefined;
  set(sha256: string, verdict: Verdict): void;
}

/** A readable photo. */
export interface ScannedPhoto {
  /** Relative to the data set's folder, with '/' between its parts. */
  readonly path: string;
  /** sha256 of the file, 64 lower-case hexadecimal digits. */
  readonly sha256: string;
  readonly bytes: number;
  /** Size in pixels with EXIF orientation applied; 0 where nobody looked (`verify`). */
  readonly width: number;
  readonly height: number;
  readonly class: string;
  /** null in a flat layout. */
  readonly split: Split | null;
}

/** A file in a class folder that cannot be used; `class` is null for what lies outside of class folders. */
export interface ScanExcluded extends Excluded {
  readonly class: string | null;
}

/** What `scanFolder` found. */
export interface Scan extends Pick<Layout, 'root' | 'kind' | 'splitFolders' | 'classes'> {
  /** In code-point order of their paths. */
  readonly photos: readonly ScannedPhoto[];
  readonly excluded: readonly ScanExcluded[];
  /** Bystanders that neither look like an image nor claim to be one: README, metadata.csv, hidden files. */
  readonly ignored: readonly string[];
}

/** Options of `scanFolder`. */
export interface ScanOptions {
  /** Reads only these splits of a folder that comes with splits; a flat folder is read whole. Default: all. */
  readonly onlySplits?: readonly Split[] | undefined;
  /** Photos read at the same time; each is in memory while it is read. Default: `defaultWorkers()`. */
  readonly workers?: number | undefined;
  /**
   * Decodes every photo to find damaged ones. Default: true. Without it photos are recognised and hashed alone: for who decodes
   * them next, and finds out then.
   */
  readonly verify?: boolean | undefined;
  /** Verdicts by sha256: with it, a second scan only reads and hashes. Default: none. */
  readonly verdicts?: VerdictCache | undefined;
}

/** The default of `workers`: two per core, so that reading, hashing and decoding overlap; at most 8, for memory's sake. */
export function defaultWorkers(): number {
  return Math.min(8, 2 * availableParallelism());
}

type Outcome = { photo: ScannedPhoto } | { excluded: ScanExcluded } | { ignored: string };

/**
 * Scans a folder of photos in Hugging Face's ImageFolder layout (see `readLayout`). Files are recognised by content: a
 * JPEG called .png is fine, a text called .jpg is left out with a reason.
 * @throws what `readLayout` throws, and `bad-dataset` when none of `onlySplits` is there.
 */
export async function* scanFolder(root: string, options: ScanOptions = {}): Steps<Scan> {
  return yield* scanLayout(await readLayout(root), options);
}

/** `scanFolder` for a folder whose layout has been read. */
export async function* scanLayout(layout: Layout, options: ScanOptions = {}): Steps<Scan> {
  const { onlySplits, workers = defaultWorkers(), verify = true, verdicts } = options;
  for (const message of layout.notes) yield { type: 'note', message };
  for (const message of layout.warnings) yield { type: 'warning', message };
  const wanted = (split: Split | null) => split === null || onlySplits === undefined || onlySplits.includes(split);
  const folders = layout.classFolders.filter(folder => wanted(folder.split));
  if (folders.length === 0) {
    throw new GraftError(
      'bad-dataset',
      `${JSON.stringify(layout.root)} has no photos in ${onlySplits?.join(' or ')}; its split folders are ` +
        `${listNames(layout.splitFolders.map(item => item.folder))}.`,
      'Choose a split that the folder has, or add the missing one.',
    );
  }
  const files = folders.flatMap(({ path, class: label, split, files: names }) =>
    names.map(name => ({ path: joinInner(path, name), class: label, split })),
  );
  const progress = { stage: 'scan', unit: 'photos' };
  const outcomes = yield* mapBounded(files, workers, file => scanFile(layout.root, file, verify, verdicts), progress);
  const scan = {
    photos: outcomes.flatMap(outcome => ('photo' in outcome ? [outcome.photo] : [])),
    excluded: outcomes.flatMap(outcome => ('excluded' in outcome ? [outcome.excluded] : [])),
    ignored: outcomes.flatMap(outcome => ('ignored' in outcome ? [outcome.ignored] : [])),
  };
  for (const item of layout.excluded) scan.excluded.push({ ...item, class: null });
  scan.ignored.push(...layout.ignored);
  scan.photos.sort((a, b) => compareCodePoints(a.path, b.path));
  scan.excluded.sort((a, b) => compareCodePoints(a.path, b.path));
  scan.ignored.sort(compareCodePoints);
  if (scan.excluded.length > 0) yield { type: 'warning', message: describeExcluded(scan.excluded) };
  const { root, kind, splitFolders, classes } = layout;
  return { root, kind, splitFolders, classes, ...scan };
}

/** One line on what was left out: how many, and the first three with their reasons. */
export function describeExcluded(excluded: readonly Excluded[]): string {
  const shown = excluded.slice(0, 3).map(({ path, reason }) => `${JSON.stringify(path)}: ${reason}`);
  const more = excluded.length > shown.length ? `; and ${excluded.length - shown.length} more` : '';
  return `Left out ${excluded.length}: ${shown.join('; ')}${more}.`;
}

/** Reads one file whole, hashes it and looks its verdict up or makes it. Never throws for what is in the file. */
async function scanFile(
  root: string,
  file: { path: string; class: string; split: Split | null },
  verify: boolean,
  verdicts: VerdictCache | undefined,
): Promise<Outcome> {
  const exclude = (reason: string): Outcome => ({ excluded: { path: file.path, reason, class: file.class } });
  let bytes: Uint8Array;
  try {
    const handle = await open(join(root, file.path), 'r');
    try {
      const { size } = await handle.stat();
      if (size > MAX_PHOTO_BYTES) {
        return isNamedLikeImage(file.path) ? exclude(tooManyBytes(size)) : { ignored: file.path };
      }
      bytes = await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    return exclude(
      code === 'ENOENT' ? 'cannot be opened: it is gone, or its name is not valid text' : `cannot be read (${code})`,
    );
  }
  const sniffed = sniffImage(bytes);
  if (sniffed === null && !isNamedLikeImage(file.path)) return { ignored: file.path };
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  let verdict = verdicts?.get(sha256);
  if (verdict === undefined && !verify && sniffed?.readable) {
    return { photo: { ...file, sha256, bytes: bytes.length, width: 0, height: 0 } };
  }
  if (verdict === undefined) {
    verdict = await verifyPhoto(bytes);
    verdicts?.set(sha256, verdict);
  }
  if (!verdict.ok) return exclude(verdict.reason);
  const { width, height } = verdict;
  return {
    photo: { path: file.path, sha256, bytes: bytes.length, width, height, class: file.class, split: file.split },
  };
}
