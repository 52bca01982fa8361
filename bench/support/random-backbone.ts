// A backbone of the zoo with random weights, which train as fast as trained ones do: a benchmark of speed downloads nothing.
import { makeRng } from '../../src/base/rng.ts';
import { float32, sizeOf, type Tensor } from '../../src/tensor/tensor.ts';
import type { Backbone } from '../../src/zoo/backbone.ts';
import { buildBackbone } from '../../src/zoo/build-backbone.ts';
import { findCard } from '../../src/zoo/cards.ts';
import { outlineNetwork } from '../../src/zoo/outline-network.ts';

/**
 * The backbone of the card called `name`. Filters are drawn as He et al. do (arXiv:1502.01852), BatchNormalization changes
 * nothing, and biases are 0. Equal names give equal weights.
 */
export function randomBackbone(name: string): Backbone {
  const card = findCard(name);
  const rng = makeRng(0, 'backbone', name);
  const draw = (parameter: string, shape: readonly number[]): Tensor<'float32'> => {
    const data = new Float32Array(sizeOf(shape));
    if (shape.length > 1) {
      const deviation = Math.sqrt(2 / sizeOf(shape.slice(1)));
      for (let i = 0; i < data.length; i++) data[i] = deviation * rng.normal();
    } else if (/\.(weight|running_var)$/.test(parameter)) data.fill(1);
    return float32(shape, data);
  };
  const parameters = new Map(outlineNetwork(card).parameters.map(({ name: own, shape }) => [own, draw(own, shape)]));
  return buildBackbone(card, { parameters, origin: { file: 'random', sha256: '' } });
}
