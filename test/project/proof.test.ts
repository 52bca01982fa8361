// What a file may differ by from the trained model, at the edges of what is allowed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boundsOf, objectionTo, type ProofFigures } from '../../src/project/proof.ts';

const figures = (changes: Partial<ProofFigures>): ProofFigures => ({
  accuracy: 0.9,
  max_difference: 0,
  top_class_agreement: 1,
  images: 200,
  latency_ms: { median: 1, p95: 1 },
  ...changes,
});

test('float files are judged by their numbers: 1e-3 and 5e-3, and a class may change where two are that close', () => {
  for (const [precision, bound] of [
    ['float32', 1e-3],
    ['float16', 5e-3],
  ] as const) {
    const bounds = boundsOf(precision, 0.5);
    assert.equal(objectionTo(figures({ max_difference: bound, top_class_agreement: 0.99 }), bounds, 0.95), undefined);
    const said = objectionTo(figures({ max_difference: 2 * bound, top_class_agreement: 0.985 }), bounds, 0.9)!;
    assert.ok(said.startsWith(`a probability differs by ${(2 * bound).toExponential(1)} `), said);
    assert.ok(said.endsWith(`(${bound} is allowed), and the best class on 3 of 200 photos`), said);
  }
});

test('the other two are judged by their accuracy, which may fall by the drop that is allowed and not by more', () => {
  for (const precision of ['dynamic', 'int8'] as const) {
    const lose = (photos: number, drop: number) =>
      objectionTo(
        figures({ accuracy: (180 - photos) / 200, max_difference: 0.9 }),
        boundsOf(precision, drop / 100),
        180 / 200,
      );
    assert.equal(lose(0, 0), undefined);
    assert.equal(lose(-3, 0), undefined);
    for (let photos = 1; photos <= 20; photos++) assert.equal(lose(photos, photos / 2), undefined, `${photos} photos`);
    assert.equal(
      lose(3, 1),
      'it is right on 88.5 % of the 200 photos and the trained model on 90.0 %: 1.5 points less, and 1.0 are allowed',
    );
    assert.match(lose(1, 0)!, /0\.5 points less, and 0\.0 are allowed \(one photo is 0\.5 points\)$/);
  }
});

test('a file that gives NaN never passes', () => {
  for (const precision of ['float32', 'float16', 'dynamic', 'int8'] as const) {
    assert.match(objectionTo(figures({ max_difference: Number.NaN }), boundsOf(precision, 1), 0.9)!, /NaN/);
  }
});
