// Inferred shapes against those that ONNX Runtime returns, for every value of the graphs of the table of gradients.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differentiate } from '../../src/autodiff/differentiate.ts';
import { openSession } from '../../src/engine/session.ts';
import { emptyGraph, startEmitter } from '../../src/onnx/emitter.ts';
import type { ValueInfo } from '../../src/onnx/graph.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import { appendLoss, buildCase, gradientCases } from '../support/gradient-cases.ts';

// Blocked convolutions: test/engine/block-channels.test.ts.
for (const op of new Set(gradientCases.map(problem => problem.op))) {
  test(`${op}: shapes forward and backward are those of ONNX Runtime`, async () => {
    for (const problem of gradientCases.filter(candidate => candidate.op === op)) {
      const { g, y, feeds } = buildCase(problem);
      const { shape } = problem.output;
      differentiate(g, appendLoss(g, y, shape), Object.keys(feeds));
      // Dimensions without a declared size, so that the runtime has to find them itself.
      const indices = new Set<string>();
      const outputs = g.nodes().flatMap(node =>
        node.outputs.map((name, i): ValueInfo => {
          // The second output of MaxPool holds whole numbers.
          if (i === 1 || (node.op === 'Reshape' && indices.has(node.inputs[0]!))) indices.add(name);
          const dims = g.shapeOf(name).map((_, axis) => `${name}.${axis}`);
          return { name, dtype: indices.has(name) ? 'int64' : 'float32', shape: dims };
        }),
      );
      const session = await openSession(writeOnnx(g.build(outputs)), { threads: 1 });
      const found = await session.run({ ...feeds, seed: float32(shape, problem.seed) });
      for (const { name } of outputs) {
        assert.deepEqual(g.shapeOf(name), found[name]!.shape, `${problem.title}: ${g.makerOf(name)!.op} ${name}`);
      }
      await session.close();
    }
  });
}

test('what does not fit is refused with the op and the name of the node', () => {
  const g = startEmitter(emptyGraph('refusals'));
  const value = (...shape: number[]) => g.input({ name: g.freshName(), dtype: 'float32', shape });
  const refuses = (pattern: RegExp, emit: () => unknown) =>
    assert.throws(emit, { name: 'RangeError', message: pattern });
  const [rows, row, image] = [value(3, 4), value(4), value(1, 2, 5, 6)];
  refuses(/^Add v\.\d+: \[3,4\] and \[4,3\] cannot be broadcast together\.$/, () =>
    g.emit('Add', [rows, value(4, 3)], {}),
  );
  refuses(/^MatMul .*: \[3,4\] and \[3,4\] cannot be multiplied\.$/, () => g.emit('MatMul', [rows, rows], {}));
  refuses(/^MatMul .*: \[3,4\] and \[4\] are not both matrices\.$/, () => g.emit('MatMul', [rows, row], {}));
  refuses(/^Reshape .*: \[3,4\] cannot be reshaped to \[5,-1\]\.$/, () =>
    g.emit('Reshape', [rows, g.ints([5, -1])], {}),
  );
  refuses(/^Reshape .*: input 1 has to be a constant\.$/, () => g.emit('Reshape', [rows, row], {}));
  refuses(/^MaxPool .*: With ceil_mode the last window starts in the padding\.$/, () =>
    g.emit('MaxPool', [image], { kernel_shape: [2, 2], strides: [3, 3], pads: [1, 1, 1, 1], ceil_mode: 1 }),
  );
  refuses(/^Nothing makes the value "nobody"\.$/, () => g.shapeOf('nobody'));
  const named = { ...emptyGraph('named'), inputs: [{ name: 'x', dtype: 'float32', shape: ['N', 2] }] } as const;
  refuses(/^The dimension N of x has no size\.$/, () => startEmitter(named).freshName());
  assert.deepEqual(startEmitter(named, { N: 3 }).shapeOf('x'), [3, 2]);
});
