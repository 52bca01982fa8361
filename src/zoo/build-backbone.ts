// A card and its weights as a backbone.
import type { Backbone, WeightsOrigin } from './backbone.ts';
import type { BackboneCard } from './card.ts';
import { canonicalName } from './families/layers.ts';
import { buildNetwork } from './families/network.ts';
import { type Parameters, takeParameter } from './parameters.ts';
import { choosePooled } from './pool-stages.ts';
import { recogniseVariant, renameParameters } from './rename-parameters.ts';

/** Weights, and where they are from. */
export interface BackboneWeights {
  /** Named as timm or as torchvision does, with or without a classifier. */
  readonly parameters: Parameters;
  readonly origin: WeightsOrigin;
}

/**
 * Builds the backbone of a card, for pictures of `card.preprocess.size`. Weights named as the card's own were trained with what
 * those were (`card.variants[0]`), others with what is usual for their names.
 * @throws GraftError `bad-weights` when the weights are of another network.
 */
export function buildBackbone(card: BackboneCard, { parameters, origin }: BackboneWeights): Backbone {
  const { name, title, architecture, preprocess } = card;
  const { epsilon, padding } = recogniseVariant(card, parameters);
  const renamed = renameParameters(card, parameters);
  const { graph, stages } = buildNetwork(name, architecture, preprocess.size, {
    epsilon,
    padding,
    parameter: (names, shape) => takeParameter(renamed, canonicalName(names), shape),
  });
  const pooled = choosePooled(stages);
  return {
    name,
    title,
    preprocess,
    graph,
    stages: stages.map(({ value }, i) => ({ value, pooled: pooled[i]! })),
    weights: origin,
  };
}
