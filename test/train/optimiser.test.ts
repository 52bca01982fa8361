// Optimisers in the engine against PyTorch's steps: rates and decays by group, clipping, the average; and going on exactly.
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { type OptimiserName, optimiserNames } from '../../src/autodiff/optimisers.ts';
import { makeRng } from '../../src/base/rng.ts';
import { type OptimiserOptions, openOptimiser } from '../../src/train/optimiser.ts';
import { assertClose, readReference } from '../support/reference.ts';

interface Reference {
  readonly groups: readonly { rate: number; decay: number }[];
  readonly averageDecay: number;
  readonly start: readonly number[][];
  readonly rates: readonly number[];
  readonly gradients: readonly number[][][];
  readonly cases: readonly {
    readonly optimiser: OptimiserName;
    readonly clipNorm: number | null;
    readonly steps: readonly { norm: number; parameters: number[]; average: number[] }[];
  }[];
}

const reference = readReference<Reference>('optimisers.json');
const width = reference.start[0]!.length;
const count = reference.groups.length * width;

/** Where the parameters lie in a vector of many: the optimiser works on pieces of it, and the norm is that of all. */
const spread = {
  length: 100_003,
  places: Array.from({ length: count }, (_, i) => Math.floor((i * 100_002) / (count - 1))),
};
const dense = { length: count, places: Array.from({ length: count }, (_, i) => i) };

async function open(test: TestContext, options: OptimiserOptions, start: Float32Array) {
  const optimiser = await openOptimiser(options, start);
  test.after(() => optimiser.close());
  return optimiser;
}

for (const { optimiser: name, clipNorm, steps } of reference.cases) {
  for (const [layout, { length, places }] of Object.entries({ dense, spread })) {
    test(`${name}, clipped to ${clipNorm ?? 'nothing'}, ${layout}: steps as PyTorch's`, async t => {
      const scatter = (values: readonly number[]) => {
        const wide = new Float32Array(length);
        places.forEach((place, i) => {
          wide[place] = values[i]!;
        });
        return wide;
      };
      const perGroup = (key: 'rate' | 'decay') =>
        scatter(reference.groups.flatMap(group => new Array<number>(width).fill(group[key])));
      const optimiser = await open(
        t,
        {
          name,
          length,
          rates: perGroup('rate'),
          decays: perGroup('decay'),
          clipNorm: clipNorm ?? Number.POSITIVE_INFINITY,
          averageDecay: reference.averageDecay,
        },
        scatter(reference.start.flat()),
      );
      for (const [i, wanted] of steps.entries()) {
        const norm = await optimiser.step(scatter(reference.gradients[i]!.flat()), reference.rates[i]!);
        const { parameter, average } = optimiser.state();
        const gather = (values: Float32Array) => places.map(place => values[place]!);
        assertClose([norm], [wanted.norm], 1e-6, `norm of step ${i + 1}`);
        assertClose(gather(parameter!), wanted.parameters, 3e-6, `parameters after step ${i + 1}`);
        assertClose(gather(average!), wanted.average, 3e-6, `average after step ${i + 1}`);
        assert.equal(optimiser.steps(), i + 1);
        // What lies between the parameters is zero and stays so.
        assert.equal(parameter!.filter(value => value !== 0).length, count);
      }
    });
  }
}

/** An optimiser of a made-up problem over two pieces, and its gradients. */
function makeProblem(name: OptimiserName) {
  const length = 40_000;
  const rng = makeRng(3, name);
  const draw = () => Float32Array.from({ length }, () => rng.normal());
  const start = draw();
  const gradients = Array.from({ length: 6 }, draw);
  const rates = Float32Array.from({ length }, (_, i) => (i % 3) / 2);
  const decays = Float32Array.from({ length }, (_, i) => (i % 2) / 100);
  return { start, gradients, options: { name, length, rates, decays, clipNorm: 100, averageDecay: 0.9 } };
}

for (const name of optimiserNames) {
  test(`${name} goes on exactly from a saved state`, async t => {
    const { start, gradients, options } = makeProblem(name);
    const whole = await open(t, options, start);
    for (const [i, gradient] of gradients.entries()) await whole.step(gradient, 0.01 * (i + 1));

    const first = await open(t, options, start);
    for (const [i, gradient] of gradients.slice(0, 3).entries()) await first.step(gradient, 0.01 * (i + 1));
    const saved = Object.fromEntries(Object.entries(first.state()).map(([key, values]) => [key, values.slice()]));
    const second = await open(t, options, new Float32Array(options.length));
    second.restore(saved, first.steps());
    assert.equal(second.steps(), 3);
    for (const [i, gradient] of gradients.slice(3).entries()) await second.step(gradient, 0.01 * (i + 4));
    assert.deepEqual(second.state(), whole.state());
  });

  test(`${name} takes no step down a gradient that is no number`, async t => {
    const { start, gradients, options } = makeProblem(name);
    const optimiser = await open(t, options, start);
    await optimiser.step(gradients[0]!, 0.01);
    const before = Object.fromEntries(Object.entries(optimiser.state()).map(([key, values]) => [key, values.slice()]));
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 3e38]) {
      const gradient = gradients[1]!.slice();
      gradient[options.length - 1] = bad;
      const norm = await optimiser.step(gradient, 0.01);
      assert.equal(Number.isFinite(norm), false, `${bad} gives the norm ${norm}`);
      assert.equal(optimiser.steps(), 1);
      assert.deepEqual(optimiser.state(), before);
    }
    const norm = await optimiser.step(gradients[1]!, 0.01);
    assert.ok(Number.isFinite(norm));
    assert.notDeepEqual(optimiser.state(), before);
  });
}

test('an average that does not look back is the parameters themselves', async t => {
  const { start, gradients, options } = makeProblem('sgd');
  const optimiser = await open(t, { ...options, averageDecay: 0 }, start);
  assert.deepEqual(optimiser.state().average, start);
  await optimiser.step(gradients[0]!, 0.01);
  const { parameter, average } = optimiser.state();
  assertClose(average!, parameter!, 1e-6, 'average');
});
