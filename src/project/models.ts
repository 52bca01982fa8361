// graft models: the backbones of the zoo, what they cost, how good they are, and which of them are on this computer.
import { stat } from 'node:fs/promises';
import type { VerbEvent } from '../base/events.ts';
import { findCachedWeights } from '../zoo/cached.ts';
import type { BackboneCard } from '../zoo/card.ts';
import { cards } from '../zoo/cards.ts';
import { cacheFolder } from './cache-folder.ts';

/** Options of `models`. */
export interface ModelsOptions {
  /** Only what works without a network. Default: false. */
  readonly offline?: boolean;
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

/** Lists the zoo. Nothing is fetched. */
export async function* models(options: ModelsOptions = {}): AsyncGenerator<VerbEvent<ModelsResult>> {
  const all = await Promise.all(cards.map(describeCard));
  yield { type: 'result', result: { models: options.offline ? all.filter(({ cached }) => cached !== null) : all } };
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
