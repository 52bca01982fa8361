// Raising, the inverse of lowering: LiteRT on the file and ONNX Runtime on the raised graph have to say the same.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { GraftError } from '../../src/base/errors.ts';
import { makeRng } from '../../src/base/rng.ts';
import { loadLiteRt } from '../../src/engine/litert.ts';
import { openSession } from '../../src/engine/session.ts';
import type { Graph } from '../../src/onnx/graph.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, sizeOf, type Tensor, transpose } from '../../src/tensor/tensor.ts';
import type { ChannelRanges } from '../../src/tflite/channel-ranges.ts';
import { equalise } from '../../src/tflite/equalise.ts';
import { expandHardSwish } from '../../src/tflite/expand-hard-swish.ts';
import { lowerToTflite } from '../../src/tflite/lower.ts';
import type { TfliteModel, TfliteOperator, TfliteTensor } from '../../src/tflite/model.ts';
import { takeUint8 } from '../../src/tflite/outer-types.ts';
import { quantiseInt8 } from '../../src/tflite/quantise-int8.ts';
import { raiseTflite } from '../../src/tflite/raise.ts';
import { readTflite } from '../../src/tflite/read.ts';
import { halveWeights, quantiseWeights } from '../../src/tflite/shrink-weights.ts';
import { writeTflite } from '../../src/tflite/write.ts';
import { ownSeeds } from '../support/fuzz.ts';
import { leafImages, measureRanges, realClassifier } from '../support/measured-models.ts';
import { mutate } from '../support/mutate.ts';
import { largestDifference, largestNumber } from '../support/reference.ts';
import { smallNetworks } from '../support/small-networks.ts';
import { opsOf } from '../support/two-runtimes.ts';

/** What LiteRT makes of the file. */
async function runFile(model: TfliteModel, inputs: readonly (Float32Array | Uint8Array)[]): Promise<Float32Array[]> {
  const loaded = await loadLiteRt(writeTflite(model, { stampRuntime: false }));
  const answers = await loaded.run([...inputs]);
  loaded.close();
  return answers.map(values => Float32Array.from(values));
}

/** What ONNX Runtime makes of the graph for a batch of the same photo twice: the second one, images as NHWC. */
async function runGraph(graph: Graph, inputs: readonly Float32Array[]): Promise<Float32Array[]> {
  const session = await openSession(writeOnnx(graph), { threads: 1 });
  const feeds = graph.inputs.map(({ name, shape }, i) => {
    const twice = new Float32Array(2 * inputs[i]!.length);
    twice.set(inputs[i]!);
    twice.set(inputs[i]!, inputs[i]!.length);
    return [name, float32([2, ...(shape.slice(1) as number[])], twice)] as const;
  });
  const results = await session.run(Object.fromEntries(feeds));
  await session.close();
  return graph.outputs.map(({ name }) => {
    const tensor = results[name] as Tensor<'float32'>;
    const inOrder = tensor.shape.length === 4 ? transpose(tensor, [0, 2, 3, 1]) : tensor;
    return inOrder.data.slice(inOrder.data.length / 2);
  });
}

const noiseFor = (model: TfliteModel): Float32Array[] => {
  const rng = makeRng(5, 'input');
  return model.inputs.map(index =>
    Float32Array.from({ length: sizeOf(model.tensors[index]!.shape) }, () => rng.normal()),
  );
};

/** The model read from its own bytes, as the raising meets it. */
const reread = (model: TfliteModel): TfliteModel => readTflite(writeTflite(model, { stampRuntime: false }));

async function sameInBoth(model: TfliteModel, tolerance = 1e-5): Promise<Graph> {
  const inputs = noiseFor(model);
  const graph = raiseTflite(reread(model));
  const [wanted, found] = [await runFile(model, inputs), await runGraph(graph, inputs)];
  wanted.forEach((values, i) => {
    assert.equal(found[i]!.length, values.length);
    const [difference, largest] = [largestDifference(found[i]!, values), largestNumber(values)];
    assert.ok(difference <= tolerance * Math.max(1, largest), `output ${i} differs by ${difference} of ${largest}`);
    assert.ok(largest > 0.01, 'all zero proves nothing');
  });
  return graph;
}

