// Int8 models: the rules of TFLite's specification, every stored number, and every operator against plain integer arithmetic.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { averageByWeights } from '../../src/tflite/average-by-weights.ts';
import { equalise } from '../../src/tflite/equalise.ts';
import { expandHardSwish, type RangedModel } from '../../src/tflite/expand-hard-swish.ts';
import { lowerToTflite } from '../../src/tflite/lower.ts';
import type { KnownOperator, TfliteModel, TfliteTensor } from '../../src/tflite/model.ts';
import { activationQuantization, quantiseInt8 } from '../../src/tflite/quantise-int8.ts';
import { int8Reference, storedConstant } from '../support/int8-reference.ts';
import {
  leafImages,
  measureRanges,
  noiseImages,
  realClassifier,
  runInside,
  runModel,
} from '../support/measured-models.ts';
import { largestDifference, largestNumber } from '../support/reference.ts';
import { IMAGE, smallNetworks } from '../support/small-networks.ts';

const images = noiseImages(3, [1, ...IMAGE]);

/** The last value of the int8 part of each network. */
const lastValues: Readonly<Record<string, string>> = {
  'means side by side before a dense layer and softmax': 'c.swish',
  'ReLU6, alone and joined': 'b.relu6',
  'joined images whose mean is taken': 'b.swish',
  'hard-swish in a dense head, and of a hard-swish': 'b',
};

async function prepare(model: TfliteModel, inputs: readonly Float32Array[]): Promise<RangedModel> {
  const equal = equalise(expandHardSwish(model, await measureRanges(model, inputs)));
  return { ...equal, model: averageByWeights(equal.model) };
}

const operatorsOf = (model: TfliteModel) => model.operators as readonly KnownOperator[];
const isConvolution = (operator: KnownOperator): operator is KnownOperator<'CONV_2D' | 'DEPTHWISE_CONV_2D'> =>
  operator.op === 'CONV_2D' || operator.op === 'DEPTHWISE_CONV_2D';

/** Output channel of an element of a weight, by the layouts of the format. */
function channelOf({ op }: KnownOperator, { shape }: TfliteTensor, element: number): number {
  const [first, height, width, last] = shape as [number, number, number, number];
  return op === 'DEPTHWISE_CONV_2D' ? element % last : Math.floor(element / (height * width * last)) % first;
}

/** Kernels refuse an output with 256 steps or more in one of what it is computed from. */
function finestStep({ op }: KnownOperator, a: TfliteTensor, b: TfliteTensor): number {
  const [first, second] = [a, b].map(({ quantization }) => quantization?.scale[0] ?? 0) as [number, number];
  if (op === 'ADD') return Math.max(first, second) / 128;
  return op === 'MUL' ? (first * second) / 128 : 0;
}

/** Operators whose inputs and outputs have one scale, by the specification. */
const sameScale = [
  ...['AVERAGE_POOL_2D', 'CONCATENATION', 'MAX_POOL_2D', 'PAD', 'PADV2', 'RELU', 'RELU6', 'RESHAPE', 'RESIZE_BILINEAR'],
  ...['STRIDED_SLICE', 'TRANSPOSE'],
];

/** Extremes of a value and of all that it is joined with, or that operators of one scale make of it. */
function sharedRange(
  { model, ranges }: RangedModel,
  name: string,
  isInt8: (name: string) => boolean,
): { readonly min: number[]; readonly max: number[] } {
  const together = new Set([model.tensors.findIndex(tensor => tensor.name === name)]);
  for (let before = 0; before < together.size; ) {
    before = together.size;
    for (const { op, inputs, outputs } of operatorsOf(model).filter(({ op }) => sameScale.includes(op))) {
      if (!isInt8(model.tensors[outputs[0]!]!.name)) continue;
      const values = [...inputs.filter(index => !model.tensors[index]!.data), ...outputs];
      if (op !== 'PADV2' && values.some(index => together.has(index))) for (const index of values) together.add(index);
    }
  }
  const all = [...together].flatMap(index => ranges.get(model.tensors[index]!.name) ?? []);
  return { min: all.flatMap(({ min }) => [...min]), max: all.flatMap(({ max }) => [...max]) };
}

