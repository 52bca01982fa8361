// What becomes of whole models on import: the image they read, what exporters spell out, names, and what is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { GraftError } from '../../src/base/errors.ts';
import { convertOnnx } from '../../src/onnx/convert.ts';
import { TensorProtoSchema, TensorProto_DataType as Type } from '../../src/onnx/generated/onnx_pb.ts';
import type { Graph } from '../../src/onnx/graph.ts';
import { readOnnxModel } from '../../src/onnx/read-model.ts';
import { narrowToFloat16 } from '../../src/tensor/float16.ts';
import {
  agreeWithFile,
  type FileSpec,
  floatTensor as f,
  intTensor as i,
  type NodeSpec,
  onnxFile,
} from '../support/onnx-file.ts';

const opsOf = ({ nodes }: Graph) => nodes.map(({ op }) => op);
const scalar = (name: string, value: number) => f(name, [], [value]);
const refuses = (spec: FileSpec, code: string, message: RegExp) =>
  assert.throws(
    () => convertOnnx(readOnnxModel(onnxFile(spec))),
    (error: unknown) => error instanceof GraftError && error.code === code && message.test(error.message),
  );

const conv: NodeSpec = ['Conv', 'p w', 'y'];
const weight = f('w', [4, 3, 3, 3]);
const toPlanes: NodeSpec = ['Transpose', 'x', 'p', { perm: [0, 3, 1, 2] }];

test('an image with channels last becomes one with channels first, and its Transpose vanishes', async () => {
  const model = await agreeWithFile(
    onnxFile({ opset: 13, shape: [8, 8, 3], nodes: [toPlanes, conv], constants: [weight] }),
  );
  assert.deepEqual(opsOf(model.graph), ['Conv']);
  assert.deepEqual(model.input, { name: 'x', dtype: 'float32', layout: 'NHWC' });
  assert.deepEqual(model.graph.inputs, [{ name: 'image', dtype: 'float32', shape: ['N', 3, 'H', 'W'] }]);
});

test('normalisation ahead of the Transpose is done behind it', async () => {
  const nodes: NodeSpec[] = [
    ['Sub', 'x mean', 'a'],
    ['Mul', 'a scale', 'b'],
    ['Transpose', 'b', 'p', { perm: [0, 3, 1, 2] }],
    conv,
  ];
  const constants = [weight, f('mean', [3]), scalar('scale', 0.5)];
  const { graph } = await agreeWithFile(onnxFile({ opset: 13, shape: [8, 8, 3], nodes, constants }));
  assert.deepEqual(opsOf(graph), ['Sub', 'Mul', 'Conv']);
});

test('an image of bytes is one of floats with the same numbers', async () => {
  const nodes: NodeSpec[] = [['Cast', 'x', 'a', { to: 1 }], ['Transpose', 'a', 'p', { perm: [0, 3, 1, 2] }], conv];
  const file = onnxFile({ opset: 13, shape: [8, 8, 3], inputType: Type.UINT8, nodes, constants: [weight] });
  const { graph, input } = await agreeWithFile(file);
  assert.deepEqual(opsOf(graph), ['Conv']);
  assert.equal(input.dtype, 'uint8');
});

test('a network in half precision, from its image to its output, is one in float32', async () => {
  const halves = narrowToFloat16(Float32Array.from({ length: 108 }, (_, n) => Math.sin(n) / 4));
  const w = create(TensorProtoSchema, {
    name: 'w',
    dims: [4n, 3n, 3n, 3n],
    dataType: Type.FLOAT16,
    rawData: new Uint8Array(halves.buffer),
  });
  const nodes: NodeSpec[] = [
    ['Conv', 'x w', 'a'],
    ['Relu', 'a', 'y'],
  ];
  const types = { inputType: Type.FLOAT16, outputTypes: [Type.FLOAT16] };
  const { graph, input } = await agreeWithFile(onnxFile({ opset: 13, nodes, constants: [w], ...types }));
  assert.equal(input.dtype, 'float16');
  assert.equal(graph.constants.get('w')!.dtype, 'float32');
});

test('a class beside the scores is left out, with the op that makes it', async () => {
  const nodes: NodeSpec[] = [
    ['GlobalAveragePool', 'x', 'a'],
    ['Flatten', 'a', 'y'],
    ['ArgMax', 'y', 'class', { axis: 1 }],
  ];
  const outputs = { outputs: ['class', 'y'], outputTypes: [Type.INT64, Type.FLOAT] };
  const { graph } = await agreeWithFile(onnxFile({ opset: 13, nodes, ...outputs }));
  assert.deepEqual(
    graph.outputs.map(({ name }) => name),
    ['y'],
  );
  refuses({ opset: 13, nodes, outputs: ['class'], outputTypes: [Type.INT64] }, 'bad-model', /no output of floats/);
});

