// Finds in an imported graph what exporters spell out, and puts the op of it in its place: GELU, hard-swish, layer
// normalisation, dense layers. What nothing reads any more is left out.
import { type Tensor, toNumbers } from '../tensor/tensor.ts';
import type { Graph, Node } from './graph.ts';
import type { SupportedOp } from './ops.ts';
import { pruneGraph } from './prune.ts';
import type { Shape } from './shapes.ts';

/** What a pattern may ask. */
interface View {
  /** The node of one of the ops that makes a value. */
  maker<O extends SupportedOp>(value: string | undefined, ...ops: readonly O[]): Node<O> | undefined;
  constant(value: string | undefined): Tensor | undefined;
  shape(value: string): Shape;
  readers(value: string): number;
}

/** Gives the node that takes the place of another one, which has its name and output. */
type Pattern = (node: Node, view: View) => Node | undefined;

/** Numbers of formulas, which half precision rounds. */
const TOLERANCE = 5e-4;
const isNear = (value: number | undefined, wanted: number): boolean =>
  value !== undefined && Math.abs(value - wanted) <= TOLERANCE * Math.abs(wanted);

/** The only number of a constant. */
function numberOf(view: View, value: string | undefined): number | undefined {
  const tensor = view.constant(value);
  return tensor && tensor.data.length === 1 ? toNumbers(tensor)[0] : undefined;
}

/** The other input of a node, where one of its two is a number near `wanted`. */
function otherThan(view: View, node: Node | undefined, wanted: number): string | undefined {
  if (node?.inputs.length !== 2) return undefined;
  const [a, b] = node.inputs;
  if (isNear(numberOf(view, b), wanted)) return a;
  return isNear(numberOf(view, a), wanted) ? b : undefined;
}

/** What a value is a multiple of, and how often; a value that is no multiple is one times itself. */
function unscaled(view: View, value: string): { readonly of: string; readonly factor: number } {
  const node = view.maker(value, 'Mul', 'Div');
  const right = numberOf(view, node?.inputs[1]);
  if (node && right !== undefined) return { of: node.inputs[0]!, factor: node.op === 'Mul' ? right : 1 / right };
  const left = node?.op === 'Mul' ? numberOf(view, node.inputs[0]) : undefined;
  return left === undefined ? { of: value, factor: 1 } : { of: node!.inputs[1]!, factor: left };
}

/** The values that a tree of products multiplies, and the numbers among them as one. */
function factorsOf(view: View, value: string, depth = 5): { readonly values: string[]; readonly factor: number } {
  const number = numberOf(view, value);
  if (number !== undefined) return { values: [], factor: number };
  if (depth === 0) return { values: [value], factor: 1 };
  const { of, factor } = unscaled(view, value);
  if (of !== value) {
    const inner = factorsOf(view, of, depth - 1);
    return { values: inner.values, factor: inner.factor * factor };
  }
  const node = view.maker(value, 'Mul');
  if (!node) return { values: [value], factor: 1 };
  const [a, b] = node.inputs.map(input => factorsOf(view, input, depth - 1)) as [
    ReturnType<typeof factorsOf>,
    ReturnType<typeof factorsOf>,
  ];
  return { values: [...a.values, ...b.values], factor: a.factor * b.factor };
}

const replace = <O extends SupportedOp>(
  node: Node,
  op: O,
  inputs: readonly string[],
  attributes: Node<O>['attributes'],
) => ({ op, name: node.name, inputs, outputs: node.outputs, attributes }) as unknown as Node;

/** x / 2 (1 + erf(x / sqrt 2)) */
const gelu: Pattern = (node, view) => {
  if (node.op !== 'Mul' && node.op !== 'Div') return undefined;
  const { values, factor } = factorsOf(view, node.outputs[0]!);
  if (values.length !== 2 || !isNear(factor, 0.5)) return undefined;
  for (const [x, sum] of [values, values.toReversed()] as [string, string][]) {
    const erf = view.maker(otherThan(view, view.maker(sum, 'Add'), 1), 'Erf');
    if (!erf) continue;
    const inner = unscaled(view, erf.inputs[0]!);
    if (inner.of === x && isNear(inner.factor, Math.SQRT1_2)) return replace(node, 'microsoft.Gelu', [x], {});
  }
  return undefined;
};

/** What is clipped to 0..6 after 3 was added. */
function shiftedRelu6(view: View, value: string): string | undefined {
  const clip = view.maker(value, 'Clip');
  if (!clip || numberOf(view, clip.inputs[1]) !== 0 || numberOf(view, clip.inputs[2]) !== 6) return undefined;
  return otherThan(view, view.maker(clip.inputs[0], 'Add'), 3);
}

/** relu6(x + 3) / 6 */
const hardSigmoid: Pattern = (node, view) => {
  if (node.op !== 'Mul' && node.op !== 'Div') return undefined;
  const { of, factor } = unscaled(view, node.outputs[0]!);
  const x = of !== node.outputs[0] && isNear(factor, 1 / 6) ? shiftedRelu6(view, of) : undefined;
  return x === undefined ? undefined : replace(node, 'HardSigmoid', [x], { alpha: 1 / 6, beta: 0.5 });
};