/** Scales and zero points as TFLite's specification wants them, and numbers as they follow from the float model. */
function assertRules(model: TfliteModel, float: RangedModel): void {
  const int8 = new Set(model.tensors.filter(({ type }) => type === 'INT8').map(({ name }) => name));
  const before = new Map(operatorsOf(float.model).map(op => [float.model.tensors[op.outputs[0]!]!.name, op]));
  for (const operator of operatorsOf(model)) {
    const [input, weight, bias] = operator.inputs.map(index => model.tensors[index]!) as TfliteTensor[];
    const output = model.tensors[operator.outputs[0]!]!;
    if (output.type !== 'INT8') continue;
    const { scale, zeroPoint } = output.quantization!;
    assert.deepEqual([scale.length, zeroPoint.length], [1, 1]);
    assert.ok(scale[0]! > 0 && Number.isInteger(zeroPoint[0]) && zeroPoint[0]! >= -128 && zeroPoint[0]! <= 127);
    if (sameScale.includes(operator.op)) {
      const others = operator.op === 'CONCATENATION' ? operator.inputs.map(index => model.tensors[index]!) : [input!];
      for (const { quantization } of others)
        assert.deepEqual(output.quantization, quantization, `${operator.op} keeps its scale`);
    } else if (operator.op === 'LOGISTIC') {
      assert.deepEqual(output.quantization, { scale: [1 / 256], zeroPoint: [-128], axis: 0 });
    } else if (operator.op !== 'QUANTIZE') {
      const { min, max } = sharedRange(float, output.name, name => int8.has(name));
      const finest = isConvolution(operator) ? 0 : finestStep(operator, input!, weight!);
      const wanted = activationQuantization(Math.min(...min), Math.max(...max), finest);
      assert.deepEqual(output.quantization, wanted, output.name);
    }
    if (!isConvolution(operator)) continue;
    const isGrouped = operator.op === 'CONV_2D' && weight!.shape[3] !== input!.shape[3];
    assert.equal(operator.version, isGrouped ? 6 : 3);
    assert.deepEqual([weight!.type, bias!.type], ['INT8', 'INT32']);
    const axis = operator.op === 'CONV_2D' ? 0 : 3;
    const channels = weight!.shape[axis]!;
    for (const { quantization } of [weight!, bias!]) {
      assert.deepEqual(quantization!.zeroPoint, new Array(channels).fill(0));
      assert.equal(quantization!.scale.length, channels);
    }
    assert.deepEqual([weight!.quantization!.axis, bias!.quantization!.axis], [axis, 0]);
    // Bias scale = input scale * weight scale, in float32.
    weight!.quantization!.scale.forEach((value, c) => {
      assert.equal(bias!.quantization!.scale[c], Math.fround(input!.quantization!.scale[0]! * value));
    });

    const [, floatWeight, floatBias] = before.get(output.name)!.inputs.map(index => float.model.tensors[index]!);
    const wanted = storedConstant(floatWeight!);
    const found = storedConstant(weight!);
    const largest = new Float64Array(channels);
    for (let i = 0; i < wanted.length; i++) {
      const c = channelOf(operator, weight!, i);
      largest[c] = Math.max(largest[c]!, Math.abs(wanted[i]!));
    }
    const { mean } = float.ranges.get(float.model.tensors[before.get(output.name)!.inputs[0]!]!.name)!;
    const corrected = Float64Array.from(storedConstant(floatBias!));
    // Symmetric, 127 steps; coarser where kernels could not scale the sums, or where the bias has no room in int32.
    const inputScale = input!.quantization!.scale[0]!;
    weight!.quantization!.scale.forEach((step, c) => {
      const coarsest = Math.max((2 ** -20 * scale[0]!) / inputScale, Math.abs(corrected[c]!) / (inputScale * 2 ** 30));
      const expected = Math.max(largest[c]! / 127, coarsest);
      assert.ok(Math.abs(step / expected - 1) < 1e-6, `scale ${c} of ${output.name}: ${step}, not ${expected}`);
    });
    for (let i = 0; i < wanted.length; i++) {
      const c = channelOf(operator, weight!, i);
      const step = weight!.quantization!.scale[c]!;
      assert.ok(Math.abs(found[i]!) <= 127);
      // Exactly in the middle either is nearest.
      assert.ok(Math.abs(wanted[i]! / step - found[i]!) <= 0.5 + 1e-4, `${output.name} ${i}: ${wanted[i]} / ${step}`);
      const perGroup = weight!.shape[3]!;
      const source =
        axis === 3
          ? Math.floor((c * mean.length) / channels)
          : Math.floor((c * (mean.length / perGroup)) / channels) * perGroup + (i % perGroup);
      corrected[c]! += (wanted[i]! - found[i]! * step) * mean[source]!;
    }
    corrected.forEach((value, c) => {
      const step = bias!.quantization!.scale[c]!;
      const number = storedConstant(bias!)[c]!;
      assert.ok(Math.abs(value / step - number) <= 0.5 + 1e-6 * Math.abs(number), `bias ${c} of ${output.name}`);
    });
  }
}

