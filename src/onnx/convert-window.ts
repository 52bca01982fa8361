// Ops of ONNX with a window over height and width: convolution, pooling, and local response normalisation.

import type { Conversion, NodeContext } from './convert-node.ts';
import { FIXED } from './graph.ts';
import { emptyLiteral, literal } from './literal.ts';
import type { Pads } from './ops.ts';

type Pair = readonly [number, number];

/** Channels that a local response normalisation may have: its matrix is square in them. */
const MAX_NORMALISED_CHANNELS = 4096;

/** Two positive numbers of an attribute. */
function pairOf(n: NodeContext, name: string, absent: Pair): Pair {
  const given = n.list(name) ?? absent;
  const [a, b] = given;
  if (given.length !== 2 || !given.every(value => Number.isSafeInteger(value) && value > 0)) {
    n.fail(`its ${name} are [${given.join(', ')}], and two positive numbers are wanted`);
  }
  return [a!, b!];
}

/** Height and width of the input; refuses what is no image. */
function imageSize(n: NodeContext): Pair {
  const rank = n.rank(0);
  if (rank !== 4)
    n.refuse(`its input has ${rank} dimensions, and an image [photos, channels, height, width] is wanted`);
  return [n.dim(0, 2), n.dim(0, 3)];
}

interface Window {
  readonly kernel_shape: Pair;
  readonly strides: Pair;
  readonly pads: Pads;
  readonly dilations: Pair;
}

const reach = ({ kernel_shape, dilations }: Pick<Window, 'kernel_shape' | 'dilations'>, axis: 0 | 1) =>
  (kernel_shape[axis] - 1) * dilations[axis] + 1;

/** The window with its padding made explicit. */
function windowOf(n: NodeContext, size: Pair, kernel_shape: Pair): Window {
  const strides = pairOf(n, 'strides', [1, 1]);
  const dilations = pairOf(n, 'dilations', [1, 1]);
  const auto = n.text('auto_pad', 'NOTSET');
  if (auto === 'NOTSET') {
    const pads = n.list('pads') ?? [0, 0, 0, 0];
    if (pads.length !== 4 || pads.some(pad => !(pad >= 0))) n.fail(`its pads are [${pads.join(', ')}]`);
    return { kernel_shape, strides, dilations, pads: pads as unknown as Pads };
  }
  if (auto === 'VALID') return { kernel_shape, strides, dilations, pads: [0, 0, 0, 0] };
  if (auto !== 'SAME_UPPER' && auto !== 'SAME_LOWER') n.fail(`its auto_pad is ${auto}`);
  // ceil(size / stride) windows; the odd row or column of padding is at the end (UPPER) or at the beginning (LOWER).
  const along = (axis: 0 | 1): Pair => {
    const count = Math.ceil(size[axis] / strides[axis]);
    const total = Math.max(0, (count - 1) * strides[axis] + reach({ kernel_shape, dilations }, axis) - size[axis]);
    const small = Math.floor(total / 2);
    return auto === 'SAME_UPPER' ? [small, total - small] : [total - small, small];
  };
  const [[top, bottom], [left, right]] = [along(0), along(1)];
  return { kernel_shape, strides, dilations, pads: [top, left, bottom, right] };
}

/** With ceil_mode, the last window may stand out behind the padding: as much padding more makes it a window like others. */
function withoutCeilMode(n: NodeContext, size: Pair, window: Window): Window {
  if (n.int('ceil_mode', 0) === 0) return window;
  const { pads, strides } = window;
  const more = (axis: 0 | 1) => {
    const length = size[axis] + pads[axis] + pads[axis + 2]!;
    const steps = Math.ceil((length - reach(window, axis)) / strides[axis]);
    // A window that starts in the padding behind the image is left out.
    const last = steps * strides[axis] >= size[axis] + pads[axis] ? steps - 1 : steps;
    return Math.max(0, last * strides[axis] + reach(window, axis) - length);
  };
  return { ...window, pads: [pads[0], pads[1], pads[2] + more(0), pads[3] + more(1)] };
}

/** All of an image as one window. */
const wholeImage = (size: Pair): Window => ({
  kernel_shape: size,
  strides: [1, 1],
  pads: [0, 0, 0, 0],
  dilations: [1, 1],
});

/** The window of a pool over an image. */
function poolWindow(n: NodeContext): { readonly window: Window; readonly size: Pair } {
  const size = imageSize(n);
  if (!n.node.attributes.has('kernel_shape')) n.fail('it has no kernel_shape');
  if (n.hasMoreOutputs) n.refuse('its second output is used');
  const window = windowOf(n, size, pairOf(n, 'kernel_shape', [1, 1]));
  return { window: withoutCeilMode(n, size, window), size };
}

