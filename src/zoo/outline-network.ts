// What a card says of its network before there are weights: the graph with its shapes, and every parameter's names and shape.
import type { Tensor } from '../tensor/tensor.ts';
import type { BackboneCard } from './card.ts';
import { canonicalName, type Name } from './families/layers.ts';
import { buildNetwork, type Network } from './families/network.ts';

/** A parameter of a backbone. */
export interface ParameterInfo {
  /** As graft calls it. */
  readonly name: string;
  readonly names: Name;
  readonly shape: readonly number[];
}

/** A backbone without weights: its parameters are listed, and constants of the graph have shapes and no numbers. */
export interface Outline extends Network {
  readonly parameters: readonly ParameterInfo[];
}

/** The network of a card, for the card's size and its default weights. */
export function outlineNetwork({ name, architecture, preprocess, variants }: BackboneCard): Outline {
  const parameters: ParameterInfo[] = [];
  const parameter = (names: Name, shape: readonly number[]): Tensor<'float32'> => {
    parameters.push({ name: canonicalName(names), names, shape });
    return { dtype: 'float32', shape, data: new Float32Array(0) };
  };
  const network = buildNetwork(name, architecture, preprocess.size, { ...variants[0], parameter });
  return { ...network, parameters };
}
