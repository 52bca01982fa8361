// Losses as nodes of a graph, so that the engine computes and differentiates them with the network.
import type { Emitter } from '../onnx/emitter.ts';
import { float32 } from '../tensor/tensor.ts';
import { add, mul, scale } from './gradient.ts';

/** What a cross-entropy reads. */
export interface CrossEntropyInputs {
  /** [N, classes] */
  readonly logits: string;
  /** Target probabilities [N, classes]: 1 for the label, or soft (mixup); each row sums to 1. */
  readonly targets: string;
  /** Share of each photo in the loss, [N]: 1 / N for a mean, 0 for a row that only fills the batch up. */
  readonly shares: string;
}

/** How a cross-entropy is computed. */
export interface CrossEntropyOptions {
  /** Part of each target that is spread evenly over all classes; default 0. */
  readonly labelSmoothing?: number;
  /**
   * Weight per class, which scales the whole loss of the photos of that class (docs/architecture.md says why, and how
   * this differs from PyTorch's); default 1.
   */
  readonly classWeights?: ArrayLike<number>;
}

/**
 * Appends loss = sum_n s_n w_n sum_k -((1 - e) t_nk + e / K) log softmax(z_n)_k, with w_n = sum_k t_nk w_k.
 * @returns the name of the loss, a scalar in nats.
 */
export function addCrossEntropy(g: Emitter, inputs: CrossEntropyInputs, options: CrossEntropyOptions = {}): string {
  const { logits, targets, shares } = inputs;
  const { labelSmoothing = 0, classWeights } = options;
  const classes = g.shapeOf(logits)[1]!;
  const smoothed =
    labelSmoothing === 0 ? targets : add(g, scale(g, targets, 1 - labelSmoothing), g.scalar(labelSmoothing / classes));
  const surprise = g.emit('Neg', [g.emit('LogSoftmax', [logits], { axis: 1 })], {});
  const perPhoto = g.reduceSum(mul(g, smoothed, surprise), [1], 0);
  let share = shares;
  if (classWeights) {
    const weights = g.constant(float32([1, classes], classWeights));
    share = mul(g, shares, g.reduceSum(mul(g, targets, weights), [1], 0));
  }
  return g.reduceSum(mul(g, share, perPhoto), [0], 0);
}