/** The largest number per channel over all positions, [N, C, 1, 1]. */
export function globalMax(n: NodeContext): string {
  return n.emit('MaxPool', [n.x()], wholeImage(imageSize(n)));
}

export const windowConversions: Readonly<Record<string, Conversion>> = {
  AveragePool(n) {
    const { window, size } = poolWindow(n);
    const { dilations, ...plain } = window;
    if (dilations.some(dilation => dilation !== 1)) n.refuse('it has dilations');
    const given = windowOf(n, size, window.kernel_shape).pads;
    const counts = n.int('count_include_pad', 0) === 1 && given.some(pad => pad > 0);
    if (!counts) return n.emit('AveragePool', [n.x()], { ...plain, count_include_pad: 0 });
    if (given.join() === window.pads.join()) return n.emit('AveragePool', [n.x()], { ...plain, count_include_pad: 1 });
    // The file's own padding counts, that of ceil_mode does not: the first becomes a Pad.
    const padded = n.emit('Pad', [n.x(), n.intConstant([0, 0, given[0], given[1], 0, 0, given[2], given[3]])], {
      mode: 'constant',
    });
    const pads: Pads = [0, 0, window.pads[2] - given[2], window.pads[3] - given[3]];
    return n.emit('AveragePool', [padded], { ...plain, pads, count_include_pad: 0 });
  },
  Conv(n) {
    const size = imageSize(n);
    const weight = n.literal(1);
    const [out, inputs, ...kernel] = weight.shape as [number, number, ...number[]];
    if (kernel.length !== 2) n.fail(`its weight has the shape [${weight.shape.join(', ')}]`);
    const group = n.int('group', 1);
    if (!(group > 0) || n.dim(0, 1) !== inputs * group || out % group !== 0) {
      n.fail(`its weight [${weight.shape.join(', ')}] in ${group} groups reads an input of ${n.dim(0, 1)} channels`);
    }
    const kernel_shape = pairOf(n, 'kernel_shape', kernel as unknown as Pair);
    if (kernel_shape.join() !== kernel.join())
      n.fail(`its kernel_shape is [${kernel_shape}], that of its weight [${kernel}]`);
    if (n.has(2) && n.literal(2).shape.join() !== String(out))
      n.fail(`its bias has the shape [${n.literal(2).shape.join(', ')}]`);
    const parameters = [n.x(1), ...(n.has(2) ? [n.x(2)] : [])];
    return n.emit('Conv', [n.x(), ...parameters], { ...windowOf(n, size, kernel_shape), group });
  },
  GlobalAveragePool(n) {
    if (n.rank(0) === 4) return n.emit('GlobalAveragePool', [n.x()], {});
    const axes = n
      .shapes(0)[0]
      .map((_, axis) => axis)
      .slice(2);
    return n.emit('ReduceMean', [n.x()], { axes, keepdims: 1 });
  },
  GlobalMaxPool: globalMax,
  // y = x / (bias + alpha / size * sum of x^2 over `size` neighbouring channels)^beta
  LRN(n) {
    imageSize(n);
    const channels = n.dim(0, 1);
    if (channels > MAX_NORMALISED_CHANNELS)
      n.refuse(`it has ${channels} channels, more than ${MAX_NORMALISED_CHANNELS}`);
    const size = n.int('size', 0);
    if (!(size > 0)) n.fail(`its size is ${size}`);
    const [before, after] = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)];
    const band = emptyLiteral('float32', [channels, channels, 1, 1]);
    for (let to = 0; to < channels; to++) {
      const [first, last] = [Math.max(0, to - before), Math.min(channels - 1, to + after)];
      band.data.fill(n.float('alpha', 1e-4) / size, to * channels + first, to * channels + last + 1);
    }
    const bias = literal('float32', [channels], new Array<number>(channels).fill(n.float('bias', 1)));
    const parameters = [n.constant(band, `band${FIXED}`), n.constant(bias, `bias${FIXED}`)];
    const squares = n.emit('Mul', [n.x(), n.x()], {});
    const sums = n.emit('Conv', [squares, ...parameters], { ...wholeImage([1, 1]), group: 1 });
    return n.emit('Mul', [n.x(), n.emit('Pow', [sums, n.scalar(-n.float('beta', 0.75))], {})], {});
  },
  MaxPool(n) {
    const { window } = poolWindow(n);
    const { dilations, ...plain } = window;
    return n.emit('MaxPool', [n.x()], dilations.every(dilation => dilation === 1) ? plain : window);
  },
};
