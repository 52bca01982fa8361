// Static shapes: one total table of rules, and the walk that gives every value of a graph its shape.
import { sizeOf, type Tensor, toNumbers } from '../tensor/tensor.ts';
import type { Graph, Node } from './graph.ts';
import type { ConvAttributes, OpAttributes, PoolAttributes, SupportedOp } from './ops.ts';

/** A shape without unknown dimensions. */
export type Shape = readonly number[];

/** What a rule may ask about the inputs of its node. */
export interface ShapeInputs {
  /** Shape of input i; throws for an absent one. */
  shape(i: number): Shape;
  /** Values of input i, which has to be a constant. */
  numbers(i: number): number[];
  /** How many inputs there are. */
  readonly count: number;
}

type ShapeRule<O extends SupportedOp> = (inputs: ShapeInputs, attributes: Node<O>['attributes']) => Shape;

const same = (inputs: ShapeInputs): Shape => inputs.shape(0);
const broadcast = (inputs: ShapeInputs): Shape => {
  let shape: Shape = [];
  for (let i = 0; i < inputs.count; i++) shape = broadcastShapes(shape, inputs.shape(i));
  return shape;
};

/** The shape that two shapes have together under NumPy's broadcasting. Throws RangeError when they do not fit. */
export function broadcastShapes(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const [m, n] = [a[axis - rank + a.length] ?? 1, b[axis - rank + b.length] ?? 1];
    if (m !== n && m !== 1 && n !== 1) throw new RangeError(`[${a}] and [${b}] cannot be broadcast together.`);
    return m === 1 ? n : m;
  });
}

/** Axes counted from the front. */
export function resolveAxes(axes: readonly number[], rank: number): number[] {
  return axes.map(axis => (axis < 0 ? axis + rank : axis));
}

/** out = floor((in + before + after - ((kernel - 1) * dilation + 1)) / stride) + 1 per axis; or the ceiling. */
export function windowOutput(size: Shape, attributes: ConvAttributes | PoolAttributes): [number, number] {
  const { kernel_shape, strides, pads, dilations = [1, 1] } = attributes;
  const ceil = 'ceil_mode' in attributes && attributes.ceil_mode === 1;
  const along = (axis: 0 | 1) => {
    const reach = (kernel_shape[axis] - 1) * dilations[axis] + 1;
    const steps = (size[axis]! + pads[axis] + pads[axis + 2]! - reach) / strides[axis];
    const last = ceil ? Math.ceil(steps) : Math.floor(steps);
    // ONNX Runtime counts such a window in the shape that it infers, and computes none.
    if (ceil && last * strides[axis] >= size[axis]! + pads[axis]) {
      throw new RangeError('With ceil_mode the last window starts in the padding.');
    }
    return last + 1;
  };
  return [along(0), along(1)];
}

/**
 * How many positions of an axis of `size` each of `count` windows of an average counts: those inside the image, or inside
 * its padding too. What a window that sticks out of both sees there counts for nobody.
 */
export function averagedPositions(
  axis: 0 | 1,
  size: number,
  count: number,
  { kernel_shape, strides, pads, count_include_pad }: OpAttributes['AveragePool'],
): number[] {
  const [low, high] = count_include_pad ? [-pads[axis], size + pads[axis + 2]!] : [0, size];
  return Array.from({ length: count }, (_, i) => {
    const start = i * strides[axis] - pads[axis];
    return Math.min(start + kernel_shape[axis], high) - Math.max(start, low);
  });
}

const convolved = (inputs: ShapeInputs, attributes: ConvAttributes): Shape => {
  const [n, , h, w] = inputs.shape(0);
  return [n!, inputs.shape(1)[0]!, ...windowOutput([h!, w!], attributes)];
};
const pooled = (inputs: ShapeInputs, attributes: PoolAttributes): Shape => {
  const [n, c, h, w] = inputs.shape(0);
  return [n!, c!, ...windowOutput([h!, w!], attributes)];
};
const reduced = (shape: Shape, axes: readonly number[], keepdims: 0 | 1): Shape => {
  const gone = new Set(resolveAxes(axes, shape.length));
  return keepdims ? shape.map((dim, i) => (gone.has(i) ? 1 : dim)) : shape.filter((_, i) => !gone.has(i));
};
const multiplied = (a: Shape, b: Shape, transA: 0 | 1, transB: 0 | 1): Shape => {
  if (a.length < 2 || b.length < 2) throw new RangeError(`[${a}] and [${b}] are not both matrices.`);
  const turn = (shape: Shape, turned: 0 | 1) =>
    turned ? [...shape.slice(0, -2), shape.at(-1)!, shape.at(-2)!] : [...shape];
  const [left, right] = [turn(a, transA), turn(b, transB)];
  if (left.at(-1) !== right.at(-2)) throw new RangeError(`[${left}] and [${right}] cannot be multiplied.`);
  return [...broadcastShapes(left.slice(0, -2), right.slice(0, -2)), left.at(-2)!, right.at(-1)!];
};

