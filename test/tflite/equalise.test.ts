// Equalisation: the same function, equal widths wherever the operators allow it, and the ranges of the new values.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { widthOf } from '../../src/tflite/channel-ranges.ts';
import { equalise } from '../../src/tflite/equalise.ts';
import { expandHardSwish, type RangedModel } from '../../src/tflite/expand-hard-swish.ts';
import { lowerToTflite } from '../../src/tflite/lower.ts';
import type { TfliteModel } from '../../src/tflite/model.ts';
import { narrowRanges } from '../../src/tflite/narrow-ranges.ts';
import { leafImages, measureRanges, noiseImages, realClassifier, runInside } from '../support/measured-models.ts';
import { assertClose } from '../support/reference.ts';
import { IMAGE, smallNetworks } from '../support/small-networks.ts';
import { opsOf } from '../support/two-runtimes.ts';

const images = noiseImages(3, [1, ...IMAGE]);

/** Padding that a maximum does not see is below this. */
const UNSEEN = -1e4;

/** How many times wider the input of a gate counts. */
const GATED = 6;
/** By how much narrower than the widest a channel may stay. */
const HEADROOM = 1.5;

/** Factor of every channel, by the name of the value: old range / new range. Values that keep theirs are left out. */
function factorsOf(before: RangedModel, after: RangedModel): Map<string, Float64Array> {
  const factors = new Map<string, Float64Array>();
  for (const [name, range] of before.ranges) {
    const now = after.ranges.get(name);
    // Channels over two axes have no ranges.
    if (!now) continue;
    const factor = Float64Array.from(range.min, (_, c) =>
      widthOf(range, c) === 0 ? 1 : widthOf(range, c) / widthOf(now, c),
    );
    if (factor.some(value => value !== 1)) factors.set(name, factor);
  }
  return factors;
}

/** Equalises, and asserts that every value of the new model is the old one, but for the factors of its channels. */
async function equaliseModel(model: TfliteModel, inputs: readonly Float32Array[], tolerance: number) {
  const expanded = expandHardSwish(model, await measureRanges(model, inputs));
  const before = { ...expanded, ranges: narrowRanges(expanded.model, expanded.ranges) };
  const after = equalise(before);
  const factors = factorsOf(before, after);
  const found = await runInside(after.model, inputs);
  for (const [name, lists] of await runInside(before.model, inputs)) {
    const factor = factors.get(name);
    lists.forEach((wanted, i) => {
      // A value without a range is the same numbers as another one.
      if (!after.ranges.has(name)) return;
      const seen = wanted.map(value => Math.max(value, UNSEEN));
      const values = found.get(name)![i]!;
      const scaled = values.map((value, k) => Math.max(value * (factor?.[k % factor.length] ?? 1), UNSEEN));
      assertClose(scaled, seen, tolerance, `${name} of image ${i}`);
    });
  }
  for (const [name, { mean, min, max }] of after.ranges) {
    const known = before.ranges.get(name);
    // A sigmoid's own input is new.
    if (!known) continue;
    for (const [now, then] of [
      [min, known.min],
      [max, known.max],
      [mean, known.mean],
    ] as const) {
      const factor = factors.get(name);
      const scaled = now.map((value, c) => value * (factor?.[c] ?? 1));
      assertClose(scaled, then, 1e-6, `range of ${name}`);
    }
  }
  return { before, after, factors };
}

/**
 * Asserts that the channels of groups of values that share factors have the same width, but for the widest ones, which are up
 * to half as wide again, and for those that were a thousandth or less of the widest. The groups are joined, so that their widths are the same too.
 */
function assertEqualWidths(
  before: RangedModel,
  after: RangedModel,
  joined: readonly (readonly string[])[],
  gated: ReadonlySet<string>,
): void {
  const widths = ({ ranges }: RangedModel): number[] =>
    joined.flatMap(group =>
      Array.from(ranges.get(group[0]!)!.min, (_, c) =>
        Math.max(...group.map(name => (gated.has(name) ? GATED : 1) * widthOf(ranges.get(name)!, c))),
      ),
    );
  const then = widths(before);
  const widest = Math.max(...then);
  const now = widths(after).map((width, c) => width / Math.max(then[c]!, widest / HEADROOM));
  const counted = now.filter((_, c) => then[c]! > widest / 1000);
  assert.ok(counted.length >= 2, `${joined}: widths ${then}`);
  assert.ok(
    counted.every(part => Math.abs(part - 1) < 1e-4),
    `${joined}: ${now}, from ${then}`,
  );
}

/** Inputs of hard-swish's gates. */
function gatedOf({ model }: RangedModel): Set<string> {
  const gates = model.operators.filter(
    operator => operator.op === 'ADD' && operator.options.fused_activation_function === 3,
  );
  return new Set(gates.map(({ inputs }) => model.tensors[inputs[0]!]!.name));
}

/** Values that sigmoids and their products read. */
function sigmoidInputs({ model }: RangedModel): string[] {
  const sigmoids = model.operators.filter(({ op }) => op === 'LOGISTIC');
  return sigmoids.map(({ inputs }) => model.tensors[inputs[0]!]!.name);
}

