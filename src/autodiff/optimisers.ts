// Optimisers as graphs: a step of a flat vector of parameters, so that the engine computes it.
import { type Emitter, emptyGraph, startEmitter } from '../onnx/emitter.ts';
import type { Graph } from '../onnx/graph.ts';
import { add, mul, sub } from './gradient.ts';

/** Name of an optimiser. */
export type OptimiserName = 'adamw' | 'adam' | 'sgd';

/** Which vectors of the size of the parameters an optimiser keeps between steps. */
export const optimiserMoments: Readonly<Record<OptimiserName, readonly string[]>> = {
  adamw: ['first', 'second'],
  adam: ['first', 'second'],
  sgd: ['first'],
};

/** Names of all optimisers. */
export const optimiserNames = Object.keys(optimiserMoments) as readonly OptimiserName[];

/** Constants of the optimisers, as their papers and PyTorch have them. */
export const optimiserConstants = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, momentum: 0.9 } as const;

interface Step {
  readonly parameter: string;
  readonly slope: string;
  readonly rate: string;
  readonly decay: string;
  readonly moment: (name: string) => string;
  readonly scalar: (name: string) => string;
}

/** The new parameter and the new moments. */
type Rule = (g: Emitter, step: Step) => { readonly parameter: string; readonly moments: readonly string[] };

/** m' = b m + (1 - b) x */
const blend = (g: Emitter, old: string, value: string, keep: number) =>
  add(g, mul(g, old, g.scalar(keep)), mul(g, value, g.scalar(1 - keep)));

/** m' = b1 m + (1 - b1) d, v' = b2 v + (1 - b2) d^2, change = rate (m' c1) / (sqrt(v' c2) + epsilon), c_i = 1 / (1 - b_i^t). */
function adamChange(g: Emitter, slope: string, { rate, moment, scalar }: Step) {
  const { beta1, beta2, epsilon } = optimiserConstants;
  const first = blend(g, moment('first'), slope, beta1);
  const second = blend(g, moment('second'), mul(g, slope, slope), beta2);
  const size = add(g, g.emit('Sqrt', [mul(g, second, scalar('correction2'))], {}), g.scalar(epsilon));
  const change = g.emit('Div', [mul(g, mul(g, first, rate), scalar('correction1')), size], {});
  return { change, moments: [first, second] };
}

const rules: Readonly<Record<OptimiserName, Rule>> = {
  // Loshchilov and Hutter, arXiv:1711.05101: p' = p (1 - rate decay) - change
  adamw(g, step) {
    const { change, moments } = adamChange(g, step.slope, step);
    const kept = sub(g, step.parameter, mul(g, step.parameter, mul(g, step.rate, step.decay)));
    return { parameter: sub(g, kept, change), moments };
  },
  // Kingma and Ba, arXiv:1412.6980; the decay is added to the slope: d = slope + decay p, p' = p - change
  adam(g, step) {
    const decayed = add(g, step.slope, mul(g, step.parameter, step.decay));
    const { change, moments } = adamChange(g, decayed, step);
    return { parameter: sub(g, step.parameter, change), moments };
  },
  // As PyTorch's SGD: d = slope + decay p, m' = b m + d, p' = p - rate m'
  sgd(g, step) {
    const decayed = add(g, step.slope, mul(g, step.parameter, step.decay));
    const first = add(g, mul(g, step.moment('first'), g.scalar(optimiserConstants.momentum)), decayed);
    return { parameter: sub(g, step.parameter, mul(g, step.rate, first)), moments: [first] };
  },
};

/**
 * Graph of one step for `length` parameters.
 *
 * Inputs, all float32 [length] unless said otherwise: `parameter`, `gradient`, the optimiser's moments (`optimiserMoments`),
 * `average` (moving average of the parameters), `rates` (multiplies the learning rate, per parameter), `decays` (weight
 * decay, per parameter); scalars `rate`, `clip` (multiplies the gradient), `follow` (how far the average moves to the
 * parameters, 0..1) and, but for SGD, `correction1`, `correction2` (1 / (1 - beta^t)).
 * Outputs: `parameter.next`, `<moment>.next` and `average.next`.
 */
export function buildOptimiserGraph(name: OptimiserName, length: number): Graph {
  const g = startEmitter(emptyGraph(name), {}, 'o');
  const vector = (input: string) => g.input({ name: input, dtype: 'float32', shape: [length] });
  const scalar = (input: string) => g.input({ name: input, dtype: 'float32', shape: [] });
  const parameter = vector('parameter');
  const slope = mul(g, vector('gradient'), scalar('clip'));
  const rate = mul(g, vector('rates'), scalar('rate'));
  const step: Step = { parameter, slope, rate, decay: vector('decays'), moment: vector, scalar };
  const next = rules[name](g, step);
  const average = vector('average');
  const follow = mul(g, sub(g, next.parameter, average), scalar('follow'));
  const out = (value: string, output: string) => {
    g.append({ op: 'Identity', name: output, inputs: [value], outputs: [output], attributes: {} });
    return { name: output, dtype: 'float32', shape: [length] } as const;
  };
  return g.build([
    out(next.parameter, 'parameter.next'),
    ...optimiserMoments[name].map((moment, i) => out(next.moments[i]!, `${moment}.next`)),
    out(add(g, average, follow), 'average.next'),
  ]);
}

/** Graph from `gradient` [length] to `square` [1], the sum of its squares: the square of its part of the global norm. */
export function buildNormGraph(length: number): Graph {
  const g = startEmitter(emptyGraph('norm'), {}, 'n');
  const gradient = g.input({ name: 'gradient', dtype: 'float32', shape: [length] });
  const square = g.reduceSum(mul(g, gradient, gradient), [0], 1);
  return g.build([{ name: square, dtype: 'float32', shape: [1] }]);
}