/** x hardsigmoid(x), or x relu6(x + 3) / 6 */
const hardSwish: Pattern = (node, view) => {
  if (node.op !== 'Mul' && node.op !== 'Div') return undefined;
  const { values, factor } = factorsOf(view, node.outputs[0]!);
  if (values.length !== 2) return undefined;
  for (const [x, gate] of [values, values.toReversed()] as [string, string][]) {
    const sigmoid = view.maker(gate, 'HardSigmoid');
    const { alpha, beta } = sigmoid?.attributes ?? {};
    const isGate = sigmoid?.inputs[0] === x && isNear(alpha, 1 / 6) && beta === 0.5 && isNear(factor, 1);
    const isSpelt = isNear(factor, 1 / 6) && shiftedRelu6(view, gate) === x;
    if (isGate || isSpelt) return replace(node, 'HardSwish', [x], {});
  }
  return undefined;
};

/** (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale + bias, with means over the last axis */
const layerNormalization: Pattern = (node, view) => {
  if (node.op !== 'Add') return undefined;
  const isVector = (value: string | undefined) => view.constant(value)?.shape.length === 1;
  const [scaled, bias] = isVector(node.inputs[1]) ? node.inputs : node.inputs.toReversed();
  const product = isVector(bias) ? view.maker(scaled, 'Mul') : undefined;
  const [normal, scale] =
    product && isVector(product.inputs[1]) ? product.inputs : (product?.inputs.toReversed() ?? []);
  const quotient = isVector(scale) ? view.maker(normal, 'Div') : undefined;
  const sum = view.maker(view.maker(quotient?.inputs[1], 'Sqrt')?.inputs[0], 'Add');
  const epsilon = numberOf(view, sum?.inputs[1]);
  const variance = view.maker(sum?.inputs[0], 'ReduceMean');
  const square = view.maker(variance?.inputs[0], 'Pow', 'Mul');
  const centred = view.maker(quotient?.inputs[0], 'Sub');
  const mean = view.maker(centred?.inputs[1], 'ReduceMean');
  if (!square || !centred || !mean || !variance || epsilon === undefined) return undefined;
  const [x] = centred.inputs as [string];
  const rank = view.shape(x).length;
  const isLast = ({ attributes: { axes, keepdims } }: Node<'ReduceMean'>) =>
    keepdims === 1 && axes.length === 1 && (axes[0] === -1 || axes[0] === rank - 1);
  const isSquare =
    square.inputs[0] === centred.outputs[0] &&
    (square.op === 'Mul' ? square.inputs[1] === centred.outputs[0] : numberOf(view, square.inputs[1]) === 2);
  const [width] = view.shape(x).slice(-1);
  const fits = [scale, bias].every(value => view.constant(value)!.data.length === width);
  if (mean.inputs[0] !== x || !isLast(mean) || !isLast(variance) || !isSquare || !fits) return undefined;
  return replace(node, 'LayerNormalization', [x, scale!, bias!], { axis: rank - 1, epsilon });
};

/** A product of matrices and a bias: Gemm. */
const dense: Pattern = (node, view) => {
  if (node.op !== 'Add') return undefined;
  for (const [product, bias] of [node.inputs, node.inputs.toReversed()] as [string, string][]) {
    const found = view.maker(product, 'MatMul');
    const weight = view.constant(found?.inputs[1]);
    const added = view.constant(bias);
    if (!found || weight?.shape.length !== 2 || !added || view.readers(product) !== 1) continue;
    if (view.shape(found.inputs[0]!).length !== 2 || added.data.length !== weight.shape[1]) continue;
    if (added.shape.at(-1) !== added.data.length) continue;
    const attributes = { alpha: 1, beta: 1, transA: 0, transB: 0 } as const;
    return replace(node, 'Gemm', [...found.inputs, bias], attributes);
  }
  return undefined;
};

const patterns: readonly Pattern[] = [hardSwish, hardSigmoid, gelu, layerNormalization, dense];

/** Puts ops in the place of what spells them out. `shapeOf` gives the shape of any value of the graph. */
export function simplify(graph: Graph, shapeOf: (value: string) => Shape): Graph {
  const makers = new Map<string, Node>();
  const readers = new Map<string, number>();
  for (const { inputs } of graph.nodes) for (const input of inputs) readers.set(input, (readers.get(input) ?? 0) + 1);
  for (const { name } of graph.outputs) readers.set(name, (readers.get(name) ?? 0) + 1);
  const view: View = {
    maker(value, ...ops) {
      const node = value === undefined ? undefined : makers.get(value);
      return node && (ops as readonly string[]).includes(node.op) ? (node as Node<(typeof ops)[number]>) : undefined;
    },
    constant: value => (value === undefined ? undefined : graph.constants.get(value)),
    shape: shapeOf,
    readers: value => readers.get(value) ?? 0,
  };
  const nodes = graph.nodes.map(node => {
    // A node is known while patterns look at it.
    makers.set(node.outputs[0]!, node);
    const found = patterns.map(pattern => pattern(node, view)).find(made => made !== undefined) ?? node;
    makers.set(node.outputs[0]!, found);
    return found;
  });
  return pruneGraph({ ...graph, nodes });
}
