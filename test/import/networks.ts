// Small classifiers of the well-known kinds, as importing meets them.
import { makeRng, type Rng } from '../../src/base/rng.ts';
import { type GraphBuilder, graphBuilder } from '../../src/onnx/builder.ts';
import type { Graph, ValueInfo } from '../../src/onnx/graph.ts';
import { float32, int64 } from '../../src/tensor/tensor.ts';
import { noise } from '../support/two-runtimes.ts';

/** Layers by name; each method returns the value that it makes, which has the name. */
export interface Layers {
  readonly graph: GraphBuilder;
  readonly rng: Rng;
  conv(name: string, input: string, channels: readonly [number, number], options?: ConvOptions): string;
  /** A convolution, BatchNormalization, and Relu unless `linear`. */
  block(name: string, input: string, channels: readonly [number, number], options?: ConvOptions): string;
  relu(name: string, input: string): string;
  add(name: string, a: string, b: string): string;
  concat(name: string, ...inputs: readonly string[]): string;
  maxPool(name: string, input: string): string;
  pooled(name: string, input: string): string;
  flatten(name: string, input: string): string;
  dense(name: string, input: string, channels: readonly [number, number]): string;
  softmax(name: string, input: string): string;
}

interface ConvOptions {
  readonly kernel?: number;
  readonly stride?: number;
  readonly group?: number;
  readonly linear?: boolean;
}

/** Layers on a graph. */
export function layersOn(graph: GraphBuilder, rng: Rng): Layers {
  const layers: Layers = {
    graph,
    rng,
    conv(name, input, [channels, out], { kernel = 3, stride = 1, group = 1 } = {}) {
      const shape = [out, channels / group, kernel, kernel];
      const scale = Math.sqrt(2 / ((channels / group) * kernel * kernel));
      const weight = graph.constant(`${name}.weight`, noise(rng, shape, scale));
      const pad = (kernel - 1) / 2;
      return graph.node('Conv', name, [input, weight], {
        kernel_shape: [kernel, kernel],
        strides: [stride, stride],
        pads: [pad, pad, pad, pad],
        dilations: [1, 1],
        group,
      });
    },
    block(name, input, channels, options = {}) {
      const conv = layers.conv(`${name}.conv`, input, channels, options);
      const parts = ['weight', 'bias', 'mean', 'variance'].map((part, i) =>
        graph.constant(
          `${name}.norm.${part}`,
          float32(
            [channels[1]],
            Float32Array.from({ length: channels[1] }, () =>
              i % 3 === 0 ? 1 + 0.2 * rng.uniform(-1, 1) : 0.2 * rng.normal(),
            ),
          ),
        ),
      );
      const norm = options.linear ? name : `${name}.norm`;
      graph.node('BatchNormalization', norm, [conv, ...parts], { epsilon: 1e-5 });
      return options.linear ? name : layers.relu(name, norm);
    },
    relu: (name, input) => graph.node('Relu', name, [input], {}),
    add: (name, a, b) => graph.node('Add', name, [a, b], {}),
    concat: (name, ...inputs) => graph.node('Concat', name, inputs, { axis: 1 }),
    maxPool: (name, input) =>
      graph.node('MaxPool', name, [input], { kernel_shape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] }),
    pooled: (name, input) => graph.node('GlobalAveragePool', name, [input], {}),
    flatten: (name, input) => graph.node('Flatten', name, [input], { axis: 1 }),
    dense(name, input, [width, out]) {
      const parts = [
        graph.constant(`${name}.weight`, noise(rng, [out, width], 1 / Math.sqrt(width))),
        graph.constant(`${name}.bias`, noise(rng, [out])),
      ];
      return graph.node('Gemm', name, [input, ...parts], { alpha: 1, beta: 1, transA: 0, transB: 1 });
    },
    softmax: (name, input) => graph.node('Softmax', name, [input], { axis: 1 }),
  };
  return layers;
}