test('what was lowered comes back: the same numbers, and the same operators when it is lowered again', async () => {
  for (const [title, network] of Object.entries(smallNetworks)) {
    const model = lowerToTflite(network);
    const graph = await sameInBoth(model).catch(error => {
      throw new Error(`${title}: ${error.message}`, { cause: error });
    });
    const again = lowerToTflite(graph);
    const inputs = noiseFor(model);
    const [wanted, found] = [await runFile(model, inputs), await runFile(again, inputs)];
    wanted.forEach((values, i) => {
      assert.ok(largestDifference(found[i]!, values) <= 1e-5 * Math.max(1, largestNumber(values)), title);
    });
    // The graph has no op for 1 / sqrt(x).
    const spelled = opsOf(model).flatMap(op => (op === 'RSQRT' ? ['SQRT', 'DIV'] : [op]));
    assert.deepEqual(opsOf(again).toSorted(), spelled.toSorted(), title);
  }
});

let real: TfliteModel;
let last: string;
let ranges: ReadonlyMap<string, ChannelRanges>;
const leaves = leafImages(6);
before(async () => {
  ({ model: real, last } = await realClassifier());
  ranges = await measureRanges(real, leaves);
});

test('every precision of a real export comes back as a float network', async t => {
  const precisions: readonly (readonly [string, TfliteModel, number?])[] = [
    ['float32', real, 2e-5],
    ['float16', halveWeights(real), 2e-5],
    // The weights are those of the file; its operators also round what they read.
    ['dynamic', quantiseWeights(real, ranges), 0.08],
    ['int8', quantiseInt8(equalise(expandHardSwish(real, ranges)), last)],
  ];
  const means: Record<string, { readonly file: number; readonly raised: number }> = {};
  for (const [name, model, tolerance] of precisions) {
    const graph = raiseTflite(reread(model));
    const again = lowerToTflite(graph);
    const away = { file: 0, raised: 0 };
    for (const leaf of leaves) {
      const [original, fromFile, lowered] = [real, model, again].map(each => runFile(each, [leaf]));
      const [raised] = await runGraph(graph, [leaf]);
      assert.ok(largestDifference((await lowered!)[0]!, raised!) <= 2e-5, `${name}, lowered again`);
      const difference = largestDifference(raised!, (await fromFile!)[0]!);
      if (tolerance !== undefined) assert.ok(difference <= tolerance, `${name} differs by ${difference}`);
      away.file += largestDifference((await fromFile!)[0]!, (await original!)[0]!) / leaves.length;
      away.raised += largestDifference(raised!, (await original!)[0]!) / leaves.length;
    }
    means[name] = away;
    const [file, back] = [away.file, away.raised].map(figure => figure.toExponential(1));
    t.diagnostic(`${name}: the file is ${file} from the original on average, the raised network ${back}`);
  }
  // What is left is that the weights were rounded; the steps between int8 values are gone.
  assert.ok(means.int8!.raised < 0.5 * means.int8!.file && means.int8!.raised < 0.1);
});

test('pixels at the input: the graph reads the real numbers that they stand for', async () => {
  const pixels = Uint8Array.from({ length: leaves[0]!.length }, (_, i) => Math.round(127.5 * leaves[0]![i]! + 127.5));
  const model = takeUint8(real);
  const { scale, zeroPoint } = model.tensors[model.inputs[0]!]!.quantization!;
  const real32 = Float32Array.from(pixels, pixel => scale[0]! * (pixel - zeroPoint[0]!));
  const [wanted] = await runFile(model, [pixels]);
  const [found] = await runGraph(raiseTflite(reread(model)), [real32]);
  assert.ok(largestDifference(found!, wanted!) <= 2e-5);
});

// Models of one operator.

const bytes = (data: Float32Array | Int32Array | Int8Array | Uint8Array) => new Uint8Array(data.buffer);
const floats = (name: string, shape: readonly number[], seed = 1): TfliteTensor => {
  const rng = makeRng(seed, name);
  return {
    name,
    type: 'FLOAT32',
    shape,
    data: bytes(Float32Array.from({ length: sizeOf(shape) }, () => rng.normal())),
  };
};
const ints = (name: string, shape: readonly number[], ...values: number[]): TfliteTensor => ({
  name,
  type: 'INT32',
  shape,
  data: bytes(Int32Array.from(values)),
});
const value = (name: string, ...shape: number[]): TfliteTensor => ({ name, type: 'FLOAT32', shape });
const other = (name: string, code: number, type?: number, table?: string, options: object = {}) =>
  ({ op: 'OTHER', code, name, ...(type && { options: { type, table, value: options } }) }) as unknown as TfliteOperator;
