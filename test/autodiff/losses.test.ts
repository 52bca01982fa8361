// Cross-entropy as nodes of a graph, and its gradient, against PyTorch's numbers.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differentiate } from '../../src/autodiff/differentiate.ts';
import { addCrossEntropy } from '../../src/autodiff/losses.ts';
import { openSession } from '../../src/engine/session.ts';
import { emptyGraph, startEmitter } from '../../src/onnx/emitter.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, type Tensor } from '../../src/tensor/tensor.ts';
import { assertClose, readReference } from '../support/reference.ts';

interface LossCase {
  readonly labelSmoothing: number;
  readonly classWeights: readonly number[] | null;
  readonly shares: readonly number[];
  readonly loss: number;
  readonly gradient: readonly (readonly number[])[];
}

interface Reference {
  readonly logits: readonly (readonly number[])[];
  readonly targets: readonly (readonly number[])[];
  readonly cases: Readonly<Record<string, LossCase>>;
}

const TOLERANCE = 1e-6;
const reference = readReference<Reference>('losses.json');
const matrix = (rows: readonly (readonly number[])[]) => float32([rows.length, rows[0]!.length], rows.flat());

/** Loss and its gradient with respect to the logits. */
async function run(
  problem: Pick<LossCase, 'labelSmoothing' | 'classWeights' | 'shares'>,
  logits: Tensor<'float32'> = matrix(reference.logits),
): Promise<{ readonly loss: number; readonly gradient: Float32Array }> {
  const g = startEmitter(emptyGraph('loss'));
  const feeds = {
    logits,
    targets: matrix(reference.targets),
    shares: float32([problem.shares.length], problem.shares),
  };
  for (const [name, { shape }] of Object.entries(feeds)) g.input({ name, dtype: 'float32', shape });
  const { labelSmoothing, classWeights } = problem;
  const options = { labelSmoothing, ...(classWeights && { classWeights }) };
  const loss = addCrossEntropy(g, { logits: 'logits', targets: 'targets', shares: 'shares' }, options);
  const [gradient] = differentiate(g, loss, ['logits']) as [string];
  const outputs = [loss, gradient].map(name => ({ name, dtype: 'float32', shape: g.shapeOf(name) }) as const);
  const session = await openSession(writeOnnx(g.build(outputs)), { threads: 1 });
  const found = await session.run(feeds);
  await session.close();
  assert.deepEqual(found[loss]!.shape, []);
  return { loss: found[loss]!.data[0] as number, gradient: found[gradient]!.data as Float32Array };
}

for (const [name, problem] of Object.entries(reference.cases)) {
  test(`cross-entropy and its gradient equal PyTorch's: ${name}`, async () => {
    const { loss, gradient } = await run(problem);
    assertClose([loss], [problem.loss], TOLERANCE, 'loss');
    assertClose(gradient, problem.gradient.flat(), TOLERANCE, 'gradient');
  });
}

test('logits of any size give a finite loss', async () => {
  const logits = matrix(reference.logits.map(row => row.map(z => 1e4 * z)));
  const { loss, gradient } = await run(reference.cases.smoothed!, logits);
  assert.ok(Number.isFinite(loss) && loss > 1000, `${loss}`);
  assert.ok(gradient.every(Number.isFinite));
});

test('losses and gradients of parts of a batch add up', async () => {
  const whole = await run(reference.cases['smoothed and weighted']!);
  const { shares } = reference.cases['smoothed and weighted']!;
  const parts = await Promise.all(
    [0, 1].map(part =>
      run({ ...reference.cases['smoothed and weighted']!, shares: shares.map((s, i) => (i % 2 === part ? s : 0)) }),
    ),
  );
  assertClose([parts[0]!.loss + parts[1]!.loss], [whole.loss], TOLERANCE, 'loss');
  const sum = parts[0]!.gradient.map((slope, i) => slope + parts[1]!.gradient[i]!);
  assertClose(sum, whole.gradient, TOLERANCE, 'gradient');
});
