// The walk that puts gradients together: sums, paths, what is wanted and what is left out, and what it refuses.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differentiate } from '../../src/autodiff/differentiate.ts';
import { liftConstants } from '../../src/autodiff/lift-constants.ts';
import { openSession } from '../../src/engine/session.ts';
import { type Emitter, emptyGraph, startEmitter } from '../../src/onnx/emitter.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import { assertClose } from '../support/reference.ts';

/** A graph with the input x [2, 3]. */
function start(): { readonly g: Emitter; readonly x: string } {
  const g = startEmitter(emptyGraph('walk'));
  return { g, x: g.input({ name: 'x', dtype: 'float32', shape: [2, 3] }) };
}

const sum = (g: Emitter, value: string) =>
  g.reduceSum(
    value,
    g.shapeOf(value).map((_, axis) => axis),
    0,
  );
const mul = (g: Emitter, a: string, b: string) => g.emit('Mul', [a, b], {});

const X = [1, -2, 3, 0.5, 4, -1];

/** Values of the graph for x = X. */
async function evaluate(g: Emitter, values: readonly string[]): Promise<Float32Array[]> {
  const outputs = values.map(name => ({ name, dtype: 'float32', shape: g.shapeOf(name) }) as const);
  const session = await openSession(writeOnnx(g.build(outputs)), { threads: 1 });
  const found = await session.run({ x: float32([2, 3], X) });
  await session.close();
  return values.map(name => found[name]!.data as Float32Array);
}

test('the gradients of all uses of a value are summed, whole and broadcast ones', async () => {
  const { g, x } = start();
  // x^3 + mean of each row * x + x: 3 x^2 + (mean + x summed over the row / 3) + 1
  const square = mul(g, x, x);
  const mean = g.emit('ReduceMean', [x], { axes: [1], keepdims: 1 });
  const y = g.emit('Add', [g.emit('Add', [mul(g, square, x), mul(g, mean, x)], {}), x], {});
  const [dx] = differentiate(g, sum(g, y), [x]) as [string];
  const [found] = (await evaluate(g, [dx])) as [Float32Array];
  const means = [2 / 3, 3.5 / 3];
  assertClose(
    found,
    X.map((value, i) => 3 * value ** 2 + 2 * means[Math.floor(i / 3)]! + 1),
    1e-6,
    'dx',
  );
});

test('an input that is used twice by one node gets both gradients', async () => {
  const { g, x } = start();
  const [dx] = differentiate(g, sum(g, mul(g, x, x)), [x]) as [string];
  const [found] = (await evaluate(g, [dx])) as [Float32Array];
  assert.deepEqual(
    [...found],
    X.map(value => 2 * value),
  );
});

test('a wanted value on the way to another one cuts nothing off', async () => {
  const { g, x } = start();
  const square = mul(g, x, x);
  const loss = sum(g, mul(g, square, g.scalar(3)));
  const gradients = differentiate(g, loss, [square, x, loss, x]);
  const [dSquare, dx, dLoss, again] = (await evaluate(g, gradients.slice(0, 3))) as Float32Array[];
  assert.deepEqual([...dSquare!], new Array(6).fill(3));
  assert.deepEqual(
    [...dx!],
    X.map(value => 6 * value),
  );
  assert.deepEqual([...dLoss!], [1]);
  assert.equal(again, undefined);
  assert.equal(gradients[3], gradients[1]);
});

test('a loss of any shape with one element will do', async () => {
  for (const shape of [[], [1], [1, 1, 1]]) {
    const { g, x } = start();
    const loss = g.reshape(sum(g, mul(g, x, g.scalar(2))), shape);
    const [dx] = differentiate(g, loss, [x]) as [string];
    const [found] = (await evaluate(g, [dx])) as [Float32Array];
    assert.deepEqual([...found], new Array(6).fill(2));
  }
});

