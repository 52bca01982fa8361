// The graph of one training step: a batch and the parameters in, the loss, the logits and the gradients out.
import { differentiate } from '../autodiff/differentiate.ts';
import { liftConstants } from '../autodiff/lift-constants.ts';
import { addCrossEntropy, type CrossEntropyOptions } from '../autodiff/losses.ts';
import { blockChannels } from '../engine/block-channels.ts';
import { startEmitter } from '../onnx/emitter.ts';
import type { Graph } from '../onnx/graph.ts';

/** What a training graph is made from. */
export interface TrainingGraphOptions {
  /** Graph to `logits` [N, classes] with one or more inputs; parameters are constants. */
  readonly model: Graph;
  /** Names of the constants that are trained. */
  readonly parameters: readonly string[];
  /** Photos per run. */
  readonly batch: number;
  readonly loss: CrossEntropyOptions;
  /** Channels per block where the engine has blocked kernels. */
  readonly channelBlock: number | undefined;
}

/** Name of the gradient of a parameter among the outputs. */
export const gradientOf = (parameter: string) => `gradient.${parameter}`;

/**
 * The model's inputs, `targets` [N, classes], `shares` [N] and the parameters in; `loss` [], `logits` and one
 * `gradient.<parameter>` each out. Losses and gradients are sums over the photos weighted by their shares, so that those of
 * parts of a batch add up.
 */
export function buildTrainingGraph(options: TrainingGraphOptions): Graph {
  const { model, parameters, batch, loss, channelBlock } = options;
  const lifted = liftConstants(model, parameters);
  const dims = { N: batch };
  const g = channelBlock ? blockChannels(lifted, dims, channelBlock, parameters) : startEmitter(lifted, dims);
  const classes = g.shapeOf('logits')[1]!;
  const targets = g.input({ name: 'targets', dtype: 'float32', shape: [batch, classes] });
  const shares = g.input({ name: 'shares', dtype: 'float32', shape: [batch] });
  const total = addCrossEntropy(g, { logits: 'logits', targets, shares }, loss);
  const slopes = differentiate(g, total, parameters);
  const rename = (value: string, name: string) => {
    g.append({ op: 'Identity', name, inputs: [value], outputs: [name], attributes: {} });
    return { name, dtype: 'float32', shape: g.shapeOf(name) } as const;
  };
  const gradients = parameters.map((parameter, i) => rename(slopes[i]!, gradientOf(parameter)));
  return g.build([rename(total, 'loss'), { name: 'logits', dtype: 'float32', shape: [batch, classes] }, ...gradients]);
}
