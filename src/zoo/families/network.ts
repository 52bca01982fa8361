// Builds the network of a card as a graph, whichever family it is of.
import { graphBuilder } from '../../onnx/builder.ts';
import type { Graph } from '../../onnx/graph.ts';
import { addInvertedResiduals, type InvertedResidualNetwork } from './inverted-residual.ts';
import { type Feature, type LayerSettings, type Layers, startLayers } from './layers.ts';
import { addResNet, type ResNet } from './resnet.ts';
import { addUniversalBottlenecks, type UniversalBottleneckNetwork } from './universal-bottleneck.ts';

/** The rows of a network. */
export type Architecture = InvertedResidualNetwork | UniversalBottleneckNetwork | ResNet;

type Family = Architecture['family'];

const families: {
  readonly [F in Family]: (layers: Layers, network: Extract<Architecture, { family: F }>, image: Feature) => Feature[];
} = {
  inverted_residual: addInvertedResiduals,
  universal_bottleneck: addUniversalBottlenecks,
  resnet: addResNet,
};

/** A network as a graph, and what each of its stages gives. */
export interface Network {
  /** From `image` ['N', 3, 'H', 'W'], normalised, to the value of the last stage. */
  readonly graph: Graph;
  readonly stages: readonly Feature[];
}

/**
 * Builds a network.
 * @param size width and height of the picture, in pixels. With symmetric padding the graph is right for any other, too.
 */
export function buildNetwork(name: string, architecture: Architecture, size: number, settings: LayerSettings): Network {
  const graph = graphBuilder(name);
  const image = graph.input({ name: 'image', dtype: 'float32', shape: ['N', 3, 'H', 'W'] });
  const add = families[architecture.family] as (layers: Layers, network: Architecture, image: Feature) => Feature[];
  const stages = add(startLayers(graph, settings), architecture, { value: image, channels: 3, side: size });
  const { value, channels } = stages.at(-1)!;
  return { graph: graph.build([{ name: value, dtype: 'float32', shape: ['N', channels, 'h', 'w'] }]), stages };
}