const known = (op: string, options: object = {}) => ({ op, options }) as unknown as TfliteOperator;

interface Single {
  readonly operator: TfliteOperator;
  readonly version?: number;
  /** Inputs of the operator; those without data are inputs of the model. */
  readonly inputs: readonly TfliteTensor[];
  readonly outputs: readonly TfliteTensor[];
}

function modelOf({ operator, version = 1, inputs, outputs }: Single): TfliteModel {
  const tensors = [...inputs, ...outputs];
  const step = {
    ...operator,
    version,
    inputs: inputs.map((_, i) => i),
    outputs: outputs.map((_, i) => inputs.length + i),
  };
  return {
    description: 'one operator',
    tensors,
    operators: [step as TfliteOperator],
    inputs: inputs.flatMap((tensor, i) => (tensor.data ? [] : [i])),
    outputs: step.outputs,
    metadata: [],
  };
}

const image = value('x', 1, 5, 4, 3);
const conv = (
  op: string,
  options: object,
  weight: readonly number[],
  bias: number,
  out: readonly number[],
): Single => ({
  operator: known(op, {
    padding: 0,
    stride_w: 1,
    stride_h: 1,
    fused_activation_function: 0,
    dilation_w_factor: 1,
    dilation_h_factor: 1,
    ...options,
  }),
  inputs: [image, floats('w', weight), floats('b', [bias])],
  outputs: [value('y', ...out)],
});
const unary = (operator: TfliteOperator, extra: readonly TfliteTensor[] = []): Single => ({
  operator,
  inputs: [image, ...extra],
  outputs: [value('y', 1, 5, 4, 3)],
});
const pool = (op: string, options: object, out: readonly number[]): Single => ({
  operator: known(op, {
    padding: 0,
    stride_w: 2,
    stride_h: 2,
    filter_width: 3,
    filter_height: 2,
    fused_activation_function: 0,
    ...options,
  }),
  inputs: [image],
  outputs: [value('y', ...out)],
});
const fused = (activation: number) => ({ fused_activation_function: activation });

