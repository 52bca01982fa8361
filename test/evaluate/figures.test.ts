// Figures, calibration and statistics against scikit-learn's and scipy's numbers; rejection by counting.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeRng } from '../../src/base/rng.ts';
import { applyTemperature, fitTemperature, measureCalibration } from '../../src/evaluate/calibration.ts';
import { measureFigures } from '../../src/evaluate/figures.ts';
import { wilson } from '../../src/evaluate/intervals.ts';
import { argMax } from '../../src/evaluate/metrics.ts';
import { comparePaired, correctHolm } from '../../src/evaluate/paired.ts';
import type { Predictions } from '../../src/evaluate/predictions.ts';
import { chooseThreshold, measureRejection, riskCoverageArea } from '../../src/evaluate/rejection.ts';
import { readReference } from '../support/reference.ts';

interface Case {
  readonly truth: number[];
  readonly probabilities: number[][];
  readonly accuracy: number;
  readonly balanced_accuracy: number;
  readonly macro: number[];
  readonly weighted: number[];
  readonly log_loss: number;
  readonly brier: number;
  readonly roc_auc: (number | null)[];
  readonly average_precision: (number | null)[];
  readonly top_2: number | null;
  readonly ece: number;
  readonly temperature: number;
}

const known = readReference<{
  cases: Record<string, Case>;
  wilson: [hits: number, total: number, low: number, high: number][];
  mcnemar: [won: number, lost: number, p: number][];
  bootstrap: [won: number, lost: number, low: number, high: number][];
}>('figures.json');

const near = (found: number, wanted: number, what: string, tolerance = 1e-9) =>
  assert.ok(Math.abs(found - wanted) <= tolerance, `${what}: ${found}, wanted ${wanted}`);

function predictionsOf({ truth, probabilities }: Pick<Case, 'truth' | 'probabilities'>): Predictions {
  const classes = probabilities[0]!.map((_, k) => `class ${k}`);
  return { classes, truth, probabilities: probabilities.map(row => Float32Array.from(row)) };
}

/** Photos of two classes from how sure the model is and whether it is right. */
function answers(...rows: readonly (readonly [confidence: number, isRight: boolean])[]): Predictions {
  return predictionsOf({
    truth: rows.map(([, isRight]) => (isRight ? 0 : 1)),
    probabilities: rows.map(([confidence]) => [confidence, 1 - confidence]),
  });
}

for (const [name, wanted] of Object.entries(known.cases)) {
  test(`figures equal scikit-learn's: ${name}`, () => {
    const predictions = predictionsOf(wanted);
    const figures = measureFigures(predictions);
    const { probability } = figures;
    near(figures.accuracy, wanted.accuracy, 'accuracy');
    near(figures.balanced_accuracy, wanted.balanced_accuracy, 'balanced accuracy');
    for (const how of ['macro', 'weighted'] as const) {
      const { precision, recall, f1 } = figures[how];
      [precision, recall, f1].forEach((value, i) => {
        near(value, wanted[how][i]!, `${how} ${i}`);
      });
    }
    near(probability!.log_loss, wanted.log_loss, 'log-loss', 1e-6);
    near(probability!.brier, wanted.brier, 'Brier');
    assert.equal(probability!.top_k[2] ?? null, wanted.top_2);
    probability!.curves.forEach(({ roc, precision_recall }, k) => {
      for (const [curve, area] of [
        [roc, wanted.roc_auc[k]!],
        [precision_recall, wanted.average_precision[k]!],
      ] as const) {
        if (area === null) assert.equal(curve, null);
        else near(curve!.area, area, `area of class ${k}`);
      }
    });
    near(probability!.calibration.ece, wanted.ece, 'ECE');
    near(fitTemperature(predictions), wanted.temperature, 'temperature', 2e-4 * wanted.temperature);
  });
}

test("Wilson's intervals equal scipy's", () => {
  for (const [hits, total, low, high] of known.wilson) {
    near(wilson(hits, total).low, low, `${hits} of ${total}`);
    near(wilson(hits, total).high, high, `${hits} of ${total}`);
  }
  assert.throws(() => wilson(1, 0), RangeError);
});

/** Two models on photos that only the second has right, that only the first has, and 50 that both have. */
function comparedBy(won: number, lost: number) {
  const [both, rest] = [Array<boolean>(50).fill(true), (count: number) => Array<boolean>(count)];
  return comparePaired(
    [...rest(won).fill(false), ...rest(lost).fill(true), ...both],
    [...rest(won).fill(true), ...rest(lost).fill(false), ...both],
  );
}

test("McNemar's test equals scipy's binomial test, and the bounds of the difference are those of scipy's bootstrap", () => {
  for (const [won, lost, p] of known.mcnemar) {
    const paired = comparedBy(won, lost);
    near(paired.p, p, `${won} won, ${lost} lost`);
    assert.deepEqual([paired.won.length, paired.lost.length], [won, lost]);
    near(paired.difference, (won - lost) / (won + lost + 50), 'difference');
  }
  for (const [won, lost, low, high] of known.bootstrap) {
    const { interval, images } = comparedBy(won, lost);
    // Both are drawn at random: a photo of a hundred more or less.
    const tolerance = Math.max(1 / images, 0.01) + 1e-9;
    near(interval.low, low, `${won} won, ${lost} lost`, tolerance);
    near(interval.high, high, `${won} won, ${lost} lost`, tolerance);
  }
  assert.equal(comparePaired([true, false], [true, false]).p, 1);
  assert.deepEqual(comparePaired([true], [true]).interval, { low: 0, high: 0 });
  assert.deepEqual(
    correctHolm([0.01, 0.04, 0.03]).map(p => Number(p.toFixed(3))),
    [0.03, 0.06, 0.06],
  );
});

