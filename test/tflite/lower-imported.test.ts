// The lowerings that networks from other programs need, judged by two runtimes: LiteRT must say what ONNX Runtime says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GraphBuilder } from '../../src/onnx/builder.ts';
import type { Graph } from '../../src/onnx/graph.ts';
import type { OpAttributes, PoolAttributes } from '../../src/onnx/ops.ts';
import { float32, int64 } from '../../src/tensor/tensor.ts';
import { agree, imageGraph, noise, opsOf } from '../support/two-runtimes.ts';

type Size = readonly [number, number, number];

const ints = (g: GraphBuilder, name: string, values: readonly number[]) =>
  g.constant(name, int64([values.length], values));
const reshape = (g: GraphBuilder, name: string, input: string, target: readonly number[]) =>
  g.node('Reshape', name, [input, ints(g, `${name}.target`, target)], {});
const transpose = (g: GraphBuilder, name: string, input: string, perm: readonly number[]) =>
  g.node('Transpose', name, [input], { perm });
const mean = (g: GraphBuilder, name: string, input: string, axes: readonly number[]) =>
  g.node('ReduceMean', name, [input], { axes, keepdims: 0 });

/** Asserts that both runtimes agree, which operators are made, and whether XNNPACK takes them all. */
async function lowersTo(graph: Graph, ops: readonly string[], isAccelerated = true, tolerance?: number): Promise<void> {
  const model = await agree(graph, tolerance);
  assert.deepEqual(opsOf(model), ops);
  assert.equal(model.isAccelerated, isAccelerated, `${ops}: accelerated ${model.isAccelerated}`);
}

test('Abs, Log, LogSoftmax', async () => {
  const graph = imageGraph([4, 3, 5], (g, image) => {
    const size = g.node('Add', 'size', [g.node('Abs', 'abs', [image], {}), g.scalar('tenth', 0.1)], {});
    g.node('LogSoftmax', 'soft', [g.node('Log', 'log', [size], {})], { axis: 1 });
    return { soft: [5, 4, 3] };
  });
  await lowersTo(graph, ['ABS', 'ADD', 'LOG', 'LOG_SOFTMAX'], false);
});

test('Pow with a constant exponent', async () => {
  for (const [exponent, ops, isAccelerated] of [
    [2, ['MUL'], true],
    [0.5, ['SQRT'], true],
    [-0.5, ['RSQRT'], true],
    [-1, ['DIV'], true],
    [3, ['MUL', 'MUL'], true],
    [1.7, ['POW'], false],
  ] as const) {
    const graph = imageGraph([4, 3, 2], (g, image) => {
      const positive = g.node('Add', 'positive', [g.node('Abs', 'abs', [image], {}), g.scalar('half', 0.5)], {});
      g.node('Pow', 'power', [positive, g.scalar('exponent', exponent)], {});
      return { power: [2, 4, 3] };
    });
    await lowersTo(graph, ['ABS', 'ADD', ...ops], isAccelerated, 1e-5 * 4 ** Math.max(1, exponent));
  }
});

test('Gelu and Erf, also at zero and far from it', async () => {
  const spread = (g: GraphBuilder, image: string) => {
    return g.node('Mul', 'wide', [image, g.constant('widths', float32([4, 1, 1], [0, 0.01, 1, 4]))], {});
  };
  const gelu = imageGraph([8, 9, 4], (g, image) => {
    g.node('microsoft.Gelu', 'gelu', [spread(g, image)], {});
    return { gelu: [4, 8, 9] };
  });
  await lowersTo(gelu, ['MUL', 'GELU'], true, 2e-6);
  const erf = imageGraph([8, 9, 4], (g, image) => {
    g.node('Erf', 'erf', [spread(g, image)], {});
    return { erf: [4, 8, 9] };
  });
  await lowersTo(erf, ['MUL', 'MUL', 'ADD', 'GELU', 'DIV', 'MUL', 'SUB'], true, 2e-6);
});

test('Clip with one limit', async () => {
  for (const [limits, op] of [
    [[-0.3, undefined], 'MAXIMUM'],
    [[undefined, 0.4], 'MINIMUM'],
  ] as const) {
    const graph = imageGraph([4, 3, 2], (g, image) => {
      const inputs = limits.map((limit, i) => (limit === undefined ? '' : g.scalar(`limit${i}`, limit)));
      g.node('Clip', 'clip', [image, ...inputs], {});
      return { clip: [2, 4, 3] };
    });
    await lowersTo(graph, [op]);
  }
});