/** One operator each, and what is particular about it. */
const singles: Readonly<Record<string, Single>> = {
  'CONV_2D, SAME, stride 2': conv('CONV_2D', { stride_w: 2, stride_h: 2 }, [6, 3, 3, 3], 6, [1, 3, 2, 6]),
  'CONV_2D, VALID, dilated, RELU6': conv(
    'CONV_2D',
    { padding: 1, dilation_h_factor: 2, ...fused(3) },
    [4, 2, 2, 3],
    4,
    [1, 3, 3, 4],
  ),
  'CONV_2D, RELU_N1_TO_1': conv('CONV_2D', fused(2), [4, 1, 1, 3], 4, [1, 5, 4, 4]),
  'DEPTHWISE_CONV_2D, multiplier 2, RELU': conv(
    'DEPTHWISE_CONV_2D',
    { depth_multiplier: 2, ...fused(1) },
    [1, 3, 3, 6],
    6,
    [1, 5, 4, 6],
  ),
  'AVERAGE_POOL_2D, SAME': pool('AVERAGE_POOL_2D', {}, [1, 3, 2, 3]),
  'AVERAGE_POOL_2D of all': pool('AVERAGE_POOL_2D', { padding: 1, filter_width: 4, filter_height: 5 }, [1, 1, 1, 3]),
  'MAX_POOL_2D, SAME': pool('MAX_POOL_2D', {}, [1, 3, 2, 3]),
  'FULLY_CONNECTED on a whole image': {
    operator: known('FULLY_CONNECTED', { ...fused(1), weights_format: 0, keep_num_dims: false }),
    inputs: [image, floats('w', [7, 60]), floats('b', [7])],
    outputs: [value('y', 1, 7)],
  },
  'FULLY_CONNECTED on rows': {
    operator: known('FULLY_CONNECTED', { ...fused(0), weights_format: 0, keep_num_dims: true }),
    version: 5,
    inputs: [value('x', 1, 6, 8), floats('w', [5, 8]), floats('b', [5])],
    outputs: [value('y', 1, 6, 5)],
  },
  'BATCH_MATMUL of two images, the second turned': {
    operator: other('BATCH_MATMUL', 126, 101, 'BatchMatMulOptions', { adj_x: false, adj_y: true }),
    inputs: [value('x', 1, 2, 4, 3), value('z', 1, 2, 5, 3)],
    outputs: [value('y', 1, 2, 4, 5)],
  },
  'ADD, per channel': unary(known('ADD', fused(1)), [floats('c', [3])]),
  'ADD, the same for a row': unary(known('ADD', fused(0)), [
    {
      name: 'c',
      type: 'FLOAT32',
      shape: [4, 3],
      data: bytes(Float32Array.from({ length: 12 }, (_, i) => (i % 3) - 1.5)),
    },
  ]),
  'MUL with a row beside an image': {
    operator: known('MUL', fused(0)),
    inputs: [image, value('z', 1, 3)],
    outputs: [value('y', 1, 5, 4, 3)],
  },
  'SUB, constant first': { ...unary(known('SUB', fused(0))), inputs: [floats('c', [1]), image] },
  'DIV by positions': unary(known('DIV', fused(0)), [floats('c', [1, 5, 4, 1])]),
  MAXIMUM: unary(known('MAXIMUM'), [floats('c', [3])]),
  MINIMUM: unary(known('MINIMUM'), [floats('c', [])]),
  SQUARED_DIFFERENCE: unary(other('SQUARED_DIFFERENCE', 99), [floats('c', [3])]),
  RELU: unary(known('RELU')),
  RELU6: unary(known('RELU6')),
  RELU_N1_TO_1: unary(other('RELU_N1_TO_1', 20)),
  LEAKY_RELU: unary(other('LEAKY_RELU', 98, 75, 'LeakyReluOptions', { alpha: 0.3 })),
  PRELU: unary(other('PRELU', 54), [floats('c', [1, 1, 3])]),
  'GELU, exact': unary(other('GELU', 150, 116, 'GeluOptions', { approximate: false })),
  'GELU, approximate': unary(other('GELU', 150, 116, 'GeluOptions', { approximate: true })),
  HARD_SWISH: unary(known('HARD_SWISH')),
  LOGISTIC: unary(known('LOGISTIC')),
  TANH: unary(known('TANH')),
  EXP: unary(known('EXP')),
  NEG: unary(known('NEG')),
  ABS: unary(other('ABS', 101)),
  SQUARE: unary(other('SQUARE', 92)),
  SOFTMAX: unary(known('SOFTMAX', { beta: 0.5 })),
  LOG_SOFTMAX: unary(other('LOG_SOFTMAX', 50)),
  'PAD of positions and channels': {
    operator: known('PAD'),
    inputs: [image, ints('p', [4, 2], 0, 0, 1, 2, 0, 1, 2, 0)],
    outputs: [value('y', 1, 8, 5, 5)],
  },
  PADV2: {
    operator: known('PADV2'),
    inputs: [image, ints('p', [4, 2], 0, 0, 1, 0, 0, 1, 0, 0), floats('v', [1])],
    outputs: [value('y', 1, 6, 5, 3)],
  },
  'MEAN of positions': {
    operator: known('MEAN', { keep_dims: false }),
    inputs: [image, ints('a', [2], 1, -2)],
    outputs: [value('y', 1, 3)],
  },
  'MEAN of rows, kept': {
    operator: known('MEAN', { keep_dims: true }),
    inputs: [image, ints('a', [1], 1)],
    outputs: [value('y', 1, 1, 4, 3)],
  },
  'MEAN of columns, not kept': {
    operator: known('MEAN', { keep_dims: false }),
    inputs: [image, ints('a', [1], 2)],
    outputs: [value('y', 1, 5, 3)],
  },
  'SUM of channels': {
    operator: known('SUM', { keep_dims: false }),
    inputs: [image, ints('a', [1], 3)],
    outputs: [value('y', 1, 5, 4)],
  },
  'RESHAPE of an image to a list': {
    operator: known('RESHAPE', { new_shape: [1, 60] }),
    inputs: [image, ints('s', [2], 1, 60)],
    outputs: [value('y', 1, 60)],
  },
  'RESHAPE of an image to another': {
    operator: known('RESHAPE', { new_shape: [1, 2, 5, 6] }),
    inputs: [image, ints('s', [4], 1, 2, 5, 6)],
    outputs: [value('y', 1, 2, 5, 6)],
  },
  SQUEEZE: {
    operator: other('SQUEEZE', 43, 30, 'SqueezeOptions', { squeeze_dims: [1] }),
    inputs: [value('x', 1, 1, 4, 3)],
    outputs: [value('y', 1, 4, 3)],
  },
  TRANSPOSE: {
    operator: known('TRANSPOSE'),
    inputs: [image, ints('p', [4], 0, 3, 1, 2)],
    outputs: [value('y', 1, 3, 5, 4)],
  },
  'CONCATENATION along width': {
    operator: known('CONCATENATION', { axis: 2, ...fused(0) }),
    inputs: [image, value('z', 1, 5, 2, 3)],
    outputs: [value('y', 1, 5, 6, 3)],
  },
  'PACK of rows': {
    operator: other('PACK', 83, 59, 'PackOptions', { values_count: 2, axis: 1 }),
    inputs: [value('x', 1, 4, 3), value('z', 1, 4, 3)],
    outputs: [value('y', 1, 2, 4, 3)],
  },
  'STRIDED_SLICE that takes one row': {
    operator: known('STRIDED_SLICE', {
      begin_mask: 1,
      end_mask: 9,
      ellipsis_mask: 0,
      new_axis_mask: 0,
      shrink_axis_mask: 2,
    }),
    inputs: [image, ints('b', [4], 0, 2, 1, 1), ints('e', [4], 1, 3, 4, 3), ints('s', [4], 1, 1, 2, 1)],
    outputs: [value('y', 1, 2, 2)],
  },
  SLICE: {
    operator: other('SLICE', 65),
    inputs: [image, ints('b', [4], 0, 1, 0, 1), ints('n', [4], -1, 3, -1, 2)],
    outputs: [value('y', 1, 3, 4, 2)],
  },
  SPLIT: {
    operator: other('SPLIT', 49, 35, 'SplitOptions', { num_splits: 2 }),
    inputs: [ints('a', [], 2), image],
    outputs: [value('y', 1, 5, 2, 3), value('z', 1, 5, 2, 3)],
  },
  RESIZE_BILINEAR: {
    operator: other('RESIZE_BILINEAR', 23, 15, 'ResizeBilinearOptions', {
      align_corners: false,
      half_pixel_centers: true,
    }),
    version: 3,
    inputs: [image, ints('s', [2], 9, 7)],
    outputs: [value('y', 1, 9, 7, 3)],
  },
  RESIZE_NEAREST_NEIGHBOR: {
    operator: other('RESIZE_NEAREST_NEIGHBOR', 97, 74, 'ResizeNearestNeighborOptions', {
      align_corners: false,
      half_pixel_centers: false,
    }),
    inputs: [image, ints('s', [2], 7, 6)],
    outputs: [value('y', 1, 7, 6, 3)],
  },
};

