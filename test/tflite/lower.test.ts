// Every row of the table of lowerings, judged by two runtimes: LiteRT must say what ONNX Runtime says.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraftError } from '../../src/base/errors.ts';
import { makeRng, type Rng } from '../../src/base/rng.ts';
import { type GraphBuilder, graphBuilder } from '../../src/onnx/builder.ts';
import type { Graph, Node } from '../../src/onnx/graph.ts';
import { float32, int64, sizeOf } from '../../src/tensor/tensor.ts';
import { lowerToTflite } from '../../src/tflite/lower.ts';
import type { KnownOperator } from '../../src/tflite/model.ts';
import { Activation, Padding } from '../../src/tflite/schema.ts';
import { agree, imageGraph, noise, opsOf } from '../support/two-runtimes.ts';

interface ConvSpec {
  readonly out: number;
  readonly kernel?: readonly [number, number];
  readonly stride?: number;
  readonly pads?: readonly [number, number, number, number];
  readonly dilation?: number;
  readonly group?: number;
  readonly bias?: boolean;
}

function addConv(graph: GraphBuilder, rng: Rng, name: string, input: string, channels: number, spec: ConvSpec): string {
  const { out, kernel = [3, 3], stride = 1, pads = [0, 0, 0, 0], dilation = 1, group = 1, bias = true } = spec;
  const shape = [out, channels / group, ...kernel];
  const weight = graph.constant(`${name}.weight`, noise(rng, shape, 1 / Math.sqrt(sizeOf(shape.slice(1)))));
  const inputs = [input, weight];
  if (bias) inputs.push(graph.constant(`${name}.bias`, noise(rng, [out])));
  return graph.node('Conv', name, inputs, {
    kernel_shape: kernel,
    strides: [stride, stride],
    pads,
    dilations: [dilation, dilation],
    group,
  });
}

const p = (n: number) => [n, n, n, n] as const;

test('convolutions: sizes, strides, kernels, paddings, dilations, groups', async () => {
  const cases: [string, readonly [number, number, number], ConvSpec, string[]][] = [
    ['1x1', [7, 5, 3], { out: 4, kernel: [1, 1] }, ['CONV_2D']],
    ['1x1 stride 2', [7, 6, 3], { out: 4, kernel: [1, 1], stride: 2 }, ['CONV_2D']],
    ['3x3 valid', [7, 6, 3], { out: 4 }, ['CONV_2D']],
    ['3x3 same', [7, 6, 3], { out: 4, pads: p(1) }, ['CONV_2D']],
    ['3x3 stride 2, even', [8, 6, 3], { out: 4, stride: 2, pads: p(1) }, ['PAD', 'CONV_2D']],
    ['3x3 stride 2, odd', [9, 7, 3], { out: 4, stride: 2, pads: p(1) }, ['CONV_2D']],
    ['3x3 stride 2, even and odd', [8, 7, 3], { out: 4, stride: 2, pads: p(1) }, ['PAD', 'CONV_2D']],
    ['5x5 stride 2, even', [8, 10, 3], { out: 4, kernel: [5, 5], stride: 2, pads: p(2) }, ['PAD', 'CONV_2D']],
    ['5x5 same', [9, 6, 3], { out: 4, kernel: [5, 5], pads: p(2) }, ['CONV_2D']],
    ['3x1 on two sides', [9, 6, 3], { out: 4, kernel: [3, 1], pads: [1, 0, 1, 0] }, ['CONV_2D']],
    ['padding of one side', [9, 6, 3], { out: 4, pads: [2, 0, 0, 1] }, ['PAD', 'CONV_2D']],
    ['padding larger than same', [6, 6, 3], { out: 4, pads: p(2) }, ['PAD', 'CONV_2D']],
    ['dilation 2', [9, 8, 3], { out: 4, dilation: 2, pads: p(2) }, ['CONV_2D']],
    ['padding in front only', [7, 7, 3], { out: 4, kernel: [1, 1], stride: 3, pads: [2, 2, 0, 0] }, ['PAD', 'CONV_2D']],
    ['no bias', [5, 5, 3], { out: 4, bias: false }, ['CONV_2D']],
    ['grouped', [6, 5, 4], { out: 6, group: 2, pads: p(1) }, ['CONV_2D']],
    ['depthwise', [6, 5, 4], { out: 4, group: 4, pads: p(1) }, ['DEPTHWISE_CONV_2D']],
    [
      'depthwise 5x5 stride 2',
      [8, 8, 4],
      { out: 4, group: 4, kernel: [5, 5], stride: 2, pads: p(2) },
      ['PAD', 'DEPTHWISE_CONV_2D'],
    ],
    ['depthwise times 3', [7, 5, 4], { out: 12, group: 4, pads: p(1) }, ['DEPTHWISE_CONV_2D']],
    ['depthwise, dilation 2', [9, 9, 4], { out: 4, group: 4, dilation: 2, pads: p(2) }, ['DEPTHWISE_CONV_2D']],
    ['one channel', [6, 6, 1], { out: 4, pads: p(1) }, ['CONV_2D']],
  ];
  for (const [title, size, spec, ops] of cases) {
    const graph = imageGraph(size, (g, image, rng) => {
      addConv(g, rng, 'conv', image, size[2], spec);
      return { conv: [spec.out, 'h', 'w'] };
    });
    const model = await agree(graph).catch(error => {
      throw new Error(`${title}: ${error.message}`, { cause: error });
    });
    assert.deepEqual(opsOf(model), ops, title);
  }
});