/** A network of images [N, 3, 32, 32]; `body` gives its outputs with their shapes but for the batch. */
export function network(
  body: (layers: Layers, image: string) => Record<string, readonly number[]>,
  input: ValueInfo = { name: 'image', dtype: 'float32', shape: ['N', 3, 'H', 'W'] },
): Graph {
  const graph = graphBuilder('network');
  const image = graph.input(input);
  const outputs = body(layersOn(graph, makeRng(1, 'network')), image);
  return graph.build(
    Object.entries(outputs).map(([name, shape]) => ({ name, dtype: 'float32', shape: ['N', ...shape] })),
  );
}

/** Squeeze-and-excitation. */
function excite(n: Layers, name: string, input: string, channels: number): string {
  const squeezed = n.relu(
    `${name}.squeezed`,
    n.conv(`${name}.squeeze`, n.pooled(`${name}.pooled`, input), [channels, 4], { kernel: 1 }),
  );
  const gate = n.graph.node(
    'Sigmoid',
    `${name}.gate`,
    [n.conv(`${name}.excite`, squeezed, [4, channels], { kernel: 1 })],
    {},
  );
  return n.graph.node('Mul', name, [input, gate], {});
}

/** x * sigmoid(x), as exporters write it. */
function silu(n: Layers, name: string, input: string): string {
  return n.graph.node('Mul', name, [input, n.graph.node('Sigmoid', `${name}.gate`, [input], {})], {});
}

/** A kind of network, where it has to be cut, and what is said of it. */
export interface Example {
  readonly graph: Graph;
  /** Names of the stages' values. */
  readonly stages: readonly string[];
  readonly note: RegExp | undefined;
}

