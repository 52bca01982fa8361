// Splits a graph in two: what depends on the parameters alone, to be run once per step, and the rest, which is run on
// every part of a batch. Gradients go the same way back: first through the rest, then, once they are summed, through the
// first.
import { startEmitter } from '../onnx/emitter.ts';
import type { Graph, Node, ValueInfo } from '../onnx/graph.ts';
import { inferShapes, type Shape } from '../onnx/shapes.ts';
import { differentiate } from './differentiate.ts';
import { add, mul } from './gradient.ts';

/** A graph in two parts. */
export interface SplitGraph {
  /** Parameters to the values that the rest reads: `prepared`. */
  readonly prologue: Graph;
  /** The graph's other inputs and the prepared values to the graph's outputs. */
  readonly body: Graph;
  /** What the prologue makes and the body reads. */
  readonly prepared: readonly { readonly name: string; readonly shape: Shape }[];
}

/** Name of the gradient of a value, as an input or output of a graph. */
export const gradientOf = (value: string) => `gradient.${value}`;

/**
 * Splits `graph`, whose inputs have no named dimensions.
 * @param parameters names of the inputs that are parameters.
 */
export function splitParameters(graph: Graph, parameters: readonly string[]): SplitGraph {
  const shapes = inferShapes(graph);
  const early = new Set(parameters);
  const [first, rest]: [Node[], Node[]] = [[], []];
  for (const node of graph.nodes) {
    const inputs = node.inputs.filter(name => name !== '');
    const isEarly =
      inputs.some(name => early.has(name)) && inputs.every(name => early.has(name) || graph.constants.has(name));
    if (isEarly) for (const output of node.outputs) early.add(output);
    (isEarly ? first : rest).push(node);
  }
  const read = new Set([...rest.flatMap(node => node.inputs), ...graph.outputs.map(({ name }) => name)]);
  const crossing = [...early].filter(name => read.has(name));
  // A parameter that the body reads itself crosses under another name: an output of a graph is not also its input.
  const crossed = new Map(crossing.map(name => [name, parameters.includes(name) ? `${name}.now` : name]));
  const prepared = crossing.map(name => ({ name: crossed.get(name)!, shape: shapes.get(name)! }));
  const info = ({ name, shape }: { name: string; shape: Shape }): ValueInfo => ({ name, dtype: 'float32', shape });
  const copies = crossing
    .filter(name => crossed.get(name) !== name)
    .map((name): Node => {
      const now = crossed.get(name)!;
      return { op: 'Identity', name: now, inputs: [name], outputs: [now], attributes: {} };
    });
  const isParameter = ({ name }: ValueInfo) => parameters.includes(name);
  return {
    prepared,
    prologue: withConstants({
      ...graph,
      inputs: graph.inputs.filter(isParameter),
      outputs: prepared.map(info),
      nodes: [...first, ...copies],
    }),
    body: withConstants({
      ...graph,
      inputs: [...graph.inputs.filter(input => !isParameter(input)), ...prepared.map(info)],
      nodes: rest.map(node => ({ ...node, inputs: node.inputs.map(name => crossed.get(name) ?? name) }) as Node),
    }),
  };
}

/**
 * Graph that takes gradients back through the prologue: the parameters and a `gradient.<prepared>` each in, a
 * `gradient.<parameter>` each out. It is that of sum(prepared * gradient), whose derivative is what is wanted.
 */
export function buildPullback({ prologue, prepared }: SplitGraph, parameters: readonly string[]): Graph {
  const g = startEmitter(prologue, {}, 'p');
  let total: string | undefined;
  for (const { name, shape } of prepared) {
    const slope = g.input({ name: gradientOf(name), dtype: 'float32', shape });
    const axes = shape.map((_, axis) => axis);
    const term = g.reshape(g.reduceSum(mul(g, name, slope), axes, 0), []);
    total = total === undefined ? term : add(g, total, term);
  }
  return g.build(nameGradients(g, differentiate(g, total!, parameters), parameters));
}

/** Gives gradients their names, as outputs of the graph. */
export function nameGradients(
  g: ReturnType<typeof startEmitter>,
  slopes: readonly string[],
  values: readonly string[],
): ValueInfo[] {
  return values.map((value, i) => {
    const name = gradientOf(value);
    g.append({ op: 'Identity', name, inputs: [slopes[i]!], outputs: [name], attributes: {} });
    return { name, dtype: 'float32', shape: g.shapeOf(name) };
  });
}

/** The graph without constants that it does not read. */
function withConstants(graph: Graph): Graph {
  const read = new Set(graph.nodes.flatMap(node => node.inputs));
  return { ...graph, constants: new Map([...graph.constants].filter(([name]) => read.has(name))) };
}
