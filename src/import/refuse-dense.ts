// Refuses networks that say something of each position of a photo, as segmenters, detectors and super-resolution do.
import { GraftError } from '../base/errors.ts';
import type { Graph, Node } from '../onnx/graph.ts';
import type { Shape } from '../onnx/shapes.ts';
import { channelsLastValues, makersOf, positionsOf } from './walk-graph.ts';

/**
 * Checks the outputs of a network: scores, tokens and the deepest map are what classifiers and feature extractors give.
 * @throws GraftError `unsupported-op`.
 */
export function refuseDense(
  graph: Graph,
  shapes: ReadonlyMap<string, Shape>,
  { H = 1, W = 1 }: Readonly<Record<string, number>>,
): void {
  const channelsLast = channelsLastValues(graph, shapes);
  const makers = makersOf(graph);
  const area = (value: string) => positionsOf(value, shapes, channelsLast);
  const computed = graph.outputs.filter(({ name }) => makers.has(name));
  const withPositions = computed.filter(({ name }) => hasPositions(shapes.get(name)!, area(name)));
  const refuse = (found: string) => {
    throw new GraftError(
      'unsupported-op',
      `The network ${found}: it seems to be a segmenter, a detector or a network that makes images, and a classifier is wanted.`,
      'Name an image classifier, or export the part of the network that extracts features.',
    );
  };
  const shown = (name: string) => `[${shapes.get(name)!.join(', ')}]`;
  if (withPositions.length > 1) {
    refuse(`gives ${withPositions.length} outputs with positions, ${shown(withPositions[0]!.name)} the first`);
  }
  for (const { name } of withPositions) {
    const rank = shapes.get(name)!.length;
    if (rank === 4) {
      const before = deepest(graph, area);
      const isWhole = area(name) >= H * W;
      if (area(name) > before || isWhole) {
        refuse(`gives ${area(name)} positions, ${shown(name)}, where its deepest layer has ${before}`);
      }
    } else if (!(rank === 3 && isTokens(name, makers, shapes))) {
      refuse(`gives ${shown(name)}, which is neither one score per class nor what a transformer makes of its tokens`);
    }
  }
}

/** Of an image, more than one; of other values, two axes or more beside the batch that are not only there. */
const hasPositions = (shape: Shape, area: number): boolean =>
  shape.length === 4 ? area > 1 : shape.slice(1).filter(size => size > 1).length > 1;

/** The fewest positions, more than one, that a convolution gives. */
function deepest({ nodes }: Graph, area: (value: string) => number): number {
  const areas = nodes.filter(({ op }) => op === 'Conv').map(({ outputs }) => area(outputs[0]!));
  return Math.min(...areas.filter(positions => positions > 1));
}

/** Whether a list is what transformers end with: normalised, or the sum of two computed lists. */
function isTokens(value: string, makers: ReadonlyMap<string, Node>, shapes: ReadonlyMap<string, Shape>): boolean {
  let maker = makers.get(value);
  while (maker?.op === 'Identity') maker = makers.get(maker.inputs[0]!);
  if (maker?.op === 'LayerNormalization') return true;
  return (
    maker?.op === 'Add' &&
    maker.inputs.every(input => makers.has(input) && shapes.get(input)!.join() === shapes.get(value)!.join())
  );
}
