// Questions to a graph while a backbone is cut out of it: who makes a value, who reads it, and in which order nodes run.
import type { Graph, Node } from '../onnx/graph.ts';
import type { Shape } from '../onnx/shapes.ts';

/** The node that makes each value. */
export function makersOf({ nodes }: Graph): Map<string, Node> {
  return new Map(nodes.flatMap(node => node.outputs.map(output => [output, node] as const)));
}

/** The nodes that read each value, once per use. */
export function readersOf({ nodes }: Graph): Map<string, Node[]> {
  const readers = new Map<string, Node[]>();
  for (const node of nodes) {
    for (const input of node.inputs) {
      const list = readers.get(input);
      if (list) list.push(node);
      else readers.set(input, [node]);
    }
  }
  return readers;
}

/** The nodes that `output` needs, each right before its first reader needs it: branches stand together. */
export function depthFirst(graph: Graph, output: string): Node[] {
  const makers = makersOf(graph);
  const ordered: Node[] = [];
  const state = new Map<Node, 'open' | 'done'>();
  const stack = [makers.get(output)];
  while (stack.length > 0) {
    const node = stack.at(-1);
    if (!node || state.get(node) === 'done') stack.pop();
    else if (state.get(node) === 'open') {
      state.set(node, 'done');
      ordered.push(node);
      stack.pop();
    } else {
      state.set(node, 'open');
      // The first input is on top of the stack, and is made first.
      for (const input of node.inputs.toReversed()) {
        const maker = makers.get(input);
        if (maker && !state.has(maker)) stack.push(maker);
      }
    }
  }
  return ordered;
}

/** The images that have their channels last, as some transformers have: behind a Transpose, a LayerNormalization or a MatMul. */
export function channelsLastValues({ nodes }: Graph, shapes: ReadonlyMap<string, Shape>): ReadonlySet<string> {
  const found = new Set<string>();
  for (const node of nodes) {
    const value = node.outputs[0]!;
    if (shapes.get(value)?.length !== 4) continue;
    const perm = node.op === 'Transpose' ? node.attributes.perm.join() : undefined;
    const reads = node.inputs.some(input => found.has(input));
    const isLast =
      perm !== undefined
        ? perm === '0,2,3,1' && !reads
        : node.op === 'LayerNormalization' || node.op === 'MatMul' || (reads && node.op !== 'Reshape');
    if (isLast) found.add(value);
  }
  return found;
}

/** How many positions an image has; 0 for what is no image. */
export function positionsOf(
  value: string,
  shapes: ReadonlyMap<string, Shape>,
  channelsLast: ReadonlySet<string>,
): number {
  const shape = shapes.get(value)!;
  if (shape.length !== 4) return 0;
  return channelsLast.has(value) ? shape[1]! * shape[2]! : shape[2]! * shape[3]!;
}

/** The graph with values called otherwise. */
export function renameValues(graph: Graph, names: ReadonlyMap<string, string>): Graph {
  const rename = (name: string) => names.get(name) ?? name;
  return {
    ...graph,
    inputs: graph.inputs.map(info => ({ ...info, name: rename(info.name) })),
    outputs: graph.outputs.map(info => ({ ...info, name: rename(info.name) })),
    constants: new Map([...graph.constants].map(([name, tensor]) => [rename(name), tensor])),
    nodes: graph.nodes.map(
      node => ({ ...node, inputs: node.inputs.map(rename), outputs: node.outputs.map(rename) }) as Node,
    ),
  };
}
