// Every row of the table of gradients against PyTorch's numbers and against central differences of the engine's own
// forward pass: forward first, gradient second.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differentiate } from '../../src/autodiff/differentiate.ts';
import { gradients } from '../../src/autodiff/gradients.ts';
import { openSession, type Session } from '../../src/engine/session.ts';
import { type Emitter, emptyGraph, startEmitter } from '../../src/onnx/emitter.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, sizeOf, type Tensor } from '../../src/tensor/tensor.ts';
import { appendLoss, buildCase, type GradientCase, gradientCases } from '../support/gradient-cases.ts';
import { assertClose, largestNumber } from '../support/reference.ts';

/** Of the largest number that is compared. */
const TOLERANCE = 1e-5;
/** The engine computes in float32, and a difference of two of its numbers has few digits left. */
const DIFFERENCE_TOLERANCE = 2e-3;
const STEP = 1e-2;

type Feeds = Readonly<Record<string, Tensor<'float32'>>>;

function open(g: Emitter, outputs: readonly string[]): Promise<Session> {
  const infos = outputs.map(name => ({ name, dtype: 'float32', shape: g.shapeOf(name) }) as const);
  return openSession(writeOnnx(g.build(infos)), { threads: 1 });
}

/** The gradients of sum(y * seed), by input. */
async function computeGradients(
  { g, y, feeds }: ReturnType<typeof buildCase>,
  seed: Tensor<'float32'>,
): Promise<Feeds> {
  const loss = appendLoss(g, y, seed.shape);
  const wanted = Object.keys(feeds);
  const together = differentiate(g, loss, wanted);
  const alone = wanted.map(name => differentiate(g, loss, [name])[0]!);
  const session = await open(g, [...new Set([...together, ...alone])]);
  const found = (await session.run({ ...feeds, seed })) as Feeds;
  await session.close();
  return Object.fromEntries(
    wanted.map((name, i) => {
      const [gradient, other] = [found[together[i]!]!, found[alone[i]!]!];
      assert.deepEqual(gradient.shape, feeds[name]!.shape);
      assertClose(other.data, gradient.data, TOLERANCE, `wanted alone, the gradient of ${name}`);
      return [name, gradient];
    }),
  );
}

/** Central differences of sum(y * seed), element by element. */
async function differences(session: Session, y: string, feeds: Feeds, name: string, seed: readonly number[]) {
  const { data, shape } = feeds[name]!;
  const moved = float32(shape, data.slice());
  const lossAt = async (i: number, x: number) => {
    moved.data[i] = x;
    const { data: out } = (await session.run({ ...feeds, [name]: moved }))[y] as Tensor<'float32'>;
    return seed.reduce((sum, weight, j) => sum + weight * out[j]!, 0);
  };
  const slopes = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const [right, left] = [data[i]! + STEP, data[i]! - STEP].map(Math.fround) as [number, number];
    slopes[i] = ((await lossAt(i, right)) - (await lossAt(i, left))) / (right - left);
    moved.data[i] = data[i]!;
  }
  return float32(shape, slopes);
}

/** A seed that is the same along all axes but the first, in full and as it broadcasts. */
function makeRowSeed(shape: readonly number[]): { readonly full: Tensor<'float32'>; readonly row: Tensor<'float32'> } {
  const row = float32(
    shape.map((dim, axis) => (axis === 0 ? dim : 1)),
    Float32Array.from({ length: shape[0] ?? 1 }, (_, i) => 1 - 0.3 * i),
  );
  const repeated = sizeOf(shape) / row.data.length;
  const full = Float32Array.from({ length: sizeOf(shape) }, (_, i) => row.data[Math.floor(i / repeated)]!);
  return { full: float32(shape, full), row };
}

async function check(problem: GradientCase): Promise<void> {
  const { y, feeds, g } = buildCase(problem);
  const { shape, data } = problem.output;
  const forward = await open(g, [y]);
  const out = (await forward.run(feeds))[y] as Tensor<'float32'>;
  assert.deepEqual(out.shape, shape);
  assertClose(out.data, data, TOLERANCE, 'the output');
  const found = await computeGradients(buildCase(problem), float32(shape, problem.seed));
  for (const [name, gradient] of Object.entries(found)) {
    const reference = problem.gradients[Number(name.slice(1))]!;
    assert.ok(largestNumber(reference) > 0.01, `the gradient of ${name} is all zero, which proves nothing`);
    assertClose(gradient.data, reference, TOLERANCE, `the gradient of ${name}`);
    const slopes = await differences(forward, y, feeds, name, problem.seed);
    assertClose(slopes.data, gradient.data, DIFFERENCE_TOLERANCE, `the difference of ${name}`);
  }
  await forward.close();
  // A gradient that is the same along an axis is passed on small; that must change nothing.
  const seeds = makeRowSeed(shape);
  const [full, small] = [
    await computeGradients(buildCase(problem), seeds.full),
    await computeGradients(buildCase(problem), seeds.row),
  ];
  for (const name of Object.keys(full)) {
    assertClose(small[name]!.data, full[name]!.data, TOLERANCE, `with a small seed the gradient of ${name}`);
  }
}

