// The graphs of training: a batch and the parameters in, the loss, the logits and the gradients out; as one graph, or in
// the parts in which threads run it.
import { differentiate } from '../autodiff/differentiate.ts';
import { liftConstants } from '../autodiff/lift-constants.ts';
import { addCrossEntropy, type CrossEntropyOptions } from '../autodiff/losses.ts';
import { buildPullback, nameGradients, type SplitGraph, splitParameters } from '../autodiff/split-parameters.ts';
import { blockChannels } from '../engine/block-channels.ts';
import { broadcastPerChannel } from '../engine/broadcast-per-channel.ts';
import { type Emitter, startEmitter } from '../onnx/emitter.ts';
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

/**
 * The model's inputs, `targets` [N, classes], `shares` [N] and the parameters in; `loss` [], `logits` and one
 * `gradient.<parameter>` each out. Losses and gradients are sums over the photos weighted by their shares, so that those of
 * parts of a batch add up.
 */
export function buildTrainingGraph(options: TrainingGraphOptions): Graph {
  return addLossAndGradients(startEmitter(forward(options)), options.parameters, options);
}

/** The graphs that train in parts. */
export interface TrainingGraphs extends Pick<SplitGraph, 'prologue' | 'prepared'> {
  /** The model's inputs, `targets`, `shares` and the prepared values to `loss`, `logits` and a `gradient.<prepared>` each. */
  readonly step: Graph;
  /** The model's inputs and the prepared values to `logits`. */
  readonly evaluation: Graph;
  /** The parameters and a `gradient.<prepared>` each to a `gradient.<parameter>` each. */
  readonly pullback: Graph;
}

/**
 * What `buildTrainingGraph` computes, in parts. Folding BatchNorm and laying filters out, forwards and backwards, is 40 % of
 * all nodes, and the same for every part of a batch: `prologue` does it once per step, and `pullback` once for the sum.
 */
export function buildTrainingGraphs(options: TrainingGraphOptions): TrainingGraphs {
  const split = splitParameters(forward(options), options.parameters);
  const names = split.prepared.map(({ name }) => name);
  return {
    prologue: split.prologue,
    prepared: split.prepared,
    step: broadcastPerChannel(addLossAndGradients(startEmitter(split.body), names, options)),
    evaluation: broadcastPerChannel(split.body),
    pullback: buildPullback(split, options.parameters),
  };
}

/** The model for batches of one size, its parameters as inputs, in blocks where that is possible. */
function forward({ model, parameters, batch, channelBlock }: TrainingGraphOptions): Graph {
  const lifted = liftConstants(model, parameters);
  const dims = { N: batch };
  const g = channelBlock ? blockChannels(lifted, dims, channelBlock, parameters) : startEmitter(lifted, dims);
  return g.build([{ name: 'logits', dtype: 'float32', shape: g.shapeOf('logits') }]);
}

function addLossAndGradients(g: Emitter, wanted: readonly string[], { batch, loss }: TrainingGraphOptions): Graph {
  const classes = g.shapeOf('logits')[1]!;
  const targets = g.input({ name: 'targets', dtype: 'float32', shape: [batch, classes] });
  const shares = g.input({ name: 'shares', dtype: 'float32', shape: [batch] });
  const total = addCrossEntropy(g, { logits: 'logits', targets, shares }, loss);
  const gradients = nameGradients(g, differentiate(g, total, wanted), wanted);
  g.append({ op: 'Identity', name: 'loss', inputs: [total], outputs: ['loss'], attributes: {} });
  const logits = { name: 'logits', dtype: 'float32', shape: [batch, classes] } as const;
  return g.build([{ name: 'loss', dtype: 'float32', shape: [] }, logits, ...gradients]);
}
