// The loop of fine-tuning over a trainer of two numbers: what it asks for, what it keeps, how it stops, and that it goes on
// exactly from every state that it saves.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GraftError } from '../../src/base/errors.ts';
import {
  defaultFineTuneOptions,
  type FineTuneJob,
  type FineTuneOptions,
  type FineTunePhoto,
  type FineTuneState,
  fineTune,
  scoreLogits,
} from '../../src/train/fine-tune.ts';
import type { OptimiserState } from '../../src/train/optimiser.ts';
import { rateAt } from '../../src/train/schedules.ts';
import type { StepResult, Trainer, TrainRow } from '../../src/train/trainer.ts';
import { drain } from '../support/reference.ts';

const classes = 2;
const photos = (count: number, name: string): FineTunePhoto[] =>
  Array.from({ length: count }, (_, i) => ({
    label: i % classes,
    sample: epoch => ({ file: `${name}-${i}`, sha256: '', place: undefined, view: epoch === 0 ? null : [epoch] }),
  }));
const options: FineTuneOptions = {
  ...defaultFineTuneOptions,
  epochs: 4,
  batch: 3,
  lr: 0.5,
  warmup: 0.5,
  schedule: 'cosine',
  averageDecay: 0.5,
  patience: 100,
};
const stepsPerEpoch = 4;

interface Call {
  readonly rows: readonly TrainRow[];
  readonly rate: number;
  readonly ahead: readonly TrainRow[] | undefined;
}

/**
 * Two parameters that every step moves by what depends on the rows, the rate and the moment: training that goes on with
 * anything else than before ends elsewhere. `scores` gives the logit of the right class per evaluation, if it is not they.
 */
function makeTrainer(scores?: readonly number[], breaksAt?: number) {
  const calls: Call[] = [];
  let state: Record<string, Float32Array> = { parameter: Float32Array.of(1, 2), average: Float32Array.of(1, 2) };
  state.first = Float32Array.of(0, 0);
  let [steps, evaluations] = [0, 0];
  const trainer: Trainer = {
    spans: [{ name: 'both', shape: [2], start: 0 }],
    optimiser: {
      steps: () => steps,
      state: () => state as OptimiserState,
      restore(saved, taken) {
        state = structuredClone(saved) as Record<string, Float32Array>;
        steps = taken;
      },
      step: () => assert.fail('The loop steps through the trainer.'),
      close: async () => {},
    },
    async step(rows, rate, ahead): Promise<StepResult> {
      calls.push({ rows, rate, ahead });
      if (steps + 1 === breaksAt)
        return { loss: Number.NaN, logits: new Float32Array(rows.length * classes), norm: Number.NaN };
      steps++;
      const { parameter, average, first } = state as Record<'parameter' | 'average' | 'first', Float32Array>;
      const pull = rows.reduce(
        (sum, { sample, target }) => sum + sample.file.length * target[0]! + Number(sample.view![0]),
        0,
      );
      state = {
        first: first.map(value => 0.9 * value + Math.sin(pull)),
        parameter: parameter.map((value, i) => value - rate * first[i]! + 0.01 * pull),
        average: average.map((value, i) => (value + parameter[i]!) / 2),
      };
      return { loss: parameter[0]! ** 2, logits: new Float32Array(rows.length * classes), norm: 1 };
    },
    async classify(samples, average) {
      assert.ok(samples.every(({ view }) => view === null));
      const values = state[average ? 'average' : 'parameter']!;
      const score = scores?.[evaluations++] ?? Math.sin(values[0]!);
      return Float32Array.from({ length: samples.length * classes }, (_, i) => {
        const [photo, name] = [Math.floor(i / classes), i % classes];
        return name === photo % classes ? score : values[1]! / 100;
      });
    },
    close: async () => {},
  };
  return { trainer, calls };
}

interface Saved {
  readonly state: FineTuneState;
  readonly improved: boolean;
}

