// Small graphs with everything that a factor per channel may meet on its way, and channels of very different widths.
import { makeRng } from '../../src/base/rng.ts';
import type { GraphBuilder } from '../../src/onnx/builder.ts';
import type { Graph } from '../../src/onnx/graph.ts';
import { sizeOf } from '../../src/tensor/tensor.ts';
import { imageGraph, noise } from './two-runtimes.ts';

/** Builds on a graph; every method returns the name of the value that it makes. */
interface Layers {
  readonly graph: GraphBuilder;
  /** A convolution, 3 x 3 with padding 1 unless said otherwise, whose output channels differ up to 64 times in width. */
  conv(name: string, input: string, channels: readonly [number, number], options?: ConvOptions): string;
  swish(input: string): string;
  relu(input: string): string;
  relu6(input: string): string;
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
  'a constant added and a constant factor': network((n, image) => {
    const shift = n.graph.constant('shift', noise(makeRng(3, 'shift'), [1, 8, 1, 1], 30));
    const a = n.swish(n.conv('a', image, [3, 8]));
    const shifted = n.add('shifted', n.relu(n.conv('b', a, [8, 8])), shift);
    n.conv('end', n.mul('half', n.swish(n.conv('c', shifted, [8, 8])), n.graph.scalar('0.5', 0.5)), [8, 4]);
    return { end: [4, 10, 8] };
  }),
};
