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

test('agreement: equal passes; a flipped class, a large difference or a NaN does not', () => {
  const model = [
    [0.9, 0.1],
    [0.3, 0.7],
    [0.5004, 0.4996],
  ];
  const nudged = [
    [0.9, 0.1],
    [0.3, 0.7],
    [0.4998, 0.5002],
  ];
  assert.deepEqual(compareProbabilities(model, model), {
    images: 3,
    top_class_agreement: 1,
    max_difference: 0,
    disagreements: [],
    passed: true,
  });
  const close = compareProbabilities(model, nudged);
  assert.equal(close.passed, true, 'two classes closer than the margin may change places');
  assert.equal(close.top_class_agreement, 2 / 3);
  const flipped = compareProbabilities(model, [[0.1, 0.9], ...model.slice(1)]);
  assert.deepEqual([flipped.passed, flipped.disagreements], [false, [0]]);
  assert.equal(compareProbabilities(model, [[0.898, 0.102], ...model.slice(1)]).passed, false);
  const broken = compareProbabilities(model, [[Number.NaN, 0.1], ...model.slice(1)]);
  assert.equal(broken.passed, false);
  assert.ok(Number.isNaN(broken.max_difference));
});