test('BatchNormalization of images, rows and lists of rows, with the ReLU behind it', async () => {
  const norm = (g: GraphBuilder, rng: Parameters<typeof noise>[0], name: string, input: string, channels: number) => {
    const parts = ['scale', 'bias', 'mean'].map(part => g.constant(`${name}.${part}`, noise(rng, [channels])));
    const { data } = noise(rng, [channels]);
    const variance = g.constant(
      `${name}.variance`,
      float32(
        [channels],
        data.map(value => 0.3 + value ** 2),
      ),
    );
    return g.node('BatchNormalization', name, [input, ...parts, variance], { epsilon: 1e-3 });
  };
  const graph = imageGraph([4, 3, 12], (g, image, rng) => {
    const active = g.node('Relu', 'active', [norm(g, rng, 'images', image, 12)], {});
    const rows = norm(g, rng, 'rows', mean(g, 'means', active, [2, 3]), 12);
    const lists = norm(g, rng, 'lists', reshape(g, 'list', active, [0, 12, 12]), 12);
    g.node('Add', 'out', [rows, mean(g, 'summed', lists, [2])], {});
    return { out: [12] };
  });
  await lowersTo(graph, ['DEPTHWISE_CONV_2D', 'MEAN', 'MUL', 'ADD', 'RESHAPE', 'MUL', 'ADD', 'MEAN', 'ADD']);
});

const layerNormOps = ['MEAN', 'SUB', 'MUL', 'MEAN', 'ADD', 'RSQRT', 'MUL', 'MUL', 'ADD'];

test('LayerNormalization over channels, as ConvNeXt and transformers have it, and over everything', async () => {
  const norm = (
    g: GraphBuilder,
    rng: Parameters<typeof noise>[0],
    input: string,
    shape: readonly number[],
    axis: number,
  ) =>
    g.node(
      'LayerNormalization',
      'norm',
      [input, g.constant('w', noise(rng, shape)), g.constant('b', noise(rng, shape))],
      {
        axis,
        epsilon: 1e-5,
      },
    );
  const images = imageGraph([4, 3, 6], (g, image, rng) => {
    transpose(g, 'out', norm(g, rng, transpose(g, 'last', image, [0, 2, 3, 1]), [6], -1), [0, 3, 1, 2]);
    return { out: [6, 4, 3] };
  });
  await lowersTo(images, [...layerNormOps, 'RESHAPE']);
  const tokens = imageGraph([4, 3, 6], (g, image, rng) => {
    const list = transpose(g, 'tokens', reshape(g, 'list', image, [0, 6, -1]), [0, 2, 1]);
    norm(g, rng, list, [6], 2);
    return { norm: [12, 6] };
  });
  await lowersTo(tokens, ['RESHAPE', ...layerNormOps]);
  const whole = imageGraph([4, 3, 6], (g, image, rng) => {
    mean(g, 'mean', norm(g, rng, image, [6, 4, 3], 1), [1]);
    return { mean: [4, 3] };
  });
  await lowersTo(whole, ['TRANSPOSE', ...layerNormOps, 'MEAN']);
});