test('operators of other programs, one by one', async () => {
  for (const [title, single] of Object.entries(singles)) {
    await sameInBoth(modelOf(single), 2e-5).catch(error => {
      throw new Error(`${title}: ${error.message}`, { cause: error });
    });
  }
});

test('LOG, SQRT, RSQRT and POW on positive numbers', async () => {
  const rows: readonly (readonly [TfliteOperator, readonly TfliteTensor[]])[] = [
    [other('LOG', 73), []],
    [known('SQRT'), []],
    [other('RSQRT', 76), []],
    [other('POW', 78), [floats('c', [1])]],
  ];
  for (const [operator, extra] of rows) {
    const model = modelOf(unary(operator, extra));
    const positive = noiseFor(model).map(values => values.map(number => Math.abs(number) + 0.1));
    const [wanted] = await runFile(model, positive);
    const [found] = await runGraph(raiseTflite(model), positive);
    assert.ok(largestDifference(found!, wanted!) <= 2e-5, opsOf(model).join());
  }
});

test('zeros that a PAD puts around an image join the convolution behind it', async () => {
  const { inputs, outputs } = conv('CONV_2D', {}, [4, 3, 3, 3], 4, [1, 3, 2, 4]);
  const padded = value('padded', 1, 7, 6, 3);
  const tensors = [...inputs, ints('p', [4, 2], 0, 0, 2, 0, 1, 1, 0, 0), padded, outputs[0]!];
  const options = {
    padding: 1,
    stride_w: 2,
    stride_h: 2,
    fused_activation_function: 0,
    dilation_w_factor: 1,
    dilation_h_factor: 1,
  };
  const model: TfliteModel = {
    description: '',
    tensors,
    operators: [
      { op: 'PAD', version: 1, inputs: [0, 3], outputs: [4], options: {} },
      { op: 'CONV_2D', version: 1, inputs: [4, 1, 2], outputs: [5], options },
    ],
    inputs: [0],
    outputs: [5],
    metadata: [],
  };
  const graph = await sameInBoth(model);
  assert.deepEqual(
    graph.nodes.map(node => [node.op, 'pads' in node.attributes && node.attributes.pads]),
    [
      ['Transpose', false],
      ['Conv', [2, 1, 0, 1]],
    ],
  );
});

