// The worker pool: every question gets its answer, errors come through, and leaving early ends the threads.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraftError } from '../../src/base/errors.ts';
import { type Answered, mapInWorkers, startPool } from '../../src/base/worker-pool.ts';

const module = new URL('../support/doubling-worker.ts', import.meta.url);
const ask = (factor: number, questions: readonly number[], workers: number) =>
  mapInWorkers<number, number, number>(module, factor, questions, workers);

async function collect(answers: AsyncIterable<Answered<number>>): Promise<number[]> {
  const list: number[] = [];
  for await (const { index, answer } of answers) {
    assert.equal(list[index], undefined);
    list[index] = answer;
  }
  return list;
}

test('every question gets its answer once, whatever the number of threads', async () => {
  const questions = Array.from({ length: 12 }, (_, i) => i);
  const wanted = questions.map(value => value * 2);
  for (const workers of [1, 3]) assert.deepEqual(await collect(ask(2, questions, workers)), wanted);
  assert.deepEqual(await collect(ask(2, [], 2)), []);
});

test('answers come as they are ready: a slow one holds nobody up', async () => {
  const order: number[] = [];
  for await (const { answer } of ask(1, [1, 2, 3, 4, 5, 6], 2)) order.push(answer);
  assert.notEqual(order[0], 1);
  assert.deepEqual([...order].sort(), [1, 2, 3, 4, 5, 6]);
});

test('errors come through: of the setup, of a question, of a thread that dies', async () => {
  await assert.rejects(
    collect(ask(-1, [1, 2], 2)),
    (error: unknown) =>
      error instanceof GraftError && error.code === 'bad-model' && error.hint === 'Give a positive one.',
  );
  await assert.rejects(collect(ask(1, [2, 13, 3], 2)), /13 is not to be had/);
  await assert.rejects(collect(ask(1, [99], 1)), /worker thread ended with status 3/);
});

test('a pool answers several lists; leaving early and closing end it', async () => {
  const pool = startPool<number, number, number>(module, 2);
  pool.equip(3);
  assert.deepEqual(await collect(pool.map([1, 2])), [3, 6]);
  assert.deepEqual(await collect(pool.map([5])), [15]);
  for await (const { answer } of pool.map([7, 8, 9, 10])) {
    assert.ok(answer >= 21);
    break;
  }
  await pool.close();
});
