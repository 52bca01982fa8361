// Metrics against numpy's numbers, the awkward cases included.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compareProbabilities } from '../../src/evaluate/agreement.ts';
import { measurePredictions } from '../../src/evaluate/metrics.ts';
import { readReference } from '../support/reference.ts';

interface Case {
  classes: number;
  labels: number[];
  predictions: number[];
  confusion: number[][];
  accuracy: number;
  precision: number[];
  recall: number[];
  f1: number[];
  macroF1Seen: number;
}

for (const [name, known] of Object.entries(readReference<{ cases: Record<string, Case> }>('metrics.json').cases)) {
  test(`metrics equal numpy's: ${name}`, () => {
    const names = Array.from({ length: known.classes }, (_, k) => `class ${k}`);
    const metrics = measurePredictions(known.labels, known.predictions, names);
    const near = (a: number, b: number) => assert.ok(Math.abs(a - b) < 1e-12, `${a}, numpy ${b}`);
    assert.deepEqual(metrics.confusion, known.confusion);
    near(metrics.accuracy, known.accuracy);
    near(metrics.macro_f1, known.macroF1Seen);
    metrics.per_class.forEach((figures, k) => {
      near(figures.precision, known.precision[k]!);
      near(figures.recall, known.recall[k]!);
      near(figures.f1, known.f1[k]!);
    });
  });
}

test('agreement: equal answers, a flipped class, a large difference, a NaN, classes that are not told of', () => {
  const model = [
    [0.9, 0.1],
    [0.3, 0.7],
    [0.5004, 0.4996],
  ];
  const flipped = [[0.1, 0.9], ...model.slice(1)];
  assert.deepEqual(compareProbabilities(model, model), {
    images: 3,
    top_class_agreement: 1,
    max_difference: 0,
    disagreements: [],
  });
  assert.deepEqual(compareProbabilities(model, flipped), {
    images: 3,
    top_class_agreement: 1 - 1 / 3,
    max_difference: 0.9 - 0.1,
    disagreements: [0],
  });
  const nudged = compareProbabilities(model, [...model.slice(0, 2), [0.4998, 0.5002]]);
  assert.deepEqual(nudged.disagreements, [2]);
  assert.ok(Math.abs(nudged.max_difference - 0.0006) < 1e-12);
  const broken = compareProbabilities(model, [[Number.NaN, 0.1], ...model.slice(1)]);
  assert.ok(Number.isNaN(broken.max_difference));
  // -1 stands for a class that the file says nothing of: neither a difference nor the best.
  const partial = compareProbabilities(model, [
    [0.9, -1],
    [-1, 0.7],
    [-1, 0.4996],
  ]);
  assert.deepEqual([partial.max_difference, partial.disagreements], [0, [2]]);
  assert.throws(() => compareProbabilities(model, model.slice(1)), { name: 'RangeError' });
  assert.throws(() => compareProbabilities([], []), { name: 'RangeError' });
});
