// Which backbones are on this computer already, and work without a network.

import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { GraftError } from '../base/errors.ts';
import { findCached, listCached } from '../hub/cache.ts';
import { DEFAULT_REVISION } from '../hub/repo.ts';
import { hubCacheFolder } from '../hub/settings.ts';
import type { BackboneCard } from './card.ts';
import { cards } from './cards.ts';

/** Files of a repository on the Hub that are enough for a backbone of the zoo. */
export const CONFIG_FILE = 'config.json';
export const WEIGHTS_FILE = 'model.safetensors';

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

/** What `--model` takes without a network: names of the zoo, then `hf:owner/name`. */
export async function listCachedBackbones(cacheFolder: string): Promise<string[]> {
  const files = await Promise.all(cards.map(card => findCachedWeights(card, cacheFolder)));
  const names = cards.filter((_, i) => files[i] !== undefined).map(({ name }) => name);
  const repos = await listCached(await hubCacheFolder(), 'model', DEFAULT_REVISION, [CONFIG_FILE, WEIGHTS_FILE]);
  return [...names, ...repos.map(name => `hf:${name}`)];
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
