// A graph under construction on import. Every shape is known for two numbers of photos, so that what depends on their number
// shows: a dimension that differs is one of the batch.
import { float32, int64, sizeOf, type Tensor } from '../tensor/tensor.ts';
import type { Node } from './graph.ts';
import { checkRank, transposeLiteral } from './literal.ts';
import type { ElementType, Literal } from './model.ts';
import type { OpAttributes, SupportedOp } from './ops.ts';
import { inferShape, type Shape } from './shapes.ts';

/** Something for each of the two numbers of photos. */
export type Both<T> = readonly [T, T];

/** The two numbers. */
export const BATCHES: Both<number> = [2, 3];

/** Most elements of a value for one of them: 8 GB. */
const MAX_ELEMENTS = 2 ** 31;

/**
 * Most elements that computing constants may read and write in all, beside eight times as many as the constants of the file
 * have: 512 MB of float64, and about a second.
 */
const MAX_COMPUTED_IN_ALL = 2 ** 26;
const TIMES_THE_FILE = 8;

/** A graph that grows. Values are named strings. */
export interface Draft {
  /** Counts elements that are read or written to compute constants. Throws RangeError when they are too many. */
  spend(elements: number): void;
  /** A name that no value has: `wanted`, or with a number behind it. */
  freshName(wanted: string): string;
  /** Keeps a name for the value or constant of the file that has it. */
  reserve(name: string): void;
  input(name: string, shapes: Both<Shape>): void;
  shapesOf(value: string): Both<Shape>;
  makerOf(value: string): Node | undefined;
  literalOf(value: string): Literal | undefined;
  /** Stores a constant, once for each literal. Throws RangeError for types that no graph has. */
  constant(literal: Literal, name: string): string;
  scalar(value: number): string;
  ints(values: readonly number[]): string;
  /**
   * Appends a node and returns its output, called like `name`. A Transpose that undoes another is left out, and element-wise
   * work on transposed values is done before the transposition, so that it may meet one that undoes it.
   */
  emit<O extends SupportedOp>(op: O, inputs: readonly string[], attributes: OpAttributes[O], name: string): string;
  /** Names the last node, and its output too unless that name is taken; returns the output's name. */
  renameLast(output: string, name: string): string;
  readonly nodes: readonly Node[];
  readonly constants: ReadonlyMap<string, Tensor>;
}

/** Ops that compute element by element, with as many inputs as they have. */
const elementwise: ReadonlySet<SupportedOp> = new Set([
  'Abs',
  'Add',
  'Clip',
  'Div',
  'Erf',
  'Exp',
  'HardSigmoid',
  'HardSwish',
  'Log',
  'Max',
  'Min',
  'Mul',
  'Neg',
  'Pow',
  'Relu',
  'Sigmoid',
  'Sign',
  'Sqrt',
  'Sub',
  'Tanh',
  'microsoft.Gelu',
]);

