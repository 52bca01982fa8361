// The TFLite 8-bit specification in plain loops: what each int8 operator makes of its int8 inputs.
import { float32, sizeOf, transpose } from '../../src/tensor/tensor.ts';
import type { KnownOperator, TfliteModel, TfliteTensor } from '../../src/tflite/model.ts';
import { Activation, Padding } from '../../src/tflite/schema.ts';

/** Stored values of a tensor, with what they stand for. */
interface Stored {
  readonly tensor: TfliteTensor;
  readonly values: ArrayLike<number>;
}

type Windowed = KnownOperator<'CONV_2D' | 'DEPTHWISE_CONV_2D' | 'AVERAGE_POOL_2D' | 'MAX_POOL_2D'>;

const scaleOf = ({ quantization }: TfliteTensor, channel = 0): number =>
  quantization!.scale[quantization!.scale.length === 1 ? 0 : channel]!;
const zeroOf = ({ quantization }: TfliteTensor): number => quantization!.zeroPoint[0]!;

/** Stored values of a constant. */
export function storedConstant(tensor: TfliteTensor): ArrayLike<number> {
  const buffer = tensor.data!.slice().buffer;
  if (tensor.type === 'INT8') return new Int8Array(buffer);
  return tensor.type === 'INT32' ? new Int32Array(buffer) : new Float32Array(buffer);
}

/** A real number as `tensor` stores it, within the limits of the activation that the operator applies. */
function store(real: number, tensor: TfliteTensor, activation: number = Activation.NONE): number {
  const [scale, zero] = [scaleOf(tensor), zeroOf(tensor)];
  const isLimited = activation === Activation.RELU || activation === Activation.RELU6;
  const lowest = isLimited ? Math.max(-128, zero) : -128;
  const highest = activation === Activation.RELU6 ? Math.min(127, zero + Math.round(6 / scale)) : 127;
  return Math.max(lowest, Math.min(highest, Math.round(real / scale) + zero));
}