test('the padding is only what the windows touch', async () => {
  const graph = imageGraph([8, 8, 3], (g, image, rng) => {
    addConv(g, rng, 'conv', image, 3, { out: 2, stride: 2, pads: p(1) });
    return { conv: [2, 4, 4] };
  });
  const model = await agree(graph);
  const paddings = model.tensors[model.operators[0]!.inputs[1]!]!;
  assert.deepEqual([...new Int32Array(paddings.data!.slice().buffer)], [0, 0, 1, 0, 1, 0, 0, 0]);
  assert.equal((model.operators[1] as KnownOperator<'CONV_2D'>).options.padding, Padding.VALID);
});

test('activations go into the operator before them, where it alone is read', async () => {
  const graph = imageGraph([6, 5, 3], (g, image, rng) => {
    const first = g.node('Relu', 'first', [addConv(g, rng, 'a', image, 3, { out: 4, pads: p(1) })], {});
    const limits = [g.scalar('zero', 0), g.scalar('six', 6)];
    const second = g.node('Clip', 'second', [addConv(g, rng, 'b', first, 4, { out: 4, group: 4 }), ...limits], {});
    const swish = g.node('HardSwish', 'swish', [addConv(g, rng, 'c', second, 4, { out: 4, pads: p(1) })], {});
    const sum = g.node('Relu', 'sum', [g.node('Add', 'plus', [swish, second], {})], {});
    // `shared` is read twice, so that its Relu stays an operator.
    const shared = addConv(g, rng, 'shared', sum, 4, { out: 4, pads: p(1) });
    const third = g.node('Relu', 'third', [shared], {});
    const both = g.node('Mul', 'both', [shared, third], {});
    g.node('Clip', 'clipped', [g.node('HardSwish', 'swish2', [both], {}), ...limits], {});
    return { clipped: [4, 4, 3] };
  });
  const model = await agree(graph);
  assert.deepEqual(opsOf(model), [
    'CONV_2D',
    'DEPTHWISE_CONV_2D',
    'CONV_2D',
    'HARD_SWISH',
    'ADD',
    'CONV_2D',
    'RELU',
    'MUL',
    'HARD_SWISH',
    'RELU6',
  ]);
  const fused = model.operators.map(({ options }) =>
    'fused_activation_function' in options ? options.fused_activation_function : null,
  );
  assert.deepEqual(fused, [Activation.RELU, Activation.RELU6, 0, null, Activation.RELU, 0, null, 0, null, null]);
});

