// The head's loss, gradients and optimiser against PyTorch's numbers; its training on data with a known answer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeRng } from '../../src/base/rng.ts';
import { adamwStep, makeAdamW } from '../../src/train/adamw.ts';
import { softmaxCrossEntropy } from '../../src/train/cross-entropy.ts';
import type { FeatureSet } from '../../src/train/feature-set.ts';
import { balanceClasses, defaultHeadOptions, trainHead } from '../../src/train/head.ts';
import { drain, largestDifference, readReference } from '../support/reference.ts';

interface Reference {
  x: number[][];
  labels: number[];
  w: number[][];
  b: number[];
  adamw: { learningRate: number; weightDecayW: number };
  cases: Record<
    string,
    {
      labelSmoothing: number;
      classWeights: number[] | null;
      steps: { loss: number; gradW: number[][]; gradB: number[]; w: number[][]; b: number[] }[];
    }
  >;
}

const reference = readReference<Reference>('softmax-head.json');

for (const [name, problem] of Object.entries(reference.cases)) {
  test(`loss, gradients and AdamW steps equal PyTorch's: ${name}`, () => {
    const width = reference.w[0]!.length;
    const weight = Float32Array.from(reference.w.flat());
    const bias = Float32Array.from(reference.b);
    const gradient = { weight: new Float32Array(weight.length), bias: new Float32Array(bias.length) };
    const optimiser = makeAdamW(weight.length, bias.length);
    const classWeights = Float64Array.from(problem.classWeights ?? bias, w => (problem.classWeights ? w : 1));
    const { labels } = reference;
    const rows = Float32Array.from(reference.x.flat());
    for (const step of problem.steps) {
      const input = { rows, labels, width, weight, bias, classWeights, labelSmoothing: problem.labelSmoothing };
      const { loss } = softmaxCrossEntropy(input, gradient);
      assert.ok(Math.abs(loss - step.loss) < 1e-5, `loss ${loss}, PyTorch ${step.loss}`);
      assert.ok(largestDifference(gradient.weight, step.gradW.flat()) < 1e-5);
      assert.ok(largestDifference(gradient.bias, step.gradB) < 1e-5);
      adamwStep(optimiser, { weight, bias }, gradient, reference.adamw.learningRate, reference.adamw.weightDecayW);
      assert.ok(largestDifference(weight, step.w.flat()) < 1e-5);
      assert.ok(largestDifference(bias, step.b) < 1e-5);
    }
  });
}

/** Two noisy clouds per class in 8 dimensions, the first two of which tell the class; scaled and shifted unevenly. */
function makeClouds(counts: readonly number[], seed: number): FeatureSet {
  const rng = makeRng(seed, 'clouds');
  const labels = counts.flatMap((count, label) => new Array<number>(count).fill(label));
  const data = labels.map(label =>
    Array.from({ length: 8 }, (_, i) => 100 * i + 10 ** (i / 4 - 1) * (rng.normal() + (i === label ? 3 : 0))),
  );
  const read: FeatureSet['read'] = (photo, _view, out, offset) => out.set(data[photo]!, offset);
  return { width: 8, labels, views: 1, read };
}

const options = { ...defaultHeadOptions, epochs: 60, batch: 16 };

test('a head learns clouds, keeps its best epoch, and is the same for the same seed', async () => {
  const [train, validation] = [makeClouds([60, 60, 60], 1), makeClouds([40, 40, 40], 2)];
  const first = await drain(trainHead(train, validation, 3, options));
  const second = await drain(trainHead(train, validation, 3, options));
  const other = await drain(trainHead(train, validation, 3, { ...options, seed: 1 }));
  assert.deepEqual(first.weight, second.weight);
  assert.notDeepEqual(first.weight, other.weight);
  const best = first.epochs[first.bestEpoch - 1]!;
  assert.equal(best.validationLoss, Math.min(...first.epochs.map(epoch => epoch.validationLoss)));
  assert.ok(best.validationAccuracy > 0.9, `${best.validationAccuracy}`);
  // The folded head sees raw features and must decide as the trained one did.
  const row = new Float32Array(8);
  const right = validation.labels.filter((label, i) => {
    validation.read(i, 0, row, 0);
    const logits = [0, 1, 2].map(
      k => first.bias[k]! + row.reduce((sum, x, j) => sum + x * first.weight[k * 8 + j]!, 0),
    );
    return logits.indexOf(Math.max(...logits)) === label;
  });
  assert.equal(right.length / validation.labels.length, best.validationAccuracy);
});

test('a rare class is not forgotten', async () => {
  const head = await drain(trainHead(makeClouds([200, 8], 3), makeClouds([50, 50], 4), 2, options));
  const { validationAccuracy } = head.epochs[head.bestEpoch - 1]!;
  assert.ok(validationAccuracy > 0.85, `${validationAccuracy}`);
  assert.deepEqual([...balanceClasses([0, 0, 0, 1], 2)], [4 / 6, 2]);
});

test('training stops when patience runs out', async () => {
  const head = await drain(
    trainHead(makeClouds([8, 8], 5), makeClouds([4, 4], 6), 2, { ...options, epochs: 400, lr: 1, patience: 5 }),
  );
  assert.equal(head.epochs.length, head.bestEpoch + 5);
});

test('features that are no numbers end in an error, not in a model', async () => {
  const broken: FeatureSet = {
    width: 2,
    labels: [0, 1, 0, 1],
    views: 1,
    read: (_p, _v, out, at) => out.fill(Number.NaN, at, at + 2),
  };
  await assert.rejects(drain(trainHead(broken, broken, 2, { ...options, epochs: 3 })), { code: 'diverged' });
});
