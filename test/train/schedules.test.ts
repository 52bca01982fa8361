// Learning-rate schedules against PyTorch's schedulers, step by step.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { rateAt, type ScheduleName, scheduleNames } from '../../src/train/schedules.ts';
import { largestDifference, readReference } from '../support/reference.ts';

interface Case {
  readonly schedule: ScheduleName;
  readonly steps: number;
  readonly warmup: number;
  readonly rates: readonly number[];
}

const { cases } = readReference<{ cases: readonly Case[] }>('schedules.json');
const ratesOf = (schedule: ScheduleName, steps: number, warmup: number) =>
  Array.from({ length: steps }, (_, step) => rateAt(schedule, step, steps, warmup));

for (const { schedule, steps, warmup, rates } of cases) {
  test(`${schedule} over ${steps} steps, ${warmup} of them warm-up, as PyTorch`, () => {
    const found = ratesOf(schedule, steps, warmup);
    assert.ok(largestDifference(found, rates) < 1e-9, `${found}\n${rates}`);
  });
}

test('every schedule is among the cases, stays within its peak, and warm-up reaches into no other run', () => {
  assert.deepEqual([...new Set(cases.map(({ schedule }) => schedule))].sort(), [...scheduleNames].sort());
  for (const schedule of scheduleNames) {
    for (const [steps, warmup] of [
      [1, 0],
      [1, 5],
      [2, 1],
      [7, 100],
      [1000, 3],
    ] as const) {
      for (const rate of ratesOf(schedule, steps, warmup)) assert.ok(rate > 0 && rate <= 1, `${schedule} ${rate}`);
    }
  }
});