test('an output of the graph is not swallowed', async () => {
  const graph = imageGraph([4, 4, 3], (g, image, rng) => {
    g.node('Relu', 'active', [addConv(g, rng, 'conv', image, 3, { out: 2 })], {});
    return { conv: [2, 2, 2], active: [2, 2, 2] };
  });
  assert.deepEqual(opsOf(await agree(graph)), ['CONV_2D', 'RELU']);
});

test('additions and products: constants of every rank, broadcasting, before and after the Transpose', async () => {
  const graph = graphBuilder('test');
  const image = graph.input({ name: 'image', dtype: 'float32', shape: ['N', 5, 4, 3] });
  const rng = makeRng(3, 'constants');
  const early = graph.node('Mul', 'early', [image, graph.constant('perChannel', noise(rng, [3]))], {});
  const nchw = graph.node('Transpose', 'nchw', [early], { perm: [0, 3, 1, 2] });
  const shifted = graph.node('Add', 'shifted', [nchw, graph.constant('shift', noise(rng, [1, 3, 1, 1]))], {});
  const scaled = graph.node('Mul', 'scaled', [graph.constant('scale', noise(rng, [3, 1, 1])), shifted], {});
  const masked = graph.node('Mul', 'masked', [scaled, graph.constant('mask', noise(rng, [5, 4]))], {});
  const number = graph.node('Add', 'number', [masked, graph.scalar('half', 0.5)], {});
  const mean = graph.node('GlobalAveragePool', 'mean', [number], {});
  graph.node('Add', 'out', [mean, number], {});
  const model = await agree(graph.build([{ name: 'out', dtype: 'float32', shape: ['N', 3, 5, 4] }]));
  assert.deepEqual(opsOf(model), ['MUL', 'ADD', 'MUL', 'MUL', 'ADD', 'MEAN', 'ADD']);
});

/** Squeeze and excitation as MobileNetV3 has it, then whatever `rest` adds to the scaled value. */
function gateGraph(
  rest: (g: GraphBuilder, scaled: string, gate: string, rng: Rng) => Record<string, readonly (number | string)[]>,
  attributes = { alpha: 1 / 6, beta: 0.5 },
): Graph {
  return imageGraph([6, 5, 4], (g, image, rng) => {
    const mean = g.node('GlobalAveragePool', 'mean', [image], {});
    const squeezed = g.node('Relu', 'squeezed', [addConv(g, rng, 'fc1', mean, 4, { out: 3, kernel: [1, 1] })], {});
    const excited = addConv(g, rng, 'fc2', squeezed, 3, { out: 4, kernel: [1, 1] });
    const gate = g.node('HardSigmoid', 'gate', [excited], attributes);
    return rest(g, g.node('Mul', 'scaled', [image, gate], {}), gate, rng);
  });
}

test('a squeeze-and-excitation gate costs no operator when a Conv follows', async () => {
  for (const pads of [p(0), p(1)]) {
    const graph = gateGraph((g, scaled, _, rng) => {
      addConv(g, rng, 'project', scaled, 4, { out: 2, pads });
      return { project: [2, 6 - 2 + 2 * pads[0], 5 - 2 + 2 * pads[0]] };
    });
    assert.deepEqual(opsOf(await agree(graph)), ['MEAN', 'CONV_2D', 'CONV_2D', 'MUL', 'CONV_2D']);
  }
});

test('a gate that others read too is divided by 6 at once', async () => {
  const asOutput = gateGraph(() => ({ scaled: [4, 6, 5] }));
  assert.deepEqual(opsOf(await agree(asOutput)), ['MEAN', 'CONV_2D', 'CONV_2D', 'MUL', 'MUL']);
  const readTwice = gateGraph((g, scaled, gate, rng) => {
    const project = addConv(g, rng, 'project', scaled, 4, { out: 4, pads: p(1) });
    g.node('Add', 'sum', [project, gate], {});
    return { sum: [4, 6, 5] };
  });
  assert.deepEqual(opsOf(await agree(readTwice)), ['MEAN', 'CONV_2D', 'CONV_2D', 'MUL', 'MUL', 'CONV_2D', 'ADD']);
});

