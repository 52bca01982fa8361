// Lowers an ONNX-style graph to a TFLite model: orders of axes and refusals are settled first, then everything is built once.
import { GraftError } from '../base/errors.ts';
import type { Graph, Node, ValueInfo } from '../onnx/graph.ts';
import { graphOrder, IMAGE_ORDER, isSameOrder, plainValue, type Value } from './axes.ts';
import { lowerings } from './lowerings.ts';
import type { TfliteModel } from './model.ts';
import { numberOutputs } from './number-outputs.ts';
import { type Facts, getValue, isRefusal, type Lowering, startPlan } from './plan.ts';

/** Key of the one signature. */
const SIGNATURE_KEY = 'serving_default';

/** Ops whose operators take a constant as first input, and those whose operators take whole numbers. */
const takesConstant: ReadonlySet<string> = new Set(['Add', 'Concat', 'Div', 'Max', 'Min', 'Mul', 'Sub']);
const takesWholeNumbers: ReadonlySet<string> = new Set([
  'Cast',
  'Flatten',
  'Gather',
  'Identity',
  'Reshape',
  'Squeeze',
  'Unsqueeze',
]);

/** Most refusals that an error message lists. */
const MAX_LISTED = 12;

/**
 * The model that computes what `graph` computes for one photo (batch 1), in float32.
 * Inputs are float32: images [N, H, W, C] or rows [N, F]. The Transpose to NCHW vanishes, since TFLite is NHWC all
 * through; an output that is an image is therefore [1, H, W, C]. Activations are fused into the operators before
 * them, equal constants are stored once, nodes that no output needs are left out.
 * @throws GraftError `unsupported-op` that lists every node which cannot be lowered, with what to do.
 */
export function lowerToTflite(graph: Graph): TfliteModel {
  const { nodes, facts, problems } = settle(graph);
  if (problems.length > 0) throw refusal(problems);
  const plan = startPlan(facts);
  const inputs = graph.inputs.map(input => plan.tensor(input.name));
  for (const node of nodes) {
    if (!plan.swallowed.has(node)) rowOf(node).emit(node, plan);
  }
  const outputs = graph.outputs.map(({ name }) => plan.output(name, outputOrder(getValue(plan, name))));
  const entries = (list: readonly ValueInfo[], indexes: readonly number[]) =>
    list.map((info, i) => ({ name: info.name, tensor: indexes[i]! }));
  return numberOutputs({
    description: graph.name,
    tensors: plan.tensors,
    operators: plan.operators,
    inputs,
    outputs,
    signature: { key: SIGNATURE_KEY, inputs: entries(graph.inputs, inputs), outputs: entries(graph.outputs, outputs) },
    metadata: Object.entries(graph.metadata).map(([name, text]) => ({ name, data: new TextEncoder().encode(text) })),
  });
}

/** What stands in the way of lowering a graph, a line for every node; none where nothing does. */
export const problemsOfLowering = (graph: Graph): readonly string[] => settle(graph).problems;

/** The nodes that are needed, the order and shape of every value, and what stands in the way. */
function settle(graph: Graph): { nodes: readonly Node[]; facts: Facts; problems: readonly string[] } {
  const problems: string[] = [];
  const values = new Map<string, Value>();
  for (const input of graph.inputs) {
    const value = inputValue(input);
    if (value) values.set(input.name, value);
    else {
      problems.push(
        `input ${input.name} is ${input.dtype} [${input.shape.join(', ')}]. Use float32 [N, H, W, C] or [N, features].`,
      );
    }
  }
  const nodes = neededNodes(graph);
  const facts = makeFacts(graph, nodes, values);
  inferValues(nodes, facts, values, problems);
  for (const output of graph.outputs) {
    if (facts.constant(output.name) || graph.inputs.some(input => input.name === output.name)) {
      problems.push(`output ${output.name} is computed by no node. Runtimes may not return it; leave it out.`);
    }
  }
  return { nodes, facts, problems };
}

