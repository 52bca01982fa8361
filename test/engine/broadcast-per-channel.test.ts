// Per-channel factors and offsets as convolutions: the same numbers to the bit, and nothing else is touched.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeRng } from '../../src/base/rng.ts';
import { broadcastPerChannel } from '../../src/engine/broadcast-per-channel.ts';
import { measureChannelBlock } from '../../src/engine/measure-channel-block.ts';
import { openSession } from '../../src/engine/session.ts';
import { emptyGraph, startEmitter } from '../../src/onnx/emitter.ts';
import type { Graph } from '../../src/onnx/graph.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, sizeOf, type Tensor } from '../../src/tensor/tensor.ts';

/** y = ((map * vector) + offset) * map, with the vector once in front and once behind, and ops that must stay. */
function makeGraph(block: number): { graph: Graph; inputs: Record<string, Tensor> } {
  const rng = makeRng(3, 'broadcast');
  const g = startEmitter({ ...emptyGraph('broadcast'), channelBlock: block });
  const inputs: Record<string, Tensor> = {};
  const input = (name: string, shape: readonly number[]) => {
    inputs[name] = float32(
      shape,
      Float32Array.from({ length: sizeOf(shape) }, () => rng.normal()),
    );
    return g.input({ name, dtype: 'float32', shape });
  };
  const map = input('map', [2, 3, 5, 7, block]);
  const factor = input('factor', [2, 3, 1, 1, block]);
  const offset = input('offset', [2, 3, 1, 1, block]);
  const perPhoto = input('perPhoto', [2, 1, 1, 1, 1]);
  const scaled = g.emit('Mul', [factor, map], {});
  const shifted = g.emit('Add', [scaled, offset], {});
  const squared = g.emit('Mul', [shifted, map], {});
  const whole = g.emit('Mul', [squared, perPhoto], {});
  const gates = g.emit('Add', [factor, offset], {});
  const outputs = [whole, gates].map(name => ({ name, dtype: 'float32', shape: g.shapeOf(name) }) as const);
  return { graph: g.build(outputs), inputs };
}

async function run(graph: Graph, inputs: Record<string, Tensor>): Promise<Float32Array[]> {
  const session = await openSession(writeOnnx(graph), { threads: 1 });
  const results = await session.run(inputs);
  await session.close();
  return graph.outputs.map(({ name }) => results[name]!.data as Float32Array);
}

test('broadcasts over maps become convolutions, everything else stays', () => {
  const { graph } = makeGraph(16);
  const count = (of: Graph, op: string) => of.nodes.filter(node => node.op === op).length;
  const changed = broadcastPerChannel(graph);
  assert.equal(count(graph, 'nchwc.Conv'), 0);
  assert.equal(count(changed, 'nchwc.Conv'), 2);
  assert.deepEqual([count(changed, 'Mul'), count(changed, 'Add')], [2, 1]);
  assert.deepEqual(changed.outputs, graph.outputs);
  const plain = { ...graph, channelBlock: undefined };
  assert.equal(broadcastPerChannel(plain as unknown as Graph), plain, 'without blocks there is nothing to do');
});

test('the numbers are the same to the bit', async () => {
  const block = await measureChannelBlock();
  const { graph, inputs } = makeGraph(block ?? 16);
  const before = await run(graph, inputs);
  // Without blocked kernels the changed graph cannot run, and training never makes it.
  if (block === undefined) await assert.rejects(run(broadcastPerChannel(graph), inputs), { code: 'bad-model' });
  else assert.deepEqual(await run(broadcastPerChannel(graph), inputs), before);
});