/** The kinds. */
export const examples: Readonly<Record<string, Example>> = {
  'VGG: a chain of convolutions and pools, three dense layers': {
    graph: network((n, image) => {
      const a = n.relu('a', n.conv('a.conv', image, [3, 8]));
      const b = n.maxPool('b', n.relu('b.relu', n.conv('b.conv', a, [8, 16])));
      const c = n.relu('c', n.conv('c.conv', b, [16, 16]));
      const d = n.maxPool('d', n.relu('d.relu', n.conv('d.conv', c, [16, 24])));
      const one = n.relu('one', n.dense('dense.1', n.flatten('flat', d), [24 * 64, 32]));
      n.softmax('end', n.dense('dense.3', n.relu('two', n.dense('dense.2', one, [32, 20])), [20, 10]));
      return { end: [10] };
    }),
    stages: ['a', 'b', 'c', 'd'],
    note: /its last layers of 32, 20 and 10 outputs/,
  },
  'ResNet: a stem with a pool, blocks with skips': {
    graph: network((n, image) => {
      const stem = n.maxPool('stem', n.block('stem.block', image, [3, 8], { stride: 2 }));
      const inner = n.block('a.2', n.block('a.1', stem, [8, 8]), [8, 8], { linear: true });
      const a = n.relu('a', n.add('a.sum', inner, stem));
      const down = n.block('b.skip', a, [8, 16], { kernel: 1, stride: 2, linear: true });
      const branch = n.block('b.2', n.block('b.1', a, [8, 16], { stride: 2 }), [16, 16], { linear: true });
      const b = n.relu('b', n.add('b.sum', branch, down));
      n.dense('end', n.flatten('flat', n.pooled('pool', b)), [16, 10]);
      return { end: [10] };
    }),
    stages: ['stem', 'a', 'b'],
    note: /its last layer of 10 outputs/,
  },
  'MobileNet: separable convolutions, inverted residual blocks with squeeze-and-excitation, a dense layer more': {
    graph: network((n, image) => {
      const stem = n.block('stem', image, [3, 8], { stride: 2 });
      const a = n.block('a', n.block('a.dw', stem, [8, 8], { group: 8 }), [8, 6], { kernel: 1, linear: true });
      const expanded = silu(n, 'b.silu', n.block('b.expand', a, [6, 24], { kernel: 1, linear: true }));
      const deep = excite(
        n,
        'b.se',
        silu(n, 'b.dw.silu', n.block('b.dw', expanded, [24, 24], { group: 24, stride: 2, linear: true })),
        24,
      );
      const b = n.block('b', deep, [24, 10], { kernel: 1, linear: true });
      const wide = n.block('c.dw', n.block('c.expand', b, [10, 30], { kernel: 1 }), [30, 30], { group: 30 });
      const c = n.add('c', n.block('c.project', wide, [30, 10], { kernel: 1, linear: true }), b);
      const last = n.block('last', c, [10, 40], { kernel: 1 });
      const hidden = n.relu('hidden', n.conv('hidden.conv', n.pooled('pool', last), [40, 50], { kernel: 1 }));
      n.dense('end', n.flatten('flat', hidden), [50, 10]);
      return { end: [10] };
    }),
    stages: ['stem', 'a', 'b', 'c', 'last'],
    note: /its last layers of 50 and 10 outputs/,
  },
  'SqueezeNet: fire modules, and a classifier before the pool': {
    graph: network((n, image) => {
      const stem = n.relu('stem', n.conv('stem.conv', image, [3, 16], { stride: 2 }));
      const squeeze = n.relu('squeeze', n.conv('squeeze.conv', stem, [16, 4], { kernel: 1 }));
      const left = n.relu('left', n.conv('left.conv', squeeze, [4, 12], { kernel: 1 }));
      const right = n.relu('right', n.conv('right.conv', squeeze, [4, 12]));
      const fire = n.concat('fire', left, right);
      const map = n.relu('map', n.conv('map.conv', fire, [24, 10], { kernel: 1 }));
      n.softmax('end', n.flatten('flat', n.pooled('pool', map)));
      return { end: [10] };
    }),
    stages: ['stem', 'fire'],
    note: /its last layer of 10 outputs/,
  },
  'Inception: an auxiliary head beside the main one': {
    graph: network((n, image) => {
      const stem = n.block('stem', image, [3, 8], { stride: 2 });
      const mixed = n.concat('mixed', n.block('left', stem, [8, 8]), n.block('right', stem, [8, 4], { kernel: 1 }));
      n.dense('aux', n.flatten('aux.flat', n.pooled('aux.pool', n.block('aux.conv', mixed, [12, 6]))), [6, 10]);
      const last = n.block('last', mixed, [12, 20], { stride: 2 });
      const flat = n.flatten('flat', n.pooled('pool', n.block('more', last, [20, 20])));
      n.dense('end', flat, [20, 10]);
      return { aux: [10], end: [10] };
    }),
    stages: ['stem', 'mixed', 'last', 'more'],
    note: /its last layer of 10 outputs, and 1 further output/,
  },
  'an image that shrinks to one position before the last block': {
    graph: network((n, image) => {
      const a = n.block('a', image, [3, 8], { stride: 2 });
      let value = a;
      for (const name of ['b', 'c', 'd', 'e']) value = n.block(name, value, [8, 8], { stride: 2 });
      const last = n.relu('last', n.add('sum', n.block('f', value, [8, 8], { linear: true }), value));
      n.dense('end', n.flatten('flat', n.pooled('pool', last)), [8, 10]);
      return { end: [10] };
    }),
    stages: ['a', 'b', 'c', 'd', 'e', 'pool'],
    note: /its last layer of 10 outputs/,
  },
  'features without a classifier': {
    graph: network((n, image) => {
      const a = n.block('a', image, [3, 8], { stride: 2 });
      n.flatten('end', n.pooled('pool', n.block('b', a, [8, 12], { stride: 2 })));
      return { end: [12] };
    }),
    stages: ['a', 'b'],
    note: undefined,
  },
  'fully convolutional: the classes as a map, then the mean': {
    graph: network((n, image) => {
      const a = n.block('a', image, [3, 8], { stride: 2 });
      const b = n.block('b', a, [8, 12], { stride: 2 });
      const map = n.conv('map.conv', b, [12, 5], { kernel: 1 });
      const bias = n.graph.constant('map.bias', noise(n.rng, [1, 5, 1, 1]));
      n.flatten('end', n.pooled('pool', n.add('map', map, bias)));
      return { end: [5] };
    }),
    stages: ['a', 'b'],
    note: /its last layer of 5 outputs, a 1 x 1 convolution before the pool\./,
  },
  'fully convolutional, without Flatten, Relu and Sigmoid behind the classes': {
    graph: network((n, image) => {
      const b = n.block('b', n.block('a', image, [3, 8], { stride: 2 }), [8, 12], { stride: 2 });
      const map = n.relu('map', n.conv('map.conv', b, [12, 7], { kernel: 1 }));
      n.graph.node('Sigmoid', 'end', [n.pooled('pool', map)], {});
      return { end: [7, 1, 1] };
    }),
    stages: ['a', 'b'],
    note: /its last layer of 7 outputs, a 1 x 1 convolution before the pool\./,
  },
  'features that end with a 1 x 1 convolution and Relu': {
    graph: network((n, image) => {
      const a = n.block('a', image, [3, 8], { stride: 2 });
      const last = n.relu('last', n.conv('last.conv', a, [8, 20], { kernel: 1 }));
      n.flatten('end', n.pooled('pool', last));
      return { end: [20] };
    }),
    stages: ['a', 'last'],
    note: undefined,
  },
  'a skip before the pool is no bias': {
    graph: network((n, image) => {
      const a = n.block('a', image, [3, 8], { stride: 2 });
      const wide = n.block('b.wide', a, [8, 24], { kernel: 1 });
      const b = n.add('b', n.conv('b.narrow', wide, [24, 8], { kernel: 1 }), a);
      n.flatten('end', n.pooled('pool', b));
      return { end: [8] };
    }),
    stages: ['a', 'b'],
    note: undefined,
  },
  'a feature map of a few positions': {
    graph: network((n, image) => {
      n.block('end', n.block('a', image, [3, 8], { stride: 2 }), [8, 12], { stride: 2 });
      return { end: [12, 8, 8] };
    }),
    stages: ['a', 'end'],
    note: /^No head was found; all of the network is taken, up to its 12 channels of 8 x 8 positions\.$/,
  },
  'a transformer: patches become tokens, blocks of dense layers': {
    graph: network((n, image) => {
      const { graph, rng } = n;
      const patches = graph.node(
        'Conv',
        'patches',
        [image, graph.constant('patches.weight', noise(rng, [12, 3, 8, 8], 0.1))],
        {
          kernel_shape: [8, 8],
          strides: [8, 8],
          pads: [0, 0, 0, 0],
          dilations: [1, 1],
          group: 1,
        },
      );
      const list = graph.node('Reshape', 'list', [patches, graph.constant('list.shape', int64([3], [0, 12, 16]))], {});
      const tokens = graph.node('Transpose', 'tokens', [list], { perm: [0, 2, 1] });
      let value = n.add('placed', tokens, graph.constant('places', noise(rng, [1, 16, 12], 0.1)));
      for (const name of ['a', 'b']) {
        const scale = [
          graph.constant(`${name}.scale`, noise(rng, [12])),
          graph.constant(`${name}.shift`, noise(rng, [12])),
        ];
        const norm = graph.node('LayerNormalization', `${name}.norm`, [value, ...scale], { axis: -1, epsilon: 1e-6 });
        const wide = graph.node(
          'MatMul',
          `${name}.wide`,
          [norm, graph.constant(`${name}.up`, noise(rng, [12, 24], 0.3))],
          {},
        );
        const bent = graph.node('microsoft.Gelu', `${name}.gelu`, [wide], {});
        const narrow = graph.node(
          'MatMul',
          `${name}.narrow`,
          [bent, graph.constant(`${name}.down`, noise(rng, [24, 12], 0.3))],
          {},
        );
        value = n.add(name, narrow, value);
      }
      const first = graph.node('Gather', 'first', [value, graph.constant('zero', int64([], [0]))], { axis: 1 });
      n.dense('end', first, [12, 10]);
      return { end: [10] };
    }),
    stages: ['placed', 'a', 'b'],
    note: /its last layer of 10 outputs/,
  },
};