test('height and width of any size are what is asked for, and a fixed size is kept', async () => {
  const nodes: NodeSpec[] = [
    ['Conv', 'x w', 'a'],
    ['GlobalAveragePool', 'a', 'b'],
    ['Flatten', 'b', 'y'],
  ];
  const open = onnxFile({ opset: 13, shape: [3, 'height', 'width'], nodes, constants: [weight] });
  const { height, width, graph } = await agreeWithFile(open, 12);
  assert.deepEqual([height, width], [12, 12]);
  assert.deepEqual(graph.outputs, [{ name: 'y', dtype: 'float32', shape: ['N', 4] }]);
  assert.equal(convertOnnx(readOnnxModel(open)).height, 224);
  const fixed = readOnnxModel(onnxFile({ opset: 13, nodes, constants: [weight] }));
  assert.throws(() => convertOnnx(fixed, { size: 12 }), /reads images of 8 x 8, and 12 was asked for/);
});

test('a file for four photos takes any number', async () => {
  const nodes: NodeSpec[] = [
    ['Conv', 'x w', 'a'],
    ['Reshape', 'a to', 'b'],
    ['Gemm', 'b v', 'y'],
  ];
  const constants = [weight, i('to', [4, 144]), f('v', [144, 5])];
  const { graph } = convertOnnx(readOnnxModel(onnxFile({ opset: 13, batch: 4, nodes, constants })));
  assert.deepEqual(graph.outputs[0]!.shape, ['N', 5]);
  const one = onnxFile({ opset: 13, batch: 1, nodes, constants: [weight, i('to', [1, 144]), f('v', [144, 5])] });
  assert.deepEqual([...graph.constants.get('ints 0,144')!.data], [0n, 144n]);
  await agreeWithFile(one);
});

test('parameters and values keep the names of the file, also where it calls something else "image"', async () => {
  const nodes: NodeSpec[] = [
    ['Conv', 'x w', 'image'],
    ['Mul', 'image gain', 'y'],
  ];
  const { graph } = await agreeWithFile(onnxFile({ opset: 13, nodes, constants: [weight, f('gain', [4, 1, 1])] }));
  assert.deepEqual([...graph.constants.keys()].sort(), ['gain', 'w']);
  assert.deepEqual(
    graph.nodes.map(({ name }) => name),
    ['node_0', 'node_1'],
  );
});

/** What exporters write for an op that has come later, and the ops that it becomes. */
const spelt: Readonly<Record<string, readonly [FileSpec, readonly string[]]>> = {
  'GELU as PyTorch writes it': [
    {
      opset: 11,
      nodes: [
        ['Div', 'x root', 'a'],
        ['Erf', 'a', 'b'],
        ['Add', 'b one', 'c'],
        ['Mul', 'x c', 'd'],
        ['Mul', 'd half', 'y'],
      ],
      constants: [scalar('root', Math.SQRT2), scalar('one', 1), scalar('half', 0.5)],
    },
    ['microsoft.Gelu'],
  ],
  'GELU with its factors elsewhere': [
    {
      opset: 11,
      nodes: [
        ['Mul', 'root x', 'a'],
        ['Erf', 'a', 'b'],
        ['Add', 'one b', 'c'],
        ['Mul', 'half x', 'd'],
        ['Mul', 'c d', 'y'],
      ],
      constants: [scalar('root', Math.SQRT1_2), scalar('one', 1), scalar('half', 0.5)],
    },
    ['microsoft.Gelu'],
  ],
  'hard-swish of a hard-sigmoid': [
    {
      opset: 9,
      nodes: [
        ['HardSigmoid', 'x', 'a', { alpha: 1 / 6, beta: 0.5 }],
        ['Mul', 'x a', 'y'],
      ],
    },
    ['HardSwish'],
  ],
  'hard-swish of ReLU6': [
    {
      opset: 9,
      nodes: [
        ['Add', 'x three', 'a'],
        ['Clip', 'a', 'b', { min: 0, max: 6 }],
        ['Mul', 'x b', 'c'],
        ['Div', 'c six', 'y'],
      ],
      constants: [scalar('three', 3), scalar('six', 6)],
    },
    ['HardSwish'],
  ],
  'hard-sigmoid of ReLU6': [
    {
      opset: 9,
      nodes: [
        ['Add', 'x three', 'a'],
        ['Clip', 'a', 'b', { min: 0, max: 6 }],
        ['Div', 'b six', 'y'],
      ],
      constants: [scalar('three', 3), scalar('six', 6)],
    },
    ['HardSigmoid'],
  ],
  'layer normalisation in nine nodes': [
    {
      opset: 11,
      nodes: [
        ['ReduceMean', 'x', 'm', { axes: [-1], keepdims: 1 }],
        ['Sub', 'x m', 'd'],
        ['Pow', 'd two', 's'],
        ['ReduceMean', 's', 'v', { axes: [-1], keepdims: 1 }],
        ['Add', 'v eps', 'e'],
        ['Sqrt', 'e', 'r'],
        ['Div', 'd r', 'n'],
        ['Mul', 'n scale', 'k'],
        ['Add', 'k shift', 'y'],
      ],
      constants: [scalar('two', 2), scalar('eps', 1e-5), f('scale', [8]), f('shift', [8])],
    },
    ['LayerNormalization'],
  ],
  'a dense layer in two nodes': [
    {
      opset: 11,
      nodes: [
        ['Flatten', 'x', 'a'],
        ['MatMul', 'a w', 'b'],
        ['Add', 'c b', 'y'],
      ],
      constants: [f('w', [192, 5]), f('c', [5])],
    },
    ['Flatten', 'Gemm'],
  ],
};