test('a hard-sigmoid with other slopes, and one that no Conv computes', async () => {
  const steep = gateGraph(
    (g, scaled, _, rng) => {
      addConv(g, rng, 'project', scaled, 4, { out: 2 });
      return { project: [2, 4, 3] };
    },
    { alpha: 0.2, beta: 0.4 },
  );
  assert.deepEqual(opsOf(await agree(steep)), ['MEAN', 'CONV_2D', 'CONV_2D', 'MUL', 'CONV_2D']);
  for (const [alpha, ops] of [
    [1 / 6, ['ADD', 'MUL']],
    [0.2, ['MUL', 'ADD', 'MUL']],
  ] as const) {
    const alone = imageGraph([4, 3, 2], (g, image) => {
      g.node('HardSigmoid', 'gate', [image], { alpha, beta: 0.5 });
      return { gate: [2, 4, 3] };
    });
    assert.deepEqual(opsOf(await agree(alone)), ops);
  }
});

test('a classifier head: pooled stages, Concat, Gemm, Softmax', async () => {
  for (const transB of [0, 1] as const) {
    const graph = imageGraph([6, 5, 3], (g, image, rng) => {
      const stage = addConv(g, rng, 'conv', image, 3, { out: 4 });
      const pooled = [image, stage].map((value, i) =>
        g.node('ReduceMean', `pooled${i}`, [value], { axes: [2, -1], keepdims: 0 }),
      );
      const features = g.node('Concat', 'features', pooled, { axis: 1 });
      const weight = g.constant('weight', noise(rng, transB ? [5, 7] : [7, 5]));
      const bias = g.constant('bias', noise(rng, [1, 5]));
      const logits = g.node('Gemm', 'logits', [features, weight, bias], { alpha: 2, beta: 0.5, transA: 0, transB });
      g.node('Softmax', 'probabilities', [logits], { axis: -1 });
      return { probabilities: [5] };
    });
    const model = await agree(graph);
    assert.deepEqual(opsOf(model), ['CONV_2D', 'MEAN', 'MEAN', 'CONCATENATION', 'FULLY_CONNECTED', 'SOFTMAX']);
  }
});

test('Concat, Softmax and ReduceMean over image axes; MatMul, Gemm without bias, Reshape', async () => {
  const graph = imageGraph([4, 5, 3], (g, image, rng) => {
    const conv = addConv(g, rng, 'conv', image, 3, { out: 2, pads: p(1) });
    const channels = g.node('Concat', 'channels', [image, conv], { axis: 1 });
    const rows = g.node('Concat', 'rows', [channels, channels], { axis: 2 });
    const columns = g.node('Concat', 'columns', [rows, rows], { axis: -1 });
    const soft = g.node('Softmax', 'soft', [columns], { axis: 1 });
    const product = g.node('Mul', 'product', [soft, columns], {});
    const mean = g.node('ReduceMean', 'mean', [product], { axes: [2, 3], keepdims: 1 });
    const flat = g.node('Reshape', 'flat', [mean, g.constant('target', int64([2], [0, -1]))], {});
    const dense = g.node('MatMul', 'dense', [flat, g.constant('matrix', noise(rng, [5, 6]))], {});
    const active = g.node('Relu', 'active', [dense], {});
    const same = g.node('Reshape', 'same', [active, g.constant('target2', int64([2], [1, 6]))], {});
    const weight = g.constant('weight', noise(rng, [3, 6]));
    g.node('Gemm', 'out', [same, weight], { alpha: 1, beta: 1, transA: 0, transB: 1 });
    return { out: [3], soft: [5, 8, 10] };
  });
  const model = await agree(graph);
  const expected = [
    'CONV_2D',
    'CONCATENATION',
    'CONCATENATION',
    'CONCATENATION',
    'SOFTMAX',
    'MUL',
    'MEAN',
    'RESHAPE',
    'FULLY_CONNECTED',
    'FULLY_CONNECTED',
  ];
  assert.deepEqual(opsOf(model), expected);
});

