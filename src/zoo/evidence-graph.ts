// The graph that tells where in a picture the logits come from. The head is linear on means over positions, so that a logit is the
// mean of a map: the head on every position of every stage. No gradients are needed; on the last stage it is the class activation
// map of Zhou et al. (2016), and Grad-CAM (Selvaraju et al. 2017) gives the same up to a factor.
import { type GraphBuilder, graphBuilder } from '../onnx/builder.ts';
import type { Graph, ValueInfo } from '../onnx/graph.ts';
import type { Shape } from '../onnx/shapes.ts';
import { float32, int64 } from '../tensor/tensor.ts';
import { addStages } from './add-stages.ts';
import type { Backbone } from './backbone.ts';
import { addImage, addPooling, centreHead, featureWidth, type LinearHead } from './graphs.ts';
import { channelsOf, stageShapes } from './stages.ts';

/** Most cells on a side of the map: finer stages are averaged down to it, since a texture's evidence is noise cell by cell. */
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
 * without positions.
 */
export function buildEvidenceGraph(backbone: Backbone, head: LinearHead): EvidenceGraph {
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
    const map = addMap(graph, values[stage]!, shapes[stage]!, weight, classes, stage);
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

/** The head on the positions of a stage; undefined where they are no square, or do not divide. */
function addMap(
  graph: GraphBuilder,
  value: string,
  shape: Shape,
  weight: Float32Array,
  classes: number,
  stage: number,
): { readonly value: string; readonly side: number } | undefined {
  const channels = channelsOf(shape);
  const conv = { kernel_shape: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 } as const;
  const kernel = (scale: number) =>
    graph.constant(
      `map.${stage}.weight`,
      float32(
        [classes, channels, 1, 1],
        weight.map(w => w * scale),
      ),
    );
  if (shape.length === 3) {
    const [, height, width] = shape as [number, number, number];
    const factor = height > MAX_SIDE ? height / largestDivisor(height) : 1;
    if (height !== width) return undefined;
    const pool = {
      kernel_shape: [factor, factor],
      strides: [factor, factor],
      pads: [0, 0, 0, 0],
      count_include_pad: 0,
    } as const;
    const cells = factor === 1 ? value : graph.node('AveragePool', `map.${stage}.cells`, [value], pool);
    return { value: graph.node('Conv', `map.${stage}`, [cells, kernel(1)], conv), side: height / factor };
  }
  if (shape.length !== 2) return undefined;
  // Tokens: a square of them, or a class token and a square. The mean is over all, a cell counts for its part of it.
  const tokens = shape[0]!;
  const side = Math.floor(Math.sqrt(tokens));
  const extra = tokens - side * side;
  if (side < 2 || extra > 1) return undefined;
  const list = graph.node('Transpose', `map.${stage}.channels`, [value], { perm: [0, 2, 1] });
  const square =
    extra === 0
      ? list
      : graph.node(
          'Slice',
          `map.${stage}.square`,
          [list, ...[1, tokens, 2].map((number, i) => graph.constant(`map.${stage}.slice.${i}`, whole([number])))],
          {},
        );
  const form = graph.constant(`map.${stage}.form`, whole([0, channels, side, side]));
  const grid = graph.node('Reshape', `map.${stage}.grid`, [square, form], {});
  return { value: graph.node('Conv', `map.${stage}`, [grid, kernel((side * side) / tokens)], conv), side };
}

/** The largest number of cells up to MAX_SIDE into which a side divides. */
function largestDivisor(side: number): number {
  let cells = MAX_SIDE;
  while (side % cells !== 0) cells--;
  return cells;
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
