// Seeded streams: the same everywhere, independent of each other, and even.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeRng } from '../../src/base/rng.ts';

const draw = (rng: { next(): number }, n: number) => Array.from({ length: n }, () => rng.next());

test('equal seeds and labels give equal streams, others do not', () => {
  assert.deepEqual(draw(makeRng(1, 'a'), 5), draw(makeRng(1, 'a'), 5));
  assert.notDeepEqual(draw(makeRng(1, 'a'), 5), draw(makeRng(2, 'a'), 5));
  assert.notDeepEqual(draw(makeRng(1, 'a'), 5), draw(makeRng(1, 'b'), 5));
});

test('fill is the same as next, several times as fast', () => {
  const [one, other] = [makeRng(3), makeRng(3)];
  const words = new Uint32Array(8);
  one.fill(words);
  assert.deepEqual(
    Array.from(words, word => word / 2 ** 32),
    draw(other, 8),
  );
  assert.equal(one.next(), other.next());
});

test('uniform, int, normal and shuffle have the moments they should', () => {
  const rng = makeRng(4);
  const n = 20_000;
  const mean = (values: number[]) => values.reduce((sum, v) => sum + v, 0) / values.length;
  assert.ok(Math.abs(mean(draw(rng, n)) - 0.5) < 0.01);
  const normals = Array.from({ length: n }, () => rng.normal());
  assert.ok(Math.abs(mean(normals)) < 0.03);
  assert.ok(Math.abs(mean(normals.map(v => v * v)) - 1) < 0.05);
  const counts = [0, 0, 0];
  for (let i = 0; i < n; i++) counts[rng.int(3)]!++;
  for (const count of counts) assert.ok(Math.abs(count / n - 1 / 3) < 0.02);
  const firsts = Array.from({ length: 3000 }, () => rng.shuffle([0, 1, 2])[0]);
  for (const k of [0, 1, 2]) assert.ok(Math.abs(firsts.filter(first => first === k).length / 3000 - 1 / 3) < 0.04);
  assert.throws(() => rng.pick([]), RangeError);
});