const shapeRules: { readonly [O in SupportedOp]: ShapeRule<O> } = {
  Abs: same,
  Add: broadcast,
  AveragePool: pooled,
  BatchNormalization: same,
  Cast: same,
  Clip: same,
  Concat(inputs, { axis }) {
    const shapes = Array.from({ length: inputs.count }, (_, i) => inputs.shape(i));
    const [along] = resolveAxes([axis], shapes[0]!.length);
    return shapes[0]!.map((dim, i) => (i === along ? shapes.reduce((sum, shape) => sum + shape[i]!, 0) : dim));
  },
  Conv: convolved,
  ConvTranspose(inputs, { kernel_shape, strides, pads, dilations, group, output_padding }) {
    const [n, , ...size] = inputs.shape(0);
    const along = (axis: 0 | 1) =>
      (size[axis]! - 1) * strides[axis] +
      output_padding[axis] +
      (kernel_shape[axis] - 1) * dilations[axis] +
      1 -
      pads[axis] -
      pads[axis + 2]!;
    return [n!, inputs.shape(1)[1]! * group, along(0), along(1)];
  },
  Div: broadcast,
  Erf: same,
  Exp: same,
  Expand: inputs => broadcastShapes(inputs.shape(0), inputs.numbers(1)),
  Flatten(inputs, { axis }) {
    const shape = inputs.shape(0);
    const [at] = resolveAxes([axis], shape.length);
    return [sizeOf(shape.slice(0, at)), sizeOf(shape.slice(at))];
  },
  Gather(inputs, { axis }) {
    const shape = inputs.shape(0);
    const [at] = resolveAxes([axis], shape.length) as [number];
    return [...shape.slice(0, at), ...inputs.shape(1), ...shape.slice(at + 1)];
  },
  Gemm: (inputs, { transA, transB }) => multiplied(inputs.shape(0), inputs.shape(1), transA, transB),
  GlobalAveragePool: inputs => inputs.shape(0).map((dim, axis) => (axis < 2 ? dim : 1)),
  HardSigmoid: same,
  HardSwish: same,
  Identity: same,
  LayerNormalization: same,
  Log: same,
  LogSoftmax: same,
  MatMul: inputs => multiplied(inputs.shape(0), inputs.shape(1), 0, 0),
  MaxPool: pooled,
  Max: broadcast,
  Min: broadcast,
  Mul: broadcast,
  Neg: same,
  Pad(inputs) {
    const shape = inputs.shape(0);
    const pads = inputs.numbers(1);
    return shape.map((dim, axis) => dim + pads[axis]! + pads[axis + shape.length]!);
  },
  Pow: broadcast,
  ReduceMean: (inputs, { axes, keepdims }) => reduced(inputs.shape(0), axes, keepdims),
  ReduceSum: (inputs, { keepdims }) => reduced(inputs.shape(0), inputs.numbers(1), keepdims),
  Relu: same,
  Reshape(inputs) {
    const shape = inputs.shape(0);
    const wanted = inputs.numbers(1).map((dim, axis) => (dim === 0 ? shape[axis]! : dim));
    const known = wanted.filter(dim => dim !== -1);
    const full = wanted.map(dim => (dim === -1 ? sizeOf(shape) / sizeOf(known) : dim));
    if (sizeOf(full) !== sizeOf(shape) || !full.every(Number.isInteger)) {
      throw new RangeError(`[${shape}] cannot be reshaped to [${wanted}].`);
    }
    return full;
  },
  Resize(inputs) {
    const shape = inputs.shape(0);
    if (inputs.count > 3) return inputs.numbers(3);
    const scales = inputs.numbers(2);
    return shape.map((dim, axis) => Math.floor(dim * scales[axis]!));
  },
  ScatterElements: same,
  Sigmoid: same,
  Sign: same,
  Slice(inputs) {
    const shape = [...inputs.shape(0)];
    const [starts, ends] = [inputs.numbers(1), inputs.numbers(2)];
    const axes = inputs.count > 3 ? resolveAxes(inputs.numbers(3), shape.length) : starts.map((_, i) => i);
    const steps = inputs.count > 4 ? inputs.numbers(4) : axes.map(() => 1);
    axes.forEach((axis, i) => {
      shape[axis] = sliceRange(shape[axis]!, starts[i]!, ends[i]!, steps[i]!).length;
    });
    return shape;
  },
  Softmax: same,
  Sqrt: same,
  Squeeze: inputs => {
    const shape = inputs.shape(0);
    const gone = resolveAxes(inputs.numbers(1), shape.length);
    return shape.filter((_, axis) => !gone.includes(axis));
  },
  Sub: broadcast,
  Tanh: same,
  TopK(inputs, { axis }) {
    const shape = inputs.shape(0);
    const [along] = resolveAxes([axis], shape.length);
    return shape.map((dim, i) => (i === along ? inputs.numbers(1)[0]! : dim));
  },
  Transpose: (inputs, { perm }) => perm.map(axis => inputs.shape(0)[axis]!),
  Unsqueeze: inputs => {
    const axes = inputs.numbers(1);
    const rank = inputs.shape(0).length + axes.length;
    const added = new Set(resolveAxes(axes, rank));
    const rest = [...inputs.shape(0)];
    return Array.from({ length: rank }, (_, axis) => (added.has(axis) ? 1 : rest.shift()!));
  },
  'microsoft.FusedMatMul': (inputs, { transA, transB }) => multiplied(inputs.shape(0), inputs.shape(1), transA, transB),
  'microsoft.Gelu': same,
  'nchwc.Conv': convolved,
  'nchwc.ReorderInput': (inputs, { channels_last }) => {
    const shape = inputs.shape(0);
    return channels_last ? [shape[0]!, shape[3]!, shape[1]!, shape[2]!] : shape;
  },
  'nchwc.ReorderOutput': (inputs, { channels, channels_last }) => {
    const [n, , h, w] = inputs.shape(0);
    return channels_last ? [n!, h!, w!, channels] : [n!, channels, h!, w!];
  },
};

