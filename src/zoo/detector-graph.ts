// The graph of a classifier that answers as object detectors do: boxes, classes, scores and their number.
// The head is linear on means over positions, so that its logits are means too: of a map that says where the evidence is.
import { GraftError } from '../base/errors.ts';
import { type GraphBuilder, graphBuilder } from '../onnx/builder.ts';
import type { Graph, ValueInfo } from '../onnx/graph.ts';
import type { Shape } from '../onnx/shapes.ts';
import { float32, int64 } from '../tensor/tensor.ts';
import { addStages } from './add-stages.ts';
import type { Backbone } from './backbone.ts';
import { addImage, centreHead, featureWidth, type ImageInput, type LinearHead } from './graphs.ts';
import { stageShapes } from './stages.ts';

/** Rows of every output but `count`: the best class and the second, since programs squeeze away a list of one. */
const DETECTION_ROWS = 2;

/** Outputs in the order that programs for detectors read, with the names that metadata of detectors gives them. */
export const detectorOutputs = [
  { name: 'boxes', shape: [1, DETECTION_ROWS, 4], metadataName: 'location' },
  { name: 'classes', shape: [1, DETECTION_ROWS], metadataName: 'category' },
  { name: 'scores', shape: [1, DETECTION_ROWS], metadataName: 'score' },
  { name: 'count', shape: [1], metadataName: 'number of detections' },
] as const satisfies readonly (Pick<ValueInfo, 'name' | 'shape'> & { readonly metadataName: string })[];

/** Name of the map of evidence [1, classes, grid, grid], whose mean over the grid is the logits. */
export const EVIDENCE = 'evidence';

/** Weight of every cell of the grid beside its evidence: where nothing stands out, the box is the whole frame. */
const FLOOR = 1e-6;

/**
 * Graph from `image` [1, size, size, 3] to `boxes` [1, 2, 4] (top, left, bottom, right in 0..1), `classes` [1, 2] (indexes
 * as float32), `scores` [1, 2] (probabilities, the larger first) and `count` [1], which is 1: only the best class counts.
 * A box is the uniform rectangle with the mean and the variance of the evidence for its class above its average.
 * @throws GraftError `usage` where a pooled stage does not divide into the last one's grid.
 */
export function buildDetectorGraph(
  backbone: Backbone,
  head: LinearHead,
  input: ImageInput,
  metadata: Readonly<Record<string, string>> = {},
): Graph {
  const graph = graphBuilder(`${backbone.name}.detector`);
  const sides = gridSides(backbone);
  const grid = sides.at(-1)!;
  const evidence = addEvidence(graph, backbone, head, input, sides);

  const logits = graph.node('ReduceMean', 'logits', [evidence], { axes: [2, 3], keepdims: 0 });
  const probabilities = graph.node('Softmax', 'probabilities', [logits], { axis: 1 });
  const rows = graph.constant('rows', int64([1], [DETECTION_ROWS]));
  graph.node('TopK', 'best.logits', [logits, rows], { axis: 1, largest: 1, sorted: 1 }, ['best']);
  const best = graph.node('Reshape', 'best.list', ['best', rows], {});

  // The order of the nodes gives the outputs ascending indexes in the .tflite file, by which some programs sort them.
  addBoxes(graph, graph.node('Gather', 'best.evidence', [evidence, best], { axis: 1 }), grid);
  graph.node('Cast', 'classes', ['best'], { to: 'float32' });
  const scores = graph.node('Gather', 'scores', [probabilities, best], { axis: 1 });
  // Runtimes may not return what is constant, so that the 1 is computed.
  const axes = graph.constant('scores.axes', int64([1], [1]));
  const sum = graph.node('ReduceSum', 'scores.sum', [scores, axes], { keepdims: 0 });
  const nothing = graph.node('Mul', 'nothing', [sum, graph.scalar('zero', 0)], {});
  graph.node('Add', 'count', [nothing, graph.scalar('one', 1)], {});
  return graph.build(
    detectorOutputs.map(({ name, shape }) => ({ name, dtype: 'float32', shape })),
    metadata,
  );
}

/** Side of each stage's square of positions. */
function gridSides(backbone: Backbone): number[] {
  const shapes = stageShapes(backbone);
  const grid = shapes.at(-1)![1]!;
  const divides = (shape: Shape) => shape.length === 3 && shape[1] === shape[2] && shape[1]! % grid === 0;
  const odd = shapes.findIndex((shape, i) => backbone.stages[i]!.pooled && !divides(shape));
  if (odd < 0) return shapes.map(shape => shape[1]!);
  throw new GraftError(
    'usage',
    `${backbone.title} cannot say where it sees a class: stage ${odd} gives [${shapes[odd]!.join(', ')}], which does not divide into the last stage's [${shapes.at(-1)!.join(', ')}].`,
    'Export a classifier (--signature classifier), or train another backbone or input size.',
  );
}