test('what is wanted from nobody costs nothing, and needs no gradient', () => {
  const { g, x } = start();
  const weight = g.constant(float32([3], [1, 2, 3]));
  // Sign has no gradient, but nothing wanted is behind it.
  const signs = g.emit('Sign', [x], {});
  const loss = sum(g, mul(g, signs, weight));
  const before = g.nodes().length;
  differentiate(g, loss, [weight]);
  const products = g.nodes().filter(({ op }, i) => i >= before && op === 'Mul');
  assert.equal(products.length, 1);
});

test('a loss that is not one number is refused', () => {
  const { g, x } = start();
  assert.throws(() => differentiate(g, x, [x]), {
    name: 'RangeError',
    message: 'x has the shape [2,3]; a loss is one number.',
  });
});

test('a loss that does not depend on what is wanted is refused', () => {
  const { g, x } = start();
  const other = g.input({ name: 'other', dtype: 'float32', shape: [2, 3] });
  const loss = sum(g, mul(g, x, x));
  assert.throws(() => differentiate(g, loss, [x, other]), {
    name: 'RangeError',
    message: `${loss} does not depend on other.`,
  });
});

test('an op without gradient is refused with its name, its node and the reason', () => {
  const sign = start();
  sign.g.append({ op: 'Sign', name: 'which side', inputs: ['x'], outputs: ['side'], attributes: {} });
  const loss = sum(sign.g, mul(sign.g, 'side', 'x'));
  assert.throws(() => differentiate(sign.g, loss, ['x']), {
    name: 'RangeError',
    message: 'Sign which side cannot be differentiated: it is zero wherever it is defined.',
  });
});

test('settings that have no gradient are refused with the node', () => {
  const refuses = (pattern: RegExp, body: (g: Emitter, x: string) => string) => {
    const { g, x } = start();
    const y = body(g, x);
    assert.throws(() => differentiate(g, sum(g, y), [x]), { name: 'RangeError', message: pattern });
  };
  refuses(/^Cast v\.\d+ cannot be differentiated: it rounds to int64\.$/, (g, x) =>
    g.emit('Cast', [g.emit('Cast', [x], { to: 'int64' })], { to: 'float32' }),
  );
  refuses(/^Max v\.\d+ has 3 inputs, not 2\.$/, (g, x) => g.emit('Max', [x, x, x], {}));
  const window = { kernel_shape: [1, 2], strides: [1, 1], pads: [0, 0, 0, 0], count_include_pad: 0 } as const;
  refuses(/^AveragePool v\.\d+ has dilations, for which there is no gradient\.$/, (g, x) =>
    g.emit('AveragePool', [g.reshape(x, [1, 1, 2, 3])], { ...window, dilations: [1, 2] }),
  );
  refuses(/^Clip v\.\d+ has bounds that are computed\.$/, (g, x) => g.emit('Clip', [x, mul(g, x, x)], {}));
  const resize = { mode: 'linear', coordinate_transformation_mode: 'half_pixel', nearest_mode: 'floor' } as const;
  refuses(/^Resize v\.\d+ changes \[2,3\] to \[4,3\]; only height and width may change\.$/, (g, x) =>
    g.emit('Resize', [x, '', '', g.ints([4, 3])], resize),
  );
});

test('constants that are lifted become inputs behind the others, in the order of their names', () => {
  const { g, x } = start();
  const [a, b] = [g.constant(float32([3], [1, 2, 3])), g.constant(float32([], [4]))];
  const graph = g.build([{ name: g.emit('Add', [mul(g, x, a), b], {}), dtype: 'float32', shape: [2, 3] }]);
  const lifted = liftConstants(graph, [b, a]);
  assert.deepEqual(lifted.inputs, [
    { name: x, dtype: 'float32', shape: [2, 3] },
    { name: b, dtype: 'float32', shape: [] },
    { name: a, dtype: 'float32', shape: [3] },
  ]);
  assert.equal(lifted.constants.size, 0);
  assert.equal(graph.constants.size, 2);
  assert.throws(() => liftConstants(graph, ['gamma']), {
    name: 'RangeError',
    message: 'The graph walk has no constant gamma.',
  });
});