/** Every int8 operator on what LiteRT gave it, in plain loops, against what LiteRT made of that: at most one step apart. */
async function assertArithmetic(model: TfliteModel, input: Float32Array): Promise<number> {
  const inside = await runInside(model, [input]);
  const values = new Map<number, ArrayLike<number>>();
  const valuesOf = (index: number): ArrayLike<number> => {
    const tensor = model.tensors[index]!;
    const known = values.get(index) ?? (tensor.data ? storedConstant(tensor) : undefined);
    if (known) return known;
    const [real] = inside.get(tensor.name)!;
    const { scale, zeroPoint } = tensor.quantization!;
    const stored = Int8Array.from(real!, value => Math.round(value / scale[0]!) + zeroPoint[0]!);
    values.set(index, stored);
    return stored;
  };
  let checked = 0;
  for (const operator of operatorsOf(model)) {
    if (operator.op === 'QUANTIZE' || operator.op === 'DEQUANTIZE') continue;
    const wanted = int8Reference(model, operator, valuesOf);
    if (!wanted) continue;
    const { name } = model.tensors[operator.outputs[0]!]!;
    const apart = largestDifference(valuesOf(operator.outputs[0]!), wanted);
    assert.ok(apart <= 1, `${operator.op} ${name}: ${apart} steps`);
    checked++;
  }
  return checked;
}

for (const [name, graph] of Object.entries(smallNetworks)) {
  test(`${name}: by the rules, exact to a step, accelerated`, async () => {
    const float = await prepare(lowerToTflite(graph), images);
    const model = quantiseInt8(float, lastValues[name] ?? 'end');
    assertRules(model, float);
    const int8 = operatorsOf(model).filter(({ outputs }) => model.tensors[outputs[0]!]!.type === 'INT8');
    const checked = await assertArithmetic(model, images[0]!);
    assert.equal(checked, int8.filter(({ op }) => op !== 'QUANTIZE').length);
    assert.ok(checked >= 3, `${checked} operators in int8`);
    const found = await runModel(model, images);
    // XNNPACK pads with zeros only.
    assert.equal(found.isAccelerated, !int8.some(({ op }) => op === 'PADV2'));
    const wanted = await runModel(float.model, images);
    wanted.answers.forEach((outputs, image) => {
      outputs.forEach((values, i) => {
        const apart = largestDifference(found.answers[image]![i]!, values) / largestNumber(values);
        assert.ok(apart < 0.15, `output ${i} of image ${image} is ${apart} of its range apart`);
      });
    });
  });
}

test('the real classifier: by the rules, exact to a step, accelerated', async () => {
  const { model: plain, last } = await realClassifier();
  const leaves = leafImages(2);
  const float = await prepare(plain, leaves);
  const model = quantiseInt8(float, last);
  assertRules(model, float);
  // Pads behind the first convolution, convolutions, depthwise ones, gates of hard-swish, products, skips, means.
  assert.equal(await assertArithmetic(model, leaves[0]!), 4 + 41 + 11 + 18 + (18 + 9) + 6 + (9 + 13));
  assert.equal((await runModel(model, leaves)).isAccelerated, true);
});

test('scale and zero point of a value: zero is exact, both ends fit, 255 steps', () => {
  for (const [low, high] of [
    [-1, 1],
    [0, 6],
    [-3, 0],
    [2, 5],
    [-5, -2],
    [-0.375, 12.5],
    [1e-6, 3e-6],
    [-100, 0.001],
    [0, 0],
  ] as const) {
    const { scale, zeroPoint, axis } = activationQuantization(low, high);
    const [step, zero] = [scale[0]!, zeroPoint[0]!];
    assert.equal(axis, 0);
    assert.equal(Math.fround(step), step);
    assert.ok(Number.isInteger(zero) && zero >= -128 && zero <= 127, `${low}..${high}: ${zero}`);
    const range = Math.max(0, high) - Math.min(0, low);
    assert.ok(Math.abs(255 * step - (range || 1)) <= 1e-6 * (range || 1));
    const [lowest, highest] = [step * (-128 - zero), step * (127 - zero)];
    assert.ok(
      lowest <= low + 0.5001 * step && highest >= high - 0.5001 * step,
      `${low}..${high}: ${lowest}..${highest}`,
    );
  }
});

test('an image that calibration has not looked at holds -1 to 1', async () => {
  const { model, ranges } = await prepare(lowerToTflite(smallNetworks['a skip around linear layers']!), images);
  const unseen = new Map([...ranges].filter(([name]) => name !== 'image'));
  const int8 = quantiseInt8({ model, ranges: unseen }, 'end');
  const [first] = operatorsOf(int8);
  assert.equal(first!.op, 'QUANTIZE');
  assert.deepEqual(int8.tensors[first!.outputs[0]!]!.quantization, activationQuantization(-1, 1));
  const [wanted, found] = [await runModel(model, images), await runModel(int8, images)];
  wanted.answers.forEach(([values], i) => {
    assert.ok(largestDifference(found.answers[i]![0]!, values!) < 0.15 * largestNumber(values!));
  });
});