/** A uint8 convolution of the first generation: weights with a zero point, no fused activation, an output from 0 to 6. */
function firstGeneration(): TfliteModel {
  const rng = makeRng(7, 'weights');
  const [inScale, weightScale] = [1 / 128, 0.02];
  const quantised = (scale: number, zero: number) => ({ scale: [scale], zeroPoint: [zero], axis: 0 });
  const weight = Uint8Array.from({ length: 8 * 27 }, () => rng.int(256));
  const bias = Int32Array.from({ length: 8 }, () => rng.int(20000) - 10000);
  return {
    description: 'uint8',
    tensors: [
      { name: 'x', type: 'UINT8', shape: [1, 6, 6, 3], quantization: quantised(inScale, 128) },
      { name: 'w', type: 'UINT8', shape: [8, 3, 3, 3], data: weight, quantization: quantised(weightScale, 131) },
      { name: 'b', type: 'INT32', shape: [8], data: bytes(bias), quantization: quantised(inScale * weightScale, 0) },
      { name: 'y', type: 'UINT8', shape: [1, 6, 6, 8], quantization: quantised(6 / 255, 0) },
    ],
    operators: [
      {
        op: 'CONV_2D',
        version: 1,
        inputs: [0, 1, 2],
        outputs: [3],
        options: {
          padding: 0,
          stride_w: 1,
          stride_h: 1,
          fused_activation_function: 0,
          dilation_w_factor: 1,
          dilation_h_factor: 1,
        },
      },
    ],
    inputs: [0],
    outputs: [3],
    metadata: [],
  };
}

test('uint8 of the first generation: zero points of weights, and the ReLU6 that only the range tells of', async () => {
  const model = firstGeneration();
  const rng = makeRng(8, 'pixels');
  const pixels = Uint8Array.from({ length: 108 }, () => rng.int(256));
  const [stored] = await runFile(model, [pixels]);
  const wanted = stored!.map(number => (number * 6) / 255);
  const graph = raiseTflite(reread(model));
  const [found] = await runGraph(graph, [Float32Array.from(pixels, pixel => (pixel - 128) / 128)]);
  // Rounding to steps of 6/255 is all that may differ.
  assert.ok(largestDifference(found!, wanted) <= 0.51 * (6 / 255) + 1e-4);
  const ends = [0, 6].map(end => wanted.filter(number => Math.abs(number - end) < 1e-6).length);
  assert.ok(ends[0]! > 20 && ends[1]! > 5, `${ends} numbers are at the ends`);
  assert.equal(graph.nodes.at(-1)!.op, 'Clip');
});

test('an int32 bias without a scale has that of the input times that of the weights', () => {
  const model = firstGeneration();
  const bare = {
    ...model,
    tensors: model.tensors.map(({ quantization, ...rest }) =>
      rest.name === 'b' ? rest : { ...rest, ...(quantization && { quantization }) },
    ),
  };
  assert.deepEqual(raiseTflite(bare).constants.get('b'), raiseTflite(model).constants.get('b'));
});

