// A backbone with a head of random numbers, as fine-tuning starts from it: what the benchmarks of a single step train.
import { makeRng } from '../../src/base/rng.ts';
import type { Graph } from '../../src/onnx/graph.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import type { BackboneCard } from '../../src/zoo/card.ts';
import { findCard } from '../../src/zoo/cards.ts';
import { buildTrainedGraph, featureWidth, trainedParameters } from '../../src/zoo/graphs.ts';
import { loadWeights } from '../../src/zoo/load-weights.ts';
import { drain } from './drain.ts';

/** Classes of the head. */
export const CLASSES = 2;

/** The loss that is trained with. */
export const LOSS = { labelSmoothing: 0.1 } as const;

/** A backbone that is ready to be trained from its first stage on. */
export interface OpenBackbone {
  readonly card: BackboneCard;
  /** Graph to `logits` in which the parameters are constants. */
  readonly model: Graph;
  /** Names of the constants that are trained: all of them. */
  readonly parameters: readonly string[];
}

/** Reads `weights`, a file, into the backbone called `name`. */
export async function openBackbone(name: string, weights: string): Promise<OpenBackbone> {
  const card = findCard(name);
  const { parameters } = await drain(loadWeights(card, '', weights));
  const width = featureWidth(card);
  const rng = makeRng(0, 'head');
  const head = {
    weight: float32(
      [CLASSES, width],
      Array.from({ length: CLASSES * width }, () => 0.01 * rng.normal()),
    ),
    bias: float32([CLASSES], new Array(CLASSES).fill(0)),
    mean: float32([width], new Array(width).fill(0)),
    inverse: float32([width], new Array(width).fill(1)),
  };
  return {
    card,
    model: buildTrainedGraph(card, parameters, head, 0, false),
    parameters: trainedParameters(card, parameters, 0),
  };
}
