// graft models: the backbones of the zoo, what they cost, how good they are, and which of them are on this computer.
import { stat } from 'node:fs/promises';
import { GraftError } from '../base/errors.ts';
import type { Steps, VerbEvent } from '../base/events.ts';
import { findCachedWeights } from '../zoo/cached.ts';
import type { BackboneCard } from '../zoo/card.ts';
import { cards, findCard } from '../zoo/cards.ts';
import { HUB_PREFIX, parseHubName, resolveHubModel, suggestHub } from '../zoo/hub.ts';
import { loadWeights } from '../zoo/load-weights.ts';
import { cacheFolder } from './cache-folder.ts';

/** Options of `models`. */
export interface ModelsOptions {
  /** Only what works without a network. Default: false. */
  readonly offline?: boolean;
  /** Backbones whose weights are fetched first: names of the zoo, or `hf:owner/name`. Default: none. */
  readonly fetch?: readonly string[];
}

/** A backbone of the zoo. */
export interface ListedModel {
  /** For `model` of `train`. */
  readonly name: string;
  readonly title: string;
  readonly paper: string;
  /** Side of the input in pixels. */
  readonly size: number;
  /** Of the weights file; 4 for each parameter where it is not on this computer and nobody says. */
  readonly weights_bytes: number;
  /** With the published classifier of 1,000 classes; so are the multiply-adds of one photo. */
  readonly parameters: number;
  readonly multiply_adds: number;
  /** Photos of ImageNet's validation set in the right class, in percent, by whose word and at which size of the input. */
  readonly imagenet_top1: { readonly percent: number; readonly weights: string; readonly size: number };
  /** SPDX identifier. */
  readonly licence: string;
  /** What the weights were trained on, and by whom. */
  readonly origin: string;
  /** Where they are fetched from. */
  readonly source: { readonly kind: 'npm' | 'hub'; readonly name: string; readonly file: string };
  /** The weights file on this computer; null where it would have to be fetched. */
  readonly cached: string | null;
}

/** Result of `models`. */
export interface ModelsResult {
  readonly models: readonly ListedModel[];
}

/**
 * Lists the zoo. Nothing is fetched but what `fetch` names.
 * @throws GraftError `usage` for a name that there is not, before anything is fetched; `offline`, `no-access`, `not-found`,
 * `bad-weights`, `bad-model` and `unsupported-op` for what cannot be had or used.
 */
export async function* models(options: ModelsOptions = {}): AsyncGenerator<VerbEvent<ModelsResult>> {
  if (options.fetch) yield* fetchModels(options.fetch, options.offline);
  const all = await Promise.all(cards.map(describeCard));
  yield { type: 'result', result: { models: options.offline ? all.filter(({ cached }) => cached !== null) : all } };
}

async function* fetchModels(names: readonly string[], offline = false): Steps<void> {
  if (offline) {
    throw new GraftError(
      'usage',
      'fetch is set, and so is offline, which fetches nothing.',
      'Leave one of the two out.',
    );
  }
  const works = [...new Set(names)].map(name => [name, openFetch(name)] as const);
  for (const [name, work] of works) {
    yield* work();
    yield { type: 'note', message: `${name} is cached.` };
  }
}

/** What fetches a backbone, after a look at its name. */
function openFetch(name: string): () => Steps<unknown> {
  if (!name.startsWith(HUB_PREFIX)) {
    const meant = suggestHub(name);
    if (meant !== undefined) {
      throw new GraftError('usage', `There is no backbone called "${name}".`, `On the Hub there may be ${meant}.`);
    }
    const card = findCard(name);
    return () => loadWeights(card, cacheFolder());
  }
  parseHubName(name);
  return () => resolveHubModel(name, cacheFolder());
}

async function describeCard(card: BackboneCard): Promise<ListedModel> {
  const { name, title, paper, preprocess, figures, weights } = card;
  const { from } = weights;
  const cached = (await findCachedWeights(card, cacheFolder())) ?? null;
  const bytes = cached === null ? weights.bytes : (await stat(cached)).size;
  return {
    name,
    title,
    paper,
    size: preprocess.size,
    weights_bytes: bytes ?? 4 * figures.parameters,
    parameters: figures.parameters,
    multiply_adds: figures.multiplyAdds,
    imagenet_top1: figures.top1,
    licence: weights.licence,
    origin: weights.origin,
    source: { kind: from.kind, name: from.kind === 'npm' ? from.package : from.repo, file: from.file },
    cached,
  };
}