function makeJob(trainer: Trainer, change: Partial<FineTuneOptions> = {}, resume?: FineTuneState) {
  const saved: Saved[] = [];
  const job: FineTuneJob = {
    trainer,
    train: photos(11, 'train'),
    validation: photos(4, 'validation'),
    classes,
    options: { ...options, ...change },
    resume,
    save: async (state, improved) => {
      saved.push(structuredClone({ state, improved }));
    },
    saveDue: () => true,
  };
  return { job, saved };
}

test('every epoch shows each photo once, in an order of its own, at the rate of the schedule', async () => {
  const { trainer, calls } = makeTrainer();
  const { job } = makeJob(trainer);
  const { records } = await drain(fineTune(job));
  assert.equal(calls.length, 4 * stepsPerEpoch);
  const orders = [0, 1, 2, 3].map(epoch => {
    const rows = calls.slice(epoch * stepsPerEpoch, (epoch + 1) * stepsPerEpoch).flatMap(call => call.rows);
    assert.ok(rows.every(({ sample }) => sample.view![0] === epoch + 1));
    for (const { sample, target } of rows) {
      const label = Number(sample.file.split('-')[1]) % classes;
      assert.deepEqual(target, Float32Array.of(1 - label, label));
    }
    return rows.map(({ sample }) => sample.file);
  });
  for (const order of orders)
    assert.deepEqual(
      [...order].sort(),
      photos(11, 'train')
        .map(p => p.sample(1).file)
        .sort(),
    );
  assert.equal(new Set(orders.map(String)).size, 4);
  calls.forEach(({ rate, ahead }, step) => {
    assert.equal(rate, 0.5 * rateAt('cosine', step, 16, 2));
    // The last step of an epoch cannot know the next one's: that there is one is not decided yet.
    assert.deepEqual(ahead, step % stepsPerEpoch === 3 ? undefined : calls[step + 1]!.rows);
  });
  assert.deepEqual(
    records.map(({ epoch, learningRate }) => [epoch, learningRate]),
    [3, 7, 11, 15].map((step, i) => [i + 1, calls[step]!.rate]),
  );
});

test('from every state that was saved, training goes on to the same end', async () => {
  for (const change of [{}, { mixup: 0.4 }, { averageDecay: 0 }, { schedule: 'one-cycle', patience: 2 }] as const) {
    const { job, saved } = makeJob(makeTrainer().trainer, change);
    const wanted = await drain(fineTune(job));
    assert.ok(saved.length >= 1 + 3 * (stepsPerEpoch + 1), 'a start, every step and every epoch');
    for (const [i, { state }] of saved.entries()) {
      // As it comes back from a file: the best parameters may be those of an epoch that training comes to again.
      const resumed = makeJob(makeTrainer().trainer, change, structuredClone(state));
      assert.deepEqual(await drain(fineTune(resumed.job)), wanted, `from state ${i}`);
      assert.deepEqual(resumed.saved, saved.slice(i + 1), `from state ${i}`);
    }
  }
});

test('who stops listening gets the step that was reached saved, and nothing is saved twice over', async () => {
  const { trainer } = makeTrainer();
  const { job, saved } = makeJob(trainer);
  for await (const event of fineTune({ ...job, saveDue: () => false })) {
    assert.equal(event.type, 'progress');
    break;
  }
  assert.deepEqual(
    saved.map(({ state: { epoch, step }, improved }) => [epoch, step, improved]),
    [
      [1, 0, true],
      [1, 1, false],
    ],
  );
  const wanted = makeJob(makeTrainer().trainer);
  const rest = makeJob(makeTrainer().trainer, {}, saved.at(-1)!.state);
  assert.deepEqual(await drain(fineTune(rest.job)), await drain(fineTune(wanted.job)));
  const quiet = makeJob(makeTrainer().trainer);
  await drain(fineTune({ ...quiet.job, saveDue: () => false }));
  assert.equal(quiet.saved.length, 5, 'without a reason only the start and the epochs');
});

