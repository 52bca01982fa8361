// Matrix products, normalisations, reductions and softmax of ONNX.
import { sizeOf } from '../tensor/tensor.ts';
import type { Conversion, NodeContext } from './convert-node.ts';
import { globalMax } from './convert-window.ts';
import type { Both } from './draft.ts';
import { literal, reshapeLiteral } from './literal.ts';
import { checkAxis, reductionOf } from './node-reader.ts';
import type { Shape } from './shapes.ts';

/** The axes and keepdims of a reduction, undefined where it does nothing. */
function reduction(n: NodeContext): { readonly axes: number[]; readonly keepdims: 0 | 1 } | undefined {
  const { axes, keepdims } = reductionOf(n, n.rank(0), i => n.ints(i));
  return axes && { axes, keepdims };
}

/** A reduction that is a sum of something. */
const sumOf =
  (before: (n: NodeContext) => string, after?: (n: NodeContext, sum: string) => string): Conversion =>
  n => {
    const what = reduction(n);
    const terms = before(n);
    const sum = what ? n.emit('ReduceSum', [terms, n.intConstant(what.axes)], { keepdims: what.keepdims }) : terms;
    return after ? after(n, sum) : sum;
  };
const square = (n: NodeContext) => n.emit('Mul', [n.x(), n.x()], {});
const logOf = (n: NodeContext, x: string) => n.emit('Log', [x], {});

/** Softmax in its two meanings: over one axis since opset 13, over all from the axis on before. */
const softmax =
  (op: 'Softmax' | 'LogSoftmax'): Conversion =>
  n => {
    const shapes = n.shapes(0);
    const rank = shapes[0].length;
    const axis = checkAxis(n, n.int('axis', n.opset < 13 ? 1 : -1), rank);
    const isOne = ([a, b]: Both<Shape>) => sizeOf(a.slice(axis + 1)) === 1 && sizeOf(b.slice(axis + 1)) === 1;
    if (n.opset >= 13 || isOne(shapes)) return n.emit(op, [n.x()], { axis });
    const flat = shapes.map(shape => [sizeOf(shape.slice(0, axis)), sizeOf(shape.slice(axis))]);
    const rows = n.reshape(n.x(), flat as unknown as Both<Shape>);
    return n.reshape(n.emit(op, [rows], { axis: 1 }), shapes);
  };

/** (x - mean) / sqrt(variance + epsilon) over some axes, kept. */
function standardise(n: NodeContext, x: string, axes: readonly number[], epsilon: number): string {
  const mean = (value: string) => n.emit('ReduceMean', [value], { axes, keepdims: 1 });
  const centred = n.emit('Sub', [x, mean(x)], {});
  const variance = mean(n.emit('Mul', [centred, centred], {}));
  return n.emit('Div', [centred, n.emit('Sqrt', [n.emit('Add', [variance, n.scalar(epsilon)], {})], {})], {});
}

/** A parameter per channel, shaped to broadcast over positions. */
function perChannel(n: NodeContext, i: number, rank: number): string {
  const given = n.literal(i);
  const shape = [given.data.length, ...new Array<number>(rank - 2).fill(1)];
  return n.constant(reshapeLiteral(given, shape), n.node.inputs[i]!);
}

/** y = scale * n + bias per channel, of what is standardised. */
function scaleAndShift(n: NodeContext, normal: string): string {
  const rank = n.rank(0);
  return n.emit('Add', [n.emit('Mul', [normal, perChannel(n, 1, rank)], {}), perChannel(n, 2, rank)], {});
}

