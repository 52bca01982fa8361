// The lowerings that only some networks need, judged by two runtimes: arithmetic, pools, reshaping, slicing and picking.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Rng } from '../../src/base/rng.ts';
import { type GraphBuilder, graphBuilder } from '../../src/onnx/builder.ts';
import type { PoolAttributes } from '../../src/onnx/ops.ts';
import { float32, int64 } from '../../src/tensor/tensor.ts';
import { lowerToTflite } from '../../src/tflite/lower.ts';
import { Activation } from '../../src/tflite/schema.ts';
import { agree, imageGraph, noise, opsOf } from '../support/two-runtimes.ts';

const ints = (g: GraphBuilder, name: string, values: readonly number[]) =>
  g.constant(name, int64([values.length], values));
const flatten = (g: GraphBuilder, image: string, name = 'rows') =>
  g.node('ReduceMean', name, [image], { axes: [2, 3], keepdims: 0 });

test('differences, quotients, maxima and minima, with constants on either side and broadcasting', async () => {
  const graph = imageGraph([4, 3, 2], (g, image, rng) => {
    const left = g.node('Sub', 'left', [g.constant('one', float32([2, 1, 1], [1, 2])), image], {});
    const right = g.node('Sub', 'right', [left, g.scalar('half', 0.5)], {});
    const positive = g.node('Exp', 'positive', [right], {});
    const quotient = g.node('Div', 'quotient', [image, positive], {});
    const inverse = g.node('Div', 'inverse', [g.scalar('three', 3), positive], {});
    const mean = g.node('GlobalAveragePool', 'mean', [quotient], {});
    const centred = g.node('Sub', 'centred', [quotient, mean], {});
    const high = g.node('Max', 'high', [centred, inverse], {});
    const low = g.node('Min', 'low', [high, g.constant('limits', noise(rng, [2, 4, 1]))], {});
    const active = g.node('Relu', 'active', [g.node('Sub', 'difference', [centred, low], {})], {});
    g.node('Div', 'out', [active, positive], {});
    return { out: [2, 4, 3] };
  });
  const model = await agree(graph);
  const wanted = ['SUB', 'SUB', 'EXP', 'DIV', 'DIV', 'MEAN', 'SUB', 'MAXIMUM', 'MINIMUM', 'SUB', 'DIV'];
  assert.deepEqual(opsOf(model), wanted);
  const fused = model.operators[9]!.options as { fused_activation_function: number };
  assert.equal(fused.fused_activation_function, Activation.RELU);
});

test('functions of one value', async () => {
  const graph = imageGraph([3, 4, 2], (g, image) => {
    const bell = g.node('Sigmoid', 'sigmoid', [image], {});
    const root = g.node('Sqrt', 'root', [bell], {});
    const minus = g.node('Neg', 'minus', [g.node('Tanh', 'tanh', [image], {})], {});
    const clipped = g.node('Clip', 'clipped', [image, g.scalar('low', -0.4), g.scalar('high', 0.7)], {});
    g.node('Mul', 'out', [g.node('Add', 'sum', [root, minus], {}), clipped], {});
    return { out: [2, 3, 4] };
  });
  const wanted = ['LOGISTIC', 'SQRT', 'TANH', 'NEG', 'MAXIMUM', 'MINIMUM', 'ADD', 'MUL'];
  assert.deepEqual(opsOf(await agree(graph)).sort(), wanted.sort());
});

const square = (kernel: number, stride: number, pad = 0): PoolAttributes => ({
  kernel_shape: [kernel, kernel],
  strides: [stride, stride],
  pads: [pad, pad, pad, pad],
});

