// Gradients of ops that move, copy or sum elements.
import type { Emitter } from '../onnx/emitter.ts';
import { resolveAxes, type Shape, sliceRange } from '../onnx/shapes.ts';
import { float32, sizeOf, toNumbers } from '../tensor/tensor.ts';
import { elementwise, flip, full, pad, scale, slice, spread } from './gradient.ts';

const numbers = (g: Emitter, value: string) => toNumbers(g.constantOf(value)!);

const toShapeOfInput = (g: Emitter, { inputs: [x] }: { readonly inputs: readonly string[] }, dy: string) => [
  g.reshape(dy, g.shapeOf(x!)),
  null,
];
export const reshapeGradient = full<'Reshape'>(toShapeOfInput);
export const flattenGradient = full<'Flatten'>(toShapeOfInput);
export const squeezeGradient = full<'Squeeze'>(toShapeOfInput);
export const unsqueezeGradient = full<'Unsqueeze'>(toShapeOfInput);

// dx = dy
export const identityGradient = elementwise<'Identity'>((_g, _node, dy) => [dy]);

// dx = dy between floats; whole numbers do not move with x
export const castGradient = elementwise<'Cast'>((_g, { name, attributes: { to } }, dy) => {
  if (to !== 'float32') throw new RangeError(`Cast ${name} cannot be differentiated: it rounds to ${to}.`);
  return [dy];
});

// dx = dy, summed to the shape of x
export const expandGradient = elementwise<'Expand'>((_g, _node, dy) => [dy, null]);

export const transposeGradient = full<'Transpose'>((g, { attributes: { perm } }, dy) => {
  const inverse = perm.map((_, axis) => perm.indexOf(axis));
  return [g.transpose(dy, inverse)];
});

// Each input gets its part.
export const concatGradient = full<'Concat'>((g, { inputs, attributes }, dy, wants) => {
  const [axis] = resolveAxes([attributes.axis], g.shapeOf(dy).length) as [number];
  let start = 0;
  return inputs.map((input, i) => {
    const from = start;
    start += g.shapeOf(input)[axis]!;
    return wants[i] ? slice(g, dy, [axis], [from], [start]) : null;
  });
});

// Zeros where nothing was taken.
export const sliceGradient = full<'Slice'>((g, { inputs }, dy) => {
  const shape = g.shapeOf(inputs[0]!);
  const [starts, ends] = [numbers(g, inputs[1]!), numbers(g, inputs[2]!)];
  const axes = inputs[3] ? resolveAxes(numbers(g, inputs[3]), shape.length) : starts.map((_, i) => i);
  const steps = inputs[4] ? numbers(g, inputs[4]) : axes.map(() => 1);
  const before = shape.map(() => 0);
  const after = shape.map(() => 0);
  let dx = dy;
  axes.forEach((axis, i) => {
    const { start, length } = sliceRange(shape[axis]!, starts[i]!, ends[i]!, steps[i]!);
    const stride = Math.abs(steps[i]!);
    if (steps[i]! < 0) dx = flip(g, dx, [axis]);
    // The last element needs no zeros behind it.
    const spreaded = spread(g, dx, [axis], [stride]);
    const taken = (length - 1) * stride + 1;
    dx = stride > 1 ? slice(g, spreaded, [axis], [0], [taken]) : spreaded;
    before[axis] = steps[i]! < 0 ? start - taken + 1 : start;
    after[axis] = shape[axis]! - before[axis]! - taken;
  });
  return [pad(g, dx, before, after), null, null, null, null];
});

// Negative padding cuts off.
export const padGradient = full<'Pad'>((g, { inputs: [, pads] }, dy) => {
  const back = numbers(g, pads!).map(count => -count);
  return [g.emit('Pad', [dy, g.ints(back)], { mode: 'constant' }), null, null];
});

/** The shape of a reduction's output if it had kept its dimensions. */
const keptShape = (shape: Shape, axes: readonly number[]): Shape => {
  const gone = resolveAxes(axes, shape.length);
  return shape.map((dim, axis) => (gone.includes(axis) ? 1 : dim));
};

// dx = dy for every summand
export const reduceSumGradient = full<'ReduceSum'>((g, { inputs: [x, axes] }, dy) => [
  g.reshape(dy, keptShape(g.shapeOf(x!), numbers(g, axes!))),
  null,
]);

// dx = dy / n for each of n
export const reduceMeanGradient = full<'ReduceMean'>((g, { inputs: [x], attributes: { axes } }, dy) => {
  const shape = g.shapeOf(x!);
  const kept = keptShape(shape, axes);
  return [scale(g, g.reshape(dy, kept), sizeOf(kept) / sizeOf(shape))];
});

/**
 * Resize is linear in x and separable: Y = A X B^T with constant matrices of interpolation weights, so dX = A^T dY B.
 * Coordinates as in the ONNX specification of Resize: half_pixel (o + 1/2) / s - 1/2, asymmetric o / s,
 * align_corners o (n - 1) / (m - 1).
 */
export const resizeGradient = full<'Resize'>((g, node, dy) => {
  const shape = g.shapeOf(node.inputs[0]!);
  const out = g.shapeOf(dy);
  if (shape.length !== 4 || out[0] !== shape[0] || out[1] !== shape[1]) {
    throw new RangeError(`Resize ${node.name} changes [${shape}] to [${out}]; only height and width may change.`);
  }
  const scales = node.inputs[2] ? numbers(g, node.inputs[2]) : out.map((dim, axis) => dim / shape[axis]!);
  const matrix = (axis: number) => g.constant(interpolation(shape[axis]!, out[axis]!, scales[axis]!, node.attributes));
  const rows = g.emit('microsoft.FusedMatMul', [matrix(2), dy], { alpha: 1, transA: 1, transB: 0 });
  return [g.emit('microsoft.FusedMatMul', [rows, matrix(3)], { alpha: 1, transA: 0, transB: 0 }), null, null, null];
});

interface ResizeAttributes {
  readonly mode: 'nearest' | 'linear';
  readonly coordinate_transformation_mode: 'half_pixel' | 'asymmetric' | 'align_corners';
  readonly nearest_mode: 'floor' | 'round_prefer_floor';
}

/** [to, from]: row o holds the weights with which the inputs make output o. */
function interpolation(from: number, to: number, scale: number, attributes: ResizeAttributes) {
  const { mode, coordinate_transformation_mode, nearest_mode } = attributes;
  const source = {
    half_pixel: (o: number) => (o + 0.5) / scale - 0.5,
    asymmetric: (o: number) => o / scale,
    align_corners: (o: number) => (to === 1 ? 0 : (o * (from - 1)) / (to - 1)),
  }[coordinate_transformation_mode];
  const inside = (i: number) => Math.max(0, Math.min(from - 1, i));
  const weights = new Float32Array(to * from);
  for (let o = 0; o < to; o++) {
    const at = source(o);
    if (mode === 'nearest') {
      const nearest = nearest_mode === 'floor' ? Math.floor(at) : Math.ceil(at - 0.5);
      weights[o * from + inside(nearest)] = 1;
    } else {
      const low = Math.floor(inside(at));
      const part = inside(at) - low;
      weights[o * from + low]! += 1 - part;
      weights[o * from + inside(low + 1)]! += part;
    }
  }
  return float32([to, from], weights);
}
