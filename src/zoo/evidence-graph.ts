// The graph that tells where in a picture the logits come from. The head is linear on means over positions, so that a logit is the
// mean of a map: the head on every position of every stage. No gradients are needed; on the last stage it is the class activation
// map of Zhou et al. (2016), and Grad-CAM (Selvaraju et al. 2017) gives the same up to a factor.
import { type GraphBuilder, graphBuilder } from '../onnx/builder.ts';
import type { Graph, ValueInfo } from '../onnx/graph.ts';
import type { Shape } from '../onnx/shapes.ts';
import { float32, int64, type Tensor } from '../tensor/tensor.ts';
import { addStages } from './add-stages.ts';
import type { Backbone } from './backbone.ts';
import { addImage, addPooling, centreHead, featureWidth, type LinearHead } from './graphs.ts';
import { channelsOf, stageShapes } from './stages.ts';

const MAX_SIDE = 14;

/** A map that the graph gives beside `probabilities` and `logits`: [N, classes, side, side]. */
export interface EvidenceMap {
  readonly output: string;
  readonly side: number;
}

/** The graph and the maps among its outputs. */
export interface EvidenceGraph {
  readonly graph: Graph;
  readonly maps: readonly EvidenceMap[];
}

/**
 * Graph from `image` (uint8 pixels) to `probabilities` and `logits` [N, classes], the latter less their mean over the classes,
 * and maps whose means over positions add up to these logits, but for what has no place: the biases, class tokens, stages
 * without positions. Where no stage has any, there are no maps.
 * @param maxSide most cells on a side of a map: finer stages are averaged down to it. Default: 14; more tell no better where spots are.
 */
export function buildEvidenceGraph(backbone: Backbone, head: LinearHead, maxSide = MAX_SIDE): EvidenceGraph {
  const graph = graphBuilder(`${backbone.name}.evidence`);
  const classes = head.bias.shape[0]!;
  const shapes = stageShapes(backbone);
  const values = addStages(graph, backbone, addImage(graph, backbone.preprocess, 'uint8'));
  const features = graph.node('Concat', 'features', addPooling(graph, backbone, values, 0), { axis: 1 });
  const centred = centreHead(head);
  const gemm = { alpha: 1, beta: 1, transA: 0, transB: 1 } as const;
  const constants = [graph.constant('head.weight', centred.weight), graph.constant('head.bias', centred.bias)];
  const logits = graph.node('Gemm', 'logits', [features, ...constants], gemm);
  graph.node('Softmax', 'probabilities', [logits], { axis: 1 });

  const bySide = new Map<number, string[]>();
  let first = 0;
  backbone.stages.forEach(({ pooled }, stage) => {
    if (!pooled) return;
    const channels = channelsOf(shapes[stage]!);
    const weight = columns(centred.weight.data, classes, featureWidth(backbone), first, channels);
    first += channels;
    const map = addMap(graph, values[stage]!, shapes[stage]!, weight, classes, stage, maxSide);
    if (map) bySide.set(map.side, [...(bySide.get(map.side) ?? []), map.value]);
  });
  const maps = [...bySide].map(([side, parts]): EvidenceMap => {
    const output = `evidence.${side}`;
    const [start, ...others] = parts as [string, ...string[]];
    const sum = others.reduce((value, other, i) => graph.node('Add', `${output}.${i}`, [value, other], {}), start);
    graph.node('Identity', output, [sum], {});
    return { output, side };
  });
  const perClass = ['N', classes] as const;
  const outputs: ValueInfo[] = [
    ...['probabilities', 'logits'].map(name => ({ name, dtype: 'float32', shape: perClass }) as const),
    ...maps.map(({ output, side }) => ({ name: output, dtype: 'float32', shape: [...perClass, side, side] }) as const),
  ];
  return { graph: graph.build(outputs), maps };
}