/** The row of the table, for a node whose op is known at run time only. */
const rowOf = (node: Node): Lowering<Node['op']> => lowerings[node.op] as Lowering<Node['op']>;

function inputValue({ dtype, shape }: ValueInfo): Value | undefined {
  const [batch, ...rest] = shape;
  const fixed = rest.filter(dim => typeof dim === 'number');
  const isOne = typeof batch === 'string' || batch === 1;
  if (dtype !== 'float32' || !isOne || fixed.length !== rest.length) return undefined;
  return rest.length === 3 || rest.length === 1 ? plainValue([1, ...fixed]) : undefined;
}

/** Images stay as the file has them; everything else has the graph's order. */
const outputOrder = ({ order }: Value): readonly number[] =>
  isSameOrder(order, IMAGE_ORDER) ? order : graphOrder(order.length);

/** The nodes that the outputs need, in the graph's order. */
function neededNodes(graph: Graph): Node[] {
  const needed = new Set(graph.outputs.map(output => output.name));
  const kept: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some(output => needed.has(output))) continue;
    for (const input of node.inputs) needed.add(input);
    kept.push(node);
  }
  return kept.reverse();
}

function makeFacts(graph: Graph, nodes: readonly Node[], values: ReadonlyMap<string, Value>): Facts {
  const readers = new Map<string, Node[]>();
  for (const node of nodes) {
    for (const input of node.inputs) readers.set(input, [...(readers.get(input) ?? []), node]);
  }
  const outputs = new Set(graph.outputs.map(output => output.name));
  return {
    graph,
    values,
    readers,
    constant: name => (name === undefined ? undefined : graph.constants.get(name)),
    onlyReader(name) {
      const list = readers.get(name);
      return list?.length === 1 && !outputs.has(name) ? list[0] : undefined;
    },
  };
}

/** Gives every node's output an order and a shape; nodes behind a refused one are passed over in silence. */
function inferValues(nodes: readonly Node[], facts: Facts, values: Map<string, Value>, problems: string[]): void {
  const refused = new Set(facts.graph.inputs.filter(input => !values.has(input.name)).map(input => input.name));
  for (const node of nodes) {
    const missing = node.inputs.filter(name => name !== '' && !values.has(name) && !facts.constant(name));
    const unmade = missing.find(name => !refused.has(name));
    const first = node.inputs[0];
    const answer =
      unmade !== undefined
        ? { problem: `it reads ${unmade}, which nothing before it makes`, remedy: 'Order the nodes by execution.' }
        : missing.length > 0
          ? null
          : first !== undefined && facts.constant(first) && !takesConstant.has(node.op)
            ? { problem: 'its input is a constant', remedy: 'Compute it before the graph is built.' }
            : node.inputs.some(name => values.get(name)?.type === 'INT32') && !takesWholeNumbers.has(node.op)
              ? { problem: 'it reads whole numbers', remedy: 'Put a Cast to float32 before it.' }
              : rowOf(node).infer(node, facts);
    if (answer && !isRefusal(answer)) {
      for (const [i, value] of [answer].flat().entries()) values.set(node.outputs[i]!, value);
      continue;
    }
    for (const output of node.outputs) refused.add(output);
    if (answer) problems.push(`${node.op} ${node.name}: ${answer.problem}. ${answer.remedy}`);
  }
  for (const { name } of facts.graph.outputs) {
    if (!values.has(name) && !refused.has(name) && !facts.constant(name))
      problems.push(`nothing makes output ${name}.`);
  }
}

function refusal(problems: readonly string[]): GraftError {
  const listed = problems.slice(0, MAX_LISTED).map(problem => `\n  ${problem}`);
  const more = problems.length > MAX_LISTED ? `\n  and ${problems.length - MAX_LISTED} more` : '';
  return new GraftError(
    'unsupported-op',
    `This graph cannot become a .tflite file:${listed.join('')}${more}`,
    'Nothing was written. Change the graph as each line says.',
  );
}