/** An image as rows of its positions, which stand where the photos stand, and an operator on them. */
function folded(
  [operator, ...constants]: [TfliteOperator, ...TfliteTensor[]],
  out: readonly number[] = [20, 3],
): TfliteModel {
  const tensors = [image, value('rows', 20, 3), ...constants, value('z', ...out), value('y', 1, ...out)];
  const [first, last] = [tensors.length - 2, tensors.length - 1];
  const reshape = (input: number, output: number) =>
    ({
      ...known('RESHAPE', { new_shape: tensors[output]!.shape }),
      version: 1,
      inputs: [input],
      outputs: [output],
    }) as TfliteOperator;
  const inner = { ...operator, version: 1, inputs: [1, ...constants.map((_, i) => i + 2)], outputs: [first] };
  return {
    description: '',
    tensors,
    operators: [reshape(0, 1), inner as TfliteOperator, reshape(first, last)],
    inputs: [0],
    outputs: [last],
    metadata: [],
  };
}

test('positions that stand where the photos stand: for any number of photos', async () => {
  const graph = await sameInBoth(folded([known('MUL', fused(1)), floats('c', [3])]));
  assert.deepEqual(
    graph.nodes.map(({ op }) => op),
    ['Reshape', 'Mul', 'Relu', 'Reshape'],
  );
});

test('what has no place is refused by name, all at once', () => {
  const model = modelOf(unary(other('DEPTH_TO_SPACE', 5, 19, 'BlockSizeOptions', { block_size: 2 })));
  const [first] = model.operators;
  const twice: TfliteModel = {
    ...model,
    tensors: [...model.tensors, value('z', 1, 5, 4, 3), value('sum', 1, 5, 4, 3)],
    operators: [
      first!,
      { ...other('CUSTOM', 32), customCode: 'Mine', version: 1, inputs: [0], outputs: [2] } as TfliteOperator,
      { op: 'ADD', version: 1, inputs: [1, 2], outputs: [3], options: { fused_activation_function: 0 } },
    ],
    outputs: [3],
  };
  assert.throws(
    () => raiseTflite(twice),
    (error: unknown) =>
      error instanceof GraftError &&
      error.code === 'unsupported-op' &&
      /DEPTH_TO_SPACE y: .*\n {2}Mine z: /.test(error.message) &&
      !error.message.includes('ADD'),
  );
  const cases: readonly (readonly [RegExp, TfliteModel])[] = [
    [/batch of 1 is wanted/, { ...model, tensors: [value('x', 8, 5, 4, 3), ...model.tensors.slice(1)] }],
    [/is not fixed/, { ...model, tensors: [{ ...image, shapeSignature: [-1, -1, -1, 3] }, ...model.tensors.slice(1)] }],
    [
      /makes INT32 without a scale/,
      modelOf({ ...unary(known('RELU')), outputs: [{ ...image, name: 'y', type: 'INT32' }] }),
    ],
    [
      /a second time/,
      { ...modelOf(unary(known('RELU'))), operators: [0, 1].map(() => modelOf(unary(known('RELU'))).operators[0]!) },
    ],
    [/contradict each other/, modelOf({ ...unary(known('RELU')), outputs: [value('y', 1, 5, 5, 3)] })],
  ];
  for (const [message, damaged] of cases) {
    assert.throws(
      () => raiseTflite(damaged),
      (error: unknown) => error instanceof GraftError && message.test(error.message),
      `${message}`,
    );
  }
});

test('damaged files are raised or refused', () => {
  const rng = makeRng(21, 'fuzz');
  const seeds = [
    ...ownSeeds(),
    ...Object.values(smallNetworks).map(network => writeTflite(lowerToTflite(network))),
  ].map(seed =>
    seed instanceof Uint8Array ? { name: 'small', bytes: seed, regions: [[0, seed.length]] as const } : seed,
  );
  const counts = { raised: 0, refused: 0 };
  for (let i = 0; i < 1500; i++) {
    const { bytes: damaged, how } = mutate(seeds, rng);
    try {
      raiseTflite(readTflite(damaged));
      counts.raised++;
    } catch (error) {
      assert.ok(error instanceof GraftError, `${i} (${how}): ${(error as Error).stack}`);
      counts.refused++;
    }
  }
  assert.ok(counts.raised > 100 && counts.refused > 100, JSON.stringify(counts));
});