/** Values of each network that share factors. All others keep their values: outputs, gates, ReLU6, softmax, and so on. */
const groups: Readonly<Record<string, readonly (readonly string[])[]>> = {
  'hard-swish between convolutions, one of them strided': [['a', 'a.swish', 'b.padded'], ['b.relu']],
  'depthwise convolutions': [
    ['a', 'a.swish', 'b.padded'],
    ['b', 'b.swish'],
    ['c', 'c.swish'],
  ],
  'squeeze-and-excitation after hard-swish and after ReLU': [
    ['a', 'a.swish', 'a.scaled.pooled', 'a.scaled'],
    ['a.scaled.squeeze.relu'],
    ['b.relu', 'b.scaled.pooled', 'b.scaled'],
    ['b.scaled.squeeze.relu'],
  ],
  'a skip around linear layers': [
    ['a', 'b', 'sum'],
    ['inner', 'inner.swish'],
  ],
  'hard-swish that feeds a skip': [['a', 'a.swish.times6', 'a.swish', 'b', 'sum']],
  'means side by side before a dense layer and softmax': [
    ['a', 'a.swish', 'b.padded', 'a.swish.mean'],
    ['b.relu', 'b.relu.mean'],
    ['c', 'c.swish', 'c.mean', 'c.swish.mean'],
    ['d', 'd.mean'],
  ],
  'ReLU6, alone and joined': [
    ['a.relu6', 'a.relu6.mean'],
    ['b.relu6', 'b.relu6.mean'],
  ],
  'joined images whose mean is taken': [['a.relu'], ['b', 'b.swish']],
  'a grouped convolution': [['a', 'a.swish'], ['b.relu']],
  'hard-swish that is an output too': [],
  'hard-swish in a dense head, and of a hard-swish': [
    ['a', 'a.swish.times6', 'a.swish', 'a.swish.swish'],
    ['b', 'b.mean'],
  ],
  'pools on the way': [
    ['a', 'a.swish', 'average'],
    ['b', 'b.swish', 'largest'],
  ],
  'a map of one channel that weights all others': [['a.relu', 'weighted']],
  'sigmoid gates: of x itself, and of a squeezed x': [
    ['a', 'a.silu'],
    ['b', 'b.silu', 'pooled', 'scaled'],
    ['squeeze', 'squeeze.silu'],
  ],
  'normalisation and ReLU of joined images': [['a.relu'], ['b'], ['normed.relu']],
  'channels that are split, joined and shuffled': [['a.relu'], ['b.relu']],
  'a maximum over padding beside numbers below zero, made larger': [['a', 'largest.padded', 'largest', 'wide']],
  'layer normalisation and Gelu between dense layers, channels last': [],
  'a constant added and a constant factor': [
    ['a', 'a.swish'],
    ['c', 'c.swish', 'half'],
  ],
};

/** How many groups of a network, counted from the first, are joined to one image. */
const joinedGroups: Readonly<Record<string, number>> = {
  'ReLU6, alone and joined': 2,
  'joined images whose mean is taken': 2,
  'normalisation and ReLU of joined images': 2,
  'channels that are split, joined and shuffled': 2,
};

for (const [name, graph] of Object.entries(smallNetworks)) {
  test(`${name}: the same values but for factors, and equal widths`, async () => {
    const { before, after, factors } = await equaliseModel(lowerToTflite(graph), images, 5e-5);
    const gated = gatedOf(before);
    const together = joinedGroups[name] ?? 1;
    const lists = [groups[name]!.slice(0, together), ...groups[name]!.slice(together).map(group => [group])];
    for (const list of lists.filter(({ length }) => length > 0)) assertEqualWidths(before, after, list, gated);
    // A group of one channel, or one that is all zero, has nothing to equalise.
    const joins = [...factors.keys()].filter(value => /^(joined|means|left|right|shuffled)/.test(value));
    const changed = groups[name]!.flat().filter(value => factors.has(value));
    assert.deepEqual([...factors.keys()].sort(), [...changed, ...joins].sort());
    // A gate gets the true x back from a depthwise convolution of size 1, where x has factors.
    const count = (model: TfliteModel) => opsOf(model).filter(op => op === 'DEPTHWISE_CONV_2D').length;
    assert.equal(
      count(after.model) - count(before.model),
      [...gated, ...sigmoidInputs(before)].filter(value => factors.has(value)).length,
    );
  });
}

test('the real classifier: every value the same but for factors, and every block equalised', async () => {
  const { model } = await realClassifier();
  const { before, after, factors } = await equaliseModel(model, leafImages(2), 1e-4);
  const gated = gatedOf(before);
  assert.equal(gated.size, 18);
  for (const name of gated) assert.ok(factors.has(name), `${name} has factors`);
  // The widest channel of a value sets the scale of all: how much of it the middle one uses.
  const used = ({ ranges }: RangedModel, name: string) => {
    const widths = Array.from(ranges.get(name)!.min, (_, c) => widthOf(ranges.get(name)!, c)).sort((a, b) => a - b);
    return widths[widths.length >> 1]! / widths.at(-1)!;
  };
  const swishes = [...factors.keys()].filter(name => name.endsWith('.activation'));
  const [then, now] = [before, after].map(ranged =>
    swishes.map(name => used(ranged, name)).reduce((sum, part) => sum + part / swishes.length, 0),
  ) as [number, number];
  assert.ok(now > 1.5 * then, `the middle channel uses ${now} of the range, and ${then} before`);
  const { outputs, tensors } = model;
  for (const index of outputs) assert.ok(!factors.has(tensors[index]!.name));
});