/** Stored values that the operator makes; undefined for operators that have no int8 form here. */
export function int8Reference(
  model: TfliteModel,
  operator: KnownOperator,
  valuesOf: (index: number) => ArrayLike<number>,
): Int8Array | undefined {
  const output = model.tensors[operator.outputs[0]!]!;
  if (output.type !== 'INT8') return undefined;
  const inputs = operator.inputs.map((index): Stored => ({ tensor: model.tensors[index]!, values: valuesOf(index) }));
  const out = new Int8Array(sizeOf(output.shape));
  switch (operator.op) {
    case 'CONV_2D':
    case 'DEPTHWISE_CONV_2D':
      convolve(operator, inputs, output, out);
      return out;
    case 'AVERAGE_POOL_2D':
    case 'MAX_POOL_2D':
      pool(operator, inputs[0]!, output, out);
      return out;
    case 'ADD':
    case 'MUL': {
      const [a, b] = inputs.map(({ tensor, values }) => {
        const at = broadcastTo(tensor.shape, output.shape);
        return (i: number) => scaleOf(tensor) * (values[at(i)]! - zeroOf(tensor));
      }) as [(i: number) => number, (i: number) => number];
      const { fused_activation_function: activation } = operator.options;
      const combine = (i: number) => (operator.op === 'ADD' ? a(i) + b(i) : a(i) * b(i));
      return out.map((_, i) => store(combine(i), output, activation));
    }
    case 'PAD': {
      const [{ tensor, values }, paddings] = inputs as [Stored, Stored];
      return pad(values, tensor.shape, output.shape, paddings.values, zeroOf(tensor));
    }
    case 'MEAN': {
      const { tensor, values } = inputs[0]!;
      const channels = tensor.shape.at(-1)!;
      const positions = values.length / channels;
      return out.map((_, c) => {
        let sum = 0;
        for (let i = 0; i < positions; i++) sum += values[i * channels + c]! - zeroOf(tensor);
        return store((scaleOf(tensor) * sum) / positions, output);
      });
    }
    case 'LOGISTIC': {
      const { tensor, values } = inputs[0]!;
      return out.map((_, i) => store(1 / (1 + Math.exp(-scaleOf(tensor) * (values[i]! - zeroOf(tensor)))), output));
    }
    case 'CONCATENATION': {
      // All along the channels, with one scale.
      const width = output.shape.at(-1)!;
      let start = 0;
      for (const { tensor, values } of inputs) {
        const own = tensor.shape.at(-1)!;
        for (let i = 0; i < values.length; i++) out[Math.floor(i / own) * width + start + (i % own)] = values[i]!;
        start += own;
      }
      return out;
    }
    case 'STRIDED_SLICE': {
      const [{ tensor, values }, begin, , step] = inputs as [Stored, Stored, Stored, Stored];
      const strides = tensor.shape.map((_, axis) => sizeOf(tensor.shape.slice(axis + 1)));
      return out.map((_, i) => {
        let [rest, place] = [i, 0];
        for (let axis = strides.length - 1; axis >= 0; axis--) {
          const at = rest % output.shape[axis]!;
          rest = Math.floor(rest / output.shape[axis]!);
          place += (begin.values[axis]! + at * step.values[axis]!) * strides[axis]!;
        }
        return values[place]!;
      });
    }
    case 'RESHAPE':
      return Int8Array.from(inputs[0]!.values);
    case 'TRANSPOSE': {
      const [{ tensor, values }, perm] = inputs as [Stored, Stored];
      const order = Array.from(perm.values);
      return Int8Array.from(transpose(float32(tensor.shape, values), order).data);
    }
    case 'RESIZE_BILINEAR': {
      // Half-pixel centres.
      const { tensor, values } = inputs[0]!;
      const [, height, width, channels] = tensor.shape as [number, number, number, number];
      const [, rows, columns] = output.shape as [number, number, number];
      const along = (i: number, size: number, wanted: number) => {
        const at = Math.max(0, Math.min(size - 1, ((i + 0.5) * size) / wanted - 0.5));
        const low = Math.floor(at);
        return [low, Math.min(size - 1, low + 1), at - low] as const;
      };
      return out.map((_, i) => {
        const [c, column, row] = [
          i % channels,
          Math.floor(i / channels) % columns,
          Math.floor(i / (channels * columns)),
        ];
        const [top, bottom, down] = along(row, height, rows);
        const [left, right, across] = along(column, width, columns);
        const at = (y: number, x: number) => values[(y * width + x) * channels + c]!;
        const upper = at(top, left) * (1 - across) + at(top, right) * across;
        return Math.round(upper * (1 - down) + (at(bottom, left) * (1 - across) + at(bottom, right) * across) * down);
      });
    }
    case 'PADV2': {
      const [{ tensor, values }, paddings, fill] = inputs as [Stored, Stored, Stored];
      return pad(values, tensor.shape, output.shape, paddings.values, fill.values[0]!);
    }
    case 'RELU':
      return out.map((_, i) => Math.max(inputs[0]!.values[i]!, zeroOf(output)));
    default:
      return undefined;
  }
}

/** Where the element `i` of `to` is in `from`. */
function broadcastTo(from: readonly number[], to: readonly number[]): (i: number) => number {
  const padded = [...new Array<number>(to.length - from.length).fill(1), ...from];
  return i => {
    let [rest, place, step] = [i, 0, 1];
    for (let axis = to.length - 1; axis >= 0; axis--) {
      const at = rest % to[axis]!;
      rest = Math.floor(rest / to[axis]!);
      if (padded[axis] !== 1) place += at * step;
      step *= padded[axis]!;
    }
    return place;
  };
}

/** The positions that a window covers inside of one axis, as [position, place in the window]. */
function windowAt(
  out: number,
  [size, kernel, stride, dilation]: readonly [number, number, number, number],
  padding: number,
) {
  const reach = (kernel - 1) * dilation + 1;
  const total = padding === Padding.SAME ? Math.max((Math.ceil(size / stride) - 1) * stride + reach - size, 0) : 0;
  const start = out * stride - Math.floor(total / 2);
  const places: (readonly [number, number])[] = [];
  for (let k = 0; k < kernel; k++) {
    const at = start + k * dilation;
    if (at >= 0 && at < size) places.push([at, k]);
  }
  return places;
}

