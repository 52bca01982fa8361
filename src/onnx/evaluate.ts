// Computes nodes whose inputs are constants, so that they vanish on import: shape arithmetic above all, and rearranged weights.
import { sizeOf } from '../tensor/tensor.ts';
import {
  castLiteral,
  combine,
  concatLiterals,
  emptyLiteral,
  expandLiteral,
  gatherLiteral,
  intList,
  literal,
  reduceLiteral,
  reshapeLiteral,
  scatterLiteral,
  sliceLiteral,
  transposeLiteral,
} from './literal.ts';
import { type ElementType, type Literal, readAttribute } from './model.ts';
import {
  axesOf,
  checkAxes,
  checkAxis,
  type NodeReader,
  reductionOf,
  reshapedTo,
  slicesOf,
  splitOf,
  unsqueezed,
} from './node-reader.ts';
import { elementType, widened } from './read-tensor.ts';
import { broadcastShapes, type Shape, sliceRange } from './shapes.ts';

/** A node with constant inputs. */
export interface ConstantNode extends NodeReader {
  literal(i: number): Literal;
  /** Shape of input i, which need not be constant. */
  shape(i: number): Shape;
}

type Evaluator = (node: ConstantNode) => Literal | readonly Literal[];

const intsOf = (node: ConstantNode) => (i: number) => Array.from(node.literal(i).data);
const unary =
  (compute: (value: number) => number, dtype?: ElementType): Evaluator =>
  node =>
    combine([node.literal(0)], compute, dtype);
const all = (node: ConstantNode): Literal[] => node.node.inputs.map((_, i) => node.literal(i));
const binary =
  (compute: (a: number, b: number) => number, dtype?: ElementType): Evaluator =>
  node =>
    combine([node.literal(0), node.literal(1)], compute, dtype);
/** Many operands, one after the other. */
const many =
  (compute: (a: number, b: number) => number): Evaluator =>
  node =>
    all(node).reduce((a, b) => combine([a, b], compute));
const comparison = (compute: (a: number, b: number) => boolean) => binary((a, b) => (compute(a, b) ? 1 : 0), 'bool');
const reduction =
  (compute: (values: Float64Array) => number): Evaluator =>
  node => {
    const given = node.literal(0);
    const { axes, keepdims } = reductionOf(node, given.shape.length, intsOf(node));
    return axes ? reduceLiteral(given, axes, keepdims === 1, compute) : given;
  };
const sum = (values: Float64Array) => values.reduce((a, b) => a + b, 0);
const isWhole = (dtype: ElementType) => !dtype.includes('float');

/** The element type that Cast names by its number. */
export function castType(node: NodeReader): ElementType {
  const to = elementType(node.int('to', 0));
  if (!to || to === 'string') return node.refuse(`it casts to type ${node.int('to', 0)}`);
  return widened(to);
}

/** Half to even, as ONNX rounds. */
function roundToEven(value: number): number {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}

/** Nodes that are constants by themselves: the value is an attribute, or the shape of an input. */
export const shapeEvaluators: Readonly<Record<string, Evaluator>> = {
  Constant(node) {
    const tensor = readAttribute(node.node, 'value', 'tensor');
    if (tensor) return tensor.read();
    const [attribute] = [...node.node.attributes].filter(([name]) => name.startsWith('value_'));
    const [name, found] = attribute ?? ['', undefined];
    if (found?.kind === 'float') return literal('float32', [], [found.value]);
    if (found?.kind === 'int') return literal('int64', [], [found.value]);
    if (found?.kind === 'floats') return literal('float32', [found.value.length], found.value);
    if (found?.kind === 'ints') return intList(found.value);
    return node.refuse(name ? `its ${name} is no number` : 'it has no value that is a tensor or a number');
  },
  Shape(node) {
    const shape = node.shape(0);
    const end = node.int('end', shape.length);
    return intList(shape.slice(node.int('start', 0), end));
  },
  Size: node => literal('int64', [], [sizeOf(node.shape(0))]),
};

