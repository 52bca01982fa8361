// Adds stages of a backbone to a graph, with every BatchNormalization folded: ahead of time where a stage is frozen, by nodes
// of the graph where it is trained.
import type { GraphBuilder } from '../onnx/builder.ts';
import type { Node } from '../onnx/graph.ts';
import { float32, type Tensor } from '../tensor/tensor.ts';
import type { Backbone } from './backbone.ts';
import {
  addConstantNorm,
  addTrainedConv,
  addTrainedNorm,
  foldNorm,
  madeName,
  type Norm,
  readNorm,
  scaleInputChannels,
} from './conv-norm.ts';
import { countReaders, stageNodes, valueShapes } from './stages.ts';

/** Which stages are added, and which of them are trained. */
export interface StageSpan {
  /** First stage that is added. */
  readonly from: number;
  /** Stage before which adding ends. */
  readonly to: number;
  /** First stage whose parameters are constants of their own, by their source's names, so that they can be trained. */
  readonly trainFrom: number;
}

/** What the added stages read. */
export interface StageInput {
  /** What the stage before the first added one gives; for stage 0 an image [N, 3, h, w]. */
  readonly value: string;
  /** For stage 0: the network reads `scale[c] * value`. The factors go into the first convolution where that is exact. */
  readonly scale?: readonly number[];
}

/**
 * Appends stages of the backbone to `graph`. Values keep their names; a convolution with the BatchNormalization behind it
 * gives the latter's value.
 * @param span default: all stages, all frozen.
 * @returns the value of each added stage.
 */
export function addStages(
  graph: GraphBuilder,
  backbone: Backbone,
  input: StageInput,
  span: StageSpan = { from: 0, to: backbone.stages.length, trainFrom: backbone.stages.length },
): string[] {
  const { constants } = backbone.graph;
  const nodes = stageNodes(backbone);
  const shapes = valueShapes(backbone);
  const entry = span.from === 0 ? backbone.graph.inputs[0]!.name : backbone.stages[span.from - 1]!.value;
  const floats = (name: string) => constants.get(name) as Tensor<'float32'>;
  const added = new Set<string>();
  const useConstant = (name: string): string => {
    if (!added.has(name)) graph.constant(name, constants.get(name)!);
    added.add(name);
    return name;
  };
  const { image, scale } = scaleImage(graph, input, nodes.slice(span.from, span.to).flat(), entry, backbone);
  const use = (name: string): string => {
    if (name === entry) return image;
    return constants.has(name) ? useConstant(name) : name;
  };
  const addConv = (conv: Node<'Conv'>, value: string, norm: Norm | undefined, isTrained: boolean) => {
    const from = use(conv.inputs[0]!);
    const [, weightName, biasName] = conv.inputs as [string, string, string?];
    const scaleInput = conv.inputs[0] === entry ? scale : undefined;
    if (isTrained) {
      addTrainedConv(graph, { conv, value, input: from, norm, scaleInput }, useConstant);
      return;
    }
    const own = { weight: floats(weightName), bias: biasName ? floats(biasName) : undefined };
    const { weight, bias } = norm ? foldNorm(own, norm) : own;
    const scaled = scaleInput ? scaleInputChannels(weight, scaleInput) : weight;
    const parts = [graph.constant(madeName(value, 'weight'), scaled)];
    if (bias) parts.push(graph.constant(madeName(value, 'bias'), bias));
    graph.node('Conv', value, [from, ...parts], conv.attributes);
  };

  const readers = countReaders(backbone);
  for (let stage = span.from; stage < span.to; stage++) {
    const isTrained = stage >= span.trainFrom;
    const makers = new Map(nodes[stage]!.map(node => [node.outputs[0]!, node]));
    const convBefore = (norm: Node) => {
      const maker = makers.get(norm.inputs[0]!);
      return maker && isParametric(maker, constants) && readers.get(norm.inputs[0]!) === 1 ? maker : undefined;
    };
    const normed = new Set(
      nodes[stage]!.map(node => (node.op === 'BatchNormalization' ? convBefore(node) : undefined)),
    );
    for (const node of nodes[stage]!) {
      const value = node.outputs[0]!;
      if (node.op === 'BatchNormalization') {
        const norm = readNorm(node, floats);
        const conv = convBefore(node);
        const wide = wideShape(shapes.get(value)!.length, norm.gamma.data.length);
        if (conv) addConv(conv, value, norm, isTrained);
        else if (isTrained) addTrainedNorm(graph, value, use(node.inputs[0]!), norm, wide, useConstant);
        else addConstantNorm(graph, value, use(node.inputs[0]!), norm, wide);
      } else if (isParametric(node, constants)) {
        if (!normed.has(node)) addConv(node, value, undefined, isTrained);
      } else {
        const from = node.inputs.map(name => (name === '' ? name : use(name)));
        graph.node(node.op, value, from, node.attributes as never, node.outputs.slice(1));
      }
    }
  }
  return backbone.stages.slice(span.from, span.to).map(stage => stage.value);
}

/** A convolution whose weights and biases are constants. */
function isParametric(node: Node, constants: Backbone['graph']['constants']): node is Node<'Conv'> {
  return node.op === 'Conv' && node.inputs.slice(1).every(name => name === '' || constants.has(name));
}

/** Channels are the second axis of what is normalised, whatever its rank. */
const wideShape = (rank: number, channels: number): number[] => [channels, ...new Array<number>(rank - 2).fill(1)];

/** The image, and the factors that convolutions have to take over; where they cannot, the image is multiplied. */
function scaleImage(
  graph: GraphBuilder,
  { value, scale }: StageInput,
  nodes: readonly Node[],
  entry: string,
  { graph: { constants } }: Backbone,
): { readonly image: string; readonly scale: readonly number[] | undefined } {
  if (!scale) return { image: value, scale };
  const takesFactors = (node: Node) => isParametric(node, constants) && node.attributes.group === 1;
  if (nodes.every(node => !node.inputs.includes(entry) || takesFactors(node))) return { image: value, scale };
  const factors = graph.constant('image.scale', float32([1, scale.length, 1, 1], scale));
  return { image: graph.node('Mul', 'image.scaled', [value, factors], {}), scale: undefined };
}
