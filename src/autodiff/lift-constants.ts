// Turns constants of a graph into inputs, so that their values may change from run to run.
import type { Graph } from '../onnx/graph.ts';

/** The same graph with the constants called `names` as inputs behind its own, in that order. All have to be there. */
export function liftConstants(graph: Graph, names: readonly string[]): Graph {
  const constants = new Map(graph.constants);
  const lifted = names.map(name => {
    const constant = constants.get(name);
    if (!constant) throw new RangeError(`The graph ${graph.name} has no constant ${name}.`);
    constants.delete(name);
    return { name, dtype: constant.dtype, shape: constant.shape };
  });
  return { ...graph, inputs: [...graph.inputs, ...lifted], constants };
}