test('pools: padding counted, rounding up, uneven sides', async () => {
  const square = (kernel: number, stride: number, pad = 0): PoolAttributes => ({
    kernel_shape: [kernel, kernel],
    strides: [stride, stride],
    pads: [pad, pad, pad, pad],
  });
  const corrected = ['PAD', 'AVERAGE_POOL_2D', 'MUL'];
  const average: [Size, PoolAttributes, 0 | 1, string[]][] = [
    [[8, 6, 3], square(3, 2, 1), 0, corrected],
    [[8, 6, 3], { ...square(3, 2), ceil_mode: 1 }, 0, ['AVERAGE_POOL_2D']],
    [[8, 7, 3], { ...square(3, 2, 1), ceil_mode: 1 }, 0, corrected],
    [[8, 7, 3], { ...square(3, 2, 1), ceil_mode: 1 }, 1, corrected],
    [[9, 9, 3], { ...square(2, 2), ceil_mode: 1 }, 1, corrected],
    [[7, 6, 2], { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 0, 1] }, 0, corrected],
    [[7, 6, 2], { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 0, 1] }, 1, ['PAD', 'AVERAGE_POOL_2D']],
  ];
  for (const [size, attributes, count_include_pad, ops] of average) {
    const graph = imageGraph(size, (g, image) => {
      g.node('AveragePool', 'pool', [image], { ...attributes, count_include_pad });
      return { pool: [size[2], 'h', 'w'] };
    });
    await lowersTo(graph, ops).catch(error => {
      throw new Error(`${JSON.stringify([attributes, count_include_pad])}: ${error.message}`, { cause: error });
    });
  }
  const largest: [Size, PoolAttributes, 'Relu' | 'Neg', string[], boolean][] = [
    [[8, 8, 3], square(3, 2, 1), 'Relu', ['RELU', 'PAD', 'MAX_POOL_2D'], true],
    [[8, 8, 3], square(3, 2, 1), 'Neg', ['NEG', 'PADV2', 'MAX_POOL_2D'], false],
    [
      [7, 6, 2],
      { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 0, 1] },
      'Relu',
      ['RELU', 'PAD', 'MAX_POOL_2D'],
      true,
    ],
    [[7, 7, 3], { ...square(3, 2), ceil_mode: 1 }, 'Relu', ['RELU', 'MAX_POOL_2D'], true],
    [[7, 8, 3], { ...square(3, 2), ceil_mode: 1 }, 'Neg', ['NEG', 'PADV2', 'MAX_POOL_2D'], false],
  ];
  for (const [size, attributes, before, ops, isAccelerated] of largest) {
    const graph = imageGraph(size, (g, image) => {
      g.node('MaxPool', 'pool', [g.node(before, 'before', [image], {})], attributes);
      return { pool: [size[2], 'h', 'w'] };
    });
    await lowersTo(graph, ops, isAccelerated);
  }
});

test('Pad with minus infinity before a maximum', async () => {
  const graph = imageGraph([6, 5, 3], (g, image) => {
    const edge = g.scalar('edge', Number.NEGATIVE_INFINITY);
    const padded = g.node('Pad', 'padded', [image, ints(g, 'pads', [0, 0, 1, 1, 0, 0, 0, 1])], { mode: 'constant' });
    const lowest = g.node('Pad', 'lowest', [padded, ints(g, 'pads2', [0, 0, 1, 0, 0, 0, 1, 1]), edge], {
      mode: 'constant',
    });
    g.node('MaxPool', 'pool', [lowest], { kernel_shape: [3, 3], strides: [2, 2], pads: [0, 0, 0, 0] });
    return { pool: [3, 4, 3] };
  });
  await lowersTo(graph, ['PAD', 'PADV2', 'MAX_POOL_2D'], false);
});

test('Resize where both sample at the same places', async () => {
  type Attributes = OpAttributes['Resize'];
  const by = (
    mode: Attributes['mode'],
    coordinate_transformation_mode: Attributes['coordinate_transformation_mode'],
    nearest_mode: Attributes['nearest_mode'] = 'floor',
  ): Attributes => ({ mode, coordinate_transformation_mode, nearest_mode });
  const cases: [Attributes, Size, readonly [number, number], string, boolean][] = [
    [by('linear', 'half_pixel'), [4, 3, 2], [8, 9], 'RESIZE_BILINEAR', true],
    [by('linear', 'half_pixel'), [6, 9, 2], [4, 3], 'RESIZE_BILINEAR', true],
    [by('linear', 'align_corners'), [4, 3, 2], [7, 5], 'RESIZE_BILINEAR', true],
    [by('linear', 'asymmetric'), [4, 3, 2], [8, 6], 'RESIZE_BILINEAR', true],
    [by('nearest', 'asymmetric'), [4, 3, 2], [8, 9], 'RESIZE_NEAREST_NEIGHBOR', false],
    [by('nearest', 'asymmetric'), [7, 9, 2], [3, 4], 'RESIZE_NEAREST_NEIGHBOR', false],
    [by('nearest', 'half_pixel', 'round_prefer_floor'), [4, 3, 2], [8, 9], 'RESIZE_NEAREST_NEIGHBOR', false],
  ];
  for (const [attributes, size, [height, width], op, isAccelerated] of cases) {
    for (const isSize of [true, false]) {
      const graph = imageGraph(size, (g, image) => {
        const scales = float32([4], [1, 1, height / size[0], width / size[1]]);
        const inputs = isSize
          ? [image, '', '', ints(g, 'sizes', [1, size[2], height, width])]
          : [image, '', g.constant('scales', scales)];
        g.node('Resize', 'resized', inputs, attributes);
        return { resized: [size[2], height, width] };
      });
      // A scale such as 5/3 gives another floor than the size.
      const isExact = [height / size[0], width / size[1]].every(
        (scale, i) => Math.fround(scale) * size[i]! === [height, width][i],
      );
      if (isSize || isExact) await lowersTo(graph, [op], isAccelerated);
    }
  }
});