/** Starts an empty graph. `given` is how many elements the constants of the file have. */
export function startDraft(given = 0): Draft {
  let left = MAX_COMPUTED_IN_ALL + TIMES_THE_FILE * given;
  const nodes: Node[] = [];
  const constants = new Map<string, Tensor>();
  const literals = new Map<string, Literal>();
  const stored = new Map<Literal, string>();
  const shared = new Map<string, string>();
  const shapes = new Map<string, Both<Shape>>();
  const makers = new Map<string, Node>();
  const taken = new Set<string>();
  const shapesOf = (value: string): Both<Shape> => {
    const found = shapes.get(value);
    if (!found) throw new Error(`Nothing makes the value "${value}".`);
    return found;
  };
  const reserved = new Set<string>();
  /** A name of the file for its own value, where that is not taken. */
  const claim = (name: string) => (reserved.has(name) && !shapes.has(name) ? name : draft.freshName(name));
  const store = (name: string, tensor: Tensor) => {
    const fresh = claim(name);
    constants.set(fresh, tensor);
    shapes.set(fresh, [tensor.shape, tensor.shape]);
    return fresh;
  };
  const share = (key: string, make: () => Tensor) => {
    const known = shared.get(key) ?? store(key, make());
    shared.set(key, known);
    return known;
  };
  const append = (node: Node) => {
    const infer = (which: 0 | 1) => {
      const shape = inferShape(
        node,
        value => shapesOf(value)[which],
        value => constants.get(value),
      );
      checkRank(shape);
      if (shape.some(dim => !Number.isSafeInteger(dim) || dim < 0) || sizeOf(shape) > MAX_ELEMENTS) {
        throw new RangeError(`${node.op} ${node.name}: it would make a value of shape [${shape.join(', ')}].`);
      }
      return shape;
    };
    shapes.set(node.outputs[0]!, [infer(0), infer(1)]);
    makers.set(node.outputs[0]!, node);
    nodes.push(node);
    return node.outputs[0]!;
  };
  const draft: Draft = {
    spend(elements) {
      left -= elements;
      if (left < 0) throw new RangeError('computing its constants takes more work than any sound model needs.');
    },
    freshName(wanted) {
      let name = wanted;
      for (let i = 1; taken.has(name); i++) name = `${wanted}.${i}`;
      taken.add(name);
      return name;
    },
    reserve(name) {
      taken.add(name);
      reserved.add(name);
    },
    input(name, both) {
      shapes.set(name, both);
    },
    shapesOf,
    makerOf: value => makers.get(value),
    literalOf: value => literals.get(value),
    constant(literal, name) {
      const known = stored.get(literal) ?? store(name, toTensor(literal));
      stored.set(literal, known);
      literals.set(known, literal);
      return known;
    },
    scalar: value => share(`scalar ${value}`, () => float32([], [value])),
    ints: values => share(`ints ${values.join(',')}`, () => int64([values.length], values)),
    emit(op, inputs, attributes, name) {
      if (op === 'Transpose') {
        const { perm } = attributes as OpAttributes['Transpose'];
        if (perm.every((axis, i) => axis === i)) return inputs[0]!;
        const inner = makers.get(inputs[0]!);
        if (inner?.op === 'Transpose') {
          const joined = perm.map(axis => inner.attributes.perm[axis]!);
          return draft.emit('Transpose', inner.inputs, { perm: joined }, name);
        }
      }
      if (elementwise.has(op)) {
        const before = beforeTranspose(draft, inputs);
        if (before) {
          const made = draft.emit(op, before.inputs, attributes, name);
          return draft.emit('Transpose', [made], { perm: before.perm }, `${name}/transposed`);
        }
      }
      const output = draft.freshName(name);
      return append({ op, name: output, inputs, outputs: [output], attributes } as unknown as Node);
    },
    renameLast(output, name) {
      const last = nodes.pop()!;
      const value = last.outputs[0]!;
      makers.delete(value);
      return append({ ...last, name, outputs: [output !== '' && !shapes.has(output) ? output : value] } as Node);
    },
    nodes,
    constants,
  };
  return draft;
}

/** The inputs of element-wise work as they are before one and the same transposition of images; undefined without one. */
function beforeTranspose(
  draft: Draft,
  inputs: readonly string[],
): { readonly inputs: string[]; readonly perm: readonly number[] } | undefined {
  const makers = inputs.map(input => draft.makerOf(input));
  const first = makers.find(maker => maker?.op === 'Transpose');
  if (first?.op !== 'Transpose' || first.attributes.perm.join() !== '0,2,3,1') return undefined;
  const { perm } = first.attributes;
  const before: string[] = [];
  for (const [i, input] of inputs.entries()) {
    const maker = makers[i];
    if (maker?.op === 'Transpose' && maker.attributes.perm.join() === perm.join()) before.push(maker.inputs[0]!);
    else if (input === '' || (!maker && sizeOf(draft.shapesOf(input)[0]) === 1)) before.push(input);
    else {
      const literal = draft.literalOf(input);
      if (!literal || literal.shape.length > 4) return undefined;
      const shape = [...new Array<number>(4 - literal.shape.length).fill(1), ...literal.shape];
      const turned = transposeLiteral({ ...literal, shape }, [0, 3, 1, 2]);
      draft.spend(turned.data.length);
      before.push(draft.constant(turned, `${input}/transposed`));
    }
  }
  return { inputs: before, perm };
}

const wholeTensors: Readonly<Partial<Record<ElementType, (shape: Shape, data: Literal['data']) => Tensor>>> = {
  int64: (shape, data) => ({ dtype: 'int64', shape, data: BigInt64Array.from(data, toInt64) }),
  int32: (shape, data) => ({ dtype: 'int32', shape, data: Int32Array.from(data) }),
  int8: (shape, data) => ({ dtype: 'int8', shape, data: Int8Array.from(data) }),
  uint8: (shape, data) => ({ dtype: 'uint8', shape, data: Uint8Array.from(data) }),
  bool: (shape, data) => ({ dtype: 'bool', shape, data: Uint8Array.from(data) }),
};

/** 2^63 is what INT64_MAX becomes as a number. */
const toInt64 = (value: number): bigint => {
  const whole = BigInt(value);
  return whole >= 2n ** 63n ? 2n ** 63n - 1n : whole;
};

/** A constant as graphs have it: floats of any width in float32. */
function toTensor({ dtype, shape, data }: Literal): Tensor {
  if (data instanceof Float32Array) return float32(shape, data);
  if (dtype === 'float64') return float32(shape, Float32Array.from(data));
  const make = wholeTensors[dtype];
  if (!make) throw new RangeError(`a graph has no constants of type ${dtype}.`);
  return make(shape, data);
}
