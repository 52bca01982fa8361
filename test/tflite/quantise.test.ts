// Smaller weights, the correction of biases, models that are degenerate, and whether XNNPACK takes all that graft makes.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { makeRng } from '../../src/base/rng.ts';
import { narrowToFloat16, widenFloat16 } from '../../src/tensor/float16.ts';
import { float32, sizeOf } from '../../src/tensor/tensor.ts';
import type { ChannelRanges } from '../../src/tflite/channel-ranges.ts';
import { startDraft } from '../../src/tflite/draft.ts';
import { equalise } from '../../src/tflite/equalise.ts';
import { expandHardSwish } from '../../src/tflite/expand-hard-swish.ts';
import { lowerToTflite } from '../../src/tflite/lower.ts';
import { bytesOf, type KnownOperator, type TfliteModel, type TfliteTensor } from '../../src/tflite/model.ts';
import { giveUint8, takeUint8 } from '../../src/tflite/outer-types.ts';
import { quantiseInt8 } from '../../src/tflite/quantise-int8.ts';
import { correctBias, quantiseWeight } from '../../src/tflite/quantise-weight.ts';
import { halveWeights, quantiseWeights } from '../../src/tflite/shrink-weights.ts';
import { writeTflite } from '../../src/tflite/write.ts';
import { storedConstant } from '../support/int8-reference.ts';
import { leafImages, measureRanges, noiseImages, realClassifier, runModel } from '../support/measured-models.ts';
import { largestDifference, largestNumber } from '../support/reference.ts';
import { IMAGE, smallNetworks } from '../support/small-networks.ts';

let real: TfliteModel;
let last: string;
let ranges: ReadonlyMap<string, ChannelRanges>;
const leaves = leafImages(2);
before(async () => {
  ({ model: real, last } = await realClassifier());
  ranges = await measureRanges(real, leaves);
});

const operatorsOf = (model: TfliteModel) => model.operators as readonly KnownOperator[];
const toInt8 = (model: TfliteModel, known: ReadonlyMap<string, ChannelRanges>, end: string) =>
  quantiseInt8(equalise(expandHardSwish(model, known)), end);
/** The model with the constants of these names changed. */
function change(
  model: TfliteModel,
  changes: Readonly<Record<string, (value: number, i: number, shape: readonly number[]) => number>>,
) {
  const tensors = model.tensors.map((tensor): TfliteTensor => {
    const each = changes[tensor.name];
    if (!each || !tensor.data) return tensor;
    const values = Float32Array.from(storedConstant(tensor), (value, i) => each(value, i, tensor.shape));
    return { ...tensor, data: bytesOf(float32(tensor.shape, values)) };
  });
  return { ...model, tensors };
}

test('float16: the weights from 4,096 elements on with their biases, to the nearest half; the rest as it was', async () => {
  const halved = halveWeights(real);
  const constantOf = (model: TfliteModel, index: number): TfliteTensor => {
    const maker = operatorsOf(model).find(({ outputs }) => outputs.includes(index));
    return model.tensors[maker?.op === 'DEQUANTIZE' ? maker.inputs[0]! : index]!;
  };
  const work = operatorsOf(halved).filter(({ op }) => op !== 'DEQUANTIZE');
  assert.equal(work.length, operatorsOf(real).length);
  let count = 0;
  for (const [i, operator] of operatorsOf(real).entries()) {
    if (!['CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED'].includes(operator.op)) continue;
    const isLarge = sizeOf(real.tensors[operator.inputs[1]!]!.shape) >= 8192;
    for (const place of [1, 2]) {
      const wanted = real.tensors[operator.inputs[place]!]!;
      const found = constantOf(halved, work[i]!.inputs[place]!);
      assert.equal(found.type, isLarge ? 'FLOAT16' : 'FLOAT32');
      if (!isLarge) {
        assert.deepEqual(found.data, wanted.data);
        continue;
      }
      const patterns = new Uint16Array(found.data!.slice().buffer);
      assert.deepEqual(patterns, narrowToFloat16(Float32Array.from(storedConstant(wanted))));
      count++;
    }
  }
  assert.ok(count > 40, `${count} constants are halved`);
  const [small, whole] = [halved, real].map(model => writeTflite(model).length) as [number, number];
  assert.ok(small < 0.56 * whole, `${small} of ${whole} bytes`);
});