test('a temperature makes unsure and too sure models calibrated, and changes no answer', () => {
  const rng = makeRng(1, 'temperature');
  const logits = Array.from({ length: 3000 }, () => [0, 1, 2].map(() => 2 * rng.normal()));
  const softmax = (row: readonly number[], sharpness: number) => {
    const weights = row.map(value => Math.exp(sharpness * value));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    return Float32Array.from(weights, weight => weight / total);
  };
  // What happens is drawn with the probabilities of sharpness 1.
  const truth = logits.map(row => {
    const [first, second] = softmax(row, 1) as unknown as [number, number];
    const draw = rng.uniform(0, 1);
    return draw < first ? 0 : draw < first + second ? 1 : 2;
  });
  for (const sharpness of [3, 0.3]) {
    const predictions = { classes: ['a', 'b', 'c'], truth, probabilities: logits.map(row => softmax(row, sharpness)) };
    const temperature = fitTemperature(predictions);
    near(temperature / sharpness, 1, 'temperature', 0.05);
    const scaled = predictions.probabilities.map(row => applyTemperature(row, temperature));
    assert.ok(measureCalibration(predictions).ece > 0.08);
    assert.ok(measureCalibration({ ...predictions, probabilities: scaled }).ece < 0.025);
    scaled.forEach((row, i) => {
      assert.equal(argMax(row), argMax(predictions.probabilities[i]!));
    });
  }
  // A model that is right on every photo does not become infinitely sure.
  const sure = answers(...Array.from({ length: 20 }, () => [0.9, true] as const));
  const [p] = applyTemperature(Float32Array.of(0.9, 0.1), fitTemperature(sure));
  assert.ok(p! > 0.9 && p! < 0.98, `${p}`);
});

test('the threshold is the lowest one at which the mean probability is what is wanted', () => {
  const predictions = answers([0.99, true], [0.95, true], [0.9, false], [0.8, true], [0.7, false], [0.6, true]);
  // Means: 0.99, 0.97, 0.9467, 0.91, 0.868, 0.8233.
  const rule = chooseThreshold(predictions, 0.91);
  near(rule.below, 0.75, 'below', 1e-6);
  assert.equal(rule.precision, 0.75);
  near(rule.coverage, 4 / 6, 'coverage');
  assert.deepEqual(rule.interval, wilson(3, 4));
  near(chooseThreshold(predictions, 0.97).below, 0.925, 'below', 1e-6);
  assert.equal(chooseThreshold(predictions, 0.5).below, 0.6, 'all are accepted');
  near(chooseThreshold(predictions, 0.999).below, 0.97, 'the surest alone', 1e-6);
  near(chooseThreshold(predictions, 0.999, 0.5).below, 0.85, 'half of them in any case', 1e-6);
  // Among equal ones none is left out.
  near(chooseThreshold(answers([0.9, true], [0.8, true], [0.8, false], [0.5, true]), 0.85).below, 0.85, 'ties', 1e-6);
});

test('rejection counts what is accepted, of the classes and of none of them', () => {
  const { classes, truth, probabilities } = answers([0.99, true], [0.9, false], [0.6, true]);
  const none = [Float32Array.of(0.95, 0.05), Float32Array.of(0.5, 0.5)];
  const predictions = { classes, truth: [...truth, -1, -1], probabilities: [...probabilities, ...none] };
  const { rejection, images, accuracy } = measureFigures(predictions, 0.7);
  assert.equal(images, 3);
  near(accuracy, 2 / 3, 'accuracy');
  assert.deepEqual(rejection, {
    below: 0.7,
    images: 3,
    accepted: 2,
    precision: 0.5,
    interval: wilson(1, 2),
    none: { images: 2, accepted: 1 },
  });
  assert.equal(measureRejection(predictions, 1.1).precision, null);
  assert.equal(measureFigures(predictions).rejection, null);
  // Risks at 1, 2 and 3 photos: 0, 1/2, 1/3.
  near(riskCoverageArea({ classes, truth, probabilities })!, (0 + 1 / 2 + 1 / 3) / 3, 'area');
});

test('a detector tells two probabilities only, and few photos are said to be few', () => {
  const { probability, accuracy, notes } = measureFigures({
    classes: ['a', 'b', 'c', 'd'],
    truth: [0, 1],
    probabilities: [Float32Array.of(0.7, 0.2, -1, -1), Float32Array.of(-1, 0.1, 0.8, -1)],
  });
  assert.equal(probability, null);
  assert.equal(accuracy, 0.5);
  assert.match(notes[0]!, /2 photos are few: the accuracy on others may be anywhere from 9 to 91 %/);
  assert.match(notes[1]!, /classes without photos: c, d/);
  // Of one class alone nothing can be sorted before the others.
  const alone = measureFigures(
    predictionsOf({
      truth: [0, 0],
      probabilities: [
        [0.9, 0.1],
        [0.4, 0.6],
      ],
    }),
  );
  assert.deepEqual(
    alone.probability!.curves.map(({ roc, precision_recall }) => [roc, precision_recall?.area ?? null]),
    [
      [null, 1],
      [null, null],
    ],
  );
  assert.equal(alone.balanced_accuracy, 0.5);
  const curve = measureFigures(
    predictionsOf({
      truth: Array.from({ length: 1000 }, (_, i) => i % 2),
      probabilities: Array.from({ length: 1000 }, (_, i) => [i / 1000, 1 - i / 1000]),
    }),
  ).probability!.curves[0]!.roc!;
  assert.equal(curve.points.length, 200);
  assert.deepEqual(
    [curve.points[0], curve.points.at(-1)],
    [
      [0, 0],
      [1, 1],
    ],
  );
});
