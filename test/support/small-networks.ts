// Small graphs with everything that a factor per channel may meet on its way, and channels of very different widths.
import { makeRng } from '../../src/base/rng.ts';
import type { GraphBuilder } from '../../src/onnx/builder.ts';
import type { Graph } from '../../src/onnx/graph.ts';
import { int64, sizeOf } from '../../src/tensor/tensor.ts';
import { imageGraph, noise } from './two-runtimes.ts';

/** Builds on a graph; every method returns the name of the value that it makes. */
interface Layers {
  readonly graph: GraphBuilder;
  /** A convolution, 3 x 3 with padding 1 unless said otherwise, whose output channels differ up to 64 times in width. */
  conv(name: string, input: string, channels: readonly [number, number], options?: ConvOptions): string;
  swish(input: string): string;
  relu(input: string): string;
  relu6(input: string): string;
  /** x * sigmoid(x). */
  silu(input: string): string;
  /** BatchNormalization with channels of very different widths. */
  norm(name: string, input: string, channels: number): string;
  /** LayerNormalization of the last axis. */
  layerNorm(name: string, input: string, channels: number): string;
  /** Transpose. */
  move(name: string, input: string, perm: readonly number[]): string;
  /** MatMul with a constant and a bias, along the last axis. */
  product(name: string, input: string, channels: readonly [number, number]): string;
  /** Channels from `from` to before `to`. */
  slice(name: string, input: string, from: number, to: number): string;
  /** Channel shuffle; groups, channels, height and width. */
  shuffle(name: string, input: string, sizes: readonly [number, number, number, number]): string;
  /** Mean over positions, flat. */
  mean(input: string): string;
  /** Squeeze-and-excitation. */
  excite(name: string, input: string, channels: number): string;
  add(name: string, a: string, b: string): string;
  mul(name: string, a: string, b: string): string;
  concat(name: string, ...inputs: readonly string[]): string;
  dense(name: string, input: string, channels: readonly [number, number]): string;
}

interface ConvOptions {
  readonly kernel?: number;
  readonly stride?: number;
  readonly group?: number;
}