test('channel shuffle: one TRANSPOSE between the channels, with the positions as they lie', async () => {
  const graph = imageGraph([6, 5, 12], (g, image, rng) => {
    const groups = reshape(g, 'groups', image, [-1, 3, 4, 6, 5]);
    const shuffled = reshape(g, 'shuffled', transpose(g, 'turned', groups, [0, 2, 1, 3, 4]), [-1, 12, 6, 5]);
    const weight = g.constant('weight', noise(rng, [4, 12, 1, 1], 0.3));
    const one = { kernel_shape: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 } as const;
    g.node('Conv', 'conv', [shuffled, weight], one);
    return { conv: [4, 6, 5] };
  });
  const model = await agree(graph);
  assert.deepEqual(opsOf(model), ['RESHAPE', 'TRANSPOSE', 'RESHAPE', 'CONV_2D']);
  assert.deepEqual(model.tensors[model.operators[1]!.inputs[0]!]!.shape, [30, 3, 4]);
  assert.equal(model.operators[1]!.version, 1);
  assert.ok(model.isAccelerated);
});

test('split channels: one half through a convolution, joined, shuffled', async () => {
  const graph = imageGraph([6, 6, 8], (g, image, rng) => {
    const part = (name: string, from: number, to: number) =>
      g.node('Slice', name, [image, ...[[from], [to], [1], [1]].map((list, i) => ints(g, `${name}.${i}`, list))], {});
    const [left, right] = [part('left', 0, 4), part('right', 4, 8)];
    const weight = g.constant('weight', noise(rng, [4, 4, 3, 3], 0.2));
    const conv = { kernel_shape: [3, 3], strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1], group: 1 } as const;
    const joined = g.node('Concat', 'joined', [left, g.node('Conv', 'conv', [right, weight], conv)], { axis: 1 });
    const groups = reshape(g, 'groups', joined, [0, 2, 4, 6, 6]);
    const shuffled = reshape(g, 'shuffled', transpose(g, 'turned', groups, [0, 2, 1, 3, 4]), [0, 8, 6, 6]);
    g.node('Relu', 'out', [shuffled], {});
    return { out: [8, 6, 6] };
  });
  const wanted = [
    'STRIDED_SLICE',
    'STRIDED_SLICE',
    'CONV_2D',
    'CONCATENATION',
    'RESHAPE',
    'TRANSPOSE',
    'RESHAPE',
    'RELU',
  ];
  const found = await agree(graph);
  assert.deepEqual(opsOf(found).sort(), wanted.sort());
  assert.ok(found.isAccelerated);
});

test('an image as a row, in the order of the graph', async () => {
  const graph = imageGraph([3, 2, 4], (g, image, rng) => {
    const row = g.node('Flatten', 'row', [image], { axis: 1 });
    const weight = g.constant('weight', noise(rng, [5, 24], 0.2));
    g.node('Gemm', 'out', [row, weight], { alpha: 1, beta: 1, transA: 0, transB: 1 });
    return { out: [5] };
  });
  await lowersTo(graph, ['TRANSPOSE', 'RESHAPE', 'FULLY_CONNECTED']);
});