test('a head alone, on a row of features', async () => {
  const graph = graphBuilder('head');
  const features = graph.input({ name: 'features', dtype: 'float32', shape: ['N', 6] });
  const weight = graph.constant('weight', noise(makeRng(4, 'head'), [3, 6]));
  const bias = graph.constant('bias', float32([3], [1, 2, 3]));
  const logits = graph.node('Gemm', 'logits', [features, weight, bias], { alpha: 1, beta: 1, transA: 0, transB: 1 });
  graph.node('Softmax', 'probabilities', [logits], { axis: 1 });
  const model = await agree(graph.build([{ name: 'probabilities', dtype: 'float32', shape: ['N', 3] }]));
  assert.deepEqual(opsOf(model), ['FULLY_CONNECTED', 'SOFTMAX']);
});

test('nothing dead or double: unneeded nodes are left out, equal constants are stored once', async () => {
  const graph = imageGraph([6, 6, 3], (g, image, rng) => {
    const weight = noise(rng, [3, 3, 3, 3], 0.2);
    const same = [1, 2].reduce((value, i) => {
      const inputs = [value, g.constant(`weight${i}`, weight)];
      const attributes = { kernel_shape: [3, 3], strides: [1, 1], pads: p(1), dilations: [1, 1], group: 1 } as const;
      return g.node('Conv', `conv${i}`, inputs, attributes);
    }, image);
    g.node('HardSwish', 'dead', [addConv(g, rng, 'deadConv', same, 3, { out: 8 })], {});
    g.node('ReduceMean', 'out', [same], { axes: [2, 3], keepdims: 0 });
    return { out: [3] };
  });
  const model = await agree(graph);
  assert.deepEqual(opsOf(model), ['CONV_2D', 'CONV_2D', 'MEAN']);
  const names = model.tensors.map(({ name }) => name).sort();
  assert.deepEqual(names, ['conv1', 'conv1.bias', 'conv2', 'image', 'out', 'positions', 'weight1']);
});

test('all refusals come at once, with the node and the remedy, before anything is built', () => {
  const graph = graphBuilder('bad');
  const image = graph.input({ name: 'image', dtype: 'float32', shape: ['N', 6, 6, 3] });
  const rng = makeRng(5, 'bad');
  const early = addConv(graph, rng, 'early', image, 3, { out: 2 });
  const after = graph.node('Relu', 'after', [early], {});
  const back = graph.node('Transpose', 'back', [image], { perm: [0, 2, 1] });
  const clip = graph.node('Clip', 'clip', [image, graph.scalar('low', -1), image], {});
  const cast = graph.node('Cast', 'cast', [image], { to: 'float32' });
  const soft = graph.node('Softmax', 'soft', [image], { axis: 0 });
  const outputs = [after, back, clip, cast, soft, 'image'];
  const built = graph.build(outputs.map(name => ({ name, dtype: 'float32', shape: ['N'] })));
  assert.throws(
    () => lowerToTflite(built),
    (error: unknown) => {
      assert.ok(error instanceof GraftError);
      assert.equal(error.code, 'unsupported-op');
      for (const part of ['Conv early', 'Transpose back', 'Clip clip', 'Cast cast', 'Softmax soft', 'output image']) {
        assert.ok(error.message.includes(part), `${part} in ${error.message}`);
      }
      assert.match(error.message, /does not fit 6 channels in 1 groups/);
      // `after` only suffers from what `early` is.
      assert.ok(!error.message.includes('after'));
      return true;
    },
  );
});