test('float16: LiteRT widens the weights as the table does', async () => {
  const values = makeRng(4, 'halves');
  const patterns = Uint16Array.from({ length: 4096 }, () => values.int(65536)).map(pattern =>
    (pattern & 0x7c00) === 0x7c00 ? 0 : pattern,
  );
  const model: TfliteModel = {
    description: '',
    tensors: [
      { name: 'x', type: 'FLOAT32', shape: [1] },
      { name: 'half', type: 'FLOAT16', shape: [4096], data: new Uint8Array(patterns.buffer) },
      { name: 'wide', type: 'FLOAT32', shape: [4096] },
      { name: 'y', type: 'FLOAT32', shape: [4096] },
    ],
    operators: [
      { op: 'DEQUANTIZE', version: 3, inputs: [1], outputs: [2], options: {} },
      { op: 'MUL', version: 1, inputs: [2, 0], outputs: [3], options: { fused_activation_function: 0 } },
    ],
    inputs: [0],
    outputs: [3],
    metadata: [],
  };
  const { answers } = await runModel(model, [Float32Array.of(1)]);
  assert.deepEqual(answers[0]![0], widenFloat16(patterns));
});

test('dynamic: the weights of ordinary convolutions in int8, one scale per channel; all else as it was', async () => {
  const dynamic = quantiseWeights(real, ranges);
  const [now, then] = [operatorsOf(dynamic), operatorsOf(real)];
  assert.equal(now.length, then.length);
  now.forEach((operator, i) => {
    const [, weight, bias] = operator.inputs.map(index => dynamic.tensors[index]!) as TfliteTensor[];
    if (operator.op !== 'CONV_2D') {
      assert.deepEqual(
        operator.inputs.map(index => dynamic.tensors[index]!.data),
        then[i]!.inputs.map(index => real.tensors[index]!.data),
      );
      return;
    }
    assert.equal(operator.version, 5);
    assert.deepEqual([weight!.type, bias!.type], ['INT8', 'FLOAT32']);
    const { scale, zeroPoint, axis } = weight!.quantization!;
    assert.deepEqual([scale.length, zeroPoint.every(zero => zero === 0), axis], [weight!.shape[0], true, 0]);
    const wanted = storedConstant(real.tensors[then[i]!.inputs[1]!]!);
    const found = storedConstant(weight!);
    const inner = found.length / scale.length;
    for (const [c, step] of scale.entries()) {
      const [own, stored] = [wanted, found].map(values =>
        Array.from({ length: inner }, (_, k) => values[c * inner + k]!),
      ) as [number[], number[]];
      const largest = largestNumber(own);
      assert.ok(step > 0 && (largest === 0 || Math.abs(127 * step - largest) < 1e-6 * largest));
      own.forEach((value, k) => {
        assert.ok(Math.abs(value / step - stored[k]!) <= 0.5001);
      });
    }
  });
});