function layersOn(graph: GraphBuilder, rng: Parameters<typeof noise>[0]): Layers {
  const uneven = (shape: readonly number[]) => {
    const perOutput = sizeOf(shape.slice(1));
    const tensor = noise(rng, shape, 1 / Math.sqrt(perOutput));
    return { ...tensor, data: tensor.data.map((value, i) => value * 4 ** ((Math.floor(i / perOutput) % 4) - 1)) };
  };
  const layers: Layers = {
    graph,
    conv(name, input, [channels, out], { kernel = 3, stride = 1, group = 1 } = {}) {
      const pad = (kernel - 1) / 2;
      const weight = graph.constant(`${name}.weight`, uneven([out, channels / group, kernel, kernel]));
      const bias = graph.constant(`${name}.bias`, noise(rng, [out], 0.5));
      return graph.node('Conv', name, [input, weight, bias], {
        kernel_shape: [kernel, kernel],
        strides: [stride, stride],
        pads: [pad, pad, pad, pad],
        dilations: [1, 1],
        group,
      });
    },
    swish: input => graph.node('HardSwish', `${input}.swish`, [input], {}),
    relu: input => graph.node('Relu', `${input}.relu`, [input], {}),
    relu6(input) {
      const limits = [graph.scalar(`${input}.lowest`, 0), graph.scalar(`${input}.highest`, 6)];
      return graph.node('Clip', `${input}.relu6`, [input, ...limits], {});
    },
    mean: input => graph.node('ReduceMean', `${input}.mean`, [input], { axes: [2, 3], keepdims: 0 }),
    excite(name, input, channels) {
      const pooled = graph.node('GlobalAveragePool', `${name}.pooled`, [input], {});
      const squeezed = layers.relu(layers.conv(`${name}.squeeze`, pooled, [channels, 8], { kernel: 1 }));
      const excited = layers.conv(`${name}.excite`, squeezed, [8, channels], { kernel: 1 });
      return layers.mul(name, input, graph.node('HardSigmoid', `${name}.gate`, [excited], { alpha: 1 / 6, beta: 0.5 }));
    },
    silu: input => layers.mul(`${input}.silu`, input, graph.node('Sigmoid', `${input}.sigmoid`, [input], {})),
    norm(name, input, channels) {
      const parts = [1, 0.5, 0.5].map((scale, i) => graph.constant(`${name}.${i}`, noise(rng, [channels], scale)));
      const variance = { ...noise(rng, [channels]), data: Float32Array.from({ length: channels }, (_, c) => 0.1 + c) };
      const inputs = [input, ...parts, graph.constant(`${name}.variance`, variance)];
      return graph.node('BatchNormalization', name, inputs, { epsilon: 1e-3 });
    },
    layerNorm(name, input, channels) {
      const parts = [1, 0.5].map((scale, i) => graph.constant(`${name}.${i}`, noise(rng, [channels], scale)));
      return graph.node('LayerNormalization', name, [input, ...parts], { axis: -1, epsilon: 1e-5 });
    },
    move: (name, input, perm) => graph.node('Transpose', name, [input], { perm }),
    product(name, input, [width, out]) {
      const weight = graph.constant(`${name}.weight`, noise(rng, [width, out], 1 / Math.sqrt(width)));
      const product = graph.node('MatMul', `${name}.product`, [input, weight], {});
      return graph.node('Add', name, [product, graph.constant(`${name}.bias`, noise(rng, [out]))], {});
    },
    slice(name, input, from, to) {
      const limits = [from, to, 1].map((value, i) => graph.constant(`${name}.${i}`, int64([1], [value])));
      return graph.node('Slice', name, [input, ...limits], {});
    },
    shuffle(name, input, [groups, channels, height, width]) {
      const split = graph.constant(`${name}.split`, int64([5], [0, groups, channels / groups, height, width]));
      const whole = graph.constant(`${name}.whole`, int64([4], [0, channels, height, width]));
      const turned = graph.node(
        'Transpose',
        `${name}.turned`,
        [graph.node('Reshape', `${name}.groups`, [input, split], {})],
        {
          perm: [0, 2, 1, 3, 4],
        },
      );
      return graph.node('Reshape', name, [turned, whole], {});
    },
    add: (name, a, b) => graph.node('Add', name, [a, b], {}),
    mul: (name, a, b) => graph.node('Mul', name, [a, b], {}),
    concat: (name, ...inputs) => graph.node('Concat', name, inputs, { axis: 1 }),
    dense(name, input, [width, out]) {
      const constants = [
        graph.constant(`${name}.weight`, uneven([out, width])),
        graph.constant(`${name}.bias`, noise(rng, [out])),
      ];
      return graph.node('Gemm', name, [input, ...constants], { alpha: 1, beta: 1, transA: 0, transB: 1 });
    },
  };
  return layers;
}

/** Height, width and channels of the image that the small networks read. */
export const IMAGE = [10, 8, 3] as const;

/** Makes a graph; `body` gets the image as NCHW and names the outputs with their shapes but for the batch. */
const network = (body: (layers: Layers, image: string) => Record<string, readonly number[]>): Graph =>
  imageGraph(IMAGE, (graph, image, rng) => body(layersOn(graph, rng), image));

