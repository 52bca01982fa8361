// The learning-rate finder: what it reads out of its trials, and when it ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findRate, readTrials } from '../../src/train/find-rate.ts';
import { defaultFineTuneOptions, type FineTunePhoto } from '../../src/train/fine-tune.ts';
import type { Trainer } from '../../src/train/trainer.ts';
import { drain } from '../support/reference.ts';

const photos: readonly FineTunePhoto[] = Array.from({ length: 20 }, (_, i) => ({
  label: i % 2,
  sample: () => ({ file: `${i}.jpg`, sha256: String(i), place: undefined, view: null }),
}));

/** A trainer whose loss is a function of the rate. */
function makeTrainer(lossOf: (rate: number) => number): { trainer: Trainer; rates: number[] } {
  const rates: number[] = [];
  const step: Trainer['step'] = async (rows, rate) => {
    rates.push(rate);
    const loss = lossOf(rate);
    return { loss, logits: new Float32Array(rows.length * 2), norm: Number.isFinite(loss) ? 1 : Number.NaN };
  };
  return { trainer: { step } as unknown as Trainer, rates };
}

const options = { ...defaultFineTuneOptions, batch: 8 };

test('the suggestion is a third of the rate with the lowest loss, the steepest is where the loss falls fastest', () => {
  const trials = [1e-4, 1e-3, 1e-2, 1e-1].map((rate, i) => ({ rate, loss: [1, 0.9, 0.3, 2][i]! }));
  assert.deepEqual(readTrials(trials), { steepest: 1e-2, suggestion: 1e-2 / 3 });
  const rising = trials.map((trial, i) => ({ ...trial, loss: 1 + i }));
  assert.deepEqual(readTrials(rising), { steepest: null, suggestion: 1e-4 / 3 });
});

test('rates rise from 1e-6 to 1, evenly over their logarithm', async () => {
  const { trainer, rates } = makeTrainer(() => 1);
  const found = await drain(findRate(trainer, photos, 2, options, 13));
  assert.equal(found.trials.length, 13);
  rates.forEach((rate, i) => {
    assert.ok(Math.abs(Math.log10(rate) - (i / 2 - 6)) < 1e-9, `${rate}`);
  });
  assert.ok(
    found.trials.every(({ loss }) => Math.abs(loss - 1) < 1e-9),
    'a steady loss is smoothed to itself',
  );
});

test('it ends when the loss breaks down or is no number', async () => {
  const broken = makeTrainer(rate => (rate > 1e-3 ? 100 : 1));
  const { trials } = await drain(findRate(broken.trainer, photos, 2, options, 60));
  assert.ok(trials.length < 60 && trials.at(-1)!.rate < 3e-3, `${trials.at(-1)!.rate}`);
  const endless = makeTrainer(rate => (rate > 1e-2 ? Number.NaN : 1));
  const last = (await drain(findRate(endless.trainer, photos, 2, options, 60))).trials.at(-1)!;
  assert.ok(last.rate <= 1e-2 && Number.isFinite(last.loss));
});
