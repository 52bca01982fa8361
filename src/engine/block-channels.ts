// Lays convolutions out in blocks of channels, as ONNX Runtime's fast kernels want them. The runtime does so by itself
// where weights are constant; in training they change at every step, so we do it for the part that is trained.
//
// A blocked value stands for one of shape [N, C, H, W] and has the shape [N, C / b, H, W, b], with C filled up to whole
// blocks. What is in the filling does not matter as long as it is finite: weights that meet it are zero.
import { type Emitter, startEmitter } from '../onnx/emitter.ts';
import type { Graph, Node } from '../onnx/graph.ts';
import type { ConvAttributes, SupportedOp } from '../onnx/ops.ts';
import type { Shape } from '../onnx/shapes.ts';

type Four = readonly [number, number, number, number];

/**
 * Ops of one input that mean the same in any layout; further inputs are constants. Sqrt is not one of them: its slope
 * at the zeros of the filling is infinite.
 */
const unary: ReadonlySet<SupportedOp> = new Set([
  'Relu',
  'HardSwish',
  'HardSigmoid',
  'Sigmoid',
  'Tanh',
  'Clip',
  'Abs',
  'Neg',
  'Exp',
  'microsoft.Gelu',
  'Erf',
]);
/** Ops of two inputs that mean the same in any layout. Div would divide zeros of the filling by zeros. */
const binary: ReadonlySet<SupportedOp> = new Set(['Add', 'Sub', 'Mul', 'Max', 'Min']);

/**
 * The same graph with blocked convolutions wherever something depends on `trained`.
 * @param dims numbers for the named dimensions of the inputs.
 * @param block channels per block: the machine's (`measureChannelBlock`).
 * @param trained names of the constants or inputs that will change.
 * @returns the graph, open for more nodes; outputs of `graph` keep their names and layout.
 */