/** Nodes by what they do to constants. */
export const evaluators: Readonly<Record<string, Evaluator>> = {
  ...shapeEvaluators,
  Abs: unary(Math.abs),
  Add: binary((a, b) => a + b),
  And: comparison((a, b) => a !== 0 && b !== 0),
  Cast: node => castLiteral(node.literal(0), castType(node)),
  CastLike: node => castLiteral(node.literal(0), node.literal(1).dtype),
  Ceil: unary(Math.ceil),
  Concat: node => concatLiterals(all(node), checkAxis(node, node.int('axis', 1), node.shape(0).length)),
  ConstantOfShape(node) {
    const fill = readAttribute(node.node, 'value', 'tensor')?.read() ?? literal('float32', [1], [0]);
    const made = emptyLiteral(fill.dtype, intsOf(node)(0));
    made.data.fill(fill.data[0] ?? 0);
    return made;
  },
  Cos: unary(Math.cos),
  Div(node) {
    const [a, b] = [node.literal(0), node.literal(1)];
    return combine([a, b], isWhole(a.dtype) ? (x, y) => Math.trunc(x / y) : (x, y) => x / y);
  },
  Equal: comparison((a, b) => a === b),
  Exp: unary(Math.exp),
  Expand: node => {
    const given = node.literal(0);
    return expandLiteral(given, broadcastShapes(given.shape, intsOf(node)(1)));
  },
  Flatten(node) {
    const given = node.literal(0);
    const axis = node.int('axis', 1);
    const at = axis < 0 ? axis + given.shape.length : axis;
    return reshapeLiteral(given, [sizeOf(given.shape.slice(0, at)), sizeOf(given.shape.slice(at))]);
  },
  Floor: unary(Math.floor),
  Gather: node =>
    gatherLiteral(node.literal(0), node.literal(1), checkAxis(node, node.int('axis', 0), node.shape(0).length)),
  Greater: comparison((a, b) => a > b),
  GreaterOrEqual: comparison((a, b) => a >= b),
  Identity: node => node.literal(0),
  Less: comparison((a, b) => a < b),
  LessOrEqual: comparison((a, b) => a <= b),
  Log: unary(Math.log),
  Max: many(Math.max),
  Min: many(Math.min),
  Mod: node => binary(node.int('fmod', 0) === 1 ? (a, b) => a % b : (a, b) => a - Math.floor(a / b) * b)(node),
  Mul: binary((a, b) => a * b),
  Neg: unary(value => 0 - value),
  Not: unary(value => (value === 0 ? 1 : 0)),
  Or: comparison((a, b) => a !== 0 || b !== 0),
  Pow: binary((a, b) => a ** b),
  Range(node) {
    const [start, limit, delta] = [0, 1, 2].map(i => node.literal(i).data[0]!) as [number, number, number];
    const made = emptyLiteral(node.literal(0).dtype, [Math.max(0, Math.ceil((limit - start) / delta)) || 0]);
    for (let i = 0; i < made.data.length; i++) made.data[i] = start + i * delta;
    return made;
  },
  Reciprocal: unary(value => 1 / value),
  ReduceMax: reduction(values => values.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)),
  ReduceMean: reduction(values => sum(values) / values.length),
  ReduceMin: reduction(values => values.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY)),
  ReduceProd: reduction(values => values.reduce((a, b) => a * b, 1)),
  ReduceSum: reduction(sum),
  Reshape(node) {
    const given = node.literal(0);
    return reshapeLiteral(given, reshapedTo(node, given.shape, intsOf(node)(1)));
  },
  Round: unary(roundToEven),
  ScatterND(node) {
    if (node.text('reduction', 'none') !== 'none') node.refuse('it has a reduction');
    return scatterLiteral(node.literal(0), node.literal(1), node.literal(2));
  },
  Sign: unary(Math.sign),
  Sin: unary(Math.sin),
  Slice(node) {
    const given = node.literal(0);
    const ranges = given.shape.map(length => ({ start: 0, length, step: 1 }));
    for (const { axis, start, end, step } of slicesOf(node, given.shape.length, intsOf(node))) {
      ranges[axis] = { ...sliceRange(given.shape[axis]!, start, end, step), step };
    }
    return sliceLiteral(given, ranges);
  },
  Split(node) {
    const given = node.literal(0);
    const axis = checkAxis(node, node.int('axis', 0), given.shape.length);
    let start = 0;
    return splitOf(node, given.shape[axis]!, intsOf(node)).map(part => {
      const ranges = given.shape.map((dim, i) => ({
        start: i === axis ? start : 0,
        length: i === axis ? part : dim,
        step: 1,
      }));
      start += part;
      return sliceLiteral(given, ranges);
    });
  },
  Sqrt: unary(Math.sqrt),
  Squeeze(node) {
    const given = node.literal(0);
    const axes = axesOf(node, 13, intsOf(node));
    const gone = axes && checkAxes(node, axes, given.shape.length);
    return reshapeLiteral(
      given,
      given.shape.filter((dim, axis) => (gone ? !gone.includes(axis) : dim !== 1)),
    );
  },
  Sub: binary((a, b) => a - b),
  Sum: many((a, b) => a + b),
  Tanh: unary(Math.tanh),
  Tile(node) {
    const given = node.literal(0);
    const repeats = intsOf(node)(1);
    if (repeats.length !== given.shape.length)
      node.fail(`${repeats.length} repeats of ${given.shape.length} dimensions`);
    const pairs = expandLiteral(
      reshapeLiteral(
        given,
        given.shape.flatMap(dim => [1, dim]),
      ),
      given.shape.flatMap((dim, axis) => [repeats[axis]!, dim]),
    );
    return reshapeLiteral(
      pairs,
      given.shape.map((dim, axis) => dim * repeats[axis]!),
    );
  },
  Transpose(node) {
    const given = node.literal(0);
    return transposeLiteral(given, permutationOf(node, given.shape.length));
  },
  Unsqueeze(node) {
    const given = node.literal(0);
    return reshapeLiteral(given, unsqueezed(node, given.shape, axesOf(node, 13, intsOf(node)) ?? []));
  },
  Where: node =>
    combine(
      [node.literal(0), node.literal(1), node.literal(2)],
      (condition, a, b) => (condition === 0 ? b : a),
      node.literal(1).dtype,
    ),
  Xor: comparison((a, b) => (a !== 0) !== (b !== 0)),
};

/** The order of axes of a Transpose; reversed where none is given. */
export function permutationOf(reader: NodeReader, rank: number): number[] {
  const perm = [...(reader.list('perm') ?? Array.from({ length: rank }, (_, axis) => rank - 1 - axis))];
  if (perm.length !== rank || checkAxes(reader, perm, rank).length !== rank)
    reader.fail(`perm [${perm.join(', ')}] of ${rank} dimensions`);
  return perm;
}