test('pools: windows, strides, paddings, rounding up', async () => {
  type Size = readonly [number, number, number];
  const average: [Size, PoolAttributes, 0 | 1, string[]][] = [
    [[8, 8, 3], square(4, 4), 0, ['AVERAGE_POOL_2D']],
    [[7, 5, 3], square(3, 2), 0, ['AVERAGE_POOL_2D']],
    [[7, 5, 3], square(3, 1, 1), 0, ['AVERAGE_POOL_2D']],
    [[7, 5, 3], square(3, 1, 1), 1, ['PAD', 'AVERAGE_POOL_2D']],
    [[8, 6, 2], square(3, 2, 1), 1, ['PAD', 'AVERAGE_POOL_2D']],
    [[6, 8, 2], { kernel_shape: [2, 4], strides: [1, 2], pads: [0, 0, 0, 0] }, 0, ['AVERAGE_POOL_2D']],
    [[8, 8, 2], { ...square(2, 2), ceil_mode: 1 }, 0, ['AVERAGE_POOL_2D']],
  ];
  for (const [size, attributes, count_include_pad, ops] of average) {
    const graph = imageGraph(size, (g, image) => {
      g.node('AveragePool', 'pool', [image], { ...attributes, count_include_pad });
      return { pool: [size[2], 'h', 'w'] };
    });
    assert.deepEqual(opsOf(await agree(graph)), ops, JSON.stringify(attributes));
  }
  const largest: [Size, PoolAttributes, string[]][] = [
    [[8, 6, 3], square(2, 2), ['MAX_POOL_2D']],
    [[9, 7, 3], square(3, 2, 1), ['MAX_POOL_2D']],
    // As ResNet has it: SAME would pad the other side. The image has negative numbers, so that zeros would be seen.
    [[8, 8, 3], square(3, 2, 1), ['PADV2', 'MAX_POOL_2D']],
    [[8, 8, 2], { ...square(3, 2), ceil_mode: 1 }, ['MAX_POOL_2D']],
    [[9, 8, 2], { ...square(3, 3, 1), ceil_mode: 1 }, ['PADV2', 'MAX_POOL_2D']],
  ];
  for (const [size, attributes, ops] of largest) {
    const graph = imageGraph(size, (g, image) => {
      const low = g.node('Sub', 'low', [image, g.scalar('five', 5)], {});
      g.node('MaxPool', 'pool', [low], attributes);
      return { pool: [size[2], 'h', 'w'] };
    });
    assert.deepEqual(opsOf(await agree(graph)), ['SUB', ...ops], JSON.stringify(attributes));
  }
});

test('sums and means over positions and over rows', async () => {
  const graph = imageGraph([4, 3, 5], (g, image) => {
    const sum = g.node('ReduceSum', 'sum', [image, ints(g, 'axes', [2, 3])], { keepdims: 0 });
    const kept = g.node('ReduceSum', 'kept', [image, ints(g, 'axes2', [-1, -2])], { keepdims: 1 });
    const total = g.node('ReduceSum', 'total', [sum, ints(g, 'axes3', [1])], { keepdims: 1 });
    const share = g.node('Div', 'share', [sum, total], {});
    g.node('ReduceMean', 'average', [share], { axes: [-1], keepdims: 0 });
    g.node('Mul', 'scaled', [image, kept], {});
    return { average: [], share: [5], scaled: [5, 4, 3] };
  });
  assert.deepEqual(opsOf(await agree(graph)).sort(), ['DIV', 'MEAN', 'MUL', 'SUM', 'SUM', 'SUM']);
});

test('reshaping in all its names', async () => {
  const graph = imageGraph([4, 3, 6], (g, image) => {
    const pooled = g.node('GlobalAveragePool', 'pooled', [image], {});
    const flat = g.node('Flatten', 'flat', [pooled], { axis: 1 });
    const squeezed = g.node('Squeeze', 'squeezed', [pooled, ints(g, 'axes', [2, -1])], {});
    const wide = g.node('Unsqueeze', 'wide', [squeezed, ints(g, 'axes2', [2, 3])], {});
    const gated = g.node('Mul', 'gated', [image, g.node('Sigmoid', 'gate', [wide], {})], {});
    const three = g.node('Unsqueeze', 'three', [flat, ints(g, 'axes3', [1])], {});
    const two = g.node('Squeeze', 'two', [three, ints(g, 'axes4', [1])], {});
    const rows = g.node('Reshape', 'rows', [two, ints(g, 'target', [-1, 3, 2])], {});
    g.node('Identity', 'inner', [gated], {});
    g.node('Identity', 'named', ['inner'], {});
    g.node('Softmax', 'soft', [rows], { axis: 2 });
    return { named: [6, 4, 3], soft: [3, 2] };
  });
  const ops = opsOf(await agree(graph));
  // Only what an operator reads in another shape is reshaped, and once; and a copy gives the output its name.
  const wanted = { MEAN: 1, RESHAPE: 4, LOGISTIC: 1, MUL: 1, SOFTMAX: 1 };
  const counts: Record<string, number> = {};
  for (const op of ops) counts[op] = (counts[op] ?? 0) + 1;
  assert.deepEqual(counts, wanted);
});

