// The parameters of a file by the names that graft uses, whether timm or torchvision named them; a file of another network is
// refused.
import { GraftError } from '../base/errors.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { BackboneCard, WeightVariant } from './card.ts';
import type { Naming } from './families/layers.ts';
import { outlineNetwork } from './outline-network.ts';
import { type Parameters, takeParameter } from './parameters.ts';

/** What weights with these parameters were trained with, as far as their names tell. */
export function recogniseVariant(card: BackboneCard, parameters: Parameters): WeightVariant {
  const infos = outlineNetwork(card).parameters;
  const count = (naming: Naming) => infos.filter(({ names }) => parameters.has(names[naming] ?? '')).length;
  const counted = card.variants.map(variant => ({ variant, count: count(variant.naming) }));
  const best = counted.reduce((a, b) => (b.count > a.count ? b : a));
  if (best.count > 0) return best.variant;
  const found = [...parameters.keys()].slice(0, 3).join(', ') || 'none';
  const wanted = [...new Set(card.variants.map(({ naming }) => infos[0]!.names[naming] ?? infos[0]!.names.timm))];
  throw new GraftError(
    'bad-weights',
    `The weights have no parameter of ${card.title}: their names start with ${found}; wanted is ${wanted.join(' or ')}.`,
    `Use weights of ${card.title} with the names of timm or torchvision.`,
  );
}

/** Behind the pooling; and a counter that PyTorch keeps beside each BatchNormalization. */
const ignored = /^(classifier|fc|conv_head|norm_head)\.|\.num_batches_tracked$/;

/**
 * The parameters of the backbone, by the names that graft uses.
 * @param parameters of a file, with or without the classifier.
 * @throws GraftError `bad-weights` when one is missing or has another shape, or when there are others.
 */
export function renameParameters(card: BackboneCard, parameters: Parameters): Parameters {
  const { naming } = recogniseVariant(card, parameters);
  const renamed = new Map<string, Tensor<'float32'>>();
  const used = new Set<string>();
  for (const { name, names, shape } of outlineNetwork(card).parameters) {
    const own = names[naming] ?? names.timm;
    renamed.set(name, takeParameter(parameters, own, shape));
    used.add(own);
  }
  const others = [...parameters.keys()].filter(name => !used.has(name) && !ignored.test(name));
  if (others.length > 0) {
    const listed = others.slice(0, 3).join(', ');
    throw new GraftError(
      'bad-weights',
      `The weights were made for another network: ${card.title} has no parameter ${listed}${others.length > 3 ? ` and ${others.length - 3} more` : ''}.`,
      `Use weights of ${card.title}, or name the backbone that they are for with --model.`,
    );
  }
  return renamed;
}
