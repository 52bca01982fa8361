// Gives all values of an imported network names that the graphs made of it do not use themselves.
import type { Graph, ValueInfo } from '../onnx/graph.ts';

/** What every name begins with. */
const PREFIX = 'net.';

/** The name of a value in the renamed graph. */
export const prefixed = (name: string): string => (name === '' ? name : `${PREFIX}${name}`);

/** The graph with every value, constant and node renamed; '' stays the mark of an absent input. */
export function prefixNames(graph: Graph): Graph {
  const info = (value: ValueInfo): ValueInfo => ({ ...value, name: prefixed(value.name) });
  return {
    ...graph,
    inputs: graph.inputs.map(info),
    outputs: graph.outputs.map(info),
    constants: new Map([...graph.constants].map(([name, tensor]) => [prefixed(name), tensor])),
    nodes: graph.nodes.map(node => ({
      ...node,
      name: prefixed(node.name),
      inputs: node.inputs.map(prefixed),
      outputs: node.outputs.map(prefixed),
    })),
  };
}
