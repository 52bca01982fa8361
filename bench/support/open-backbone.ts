// A backbone with a head of random numbers, as fine-tuning starts from it: what the benchmarks of a single step train.
import { makeRng } from '../../src/base/rng.ts';
import type { Graph } from '../../src/onnx/graph.ts';
import { float32, type Tensor } from '../../src/tensor/tensor.ts';
import type { Backbone } from '../../src/zoo/backbone.ts';
import { buildBackbone } from '../../src/zoo/build-backbone.ts';
import { findCard } from '../../src/zoo/cards.ts';
import { buildTrainedGraph, featureWidth, trainedParameters } from '../../src/zoo/graphs.ts';
import { loadWeights } from '../../src/zoo/load-weights.ts';
import { randomBackbone } from '../../test/support/random-weights.ts';
import { drain } from './drain.ts';

/** Classes of the head. */
export const CLASSES = 2;

/** The loss that is trained with. */
export const LOSS = { labelSmoothing: 0.1 } as const;

/** A backbone that is ready to be trained from its first stage on. */
export interface OpenBackbone {
  readonly backbone: Backbone;
  /** Graph to `logits` in which the parameters are constants. */
  readonly model: Graph;
  /** Names of the constants that are trained: all of them. */
  readonly parameters: readonly string[];
}

/** Reads `weights`, a file, into the backbone called `name`. */
export async function openBackbone(name: string, weights: string): Promise<OpenBackbone> {
  const card = findCard(name);
  const { parameters, ...origin } = await drain(loadWeights(card, '', { file: weights }));
  return addHead(buildBackbone(card, { parameters, origin }));
}

/** The backbone called `name` with random weights, which train as fast as others do: nothing is downloaded. */
export const openRandomBackbone = async (name: string): Promise<OpenBackbone> =>
  addHead(await randomBackbone(findCard(name), 0));

/** The weights [CLASSES, width] of the head. */
export function headWeights(width: number): Tensor<'float32'> {
  const rng = makeRng(0, 'head');
  return float32(
    [CLASSES, width],
    Array.from({ length: CLASSES * width }, () => 0.01 * rng.normal()),
  );
}

function addHead(backbone: Backbone): OpenBackbone {
  const width = featureWidth(backbone);
  const head = {
    weight: headWeights(width),
    bias: float32([CLASSES], new Array(CLASSES).fill(0)),
    mean: float32([width], new Array(width).fill(0)),
    inverse: float32([width], new Array(width).fill(1)),
  };
  return {
    backbone,
    model: buildTrainedGraph(backbone, head, 0, false),
    parameters: trainedParameters(backbone, 0),
  };
}