for (const [name, [spec, ops]] of Object.entries(spelt)) {
  test(`${name} becomes ${ops.join(', ')}`, async () => {
    assert.deepEqual(opsOf((await agreeWithFile(onnxFile(spec))).graph), ops);
  });
}

test('what is close to a pattern and is not one stays as it is', async () => {
  const nodes: NodeSpec[] = [
    ['Add', 'x three', 'a'],
    ['Clip', 'a', 'b', { min: 0, max: 6 }],
    ['Mul', 'x b', 'c'],
    ['Div', 'c five', 'y'],
  ];
  const constants = [scalar('three', 3), scalar('five', 5)];
  const { graph } = await agreeWithFile(onnxFile({ opset: 9, nodes, constants }));
  assert.deepEqual(opsOf(graph), ['Add', 'Clip', 'Mul', 'Div']);
});

test('an image that is not one of three colours is refused by a sentence', () => {
  const nodes: NodeSpec[] = [['Relu', 'x', 'y']];
  refuses({ opset: 13, shape: [1, 8, 8], nodes }, 'bad-model', /reads greyscale images/);
  refuses({ opset: 13, shape: [4, 8, 8], nodes }, 'bad-model', /has 4 channels/);
  refuses({ opset: 13, shape: [100], nodes }, 'bad-model', /has the shape \[N, 100\]/);
  refuses({ opset: 13, shape: [3, 9000, 8], nodes }, 'bad-model', /more than 4096/);
  refuses({ opset: 13, inputType: Type.BOOL, nodes }, 'bad-model', /holds no numbers/);
});