export const denseConversions: Readonly<Record<string, Conversion>> = {
  BatchNormalization(n) {
    if (n.int('training_mode', 0) === 1 || n.hasMoreOutputs) n.refuse('it is in training mode');
    if (n.opset < 9 && n.int('spatial', 1) === 0)
      n.refuse('it has statistics of its own for every position (spatial = 0)');
    const channels = n.rank(0) < 2 ? 1 : n.dim(0, 1);
    for (let i = 1; i < 5; i++) {
      const { shape } = n.literal(i);
      if (shape.join() !== String(channels))
        n.fail(`its input ${i} has the shape [${shape.join(', ')}], not [${channels}]`);
    }
    return n.emit('BatchNormalization', [n.x(), n.x(1), n.x(2), n.x(3), n.x(4)], { epsilon: n.float('epsilon', 1e-5) });
  },
  Gemm(n) {
    const [transA, transB] = [n.int('transA', 0), n.int('transB', 0)].map(flag => (flag === 0 ? 0 : 1)) as [
      0 | 1,
      0 | 1,
    ];
    return n.emit('Gemm', [n.x(0), n.x(1), ...(n.has(2) ? [n.x(2)] : [])], {
      alpha: n.float('alpha', 1),
      beta: n.float('beta', 1),
      transA,
      transB,
    });
  },
  GroupNormalization(n) {
    const shapes = n.shapes(0);
    const groups = n.int('num_groups', 0);
    const channels = n.dim(0, 1);
    if (!(groups > 0) || channels % groups !== 0) n.fail(`${channels} channels in ${groups} groups`);
    const grouped = shapes.map(shape => [shape[0]!, groups, sizeOf(shape.slice(1)) / groups]);
    const rows = n.reshape(n.x(), grouped as unknown as Both<Shape>);
    const normal = n.reshape(standardise(n, rows, [2], n.float('epsilon', 1e-5)), shapes);
    if (n.literal(1).data.length !== channels) n.refuse('it has a scale per group, and one per channel is wanted');
    return scaleAndShift(n, normal);
  },
  InstanceNormalization(n) {
    const axes = n
      .shapes(0)[0]
      .map((_, axis) => axis)
      .slice(2);
    return scaleAndShift(n, standardise(n, n.x(), axes, n.float('epsilon', 1e-5)));
  },
  LayerNormalization(n) {
    if (n.hasMoreOutputs) n.refuse('its mean or deviation is used');
    const axis = checkAxis(n, n.int('axis', -1), n.rank(0));
    const { shape } = n.literal(1);
    const bias = n.has(2)
      ? n.x(2)
      : n.constant(literal('float32', shape, new Array<number>(sizeOf(shape)).fill(0)), 'bias');
    return n.emit('LayerNormalization', [n.x(), n.x(1), bias], { axis, epsilon: n.float('epsilon', 1e-5) });
  },
  LogSoftmax: softmax('LogSoftmax'),
  MatMul(n) {
    if (n.rank(0) < 2 || n.rank(1) < 2) n.refuse('one of its inputs has one dimension, and matrices are wanted');
    return n.emit('MatMul', [n.x(0), n.x(1)], {});
  },
  ReduceL1: sumOf(n => n.emit('Abs', [n.x()], {})),
  ReduceL2: sumOf(square, (n, sum) => n.emit('Sqrt', [sum], {})),
  ReduceLogSum: sumOf(n => n.x(), logOf),
  ReduceLogSumExp: sumOf(n => n.emit('Exp', [n.x()], {}), logOf),
  // The largest over all positions is a pool; over other axes there is no op.
  ReduceMax(n) {
    const what = reduction(n);
    if (!what) return n.x();
    const shapes = n.shapes(0);
    if (shapes[0].length !== 4 || what.axes.join() !== '2,3')
      n.refuse(`it reduces the axes [${what.axes.join(', ')}], and [2, 3] of an image are wanted`);
    const largest = globalMax(n);
    return what.keepdims ? largest : n.reshape(largest, [shapes[0].slice(0, 2), shapes[1].slice(0, 2)]);
  },
  ReduceMean(n) {
    const what = reduction(n);
    if (!what) return n.x();
    return n.emit('ReduceMean', [n.x()], what);
  },
  ReduceSum: sumOf(n => n.x()),
  ReduceSumSquare: sumOf(square),
  Softmax: softmax('Softmax'),
};