test('the parameters of the best epoch are kept, and patience ends training', async () => {
  // Validation is wrong at the start, right from epoch 1 on, surest in epoch 2.
  const { trainer } = makeTrainer([-1, 1, 5, 2, 2, 2, 2]);
  const { job, saved } = makeJob(trainer, { epochs: 9, patience: 3, averageDecay: 0 });
  const { best, records, parameters } = await drain(fineTune(job));
  assert.deepEqual([best.epoch, best.validationAccuracy, records.length], [2, 1, 5]);
  assert.equal(best.validationLoss, records[1]!.validationLoss);
  const epochs = saved.filter(({ state }) => state.step === 0);
  assert.deepEqual(
    epochs.map(({ improved }) => improved),
    [true, true, true, false, false, false],
  );
  assert.deepEqual(parameters, epochs[2]!.state.vectors.parameter);
  assert.deepEqual(epochs.at(-1)!.state.bestParameters, parameters);
});

test('where no epoch is better, the start is kept', async () => {
  const { trainer } = makeTrainer([5, 1, 1, 1, 1]);
  const { best, parameters } = await drain(fineTune(makeJob(trainer).job));
  assert.equal(best.epoch, 0);
  assert.deepEqual(parameters, Float32Array.of(1, 2));
});

test('a loss that is no number stops training and names step, epoch and a smaller rate', async () => {
  const { trainer } = makeTrainer(undefined, 2 * stepsPerEpoch + 3);
  const { job, saved } = makeJob(trainer, { lr: 0.003 });
  await assert.rejects(drain(fineTune(job)), (error: GraftError) => {
    assert.equal(error.code, 'diverged');
    assert.match(error.message, /diverged in step 3 of epoch 3: .*learning rate 0\.003/);
    assert.match(error.hint!, /smaller --fine-tune-lr, for example 0\.0003\./);
    return true;
  });
  assert.deepEqual(
    [saved.at(-1)!.state.epoch, saved.at(-1)!.state.step],
    [3, 2],
    'the last good step is what was saved',
  );
});

test('validation that is no number stops training before anything is kept', async () => {
  const { trainer } = makeTrainer([0, 1, Number.NaN]);
  const { job, saved } = makeJob(trainer);
  await assert.rejects(drain(fineTune(job)), { code: 'diverged', message: /in step 4 of epoch 2/ });
  assert.equal(saved.at(-1)!.state.best.epoch, 1);
});

test('mixup blends each photo with another by shares that add up', async () => {
  const { trainer, calls } = makeTrainer();
  await drain(fineTune(makeJob(trainer, { mixup: 0.4 }).job));
  const parts: number[] = [];
  for (const { sample, target } of calls.flatMap(call => call.rows)) {
    const { part, with: other } = sample.blend!;
    const wanted = new Float32Array(classes);
    const label = (file: string) => Number(file.split('-')[1]) % classes;
    wanted[label(sample.file)]! += part;
    wanted[label(other.file)]! += 1 - part;
    assert.deepEqual(target, wanted);
    assert.deepEqual(other.view, sample.view);
    parts.push(part);
  }
  assert.ok(parts.every(part => part >= 0 && part <= 1));
  // Beta(0.4, 0.4) is symmetric, and mostly near its ends: half of it lies within 0.11 of them.
  const near = parts.filter(part => part < 0.11 || part > 0.89).length / parts.length;
  assert.ok(near > 0.3 && near < 0.7, `${near}`);
});

test('scores: cross-entropy in nats and how many labels are on top', () => {
  const { lossSum, correct } = scoreLogits(Float32Array.of(0, Math.log(3), 200, -200), [1, 1]);
  assert.equal(correct, 1);
  assert.ok(Math.abs(lossSum - (Math.log(4 / 3) + 400)) < 1e-6, `${lossSum}`);
});
