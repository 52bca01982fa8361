// A graph split at its parameters: prologue, body and pullback together give what the whole graph gives.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differentiate } from '../../src/autodiff/differentiate.ts';
import { mul } from '../../src/autodiff/gradient.ts';
import { buildPullback, gradientOf, nameGradients, splitParameters } from '../../src/autodiff/split-parameters.ts';
import { openSession } from '../../src/engine/session.ts';
import { emptyGraph, startEmitter } from '../../src/onnx/emitter.ts';
import type { Graph } from '../../src/onnx/graph.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, type Tensor } from '../../src/tensor/tensor.ts';
import { largestDifference } from '../support/reference.ts';

const x = float32([2, 3], [1, -2, 3, 0.5, 1.5, -1]);
const values: Record<string, Tensor<'float32'>> = {
  w: float32([3], [0.3, -0.7, 1.1]),
  gamma: float32([3], [1.5, 0.5, -1]),
  bias: float32([3], [0.1, 0.2, -0.3]),
};
const parameters = Object.keys(values);

/** sum(tanh(x * (w * gamma) + bias)), with a branch of gamma alone that the body reads too. */
function makeGraph(): Graph {
  const g = startEmitter(emptyGraph('split'));
  g.input({ name: 'x', dtype: 'float32', shape: [2, 3] });
  for (const name of parameters) g.input({ name, dtype: 'float32', shape: [3] });
  const folded = mul(g, 'w', 'gamma');
  const squared = mul(g, 'gamma', 'gamma');
  const scaled = g.emit('Add', [mul(g, 'x', folded), 'bias'], {});
  const bent = g.emit('Tanh', [g.emit('Add', [scaled, mul(g, squared, 'x')], {})], {});
  g.append({ op: 'ReduceSum', name: 'y', inputs: [bent, g.ints([0, 1])], outputs: ['y'], attributes: { keepdims: 0 } });
  return g.build([{ name: 'y', dtype: 'float32', shape: [] }]);
}

async function run(graph: Graph, inputs: Record<string, Tensor>): Promise<Record<string, Tensor>> {
  const session = await openSession(writeOnnx(graph), { threads: 1 });
  const outputs = await session.run(inputs);
  await session.close();
  return outputs;
}

function withGradients(graph: Graph, wanted: readonly string[]): Graph {
  const g = startEmitter(graph);
  return g.build([...graph.outputs, ...nameGradients(g, differentiate(g, 'y', wanted), wanted)]);
}

test('prologue, body and pullback give the value and the gradients of the whole', async () => {
  const graph = makeGraph();
  const whole = await run(withGradients(graph, parameters), { x, ...values });
  const split = splitParameters(graph, parameters);
  const names = split.prepared.map(({ name }) => name);
  assert.deepEqual(
    split.prologue.nodes.map(({ op }) => op),
    ['Mul', 'Mul', 'Identity'],
    'what depends on parameters alone, and the bias that the body reads itself',
  );
  assert.equal(split.body.nodes.length, graph.nodes.length - 2);
  assert.deepEqual(
    split.body.inputs.map(({ name }) => name),
    ['x', ...names],
  );

  const prepared = await run(split.prologue, values);
  const body = await run(withGradients(split.body, names), { x, ...prepared });
  assert.ok(largestDifference(body.y!.data as Float32Array, whole.y!.data as Float32Array) < 1e-6);
  const slopes = Object.fromEntries(names.map(name => [gradientOf(name), body[gradientOf(name)]!]));
  const pulled = await run(buildPullback(split, parameters), { ...values, ...slopes });
  for (const name of parameters) {
    const [got, wanted] = [pulled, whole].map(outputs => outputs[gradientOf(name)]!.data as Float32Array);
    assert.ok(largestDifference(got!, wanted!) < 1e-6, name);
  }
});

test('a parameter that nothing reads has no gradient, and is named', () => {
  const graph = makeGraph();
  const idle = { name: 'idle', dtype: 'float32', shape: [1] } as const;
  const split = splitParameters({ ...graph, inputs: [...graph.inputs, idle] }, [...parameters, 'idle']);
  assert.throws(() => buildPullback(split, [...parameters, 'idle']), /does not depend on idle/);
});
