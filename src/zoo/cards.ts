// The zoo: every backbone that graft knows by name.
import { distance } from 'fastest-levenshtein';
import { GraftError } from '../base/errors.ts';
import type { BackboneCard } from './card.ts';
import { efficientNets } from './cards/efficientnet.ts';
import { mobileNetV2 } from './cards/mobilenet-v2.ts';
import { mobileNetV3 } from './cards/mobilenet-v3.ts';
import { mobileNetV4 } from './cards/mobilenet-v4.ts';
import { resNets } from './cards/resnet.ts';

/** Name of the backbone that is used unless another is asked for. */
export const DEFAULT_BACKBONE = 'mobilenet_v3_small';

/** All of them, families together. */
export const cards: readonly BackboneCard[] = [
  ...mobileNetV3,
  ...mobileNetV2,
  ...mobileNetV4,
  ...efficientNets,
  ...resNets,
];

/**
 * The card called `name`; as `name@commit`, with the weights of a commit of its repository on the Hub.
 * @throws GraftError `usage` that lists the near names.
 */
export function findCard(name: string): BackboneCard {
  const [plain, ...commit] = name.split('@') as [string, ...string[]];
  const card = cards.find(candidate => candidate.name === plain);
  if (card && commit.length === 0) return card;
  const from = card?.weights.from;
  if (card && from?.kind === 'hub' && commit.length === 1 && /^[0-9a-f]{40}$/.test(commit[0]!)) {
    return { ...card, weights: { ...card.weights, from: { ...from, revision: commit[0]! } } };
  }
  throw new GraftError('usage', `There is no backbone called "${name}".`, `${suggest(name)}graft models lists all.`);
}

/**
 * The card for an architecture of timm, as it is with weights of that architecture; undefined where there is none.
 * @param architecture timm's name for it, without the recipe, e.g. `tf_mobilenetv3_large_100`.
 */
export function findTimmCard(architecture: string): BackboneCard | undefined {
  for (const card of cards) {
    const variant = card.variants.find(one => one.naming === 'timm' && one.architecture === architecture);
    if (!variant) continue;
    const { mean, std } = variant;
    const others = card.variants.filter(one => one !== variant);
    return { ...card, variants: [variant, ...others], preprocess: { ...card.preprocess, mean, std } };
  }
  return undefined;
}

/** A sentence with the nearest names that take fewer edits than half of their letters; nothing where there are none. */
function suggest(name: string): string {
  const wanted = name.toLowerCase().slice(0, 100);
  const near = cards
    .map(card => ({ name: card.name, edits: distance(wanted, card.name) }))
    .filter(({ name: known, edits }) => edits <= Math.max(wanted.length, known.length) / 2)
    .sort((a, b) => a.edits - b.edits)
    .slice(0, 3);
  return near.length > 0 ? `Near names: ${near.map(card => card.name).join(', ')}. ` : '';
}