test('refusals of every other kind', () => {
  const refuses = (pattern: RegExp, body: (g: GraphBuilder, image: string, rng: Rng) => string) => {
    const graph = imageGraph([6, 6, 4], (g, image, rng) => ({ [body(g, image, rng)]: [1] }));
    assert.throws(() => lowerToTflite(graph), { code: 'unsupported-op', message: pattern });
  };
  const gemm = { alpha: 1, beta: 1, transA: 0, transB: 1 } as const;
  const flat = (g: GraphBuilder, image: string, name = 'flat') =>
    g.node('ReduceMean', name, [image], { axes: [2, 3], keepdims: 0 });
  refuses(/does not fit 4 channels/, (g, image, rng) => addConv(g, rng, 'conv', image, 3, { out: 2 }));
  refuses(/larger than the 6 x 6 image/, (g, image, rng) =>
    addConv(g, rng, 'conv', image, 4, { out: 2, kernel: [7, 7] }),
  );
  refuses(/not a float32 constant/, (g, image) => {
    const attributes = { kernel_shape: [1, 1], strides: [1, 1], pads: p(0), dilations: [1, 1], group: 1 } as const;
    return g.node('Conv', 'conv', [image, image], attributes);
  });
  refuses(/Cast/, (g, image) => g.node('Cast', 'cast', [image], { to: 'int32' }));
  refuses(/reads 3 features .* \[1, 4\]/, (g, image, rng) =>
    g.node('Gemm', 'dense', [flat(g, image), g.constant('w', noise(rng, [2, 3]))], gemm),
  );
  refuses(/plain dense layer/, (g, image, rng) =>
    g.node('Gemm', 'dense', [flat(g, image), g.constant('w', noise(rng, [2, 4]))], { ...gemm, transA: 1 }),
  );
  refuses(/multiplies \[1, 4\] and \[1, 4\]/, (g, image) =>
    g.node('MatMul', 'dense', [flat(g, image), flat(g, image, 'flat2')], {}),
  );
  refuses(/not the mean over constant axes/, (g, image) =>
    g.node('ReduceMean', 'mean', [image], { axes: [0, 1], keepdims: 1 }),
  );
  refuses(/not the mean over constant axes/, (g, image) => g.node('GlobalAveragePool', 'mean', [flat(g, image)], {}));
  refuses(/no image/, (g, image, rng) => addConv(g, rng, 'conv', flat(g, image), 4, { out: 2 }));
  refuses(/do not go together/, (g, image) => g.node('Add', 'sum', [image, flat(g, image)], {}));
  refuses(/do not go together/, (g, image, rng) =>
    g.node('Mul', 'm', [image, g.constant('c', noise(rng, [1, 5, 1, 1]))], {}),
  );
  refuses(/both of its inputs are constants/, g => g.node('Add', 'sum', [g.scalar('a', 1), g.scalar('b', 2)], {}));
  refuses(/differ in shape or type/, (g, image, rng) =>
    g.node('Concat', 'join', [image, g.constant('c', noise(rng, [1, 4, 6, 5]))], { axis: 1 }),
  );
  refuses(/differ in shape or type/, (g, image) => g.node('Concat', 'join', [image, image], { axis: 0 }));
  refuses(/its input is a constant/, g => g.node('Relu', 'relu', [g.scalar('a', 1)], {}));

  const uint8 = graphBuilder('bytes');
  uint8.node('Relu', 'out', [uint8.input({ name: 'image', dtype: 'uint8', shape: ['N', 4, 4, 3] })], {});
  const built = uint8.build([{ name: 'out', dtype: 'float32', shape: ['N', 4, 4, 3] }]);
  assert.throws(() => lowerToTflite(built), { code: 'unsupported-op', message: /input image is uint8/ });
  const disorder: Node[] = [{ op: 'Relu', name: 'r', inputs: ['later'], outputs: ['out'], attributes: {} }];
  assert.throws(() => lowerToTflite({ ...built, inputs: [], nodes: disorder }), {
    message: /reads later, which nothing/,
  });
  assert.throws(() => lowerToTflite({ ...built, inputs: [], nodes: [] }), { message: /nothing makes output out/ });
});
