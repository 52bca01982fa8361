// Gradients of convolutions in ONNX's own layout (NCHW) and of pooling. Formulas: Dumoulin and Visin, "A guide to
// convolution arithmetic for deep learning", arXiv:1603.07285; the filter's gradient is a convolution of x with dy.
import type { Emitter } from '../onnx/emitter.ts';
import type { ConvAttributes } from '../onnx/ops.ts';
import { averagedPositions, type Shape } from '../onnx/shapes.ts';
import { float32, sizeOf } from '../tensor/tensor.ts';
import { full, mul, scale, slice } from './gradient.ts';

/** Whether a convolution is a matrix product per position. */
function isPointwise({ kernel_shape, strides, pads, group }: ConvAttributes): boolean {
  return kernel_shape.join() === '1,1' && strides.join() === '1,1' && pads.every(p => p === 0) && group === 1;
}

export const convGradient = full<'Conv'>((g, { inputs: [x, w], attributes }, dy, wants) => {
  const pointwise = isPointwise(attributes);
  return [
    wants[0] ? (pointwise ? pointwiseInput(g, w!, dy) : inputGradient(g, x!, w!, dy, attributes)) : null,
    wants[1] ? (pointwise ? pointwiseFilter(g, x!, w!, dy) : filterGradient(g, x!, w!, dy, attributes)) : null,
    wants[2] ? g.reduceSum(dy, [0, 2, 3], 0) : null,
  ];
});

/** 1 x 1: dX = W^T dY at every position. */
function pointwiseInput(g: Emitter, w: string, dy: string): string {
  const turned = g.transpose(w, [1, 0, 2, 3]);
  const one = { kernel_shape: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 } as const;
  return g.emit('Conv', [dy, turned], one);
}

/** 1 x 1: dW = sum over photos of dY X^T, with positions as columns. */
function pointwiseFilter(g: Emitter, x: string, w: string, dy: string): string {
  const flat = (value: string) => {
    const [n, c, h, width] = g.shapeOf(value) as [number, number, number, number];
    return g.reshape(value, [n, c, h * width]);
  };
  const products = g.emit('microsoft.FusedMatMul', [flat(dy), flat(x)], { alpha: 1, transA: 0, transB: 1 });
  return g.reshape(g.reduceSum(products, [0], 0), g.shapeOf(w));
}

/** What has to be added to the output of a transposed convolution, where the forward one left rows or columns over. */
function leftOver(size: Shape, { kernel_shape, strides, pads, dilations }: ConvAttributes): [number, number] {
  const along = (axis: 0 | 1) => {
    const reach = (kernel_shape[axis] - 1) * dilations[axis] + 1;
    return (size[axis]! + pads[axis] + pads[axis + 2]! - reach) % strides[axis];
  };
  return [along(0), along(1)];
}

function inputGradient(g: Emitter, x: string, w: string, dy: string, attributes: ConvAttributes): string {
  const output_padding = leftOver(g.shapeOf(x).slice(2), attributes);
  return g.emit('ConvTranspose', [dy, w], { ...attributes, output_padding });
}

/**
 * dW[o, i, u, v] = sum over n, y, x of dY[n, o, y, x] X[n, i, s y + d u - p, s x + d v - p]: the convolution of X with
 * the kernel dY, whose dilation is the stride and whose stride is the dilation; photos take the place of channels, and
 * the input channels of a group that of photos.
 */
function filterGradient(g: Emitter, x: string, w: string, dy: string, attributes: ConvAttributes): string {
  const { group, strides, dilations, pads } = attributes;
  const [n, c, ...size] = g.shapeOf(x) as [number, number, number, number];
  const [, o, ...outSize] = g.shapeOf(dy) as [number, number, number, number];
  const [, inChannels, kh, kw] = g.shapeOf(w) as [number, number, number, number];
  const byChannel = g.transpose(g.reshape(x, [n, group, inChannels, ...size]), [2, 1, 0, 3, 4]);
  const images = g.reshape(byChannel, [inChannels, group * n, ...size]);
  const kernels = g.transpose(dy, [1, 0, 2, 3]);
  const correlated = g.emit('Conv', [images, kernels], {
    kernel_shape: outSize,
    strides: dilations,
    pads,
    dilations: strides,
    group,
  });
  // Rows and columns that the forward convolution left over make it longer than the filter.
  const [, , rows, columns] = g.shapeOf(correlated) as [number, number, number, number];
  const cut = rows === kh && columns === kw ? correlated : slice(g, correlated, [2, 3], [0, 0], [kh, kw]);
  if (c !== group * inChannels || g.shapeOf(cut)[1] !== o)
    throw new RangeError('The groups do not divide the channels.');
  return g.transpose(cut, [1, 0, 2, 3]);
}

// dx = dy / (h w) at every position
export const globalAveragePoolGradient = full<'GlobalAveragePool'>((g, { inputs: [x] }, dy) => [
  scale(g, dy, 1 / sizeOf(g.shapeOf(x!).slice(2))),
]);

// dx = sum over the windows that an element is in of dy / count: a transposed convolution with ones
export const averagePoolGradient = full<'AveragePool'>((g, node, dy) => {
  const { attributes, inputs } = node;
  const [, channels, ...size] = g.shapeOf(inputs[0]!) as [number, number, number, number];
  if ((attributes.dilations ?? [1, 1]).join() !== '1,1') {
    throw new RangeError(`AveragePool ${node.name} has dilations, for which there is no gradient.`);
  }
  const out = g.shapeOf(dy).slice(2) as [number, number];
  const { kernel_shape, strides, pads } = attributes;
  const [rows, columns] = ([0, 1] as const).map(axis => averagedPositions(axis, size[axis]!, out[axis], attributes));
  const shares = rows!.flatMap(height => columns!.map(width => 1 / (height * width)));
  const area = kernel_shape[0] * kernel_shape[1];
  const ones = g.constant(float32([channels, 1, ...kernel_shape], new Float32Array(channels * area).fill(1)));
  // With ceil_mode the last window may stick out farther than the padding goes.
  const after = (axis: 0 | 1) =>
    Math.max(pads[axis + 2]!, (out[axis] - 1) * strides[axis] + kernel_shape[axis] - size[axis]! - pads[axis]);
  const reached = [pads[0], pads[1], after(0), after(1)] as const;
  const conv: ConvAttributes = { kernel_shape, strides, pads: reached, dilations: [1, 1], group: channels };
  const share = mul(g, dy, g.constant(float32([1, 1, ...out], shares)));
  return [g.emit('ConvTranspose', [share, ones], { ...conv, output_padding: leftOver(size, conv) })];
});

// dx = dy at the place of each maximum; windows may share one
export const maxPoolGradient = full<'MaxPool'>((g, { inputs: [x], attributes }, dy) => {
  const shape = g.shapeOf(x!);
  const indices = g.freshName();
  g.emit('MaxPool', [x!], attributes, [indices]);
  const zeros = g.emit('Expand', [g.scalar(0), g.ints([sizeOf(shape)])], {});
  const count = [sizeOf(g.shapeOf(dy))];
  const flat = g.emit('ScatterElements', [zeros, g.reshape(indices, count), g.reshape(dy, count)], {
    axis: 0,
    reduction: 'add',
  });
  return [g.reshape(flat, shape)];
});