test('attention: tokens, a class token, heads, two products of computed values', async () => {
  const [tokens, heads, width] = [12, 2, 3];
  const channels = heads * width;
  const graph = imageGraph([4, 3, channels], (g, image, rng) => {
    const dense = (name: string, input: string, from: number, to: number) =>
      g.node('MatMul', name, [input, g.constant(`${name}.weight`, noise(rng, [from, to], 0.5))], {});
    const list = transpose(g, 'list', reshape(g, 'positions', image, [0, channels, tokens]), [0, 2, 1]);
    const all = g.node('Concat', 'all', [g.constant('class', noise(rng, [1, 1, channels])), list], { axis: 1 });
    const qkv = reshape(g, 'qkv', dense('dense', all, channels, 3 * channels), [0, tokens + 1, 3, heads, width]);
    const split = transpose(g, 'split', qkv, [2, 0, 3, 1, 4]);
    const [q, k, v] = [0, 1, 2].map(i =>
      g.node('Gather', `part${i}`, [split, g.constant(`index${i}`, int64([], [i]))], { axis: 0 }),
    ) as [string, string, string];
    const scaled = g.node('Mul', 'scaled', [q, g.scalar('scale', width ** -0.5)], {});
    const scores = g.node('MatMul', 'scores', [scaled, transpose(g, 'turned', k, [0, 1, 3, 2])], {});
    const mixed = g.node('MatMul', 'mixed', [g.node('Softmax', 'soft', [scores], { axis: -1 }), v], {});
    const back = reshape(g, 'back', transpose(g, 'heads', mixed, [0, 2, 1, 3]), [0, tokens + 1, channels]);
    const out = g.node('Add', 'sum', [all, dense('out', back, channels, channels)], {});
    g.node('Gather', 'first', [out, g.constant('zero', int64([], [0]))], { axis: 1 });
    return { first: [channels] };
  });
  const model = await agree(graph);
  const counts: Record<string, number> = {};
  for (const op of opsOf(model)) counts[op] = (counts[op] ?? 0) + 1;
  assert.equal(counts.BATCH_MATMUL, 2);
  assert.equal(counts.CONV_2D, 2);
  assert.equal(counts.TRANSPOSE, 4);
  assert.ok(model.isAccelerated);
});

test('windows of an image, as Swin has them', async () => {
  const graph = imageGraph([4, 6, 5], (g, image, rng) => {
    const last = transpose(g, 'last', image, [0, 2, 3, 1]);
    const split = transpose(g, 'split', reshape(g, 'cut', last, [-1, 2, 2, 3, 2, 5]), [0, 1, 3, 2, 4, 5]);
    const windows = reshape(g, 'windows', split, [-1, 4, 5]);
    const weight = g.constant('weight', noise(rng, [5, 5], 0.5));
    const dense = g.node('MatMul', 'dense', [windows, weight], {});
    const joined = transpose(g, 'joined', reshape(g, 'apart', dense, [1, 2, 3, 2, 2, 5]), [0, 1, 3, 2, 4, 5]);
    const whole = transpose(g, 'whole', reshape(g, 'merged', joined, [1, 4, 6, 5]), [0, 3, 1, 2]);
    g.node('Relu', 'out', [whole], {});
    return { out: [5, 4, 6] };
  });
  await lowersTo(graph, ['RESHAPE', 'TRANSPOSE', 'RESHAPE', 'CONV_2D', 'RESHAPE', 'TRANSPOSE', 'RESHAPE', 'RELU']);
});

test('values of different rank, and the same image in two orders', async () => {
  const graph = imageGraph([4, 3, 5], (g, image, rng) => {
    const perChannel = g.node('Unsqueeze', 'wide', [mean(g, 'row', image, [2, 3]), ints(g, 'axes', [2, 3])], {});
    const map = mean(g, 'map', image, [1]);
    const weighted = g.node('Mul', 'weighted', [g.node('Mul', 'scaled', [image, perChannel], {}), map], {});
    const last = transpose(g, 'last', image, [0, 2, 3, 1]);
    const dense = g.node('MatMul', 'dense', [last, g.constant('weight', noise(rng, [5, 5]))], {});
    const back = transpose(g, 'back', dense, [0, 3, 1, 2]);
    const turned = transpose(g, 'turned', transpose(g, 'sides', back, [0, 1, 3, 2]), [0, 1, 3, 2]);
    g.node('Add', 'out', [weighted, turned], {});
    return { out: [5, 4, 3] };
  });
  await lowersTo(graph, ['MEAN', 'MEAN', 'RESHAPE', 'MUL', 'RESHAPE', 'MUL', 'CONV_2D', 'ADD']);
});
