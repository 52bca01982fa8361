// Which backbones are on this computer already, and work without a network.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { GraftError } from '../base/errors.ts';
import { findCached, listRepos } from '../hub/cache.ts';
import { DEFAULT_REVISION, type HubRepo } from '../hub/repo.ts';
import { hubCacheFolder } from '../hub/settings.ts';
import type { BackboneCard } from './card.ts';
import { cards, findTimmCard } from './cards.ts';
import { readTimmConfig } from './hub-config.ts';

/** Files of a repository on the Hub that are enough for a backbone of the zoo. */
export const CONFIG_FILE = 'config.json';
export const WEIGHTS_FILE = 'model.safetensors';
/** Places of a network in ONNX, as exporters have them. */
export const ONNX_FILES = ['onnx/model.onnx', 'model.onnx'] as const;
/** Largest config that is read. */
export const MAX_CONFIG_BYTES = 2 ** 20;

/** Most names that a message lists. */
const MAX_LISTED = 12;

/** Where the weights of a card from the npm registry are kept. */
export function npmWeightsFolder({ name, weights: { sha256 } }: BackboneCard, cacheFolder: string): string {
  return join(cacheFolder, 'weights', `${name}-${sha256?.slice(0, 12)}`);
}

/** The weights file of a card, if it is on this computer. */
export async function findCachedWeights(card: BackboneCard, cacheFolder: string): Promise<string | undefined> {
  const { from } = card.weights;
  if (from.kind === 'hub') {
    const revision = from.revision ?? DEFAULT_REVISION;
    return (await findCached(await hubCacheFolder(), { type: 'model', name: from.repo }, revision, from.file))?.file;
  }
  const file = join(npmWeightsFolder(card, cacheFolder), from.file);
  return stat(file).then(
    () => file,
    () => undefined,
  );
}

/** Whether what is cached of a repository is a backbone: a network in ONNX, or weights of an architecture of the zoo. */
export async function isCachedBackbone(hubCache: string, repo: HubRepo, revision: string): Promise<boolean> {
  const find = (path: string) => findCached(hubCache, repo, revision, path);
  for (const path of ONNX_FILES) if (await find(path)) return true;
  const config = await find(CONFIG_FILE);
  if (!config || !(await find(WEIGHTS_FILE))) return false;
  try {
    if ((await stat(config.file)).size > MAX_CONFIG_BYTES) return false;
    const { architecture } = readTimmConfig(await readFile(config.file, 'utf8'), CONFIG_FILE);
    return architecture !== undefined && findTimmCard(architecture) !== undefined;
  } catch {
    return false;
  }
}

/** Up to a dozen of what `--model` takes without a network: names of the zoo, then `hf:owner/name`. */
async function listCachedBackbones(cacheFolder: string): Promise<string[]> {
  const files = await Promise.all(cards.map(card => findCachedWeights(card, cacheFolder)));
  const names = cards.filter((_, i) => files[i] !== undefined).map(({ name }) => name);
  const hubCache = await hubCacheFolder();
  for (const repo of await listRepos(hubCache, 'model')) {
    if (names.length >= MAX_LISTED) break;
    if (await isCachedBackbone(hubCache, repo, DEFAULT_REVISION)) names.push(`hf:${repo.name}`);
  }
  return names.slice(0, MAX_LISTED);
}

/** An `offline` error with a word about what works without a network; other errors as they are. */
export async function addCached(error: unknown, cacheFolder: string): Promise<unknown> {
  if (!(error instanceof GraftError) || error.code !== 'offline') return error;
  const names = await listCachedBackbones(cacheFolder);
  const list =
    names.length > 1 ? `Cached, and usable offline: ${names.join(', ')}.` : `${names[0]} is cached and works offline.`;
  const hint = names.length > 0 ? `${error.hint ?? ''} ${list}`.trim() : error.hint;
  return new GraftError('offline', error.message, hint, error.cause);
}
