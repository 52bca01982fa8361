// A graph without what its outputs do not need: nodes, constants and inputs that nothing reads.
import type { Graph, Node } from './graph.ts';

/** The graph without unread nodes and constants. Inputs stay. */
export function pruneGraph(graph: Graph): Graph {
  const needed = new Set(graph.outputs.map(output => output.name));
  const nodes: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some(output => needed.has(output))) continue;
    for (const input of node.inputs) needed.add(input);
    nodes.push(node);
  }
  const constants = new Map([...graph.constants].filter(([name]) => needed.has(name)));
  return { ...graph, nodes: nodes.reverse(), constants };
}