/** The head on the positions of a stage; undefined where they have no place in a picture. */
function addMap(
  graph: GraphBuilder,
  value: string,
  shape: Shape,
  weight: Float32Array,
  classes: number,
  stage: number,
  maxSide: number,
): { readonly value: string; readonly side: number } | undefined {
  const square = shape.length === 2 ? addSquare(graph, value, shape, stage) : { value, shape, part: 1 };
  if (square?.shape.length !== 3) return undefined;
  const cells = addCells(graph, square.value, square.shape, stage, maxSide);
  const kernel = float32(
    [classes, channelsOf(shape), 1, 1],
    weight.map(w => w * square.part),
  );
  const conv = { kernel_shape: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 } as const;
  const inputs = [cells.value, graph.constant(`map.${stage}.weight`, kernel)];
  return { value: graph.node('Conv', `map.${stage}`, inputs, conv), side: cells.side };
}

/** Positions [channels, height, width] on a square of at most maxSide x maxSide cells, with the same mean. */
function addCells(
  graph: GraphBuilder,
  value: string,
  shape: Shape,
  stage: number,
  maxSide: number,
): { readonly value: string; readonly side: number } {
  const [, height, width] = shape as [number, number, number];
  const side = Math.min(maxSide, Math.max(height, width));
  const name = (axis: string) => `map.${stage}.${axis}`;
  const constant = (axis: string, count: number, isTurned: boolean) =>
    graph.constant(`${name(axis)}.parts`, areaParts(count, side, isTurned));
  let cells = value;
  if (height !== side) {
    cells = graph.node('MatMul', name('rows'), [constant('rows', height, false), cells], {});
  }
  if (width !== side) {
    cells = graph.node('MatMul', name('columns'), [cells, constant('columns', width, true)], {});
  }
  return { value: cells, side };
}

/** Tokens that are a square, or a class token and a square, as positions; undefined for others. `part`: of the mean over all tokens. */
function addSquare(
  graph: GraphBuilder,
  value: string,
  shape: Shape,
  stage: number,
): { readonly value: string; readonly shape: Shape; readonly part: number } | undefined {
  const [tokens, channels] = shape as [number, number];
  const side = Math.floor(Math.sqrt(tokens));
  const extra = tokens - side * side;
  if (side < 2 || extra > 1) return undefined;
  const list = graph.node('Transpose', `map.${stage}.channels`, [value], { perm: [0, 2, 1] });
  const bounds = [1, tokens, 2].map((number, i) => graph.constant(`map.${stage}.slice.${i}`, whole([number])));
  const square = extra === 0 ? list : graph.node('Slice', `map.${stage}.square`, [list, ...bounds], {});
  const form = graph.constant(`map.${stage}.form`, whole([0, channels, side, side]));
  const grid = graph.node('Reshape', `map.${stage}.grid`, [square, form], {});
  return { value: grid, shape: [channels, side, side], part: (side * side) / tokens };
}

/**
 * [cells, positions], or turned: which part of each cell of a line lies in each position. Cells share positions where they do not
 * divide, and every position counts the same in all cells together, so that means stay.
 */
function areaParts(positions: number, cells: number, isTurned: boolean): Tensor<'float32'> {
  const part = (cell: number, position: number) =>
    Math.max(
      0,
      Math.min((cell + 1) / cells, (position + 1) / positions) - Math.max(cell / cells, position / positions),
    ) * cells;
  const [rows, columns] = isTurned ? [positions, cells] : [cells, positions];
  const at = (row: number, column: number) => (isTurned ? part(column, row) : part(row, column));
  return float32(
    [rows, columns],
    Float32Array.from({ length: rows * columns }, (_, i) => at(Math.floor(i / columns), i % columns)),
  );
}

const whole = (values: readonly number[]) => int64([values.length], values);

/** Columns first .. first + count of a matrix [rows, width]. */
function columns(data: Float32Array, rows: number, width: number, first: number, count: number): Float32Array {
  const out = new Float32Array(rows * count);
  for (let row = 0; row < rows; row++) {
    out.set(data.subarray(row * width + first, row * width + first + count), row * count);
  }
  return out;
}