/** Where a slice of an axis starts and how many elements it takes, with ONNX's clamping of starts and ends. */
export function sliceRange(size: number, start: number, end: number, step: number): { start: number; length: number } {
  const clamp = (value: number, low: number, high: number) => Math.max(low, Math.min(high, value));
  const from = start < 0 ? start + size : start;
  const to = end < 0 ? end + size : end;
  const [first, last] =
    step > 0 ? [clamp(from, 0, size), clamp(to, 0, size)] : [clamp(from, 0, size - 1), clamp(to, -1, size - 1)];
  return { start: first, length: Math.max(0, Math.ceil((last - first) / step)) };
}

/** Shape of a node's first output. Throws RangeError with the node's name when its inputs do not fit. */
export function inferShape(
  node: Node,
  shapeOf: (value: string) => Shape,
  constantOf: (value: string) => Tensor | undefined,
): Shape {
  const inputs: ShapeInputs = {
    count: node.inputs.length,
    shape: i => shapeOf(node.inputs[i]!),
    numbers(i) {
      const constant = constantOf(node.inputs[i]!);
      if (!constant) throw new RangeError(`input ${i} has to be a constant.`);
      return toNumbers(constant);
    },
  };
  try {
    return (shapeRules[node.op] as ShapeRule<SupportedOp>)(inputs, node.attributes as never);
  } catch (error) {
    throw new RangeError(`${node.op} ${node.name}: ${(error as Error).message}`);
  }
}

/**
 * Shapes of all values.
 * @param dims numbers for the named dimensions of the inputs, e.g. { N: 8 }.
 */
export function inferShapes(graph: Graph, dims: Readonly<Record<string, number>> = {}): Map<string, Shape> {
  const shapes = new Map<string, Shape>();
  for (const [name, { shape }] of graph.constants) shapes.set(name, shape);
  for (const { name, shape } of graph.inputs) {
    shapes.set(
      name,
      shape.map(dim => {
        const size = typeof dim === 'string' ? dims[dim] : dim;
        if (size === undefined) throw new RangeError(`The dimension ${dim} of ${name} has no size.`);
        return size;
      }),
    );
  }
  const shapeOf = (value: string) => {
    const shape = shapes.get(value);
    if (!shape) throw new RangeError(`nothing makes the value "${value}".`);
    return shape;
  };
  for (const node of graph.nodes) {
    const shape = inferShape(node, shapeOf, value => graph.constants.get(value));
    for (const output of node.outputs) if (output !== '') shapes.set(output, shape);
  }
  return shapes;
}