test('padding and slicing, by the axes of the graph', async () => {
  const graph = imageGraph([4, 5, 3], (g, image) => {
    const zeros = g.node('Pad', 'zeros', [image, ints(g, 'pads', [0, 1, 2, 0, 0, 0, 1, 3])], { mode: 'constant' });
    const ones = g.node('Pad', 'ones', [zeros, ints(g, 'pads2', [0, 0, 0, 1, 0, 2, 0, 0]), g.scalar('value', 1.5)], {
      mode: 'constant',
    });
    const limits = [ints(g, 'starts', [1, -7, 0]), ints(g, 'ends', [5, 1000, -1]), ints(g, 'axes', [1, -1, 2])];
    g.node('Slice', 'slice', [ones, ...limits, ints(g, 'steps', [2, 1, 3])], {});
    const rows = flatten(g, image);
    const row = g.node('Pad', 'row', [rows, ints(g, 'pads3', [0, 1, 0, 2])], { mode: 'constant' });
    g.node('Slice', 'part', [row, ints(g, 'from', [0, 1]), ints(g, 'to', [1, 5])], {});
    return { slice: [2, 2, 7], part: [4] };
  });
  assert.deepEqual(opsOf(await agree(graph)).sort(), ['MEAN', 'PAD', 'PAD', 'PADV2', 'STRIDED_SLICE', 'STRIDED_SLICE']);
});

test('the best classes, what belongs to them, and their places as numbers', async () => {
  const graph = imageGraph([4, 5, 6], (g, image) => {
    const soft = g.node('Softmax', 'soft', [flatten(g, image)], { axis: 1 });
    const k = ints(g, 'k', [3]);
    g.node('TopK', 'best', [soft, k], { axis: 1, largest: 1, sorted: 1 }, ['places']);
    const list = g.node('Reshape', 'list', ['places', k], {});
    const maps = g.node('Gather', 'maps', [image, list], { axis: 1 });
    g.node('Gather', 'again', [soft, list], { axis: -1 });
    g.node('Gather', 'fixed', [maps, ints(g, 'last', [-1, 0])], { axis: 3 });
    g.node('Cast', 'numbers', ['places'], { to: 'float32' });
    return { best: [3], fixed: [3, 4, 2], again: [3], numbers: [3] };
  });
  const model = await agree(graph);
  assert.deepEqual(opsOf(model).sort(), [
    'CAST',
    'GATHER',
    'GATHER',
    'GATHER',
    'MEAN',
    'RESHAPE',
    'SOFTMAX',
    'TOPK_V2',
  ]);
  const integers = model.tensors.filter(({ type, data }) => type === 'INT32' && !data).map(({ name }) => name);
  assert.deepEqual(integers, ['places', 'list']);
});