export function blockChannels(
  graph: Graph,
  dims: Readonly<Record<string, number>>,
  block: number,
  trained: readonly string[],
): Emitter {
  const g = startEmitter({ ...graph, nodes: [], channelBlock: block }, dims, 'b');
  const shapes = new Map<string, Shape>();
  const blocked = new Map<string, string>();
  const dependent = new Set(trained);
  const roundUp = (channels: number) => Math.ceil(channels / block) * block;
  const shapeOf = (value: string): Shape => shapes.get(value) ?? g.shapeOf(value);
  const given = new Set([...graph.inputs.map(({ name }) => name), ...graph.constants.keys()]);
  const known = (value: string) => !blocked.has(value) || given.has(value) || g.makerOf(value) !== undefined;

  /** Fills an axis up with zeros. */
  const fill = (value: string, axis: number, size: number): string => {
    const shape = g.shapeOf(value);
    const missing = size - shape[axis]!;
    if (missing === 0) return value;
    const after = shape.map((_, i) => (i === axis ? missing : 0));
    return g.emit('Pad', [value, g.ints([...shape.map(() => 0), ...after])], { mode: 'constant' });
  };

  /** The value in ONNX's own layout. */
  const plain = (value: string): string => {
    if (value === '' || known(value)) return value;
    const [n, c, h, w] = shapeOf(value) as Four;
    const flat = g.reshape(blocked.get(value)!, [n, roundUp(c), h, w]);
    const made =
      h * w === 1
        ? ({ op: 'Slice', inputs: [flat, g.ints([0]), g.ints([c]), g.ints([1]), g.ints([1])], attributes: {} } as const)
        : ({ op: 'nchwc.ReorderOutput', inputs: [flat], attributes: { channels: c, channels_last: 0 } } as const);
    g.append({ ...made, name: value, outputs: [value] } as Node);
    return value;
  };

  /** The value in blocks. */
  const inBlocks = (value: string): string => {
    const twin = blocked.get(value);
    if (twin) return twin;
    const [n, c, h, w] = shapeOf(value) as Four;
    const filled = fill(value, 1, roundUp(c));
    const ordered = h * w === 1 ? filled : g.emit('nchwc.ReorderInput', [filled], { channels_last: 0 });
    const made = g.reshape(ordered, [n, roundUp(c) / block, h, w, block]);
    blocked.set(value, made);
    return made;
  };

  const convolve = (node: Node<'Conv'>): string | undefined => {
    const { inputs, attributes } = node;
    const [x, w, bias] = inputs as readonly [string, string, string?];
    const [n, c, h, width] = shapeOf(x) as Four;
    const [o, i, kh, kw] = shapeOf(w) as Four;
    const [out, channels] = [roundUp(o), roundUp(c)];
    const rows = bias === undefined ? [] : [fill(plain(bias), 0, out)];
    const finish = (input: string, weight: string, more: Partial<ConvAttributes> = {}) => {
      const y = g.emit('nchwc.Conv', [input, weight, ...rows], { ...attributes, ...more });
      const [, , yh, yw] = g.shapeOf(y) as Four;
      return g.reshape(y, [n, out / block, yh, yw, block]);
    };
    const whole = () => g.reshape(inBlocks(x), [n, channels, h, width]);
    const one = h * width === 1 && kh * kw === 1 && attributes.pads.every(p => p === 0);
    if (one && attributes.group === 1) {
      const matrix = fill(fill(g.reshape(plain(w), [o, i]), 0, out), 1, channels);
      const gemm = { alpha: 1, beta: 1, transA: 0, transB: 1 } as const;
      const y = g.emit('Gemm', [g.reshape(inBlocks(x), [n, channels]), matrix, ...rows], gemm);
      return g.reshape(y, [n, out / block, 1, 1, block]);
    }
    if (attributes.group === c && o === c) {
      // [C / b, kh, kw, b]
      const filled = g.reshape(fill(plain(w), 0, out), [out / block, block, kh, kw]);
      return finish(whole(), g.reshape(g.transpose(filled, [0, 2, 3, 1]), [out, 1, kh, kw]), { group: out });
    }
    const taps = kh * kw;
    if (attributes.group === 1 && c < block && !dependent.has(x) && taps > 1) {
      // [O / b, I, kh, kw, b], and the picture in ONNX's layout
      const filled = g.reshape(fill(plain(w), 0, out), [out / block, block, i, kh, kw]);
      return finish(plain(x), g.reshape(g.transpose(filled, [0, 2, 3, 4, 1]), [out, i, kh, kw]));
    }
    if (attributes.group === 1) {
      // [O / b, I / b, kh, kw, b of I, b of O], in two steps that are fast each: filters become the blocks of a picture whose
      // positions are what each of them holds, and then taps move outwards.
      const filled = fill(fill(plain(w), 0, out), 1, channels);
      const picture = g.reshape(filled, [out / block, block, 1, channels * taps]);
      const outLast = g.emit('nchwc.ReorderInput', [picture], { channels_last: 0 });
      const outer = (out * channels) / block ** 2;
      const weight = taps === 1 ? outLast : g.transpose(g.reshape(outLast, [outer, block, taps, block]), [0, 2, 1, 3]);
      return finish(whole(), g.reshape(weight, [out, channels, kh, kw]));
    }
    return undefined;
  };

  /** The blocked output of a node, undefined where it has to be computed in ONNX's layout. */
  const convert = (node: Node): string | undefined => {
    const [a, b] = node.inputs as readonly [string, string?];
    if (node.op === 'Conv') return convolve(node);
    if (unary.has(node.op) && blocked.has(a)) {
      return g.emit(node.op, [blocked.get(a)!, ...node.inputs.slice(1)], node.attributes as never);
    }
    if (binary.has(node.op) && b !== undefined && (blocked.has(a) || blocked.has(b))) {
      const [left, right] = [shapeOf(a), shapeOf(b)];
      const fits = (shape: Shape) => shape.length === 4 && shape[1] === (left.length === 4 ? left : right)[1];
      const side = (value: string, shape: Shape) =>
        shape.length === 0 ? value : fits(shape) ? inBlocks(value) : undefined;
      const sides = [side(a, left), side(b, right)];
      if (sides.every(value => value !== undefined)) return g.emit(node.op as 'Add', sides as string[], {});
    }
    if (node.op === 'GlobalAveragePool' && blocked.has(a)) {
      return g.emit('ReduceMean', [blocked.get(a)!], { axes: [2, 3], keepdims: 1 });
    }
    return undefined;
  };

  /** Pooling that leaves the layout: [N, C / b, H, W, b] -> [N, C]. */
  const poolToRows = (node: Node): boolean => {
    const [x] = node.inputs as readonly [string];
    if (
      node.op !== 'ReduceMean' ||
      !blocked.has(x) ||
      node.attributes.keepdims ||
      node.attributes.axes.join() !== '2,3'
    ) {
      return false;
    }
    const [n, c] = shapeOf(x) as Four;
    const rows = g.reshape(g.emit('ReduceMean', [blocked.get(x)!], { axes: [2, 3], keepdims: 0 }), [n, roundUp(c)]);
    const inputs = [rows, g.ints([0]), g.ints([c]), g.ints([1]), g.ints([1])];
    g.append({ op: 'Slice', name: node.name, inputs, outputs: node.outputs, attributes: {} });
    return true;
  };

  const full = startEmitter(graph, dims);
  for (const node of graph.nodes) {
    for (const output of node.outputs) shapes.set(output, full.shapeOf(output));
    const isTrained = node.inputs.some(input => dependent.has(input));
    if (isTrained) for (const output of node.outputs) dependent.add(output);
    if (isTrained && poolToRows(node)) continue;
    const made = isTrained ? convert(node) : undefined;
    if (made === undefined) g.append({ ...node, inputs: node.inputs.map(plain) } as Node);
    else blocked.set(node.outputs[0]!, made);
  }
  for (const { name } of graph.outputs) plain(name);
  return g;
}