test('ops that are not imported are refused by name, all at once', () => {
  const nodes: NodeSpec[] = [
    ['If', 'x', 'a'],
    ['LSTM', 'a', 'b'],
    ['QLinearConv', 'b', 'c'],
    ['org.example.Secret', 'c', 'd'],
    ['TopK', 'd', 'y'],
  ];
  refuses(
    { opset: 13, nodes },
    'unsupported-op',
    /If \(control flow\) in "node_0"; LSTM \(a recurrent network\).*QLinearConv \(quantised.*org\.example\.Secret \(of a domain.*TopK in "node_4"/,
  );
});

/** Nodes that are sound and that are not imported, and what is said of them. */
const refused: Readonly<Record<string, readonly [FileSpec, RegExp]>> = {
  'a pool along a line': [
    {
      opset: 13,
      nodes: [
        ['Reshape', 'x to', 'a'],
        ['MaxPool', 'a', 'y', { kernel_shape: [2] }],
      ],
      constants: [i('to', [0, 3, 64])],
    },
    /MaxPool "node_1" .* 3 dimensions/,
  ],
  'padding by reflection': [
    { opset: 13, nodes: [['Pad', 'x p', 'y', { mode: 'reflect' }]], constants: [i('p', [0, 0, 1, 1, 0, 0, 1, 1])] },
    /pads by reflect/,
  ],
  'cubic resizing': [
    { opset: 13, nodes: [['Resize', 'x - s', 'y', { mode: 'cubic' }]], constants: [f('s', [4], [1, 1, 2, 2])] },
    /mode is cubic/,
  ],
  'batch normalisation in training': [
    {
      opset: 15,
      nodes: [['BatchNormalization', 'x s b m v', 'y', { training_mode: 1 }]],
      constants: [f('s', [3]), f('b', [3]), f('m', [3]), f('v', [3])],
    },
    /training mode/,
  ],
  'a mask of dropout that is read': [
    {
      opset: 7,
      nodes: [
        ['Dropout', 'x', 'a m'],
        ['Mul', 'a m', 'y'],
      ],
    },
    /its mask is used/,
  ],
  'work on whole numbers': [
    {
      opset: 13,
      nodes: [
        ['Cast', 'x', 'a', { to: 7 }],
        ['Add', 'a a', 'b'],
        ['Cast', 'b', 'y', { to: 1 }],
      ],
    },
    /computes with int64/,
  ],
  'a comparison of the image': [{ opset: 13, nodes: [['Greater', 'x x', 'y']] }, /imported for constants alone/],
  'a weight that is computed from the image': [
    {
      opset: 13,
      nodes: [
        ['Relu', 'x', 'a'],
        ['Conv', 'x a', 'y'],
      ],
    },
    /its input 1 is computed/,
  ],
  'some photos of a batch': [
    { opset: 13, nodes: [['Slice', 'x z one', 'y']], constants: [i('z', [0]), i('one', [1])] },
    /takes some photos of a batch/,
  ],
};
for (const [name, [spec, message]] of Object.entries(refused)) {
  test(`${name} is refused`, () => refuses(spec, 'unsupported-op', message));
}

test('nodes that contradict themselves are refused', () => {
  refuses(
    { opset: 13, nodes: [['Conv', 'x w', 'y']], constants: [f('w', [4, 5, 3, 3])] },
    'bad-model',
    /reads an input of 3 channels/,
  );
  refuses(
    { opset: 13, nodes: [['Reshape', 'x to', 'y']], constants: [i('to', [0, 7])] },
    'bad-model',
    /cannot be reshaped to \[0, 7\]/,
  );
  refuses({ opset: 13, nodes: [['Concat', 'x x', 'y', { axis: 9 }]] }, 'bad-model', /axis 9 of 4/);
  refuses({ opset: 13, nodes: [['Relu', '', 'y']] }, 'bad-model', /do not depend on an input/);
  refuses(
    {
      opset: 13,
      nodes: [
        ['ConstantOfShape', 's', 'k'],
        ['Add', 'x k', 'y'],
      ],
      constants: [i('s', [100_000, 100_000])],
    },
    'bad-model',
    /has over 16777216 elements/,
  );
});

/** Sound files of few bytes that ask for much: each is refused, or imported, in a moment. */
const costly: Readonly<Record<string, readonly [FileSpec, RegExp | undefined]>> = {
  'a chain of 5,000 products': [
    {
      opset: 13,
      nodes: Array.from({ length: 5000 }, (_, n) => [
        'Mul',
        n === 0 ? 'x k' : `v${n} k`,
        n === 4999 ? 'y' : `v${n + 1}`,
      ]),
      constants: [scalar('k', 1)],
    },
    undefined,
  ],
  'large constants without end': [
    {
      opset: 13,
      nodes: [
        ...Array.from({ length: 40 }, (_, n): NodeSpec => ['ConstantOfShape', 's', `k${n}`]),
        ['Sum', Array.from({ length: 40 }, (_, n) => `k${n}`).join(' '), 'z'],
        ['Add', 'x z', 'y'],
      ],
      constants: [i('s', [2 ** 12, 2 ** 12])],
    },
    /more work than any sound model needs/,
  ],
  'sums over one constant again and again': [
    {
      opset: 13,
      nodes: [
        ['ConstantOfShape', 's', 'k'],
        ...Array.from({ length: 2000 }, (_, n): NodeSpec => ['ReduceSum', 'k', `v${n}`]),
        ['Sum', Array.from({ length: 2000 }, (_, n) => `v${n}`).join(' '), 'z'],
        ['Add', 'x z', 'y'],
      ],
      constants: [i('s', [2 ** 10, 2 ** 12])],
    },
    /more work than any sound model needs/,
  ],
  'a value of 100,000 dimensions': [
    {
      opset: 13,
      nodes: [['Reshape', 'x to', 'y']],
      constants: [i('to', [0, ...new Array<number>(100_000).fill(1), -1])],
    },
    /more than 16/,
  ],
  'a constant of 100,000 dimensions': [
    {
      opset: 13,
      nodes: [
        ['ConstantOfShape', 's', 'k'],
        ['Add', 'x k', 'y'],
      ],
      constants: [i('s', new Array<number>(100_000).fill(1))],
    },
    /more than 16/,
  ],
};
for (const [name, [spec, message]] of Object.entries(costly)) {
  test(`${name}: bounded`, () => {
    const start = performance.now();
    if (message) refuses(spec, 'bad-model', message);
    else convertOnnx(readOnnxModel(onnxFile(spec)));
    assert.ok(performance.now() - start < 10_000);
  });
}