/** The networks by name. */
export const smallNetworks: Readonly<Record<string, Graph>> = {
  'hard-swish between convolutions, one of them strided': network((n, image) => {
    const a = n.swish(n.conv('a', image, [3, 8]));
    const b = n.relu(n.conv('b', a, [8, 8], { stride: 2 }));
    n.conv('end', b, [8, 4]);
    return { end: [4, 5, 4] };
  }),
  'depthwise convolutions': network((n, image) => {
    const a = n.swish(n.conv('a', image, [3, 8]));
    const b = n.swish(n.conv('b', a, [8, 8], { kernel: 5, stride: 2, group: 8 }));
    const c = n.swish(n.conv('c', b, [8, 24], { group: 8 }));
    n.conv('end', c, [24, 4]);
    return { end: [4, 5, 4] };
  }),
  'squeeze-and-excitation after hard-swish and after ReLU': network((n, image) => {
    const a = n.excite('a.scaled', n.swish(n.conv('a', image, [3, 8])), 8);
    const b = n.excite('b.scaled', n.relu(n.conv('b', a, [8, 8])), 8);
    n.conv('end', b, [8, 4]);
    return { end: [4, 10, 8] };
  }),
  'a skip around linear layers': network((n, image) => {
    const a = n.conv('a', image, [3, 8]);
    const b = n.conv('b', n.swish(n.conv('inner', a, [8, 16])), [16, 8]);
    n.conv('end', n.add('sum', a, b), [8, 4]);
    return { end: [4, 10, 8] };
  }),
  'hard-swish that feeds a skip': network((n, image) => {
    const a = n.swish(n.conv('a', image, [3, 8]));
    const b = n.conv('b', a, [8, 8]);
    n.conv('end', n.add('sum', a, b), [8, 4]);
    return { end: [4, 10, 8] };
  }),
  'means side by side before a dense layer and softmax': network((n, image) => {
    const a = n.swish(n.conv('a', image, [3, 8]));
    const b = n.relu(n.conv('b', a, [8, 8], { stride: 2 }));
    const c = n.conv('c', b, [8, 8]);
    const joined = n.concat(
      'joined',
      n.mean(a),
      n.mean(b),
      n.mean(c),
      n.mean(n.conv('d', c, [8, 8])),
      n.mean(n.swish(c)),
    );
    n.graph.node('Softmax', 'end', [n.dense('logits', joined, [40, 5])], { axis: 1 });
    return { end: [5], logits: [5] };
  }),
  'ReLU6, alone and joined': network((n, image) => {
    const a = n.relu6(n.conv('a', image, [3, 8]));
    const b = n.relu6(n.conv('b', a, [8, 8]));
    const joined = n.concat('joined', a, b);
    const pooled = n.dense('pooled', n.concat('means', n.mean(a), n.mean(b)), [16, 3]);
    n.conv('end', joined, [16, 4]);
    n.graph.node('Identity', 'dense', [pooled], {});
    return { end: [4, 10, 8], dense: [3] };
  }),
  'joined images whose mean is taken': network((n, image) => {
    const a = n.relu(n.conv('a', image, [3, 8]));
    const b = n.swish(n.conv('b', a, [8, 8]));
    n.dense('end', n.mean(n.concat('joined', a, b)), [16, 4]);
    return { end: [4] };
  }),
  'a grouped convolution': network((n, image) => {
    const a = n.swish(n.conv('a', image, [3, 8]));
    const b = n.relu(n.conv('b', a, [8, 8], { group: 2 }));
    n.conv('end', b, [8, 4]);
    return { end: [4, 10, 8] };
  }),
  'hard-swish that is an output too': network((n, image) => {
    const a = n.swish(n.conv('a', image, [3, 8]));
    n.conv('end', a, [8, 4]);
    return { end: [4, 10, 8], [a]: [8, 10, 8] };
  }),
  'hard-swish in a dense head, and of a hard-swish': network((n, image) => {
    const a = n.swish(n.swish(n.conv('a', image, [3, 8])));
    const pooled = n.mean(n.conv('b', a, [8, 8]));
    n.dense('end', n.swish(n.dense('hidden', pooled, [8, 12])), [12, 4]);
    return { end: [4] };
  }),
  'pools on the way': network((n, image) => {
    const a = n.swish(n.conv('a', image, [3, 8]));
    const window = { kernel_shape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] } as const;
    const pooled = n.graph.node('AveragePool', 'average', [a], { ...window, count_include_pad: 0 });
    const b = n.swish(n.conv('b', pooled, [8, 8]));
    n.conv('end', n.graph.node('MaxPool', 'largest', [b], window), [8, 4]);
    return { end: [4, 2, 2] };
  }),
  'a map of one channel that weights all others': network((n, image) => {
    const a = n.relu(n.conv('a', image, [3, 8]));
    const map = n.swish(n.conv('map', a, [8, 1]));
    n.conv('end', n.mul('weighted', a, map), [8, 4]);
    return { end: [4, 10, 8] };
  }),
  'sigmoid gates: of x itself, and of a squeezed x': network((n, image) => {
    const a = n.silu(n.conv('a', image, [3, 8]));
    const b = n.silu(n.conv('b', a, [8, 8], { group: 8 }));
    const squeezed = n.silu(
      n.conv('squeeze', n.graph.node('GlobalAveragePool', 'pooled', [b], {}), [8, 8], { kernel: 1 }),
    );
    const gate = n.graph.node('Sigmoid', 'gate', [n.conv('excite', squeezed, [8, 8], { kernel: 1 })], {});
    n.conv('end', n.mul('scaled', b, gate), [8, 4]);
    return { end: [4, 10, 8] };
  }),
  'normalisation and ReLU of joined images': network((n, image) => {
    const a = n.relu(n.conv('a', image, [3, 8]));
    const b = n.conv('b', a, [8, 4]);
    const normed = n.relu(n.norm('normed', n.concat('joined', a, b), 12));
    n.conv('end', normed, [12, 4]);
    return { end: [4, 10, 8] };
  }),
  'channels that are split, joined and shuffled': network((n, image) => {
    const a = n.relu(n.conv('a', image, [3, 8]));
    const [left, right] = [n.slice('left', a, 0, 4), n.slice('right', a, 4, 8)];
    const joined = n.concat('joined', left, n.relu(n.conv('b', right, [4, 4])));
    n.conv('end', n.shuffle('shuffled', joined, [2, 8, 10, 8]), [8, 4]);
    return { end: [4, 10, 8] };
  }),
  'a maximum over padding beside numbers below zero, made larger': network((n, image) => {
    const a = n.conv('a', image, [3, 8]);
    const window = { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] } as const;
    const largest = n.graph.node('MaxPool', 'largest', [a], window);
    const sizes = n.graph.constant('sizes', int64([4], [1, 8, 10, 8]));
    const wide = n.graph.node('Resize', 'wide', [largest, '', '', sizes], {
      mode: 'linear',
      coordinate_transformation_mode: 'half_pixel',
      nearest_mode: 'floor',
    });
    n.conv('end', wide, [8, 4]);
    return { end: [4, 10, 8] };
  }),
  'layer normalisation and Gelu between dense layers, channels last': network((n, image) => {
    const a = n.conv('a', image, [3, 8]);
    const b = n.conv('b', a, [8, 8], { kernel: 5, group: 8 });
    const normed = n.layerNorm('normed', n.move('last', b, [0, 2, 3, 1]), 8);
    const wide = n.graph.node('microsoft.Gelu', 'gelu', [n.product('wide', normed, [8, 24])], {});
    const scale = n.graph.constant('scale', noise(makeRng(4, 'scale'), [8], 0.1));
    const narrow = n.mul('scaled', n.product('narrow', wide, [24, 8]), scale);
    n.conv('end', n.add('sum', a, n.move('first', narrow, [0, 3, 1, 2])), [8, 4]);
    return { end: [4, 10, 8] };
  }),
  'a constant added and a constant factor': network((n, image) => {
    const shift = n.graph.constant('shift', noise(makeRng(3, 'shift'), [1, 8, 1, 1], 30));
    const a = n.swish(n.conv('a', image, [3, 8]));
    const shifted = n.add('shifted', n.relu(n.conv('b', a, [8, 8])), shift);
    n.conv('end', n.mul('half', n.swish(n.conv('c', shifted, [8, 8])), n.graph.scalar('0.5', 0.5)), [8, 4]);
    return { end: [4, 10, 8] };
  }),
};
