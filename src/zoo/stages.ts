// What there is to know about a backbone's stages: their nodes, shapes and parameters.
import { FIXED, type Node } from '../onnx/graph.ts';
import { inferShapes, type Shape } from '../onnx/shapes.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import type { Backbone } from './backbone.ts';

/** Shapes of all values, for one photo of the backbone's size. Throws RangeError when the network cannot take that size. */
export function valueShapes({ graph, preprocess: { size } }: Backbone): Map<string, Shape> {
  return inferShapes(graph, { N: 1, H: size, W: size });
}

/** Shape of what each stage gives, without the photos: [channels, height, width], [tokens, channels] or [channels]. */
export function stageShapes(backbone: Backbone): Shape[] {
  const shapes = valueShapes(backbone);
  return backbone.stages.map(({ value }) => shapes.get(value)!.slice(1));
}

/** Channels of a stage of such a shape. */
export const channelsOf = (shape: Shape): number => (shape.length === 3 ? shape[0]! : shape.at(-1)!);

/** The nodes of each stage. */
export function stageNodes({ graph, stages }: Backbone): Node[][] {
  const nodes: Node[][] = stages.map(() => []);
  let stage = 0;
  for (const node of graph.nodes) {
    nodes[stage]!.push(node);
    if (node.outputs.includes(stages[stage]!.value)) stage++;
  }
  return nodes;
}

/** How often each value is read; a stage's own value counts as read once more. */
export function countReaders({ graph, stages }: Backbone): Map<string, number> {
  const readers = new Map<string, number>();
  const count = (value: string) => readers.set(value, (readers.get(value) ?? 0) + 1);
  for (const node of graph.nodes) node.inputs.forEach(count);
  for (const { value } of stages) count(value);
  return readers;
}

/** Which inputs of an op are parameters when they are constants. */
const parameterInputs: Partial<Record<Node['op'], readonly number[]>> = {
  Conv: [1, 2],
  BatchNormalization: [1, 2],
  LayerNormalization: [1, 2],
  Gemm: [0, 1, 2],
  MatMul: [0, 1],
  Add: [0, 1],
  Sub: [0, 1],
  Mul: [0, 1],
  Div: [0, 1],
};

/** Ops whose single numbers belong to a formula and are no parameters. */
const elementwise: ReadonlySet<Node['op']> = new Set(['Add', 'Sub', 'Mul', 'Div']);

/** Names of the constants of each stage that training changes, in the order in which they are read. */
export function stageParameters(backbone: Backbone): string[][] {
  const { constants } = backbone.graph;
  const isTrained = (name: string, tensor: Tensor | undefined, op: Node['op']) =>
    tensor?.dtype === 'float32' && !name.endsWith(FIXED) && (sizeOf(tensor.shape) > 1 || !elementwise.has(op));
  // What has a fixed meaning too (a variance that an exporter stored as one with a gamma) stays as it is.
  const seen = new Set<string>();
  for (const { op, inputs } of backbone.graph.nodes) {
    inputs.forEach((name, i) => {
      if (!parameterInputs[op]?.includes(i)) seen.add(name);
    });
  }
  return stageNodes(backbone).map(nodes => {
    const names: string[] = [];
    for (const { op, inputs } of nodes) {
      for (const name of (parameterInputs[op] ?? []).map(i => inputs[i] ?? '')) {
        if (!seen.has(name) && isTrained(name, constants.get(name), op)) names.push(name);
        seen.add(name);
      }
    }
    return names;
  });
}

/**
 * The backbone with other values for some of its parameters.
 * @throws RangeError for a name or a shape that it does not have.
 */
export function withParameters(backbone: Backbone, changed: ReadonlyMap<string, Tensor<'float32'>>): Backbone {
  const constants = new Map(backbone.graph.constants);
  for (const [name, tensor] of changed) {
    if (constants.get(name)?.shape.join() !== tensor.shape.join()) {
      throw new RangeError(`${backbone.name} has no parameter ${name} of [${tensor.shape.join(', ')}].`);
    }
    constants.set(name, tensor);
  }
  return { ...backbone, graph: { ...backbone.graph, constants } };
}
