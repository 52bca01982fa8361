// Hard-swish as ADD and MUL: the same function on every kind of network, with the ranges that its values really have.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expandHardSwish, type RangedModel } from '../../src/tflite/expand-hard-swish.ts';
import { lowerToTflite } from '../../src/tflite/lower.ts';
import type { TfliteModel } from '../../src/tflite/model.ts';
import { leafImages, measureRanges, noiseImages, realClassifier, runModel } from '../support/measured-models.ts';
import { assertClose } from '../support/reference.ts';
import { IMAGE, smallNetworks } from '../support/small-networks.ts';
import { opsOf } from '../support/two-runtimes.ts';

const images = noiseImages(3, [1, ...IMAGE]);

/** Inputs of hard-swish that nothing else reads: they may be cut off at -3. */
function swishInputs(model: TfliteModel): Set<string> {
  const swishes = model.operators.filter(({ op }) => op === 'HARD_SWISH').map(({ inputs }) => inputs[0]!);
  const others = model.operators.filter(({ op }) => op !== 'HARD_SWISH').flatMap(({ inputs }) => inputs);
  const alone = swishes.filter(index => !others.includes(index) && !model.outputs.includes(index));
  return new Set(alone.map(index => model.tensors[index]!.name));
}

async function assertSameFunction(
  before: TfliteModel,
  { model, ranges }: RangedModel,
  inputs: readonly Float32Array[],
  tolerance: number,
): Promise<void> {
  assert.ok(!opsOf(model).includes('HARD_SWISH'));
  const [wanted, found] = [await runModel(before, inputs), await runModel(model, inputs)];
  wanted.answers.forEach((outputs, image) => {
    outputs.forEach((values, i) => {
      assertClose(found.answers[image]![i]!, values, tolerance, `output ${i} of image ${image}`);
    });
  });
  const cut = swishInputs(before);
  const gates = new Set(
    before.operators.flatMap(({ op, outputs }) =>
      op === 'HARD_SWISH' ? [`${before.tensors[outputs[0]!]!.name}.gate`] : [],
    ),
  );
  for (const [name, { min, max, mean }] of await measureRanges(model, inputs)) {
    const range = ranges.get(name);
    assert.ok(range, `${name} has no range`);
    const seen = (value: number) => (cut.has(name) ? Math.max(-3, value) : value);
    assertClose(range.min, min.map(seen), 1e-4, `minimum of ${name}`);
    assertClose(range.max, max.map(seen), 1e-4, `maximum of ${name}`);
    // No weight reads a gate or what is cut off, so that nobody asks for their means.
    if (!gates.has(name) && !cut.has(name)) assertClose(range.mean, mean, 1e-4, `mean of ${name}`);
  }
}

/** Hard-swishes of each network, and how many of them the weights behind cannot divide by 6. */
const divided: Readonly<Record<string, readonly [swishes: number, divisions: number]>> = {
  'hard-swish between convolutions, one of them strided': [1, 0],
  'depthwise convolutions': [3, 0],
  'squeeze-and-excitation after hard-swish and after ReLU': [1, 0],
  'a skip around linear layers': [1, 0],
  'hard-swish that feeds a skip': [1, 1],
  'means side by side before a dense layer and softmax': [2, 0],
  'ReLU6, alone and joined': [0, 0],
  'joined images whose mean is taken': [1, 0],
  'a grouped convolution': [1, 0],
  'hard-swish that is an output too': [1, 1],
  'hard-swish in a dense head, and of a hard-swish': [3, 1],
  'pools on the way': [2, 0],
  'a map of one channel that weights all others': [1, 0],
  'sigmoid gates: of x itself, and of a squeezed x': [0, 0],
  'normalisation and ReLU of joined images': [0, 0],
  'channels that are split, joined and shuffled': [0, 0],
  'a maximum over padding beside numbers below zero, made larger': [0, 0],
  'layer normalisation and Gelu between dense layers, channels last': [0, 0],
  'a constant added and a constant factor': [2, 0],
};

for (const [name, graph] of Object.entries(smallNetworks)) {
  test(`${name}: the same outputs, true ranges, no division that is not needed`, async () => {
    const before = lowerToTflite(graph);
    const expanded = expandHardSwish(before, await measureRanges(before, images));
    await assertSameFunction(before, expanded, images, 1e-5);
    const count = (model: TfliteModel, op: string) => opsOf(model).filter(name => name === op).length;
    const [swishes, divisions] = divided[name]!;
    assert.equal(count(before, 'HARD_SWISH'), swishes);
    assert.equal(count(expanded.model, 'ADD') - count(before, 'ADD'), swishes);
    assert.equal(count(expanded.model, 'MUL') - count(before, 'MUL'), swishes + divisions);
  });
}

test('the real classifier: 18 hard-swishes, no division, the same probabilities', async () => {
  const { model } = await realClassifier();
  const leaves = leafImages(2);
  const expanded = expandHardSwish(model, await measureRanges(model, leaves));
  await assertSameFunction(model, expanded, leaves, 1e-4);
  assert.equal(opsOf(expanded.model).length - opsOf(model).length, 18);
});
