// What graft val prints: 80 columns for few classes and many, for long names and wide ones; the matrix or the worst pairs.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeRng } from '../../src/base/rng.ts';
import { describeConfusion } from '../../src/cli/confusion.ts';
import { describeVal } from '../../src/cli/run-val.ts';
import { shorten, widthOf } from '../../src/cli/text.ts';
import { measureFigures } from '../../src/evaluate/figures.ts';
import type { Predictions } from '../../src/evaluate/predictions.ts';
import type { ValResult } from '../../src/project/val.ts';

/** 300 photos, of the first classes, every seventh of none of them; the model is right on most. */
function drawPredictions(classes: readonly string[], present = classes.length): Predictions {
  const rng = makeRng(3, 'val');
  const truth = Array.from({ length: 300 }, (_, i) => (i % 7 === 6 ? -1 : i % present));
  const probabilities = truth.map(label => {
    const row = Float32Array.from(classes, (_, k) => Math.exp(2 * rng.next() + (k === label ? 5 * rng.next() : 0)));
    const sum = row.reduce((total, value) => total + value, 0);
    return row.map(value => value / sum);
  });
  return { classes, truth, probabilities };
}

function printed(classes: readonly string[], present?: number): string {
  const figures = measureFigures(drawPredictions(classes, present), 0.5);
  const facts = { model: 'runs/train', size: 3_700_000, precision: 'float32', data: './other-photos' } as const;
  const result: ValResult = { ...figures, ...facts, classes, part: 'test', camera: 'none', excluded: [] };
  return describeVal(result);
}

const named = (count: number, name: (k: number) => string) => Array.from({ length: count }, (_, k) => name(k));

const cases: readonly [what: string, classes: readonly string[], matrix: boolean][] = [
  ['three classes', ['angular_leaf_spot', 'bean_rust', 'healthy'], true],
  ['twelve classes', named(12, k => `class ${k}`), false],
  ['twelve letters', named(12, k => 'abcdefghijkl'[k]!), true],
  ['long names', named(4, k => `a very long name of a class that nobody can remember ${k}`), true],
  ['wide names', ['健康な葉', 'さび病に侵された葉がここにたくさんあります', '👩‍🌾', 'é'], true],
  ['120 long names', named(120, k => `n0${2_085_620 + k}-a_breed_of_dogs_with_a_long_name_${k}`), false],
];
for (const [what, classes, matrix] of cases) {
  test(`${what} in 80 columns`, () => {
    const text = printed(classes);
    for (const line of text.split('\n')) assert.ok(widthOf(line) <= 80, line);
    assert.equal(text.includes('Rows are the truth'), matrix, text);
    assert.equal(text.includes('Most confused'), !matrix, text);
    if (matrix) assert.equal(text.split('Rows are the truth')[1]!.split('\n').length > classes.length + 2, true);
  });
}

test('the headline, the interval and what the probabilities are worth are figures of the result', () => {
  const predictions = drawPredictions(['a', 'b', 'c']);
  const { accuracy, images, interval, probability, rejection } = measureFigures(predictions, 0.5);
  const text = printed(['a', 'b', 'c']);
  const percent = (part: number) => `${(100 * part).toFixed(1)} %`;
  const known = predictions.probabilities.filter((_, i) => predictions.truth[i]! >= 0);
  const sure = known.reduce((sum, row) => sum + Math.max(...row), 0) / known.length;
  for (const part of [
    `${percent(accuracy)} of ${images} photos in ./other-photos (its test split) are right;`,
    `of others like them ${(100 * interval.low).toFixed(1)} to ${percent(interval.high)} would be (95 %).`,
    'runs/train: float32, 3.7 MB',
    `off by ${percent(probability!.calibration.ece)} on average`,
    `it is ${percent(sure)} sure and right on ${percent(accuracy)}.`,
    `it answers ${rejection!.accepted} of the ${images} photos`,
    `Of ${rejection!.none!.images} photos that are none of the classes it takes ${rejection!.none!.accepted}`,
  ]) {
    assert.ok(text.includes(part), `${part} in\n${text}`);
  }
});

test('of many classes those with photos have a line', () => {
  const text = printed(
    named(1000, k => `kind ${k}`),
    3,
  );
  const lines = text.split('\n').filter(line => /^kind \d+ +\d+ +\d+\.\d % /.test(line));
  assert.deepEqual(lines.map(line => line.split(/ {2,}/)[0]).sort(), ['kind 0', 'kind 1', 'kind 2']);
  assert.match(text, /The 3 classes with photos and the lowest F1; --json has the other 997\./);
});

test('pairs come most confused first, ten of them', () => {
  const classes = named(30, k => `class ${k}`);
  const confusion = classes.map((_, truth) => classes.map((_, said) => (said === (truth + 1) % 30 ? truth : 0)));
  const lines = describeConfusion(classes, confusion).split('\n');
  assert.match(lines[2]!, /^class 29 +class 0 +29$/);
  assert.match(lines[11]!, /^class 20 +class 21 +20$/);
  assert.equal(lines[12], 'and 19 more pairs (--json has all)');
  const right = classes.map((_, truth) => classes.map((_, said) => (said === truth ? 5 : 0)));
  assert.equal(describeConfusion(classes, right), 'No photo was taken for another class.');
});

test('a name that is too long loses its middle, and never half a letter', () => {
  assert.equal(shorten('abcdefghij', 10), 'abcdefghij');
  assert.equal(shorten('abcdefghijk', 10), 'abcde…hijk');
  assert.equal(shorten('健康健康健康', 9), '健康…健康');
  for (let columns = 2; columns < 30; columns++) {
    const cut = shorten('e\u0301e\u0301 さび病に侵された葉 and more of it', columns);
    assert.ok(widthOf(cut) <= columns, cut);
    assert.doesNotMatch(cut, /^\u0301|…\u0301/);
  }
  assert.equal(shorten('\u001b[31mred', 20), '?[31mred', 'no control characters');
});