/** A network of each kind of convolution, with VALID windows so that every weight meets the same numbers. */
function convolution(op: 'CONV_2D' | 'DEPTHWISE_CONV_2D', groups: number): TfliteModel {
  const rng = makeRng(5, op, groups);
  const shape = op === 'CONV_2D' ? [12, 3, 3, 8 / groups] : [1, 3, 3, 16];
  const outputs = op === 'CONV_2D' ? 12 : 16;
  const noise = (dims: readonly number[]) =>
    bytesOf(
      float32(
        dims,
        Float32Array.from({ length: sizeOf(dims) }, () => rng.normal()),
      ),
    );
  const options = {
    padding: 1,
    stride_w: 1,
    stride_h: 1,
    fused_activation_function: 0,
    dilation_w_factor: 1,
    dilation_h_factor: 1,
  };
  const place = { inputs: [0, 1, 2], outputs: [3] };
  return {
    description: '',
    tensors: [
      { name: 'x', type: 'FLOAT32', shape: [1, 24, 24, 8] },
      { name: 'weight', type: 'FLOAT32', shape, data: noise(shape) },
      { name: 'bias', type: 'FLOAT32', shape: [outputs], data: noise([outputs]) },
      { name: 'y', type: 'FLOAT32', shape: [1, 22, 22, outputs] },
    ],
    operators: [
      op === 'CONV_2D'
        ? { op, version: groups === 1 ? 1 : 6, ...place, options }
        : { op, version: 1, ...place, options: { ...options, depth_multiplier: 2 } },
    ],
    inputs: [0],
    outputs: [3],
    metadata: [],
  };
}

for (const [title, op, groups] of [
  ['a convolution', 'CONV_2D', 1],
  ['a grouped convolution', 'CONV_2D', 2],
  ['a depthwise convolution', 'DEPTHWISE_CONV_2D', 8],
] as const) {
  test(`the corrected bias of ${title} takes the mean error of its rounded weights away`, async () => {
    const model = convolution(op, groups);
    const [operator] = operatorsOf(model);
    const rng = makeRng(6, 'input');
    // Means from 0 to 7, so that the error is mostly one of the mean.
    const input = Float32Array.from({ length: 24 * 24 * 8 }, (_, i) => (i % 8) + 0.2 * rng.normal());
    const { mean } = (await measureRanges(model, [input])).get('x')!;
    const stored = quantiseWeight(model.tensors[1]!, op);
    const { scale } = stored.quantization!;
    const inner = op === 'CONV_2D' ? sizeOf(stored.shape.slice(1)) : 1;
    const rounded = Float32Array.from(
      storedConstant(stored),
      (value, i) => value * scale[Math.floor(i / inner) % scale.length]!,
    );
    const withWeights = (bias: Float64Array | undefined): TfliteModel => {
      const draft = startDraft(model);
      const weight = draft.addFloats('rounded', stored.shape, rounded);
      const corrected = bias ? draft.addFloats('corrected', [bias.length], bias) : 2;
      draft.operators.push({ ...operator!, inputs: [0, weight, corrected] } as KnownOperator);
      return draft.finish();
    };
    const meansOf = async (changed: TfliteModel) => (await measureRanges(changed, [input])).get('y')!.mean;
    const wanted = await meansOf(model);
    const plain = largestDifference(await meansOf(withWeights(undefined)), wanted);
    const bias = correctBias(model, operator!, stored, mean);
    const corrected = largestDifference(await meansOf(withWeights(bias)), wanted);
    assert.ok(plain > 0.05, `${plain} without the correction`);
    assert.ok(corrected < plain / 20, `${corrected} with the correction, ${plain} without`);
  });
}

/** Changes after which a model is hard to quantise: what they do to the convolutions `a` and `b` of a network. */
const degenerate: Readonly<Record<string, Parameters<typeof change>[1]>> = {
  'a channel of zeros': {
    'a.weight': (value, i, shape) => (i < sizeOf(shape.slice(1)) ? 0 : value),
    'a.bias': (value, i) => (i === 0 ? 0 : value),
  },
  'a channel of zeros with a bias': { 'a.weight': (value, i, shape) => (i < sizeOf(shape.slice(1)) ? 0 : value) },
  'a layer of zeros': { 'a.weight': () => 0, 'a.bias': () => 0 },
  'a layer that ReLU makes zero': { 'b.bias': () => -1e4 },
  'a layer that a huge bias makes zero': { 'b.bias': () => -1e12 },
  'tiny weights': { 'a.weight': value => 1e-12 * value },
  'tiny weights and biases': { 'a.weight': value => 1e-12 * value, 'a.bias': value => 1e-12 * value },
  'outputs that nearly vanish': { 'b.weight': value => 1e-6 * value, 'b.bias': () => 1e-9 },
};