function eachWindow(
  { options }: Windowed,
  [, height, width]: readonly number[],
  [, rows, columns]: readonly number[],
  [kernelHeight, kernelWidth]: readonly [number, number],
  visit: (position: number, places: readonly (readonly [input: number, kernel: number])[]) => void,
): void {
  const dilation = 'dilation_h_factor' in options ? options : { dilation_h_factor: 1, dilation_w_factor: 1 };
  for (let row = 0; row < rows!; row++) {
    const vertical = [height!, kernelHeight, options.stride_h, dilation.dilation_h_factor] as const;
    const ys = windowAt(row, vertical, options.padding);
    for (let column = 0; column < columns!; column++) {
      const horizontal = [width!, kernelWidth, options.stride_w, dilation.dilation_w_factor] as const;
      const xs = windowAt(column, horizontal, options.padding);
      const places = ys.flatMap(([y, ky]) => xs.map(([x, kx]) => [y * width! + x, ky * kernelWidth + kx] as const));
      visit(row * columns! + column, places);
    }
  }
}

/** acc = sum (x - zero) * w + bias in int32; stored = acc * input scale * weight scale / output scale + zero. */
function convolve(
  operator: KnownOperator<'CONV_2D' | 'DEPTHWISE_CONV_2D'>,
  [input, weight, bias]: readonly Stored[],
  output: TfliteTensor,
  out: Int8Array,
): void {
  const [channels, outputs] = [input!.tensor.shape[3]!, output.shape[3]!];
  const [, kernelHeight, kernelWidth, last] = weight!.tensor.shape as [number, number, number, number];
  const isDepthwise = operator.op === 'DEPTHWISE_CONV_2D';
  // Input channels of an output channel, and the distances between the weights of neighbouring places and outputs.
  const read = isDepthwise ? 1 : last;
  const [step, next] = isDepthwise ? [last, 1] : [last, kernelHeight * kernelWidth * last];
  const groups = channels / read;
  const zero = zeroOf(input!.tensor);
  const centred = Int32Array.from(input!.values, value => value - zero);
  const weights = Int8Array.from(weight!.values);
  eachWindow(operator, input!.tensor.shape, output.shape, [kernelHeight, kernelWidth], (position, places) => {
    for (let o = 0; o < outputs; o++) {
      const first = Math.floor((o * groups) / outputs) * read;
      let sum = bias!.values[o]!;
      for (const [at, k] of places) {
        const [from, w] = [at * channels + first, o * next + k * step];
        for (let c = 0; c < read; c++) sum += centred[from + c]! * weights[w + c]!;
      }
      const real = sum * scaleOf(input!.tensor) * scaleOf(weight!.tensor, o);
      out[position * outputs + o] = store(real, output, operator.options.fused_activation_function);
    }
  });
}

function pool(
  operator: KnownOperator<'AVERAGE_POOL_2D' | 'MAX_POOL_2D'>,
  { tensor, values }: Stored,
  output: TfliteTensor,
  out: Int8Array,
): void {
  const channels = output.shape[3]!;
  const { filter_height: height, filter_width: width } = operator.options;
  eachWindow(operator, tensor.shape, output.shape, [height, width], (position, places) => {
    for (let c = 0; c < channels; c++) {
      const seen = places.map(([at]) => values[at * channels + c]!);
      const average = Math.round(seen.reduce((sum, value) => sum + value, 0) / seen.length);
      out[position * channels + c] = operator.op === 'MAX_POOL_2D' ? Math.max(...seen) : average;
    }
  });
}

function pad(
  values: ArrayLike<number>,
  [, height, width, channels]: readonly number[],
  [, rows, columns]: readonly number[],
  paddings: ArrayLike<number>,
  zero: number,
): Int8Array {
  const out = new Int8Array(rows! * columns! * channels!).fill(zero);
  for (let y = 0; y < height!; y++) {
    for (let x = 0; x < width!; x++) {
      for (let c = 0; c < channels!; c++) {
        const to = ((y + paddings[2]!) * columns! + x + paddings[4]!) * channels! + c;
        out[to] = values[(y * width! + x) * channels! + c]!;
      }
    }
  }
  return out;
}