/** All pooled stages on the grid of the last one, side by side, and the head on each cell. */
function addEvidence(
  graph: GraphBuilder,
  backbone: Backbone,
  head: LinearHead,
  input: ImageInput,
  sides: readonly number[],
): string {
  const values = addStages(graph, backbone, addImage(graph, backbone.preprocess, input, 1));
  const cells = values.flatMap((value, i) => {
    const side = sides[i]! / sides.at(-1)!;
    const pool = {
      kernel_shape: [side, side],
      strides: [side, side],
      pads: [0, 0, 0, 0],
      count_include_pad: 0,
    } as const;
    if (!backbone.stages[i]!.pooled) return [];
    return side === 1 ? [value] : [graph.node('AveragePool', `cells.${i}`, [value], pool)];
  });
  const joined = graph.node('Concat', 'cells', cells, { axis: 1 });
  const [classes, width] = [head.bias.shape[0]!, featureWidth(backbone)];
  const centred = centreHead(head);
  const weight = graph.constant('head.weight', float32([classes, width, 1, 1], centred.weight.data));
  const bias = graph.constant('head.bias', centred.bias);
  return graph.node('Conv', EVIDENCE, [joined, weight, bias], convolution(1, 1));
}

/**
 * `boxes` [1, rows, 4] from maps [1, rows, grid, grid]. With p the evidence above its average, normalised to sum 1:
 * centre c = sum p y, variance v = sum p y^2 - c^2, edges c -+ sqrt(3 v), where y^2 is the mean of y^2 over a cell. This is
 * exact for a uniform rectangle of whole cells. v is at least that within a cell, so that no box is empty.
 */
function addBoxes(graph: GraphBuilder, maps: string, grid: number): string {
  const mean = graph.node('ReduceMean', 'maps.mean', [maps], { axes: [2, 3], keepdims: 1 });
  const above = graph.node('Relu', 'maps.above', [graph.node('Sub', 'maps.centred', [maps, mean], {})], {});
  const weights = graph.node('Add', 'maps.weights', [above, graph.scalar('floor', FLOOR)], {});
  // Sums over the map are one depthwise convolution as large as it. Each row has four: for top, left, bottom and right.
  const sumOver = (name: string, term: (at: number) => number) => {
    const kernel = graph.constant(
      `${name}.kernel`,
      float32([4 * DETECTION_ROWS, 1, grid, grid], edgeKernels(grid, term)),
    );
    return graph.node('Conv', name, [weights, kernel], convolution(grid, DETECTION_ROWS));
  };
  const mass = sumOver('mass', () => 1);
  const first = sumOver('moment.first', at => at);
  const second = sumOver('moment.second', at => at * at + 1 / (12 * grid * grid));
  const centres = graph.node('Div', 'box.centre', [first, mass], {});
  const squares = graph.node('Mul', 'box.centre.squared', [centres, centres], {});
  const variance = graph.node(
    'Sub',
    'box.variance',
    [graph.node('Div', 'box.square', [second, mass], {}), squares],
    {},
  );
  const reach = Math.sqrt(3);
  const signs = Array.from({ length: 4 * DETECTION_ROWS }, (_, i) => (i % 4 < 2 ? -reach : reach));
  const toEdge = graph.constant('box.signs', float32([1, signs.length, 1, 1], signs));
  const half = graph.node('Mul', 'box.half', [graph.node('Sqrt', 'box.deviation', [variance], {}), toEdge], {});
  const edges = graph.node('Add', 'box.edges', [centres, half], {});
  const limits = [graph.scalar('box.lowest', 0), graph.scalar('box.highest', 1)];
  const inside = graph.node('Clip', 'box.inside', [edges, ...limits], {});
  return graph.node(
    'Reshape',
    'boxes',
    [inside, graph.constant('boxes.shape', int64([3], [1, DETECTION_ROWS, 4]))],
    {},
  );
}

/** Of each cell, `term` of the middle's y (even edges: top, bottom) or x (odd edges: left, right), in parts of the frame. */
function edgeKernels(grid: number, term: (at: number) => number): Float32Array {
  const area = grid * grid;
  return Float32Array.from({ length: 4 * DETECTION_ROWS * area }, (_, i) => {
    const cell = i % area;
    const isVertical = Math.floor(i / area) % 2 === 0;
    return term(((isVertical ? Math.floor(cell / grid) : cell % grid) + 0.5) / grid);
  });
}

function convolution(kernel: number, group: number) {
  return { kernel_shape: [kernel, kernel], strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group } as const;
}