test('refusals', () => {
  const refuses = (pattern: RegExp, body: (g: GraphBuilder, image: string, rng: Rng) => string) => {
    const graph = imageGraph([6, 6, 4], (g, image, rng) => ({ [body(g, image, rng)]: [1] }));
    assert.throws(() => lowerToTflite(graph), { code: 'unsupported-op', message: pattern });
  };
  refuses(/Max m: it has 1 inputs/, (g, image) => g.node('Max', 'm', [image], {}));
  refuses(/both of its inputs are constants/, g => g.node('Div', 'd', [g.scalar('a', 1), g.scalar('b', 2)], {}));
  refuses(/limits are no constant/, (g, image) => g.node('Clip', 'c', [image, '', ''], {}));
  refuses(/larger than the 6 x 6/, (g, image) => g.node('MaxPool', 'p', [image], square(7, 1)));
  refuses(/dilated/, (g, image) => g.node('MaxPool', 'p', [image], { ...square(2, 1), dilations: [2, 2] }));
  refuses(/not read an image/, (g, image) => g.node('MaxPool', 'p', [flatten(g, image)], square(1, 1)));
  refuses(/not the sum over constant axes/, (g, image) =>
    g.node('ReduceSum', 's', [image, ints(g, 'axes', [0, 1])], { keepdims: 0 }),
  );
  refuses(/not the mean/, (g, image) => g.node('ReduceMean', 's', [flatten(g, image)], { axes: [0], keepdims: 1 }));
  refuses(/constant of the same size/, (g, image) =>
    g.node('Reshape', 'r', [flatten(g, image), ints(g, 'target', [1, 3, 2])], {}),
  );
  refuses(/constant of the same size/, (g, image) => g.node('Reshape', 'r', [image, flatten(g, image)], {}));
  refuses(/moves 2 axes of 4/, (g, image) => g.node('Transpose', 't', [image], { perm: [1, 0] }));
  refuses(/power of a constant number/, (g, image) => g.node('Pow', 'p', [image, image], {}));
  refuses(/one per channel/, (g, image) =>
    g.node('BatchNormalization', 'norm', [image, ...['a', 'b', 'c', 'd'].map(name => g.scalar(name, 1))], {
      epsilon: 0,
    }),
  );
  refuses(/scale or bias is no constant/, (g, image) =>
    g.node('LayerNormalization', 'l', [image, image, image], { axis: 1, epsilon: 0 }),
  );
  refuses(/runs along axis 0/, (g, image) => g.node('LogSoftmax', 'l', [image], { axis: 0 }));
  const nearest = { mode: 'nearest', coordinate_transformation_mode: 'half_pixel' } as const;
  // Halving: the place between two pixels goes to the first of them in ONNX, and to the second in TFLite.
  refuses(/other elements than TFLite/, (g, image) =>
    g.node('Resize', 'r', [image, '', '', ints(g, 'sizes', [1, 4, 3, 3])], {
      ...nearest,
      nearest_mode: 'round_prefer_floor',
    }),
  );
  refuses(/other elements than TFLite/, (g, image) =>
    g.node('Resize', 'r', [image, '', g.constant('scales', float32([4], [1, 1, 1.2, 1.2]))], {
      mode: 'linear',
      coordinate_transformation_mode: 'half_pixel',
      nearest_mode: 'floor',
    }),
  );
  refuses(/pad the batch/, (g, image) =>
    g.node('Pad', 'p', [image, ints(g, 'pads', [1, 0, 0, 0, 0, 0, 0, 0])], { mode: 'constant' }),
  );
  refuses(/cut something off/, (g, image) =>
    g.node('Pad', 'p', [image, ints(g, 'pads', [0, 0, -1, 0, 0, 0, 0, 0])], { mode: 'constant' }),
  );
  const slice = (starts: number, ends: number, axis: number, step: number) => (g: GraphBuilder, image: string) =>
    g.node('Slice', 's', [image, ...[starts, ends, axis, step].map((value, i) => ints(g, `c${i}`, [value]))], {});
  refuses(/runs backwards/, slice(-1, -7, 2, -1));
  refuses(/take nothing/, slice(3, 3, 2, 1));
  refuses(/from 1 to the number of classes/, (g, image) =>
    g.node('TopK', 't', [flatten(g, image), ints(g, 'k', [5])], { axis: 1, largest: 1, sorted: 1 }),
  );
  refuses(/less than two outputs/, (g, image) =>
    g.node('TopK', 't', [flatten(g, image), ints(g, 'k', [2])], { axis: 1, largest: 1, sorted: 1 }),
  );
  refuses(/list of places/, (g, image) => g.node('Gather', 'g', [image, ints(g, 'i', [4])], { axis: 1 }));
  refuses(/list of places/, (g, image) => g.node('Gather', 'g', [image, flatten(g, image)], { axis: 1 }));

  const graph = graphBuilder('whole');
  const rows = graph.input({ name: 'rows', dtype: 'float32', shape: ['N', 4] });
  graph.node('TopK', 'best', [rows, ints(graph, 'k', [2])], { axis: 1, largest: 1, sorted: 1 }, ['places']);
  graph.node('Add', 'out', ['places', 'places'], {});
  const built = graph.build([{ name: 'out', dtype: 'float32', shape: ['N', 2] }]);
  assert.throws(() => lowerToTflite(built), { code: 'unsupported-op', message: /Add out: it reads whole numbers/ });
});