/** Changes after which 256 steps are not enough for what happens between -3 and 3: the file runs, and says less. */
const extreme: typeof degenerate = {
  'one huge bias': { 'b.bias': (value, i) => (i === 0 ? 1e9 : value) },
  'huge biases everywhere': { 'a.bias': () => 1e7, 'b.bias': () => -1e7 },
  'one huge weight': { 'b.weight': (value, i) => (i === 0 ? 1e6 : value) },
  'huge weights': { 'a.weight': value => 1e9 * value },
};

/** XNNPACK leaves an addition to LiteRT's own kernel when a step of the sum is 1,024 or more of one of its inputs. */
function hasUnequalSum(model: TfliteModel): boolean {
  const scaleOf = (index: number) => model.tensors[index]!.quantization?.scale[0] ?? 0;
  return operatorsOf(model).some(
    ({ op, inputs, outputs }) =>
      op === 'ADD' && inputs.some(index => scaleOf(index) <= 2 ** -10 * scaleOf(outputs[0]!)),
  );
}

for (const [title, changes] of Object.entries({ ...degenerate, ...extreme })) {
  test(`${title}: LiteRT runs it in int8, accelerated${title in degenerate ? ', and it says the same' : ''}`, async () => {
    let accelerated = 0;
    for (const network of [
      'hard-swish between convolutions, one of them strided',
      'squeeze-and-excitation after hard-swish and after ReLU',
      'a skip around linear layers',
      'depthwise convolutions',
    ]) {
      const model = change(lowerToTflite(smallNetworks[network]!), changes);
      const images = noiseImages(2, [1, ...IMAGE]);
      const int8 = toInt8(model, await measureRanges(model, images), 'end');
      const found = await runModel(int8, images);
      assert.equal(found.isAccelerated, !hasUnequalSum(int8), network);
      if (found.isAccelerated) accelerated++;
      const wanted = await runModel(model, images);
      wanted.answers.forEach(([values], i) => {
        const [answer] = found.answers[i]!;
        assert.ok(answer!.every(Number.isFinite));
        const apart = largestDifference(answer!, values!);
        if (title in extreme) return;
        assert.ok(apart <= 0.15 * largestNumber(values!), `${network}: ${apart} of ${largestNumber(values!)}`);
      });
    }
    assert.ok(accelerated >= (title in extreme ? 2 : 3), `${accelerated} of 4 are accelerated`);
  });
}

test('XNNPACK takes every operator of the classifier in all precisions and types, and they say the same', async () => {
  const wanted = (await runModel(real, leaves)).answers.map(([values]) => values!);
  const pixels = leaves.map(image => Uint8Array.from(image, value => Math.round(127.5 * value + 127.5)));
  const precisions: readonly [string, TfliteModel, number][] = [
    ['float32', real, 1e-5],
    ['float16', halveWeights(real), 5e-3],
    ['dynamic', quantiseWeights(real, ranges), 0.2],
    ['int8', toInt8(real, ranges, last), 0.2],
  ];
  for (const [name, model, tolerance] of precisions) {
    for (const [inputs, outer] of [
      [leaves, model],
      [pixels, takeUint8(model)],
      [pixels, giveUint8(takeUint8(model))],
    ] as const) {
      const { answers, isAccelerated } = await runModel(outer, inputs);
      assert.equal(isAccelerated, true, name);
      answers.forEach(([values], i) => {
        const probabilities = values instanceof Uint8Array ? Float32Array.from(values, value => value / 256) : values!;
        const apart = largestDifference(probabilities, wanted[i]!);
        const bound = tolerance + (values instanceof Uint8Array ? 1 / 256 : 0);
        assert.ok(apart <= bound, `${name}: a probability is ${apart} apart`);
      });
    }
  }
});