const ops = new Set(gradientCases.map(({ op }) => op));

for (const op of ops) {
  test(`${op}: output and gradients equal PyTorch's, and its differences`, async () => {
    for (const problem of gradientCases.filter(candidate => candidate.op === op)) {
      await check(problem).catch(error => {
        throw new Error(`${problem.title}: ${error.message}`, { cause: error });
      });
    }
  });
}

test('every row has cases, or a reason why it has no gradient', () => {
  for (const [op, row] of Object.entries(gradients)) {
    if ('none' in row) assert.ok(row.none.length > 0, op);
    // Blocked convolutions have a test of their own: test/engine/block-channels.test.ts.
    else if (!op.startsWith('nchwc.')) assert.ok(ops.has(op as GradientCase['op']), `${op} has no case`);
  }
});

test('at a kink the gradient is that of the flat side', async () => {
  const slopeAt = async (op: 'Abs' | 'Relu' | 'HardSwish' | 'HardSigmoid' | 'Clip', x: number): Promise<number> => {
    const g = startEmitter(emptyGraph('kink'));
    const input = g.input({ name: 'x', dtype: 'float32', shape: [] });
    const y =
      op === 'HardSigmoid'
        ? g.emit(op, [input], { alpha: 1 / 6, beta: 0.5 })
        : g.emit(op, op === 'Clip' ? [input, g.scalar(-1), g.scalar(1)] : [input], {});
    const [dx] = differentiate(g, y, [input]) as [string];
    const session = await open(g, [dx]);
    const slope = (await session.run({ x: float32([], [x]) }))[dx]!.data[0] as number;
    await session.close();
    return slope;
  };
  assert.equal(await slopeAt('Abs', 0), 0);
  assert.equal(await slopeAt('Relu', 0), 0);
  assert.equal(await slopeAt('Clip', -1), 0);
  assert.equal(await slopeAt('Clip', 1), 0);
  assert.equal(await slopeAt('HardSigmoid', -3), 0);
  assert.equal(await slopeAt('HardSigmoid', 3), 0);
  assert.equal(await slopeAt('HardSwish', -3), 0);
  assert.equal(await slopeAt('HardSwish', 3), 1);
  // And just beside it, that of the slope.
  assert.equal(await slopeAt('Relu', 1e-30), 1);
  assert.equal(await slopeAt('Clip', 1 - 2 ** -24), 1);
  assert.ok(Math.abs((await slopeAt('HardSwish', 3 - 2 ** -22)) - 1.5) < 1e-5);
});

test('x * sigmoid(x) has the slope of the function, whichever comes first and whoever else reads the gate', async () => {
  const points = [-20, -6, -2.5, -1.278, -0.5, 0, 0.3, 1, 4, 15];
  const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
  // Central differences in double precision: of x s(x), and of x s(x) + s(x).
  const slope = (f: (x: number) => number, x: number) => (f(x + 1e-5) - f(x - 1e-5)) / 2e-5;
  for (const order of ['x first', 'gate first']) {
    for (const readTwice of [false, true]) {
      const g = startEmitter(emptyGraph('silu'));
      const x = g.input({ name: 'x', dtype: 'float32', shape: [points.length] });
      const gate = g.emit('Sigmoid', [x], {});
      let y = g.emit('Mul', order === 'x first' ? [x, gate] : [gate, x], {});
      if (readTwice) y = g.emit('Add', [y, gate], {});
      const [dx] = differentiate(g, g.reduceSum(y, [0], 0), [x]) as [string];
      const session = await open(g, [dx]);
      const found = (await session.run({ x: float32([points.length], points) }))[dx]!.data as Float32Array;
      await session.close();
      points.forEach((point, i) => {
        const wanted = slope(at => at * sigmoid(at) + (readTwice ? sigmoid(at) : 0), point);
        assert.ok(Math.abs(found[i]! - wanted) < 2e-6, `${order}, at ${point}: ${found[i]} and not ${wanted}`);
      });
    }
  }
});
