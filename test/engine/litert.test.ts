// LiteRT in plain Node: it runs, keeps quiet, leaves no globals, gives memory back, and refuses bad files.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraftError } from '../../src/base/errors.ts';
import { makeRng } from '../../src/base/rng.ts';
import { loadLiteRt } from '../../src/engine/litert.ts';
import { measureLatency } from '../../src/engine/litert-latency.ts';
import { startLiteRt } from '../../src/engine/litert-runtime.ts';
import { graphBuilder } from '../../src/onnx/builder.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import { lowerToTflite } from '../../src/tflite/lower.ts';
import { writeTflite } from '../../src/tflite/write.ts';

/** Mean colour of an image, and twice the sum of the three means: easy to know, with two outputs. */
function meanModel(edge: number): Uint8Array {
  const graph = graphBuilder('mean');
  const image = graph.input({ name: 'image', dtype: 'float32', shape: ['N', edge, edge, 3] });
  const nchw = graph.node('Transpose', 'nchw', [image], { perm: [0, 3, 1, 2] });
  const mean = graph.node('ReduceMean', 'mean', [nchw], { axes: [2, 3], keepdims: 0 });
  const weight = graph.constant('twice', float32([1, 3], [2, 2, 2]));
  graph.node('Gemm', 'sum', [mean, weight], { alpha: 1, beta: 1, transA: 0, transB: 1 });
  const outputs = [
    { name: 'sum', dtype: 'float32', shape: ['N', 1] },
    { name: 'mean', dtype: 'float32', shape: ['N', 3] },
  ] as const;
  return writeTflite(lowerToTflite(graph.build(outputs)));
}

const file = meanModel(4);
const image = (value: number) => new Float32Array(48).fill(value);
const globals = () =>
  ['self', 'importScripts', 'navigator', 'document', 'Module', 'ModuleFactory'].filter(name => name in globalThis);
const globalsBefore = globals();

test('loads, describes, runs and closes, in silence and without leaving globals', async t => {
  const said: unknown[] = [];
  for (const name of ['log', 'warn', 'error', 'info'] as const)
    t.mock.method(console, name, (line: unknown) => said.push(line));
  const write = t.mock.method(process.stderr, 'write', () => true);
  const model = await loadLiteRt(file);
  assert.deepEqual(model.inputs, [{ name: 'image', shape: [1, 4, 4, 3], dtype: 'float32' }]);
  assert.deepEqual(model.outputs, [
    { name: 'sum', shape: [1, 1], dtype: 'float32' },
    { name: 'mean', shape: [1, 3], dtype: 'float32' },
  ]);
  const [sum, mean] = await model.run([Float32Array.from({ length: 48 }, (_, i) => i % 3)]);
  assert.deepEqual([...sum!, ...mean!], [6, 0, 1, 2]);
  model.close();
  model.close();
  assert.deepEqual(said, []);
  assert.equal(write.mock.callCount(), 0);
  assert.deepEqual(globals(), globalsBefore);
});

test('inputs that are not those of the model are a TypeError', async () => {
  const model = await loadLiteRt(file);
  await assert.rejects(model.run([]), { name: 'TypeError', message: /has 1 inputs, and 0 were given/ });
  await assert.rejects(model.run([new Float32Array(47)]), {
    name: 'TypeError',
    message: /wants 48 float32 values \[1, 4, 4, 3\], not 47/,
  });
  await assert.rejects(model.run([new Uint8Array(48)]), { name: 'TypeError', message: /not 48 in a Uint8Array/ });
  model.close();
});

test('memory does not grow over thousands of runs, nor over hundreds of models', async () => {
  const { memoryBytes } = await startLiteRt();
  const large = meanModel(64);
  const input = new Float32Array(64 * 64 * 3).fill(0.5);
  const model = await loadLiteRt(large);
  const run = async (times: number) => {
    for (let i = 0; i < times; i++) await model.run([input]);
  };
  await run(50);
  const before = memoryBytes();
  // One forgotten input is 48 KB, so that 3,000 would be 147 MB.
  await run(3000);
  assert.equal(memoryBytes(), before);
  model.close();
  // The file is copied, so that 200 forgotten ones would be 40 MB.
  const padded = new Uint8Array(200_000);
  padded.set(large);
  for (let i = 0; i < 200; i++) {
    const again = await loadLiteRt(padded);
    await again.run([input]);
    again.close();
  }
  assert.ok(memoryBytes() - before < 4e6, `${memoryBytes() - before} bytes more`);
});

test('bad files are refused with what the runtime said, and do not break it', async () => {
  const refused = { name: 'GraftError', code: 'bad-model' };
  await assert.rejects(loadLiteRt(new Uint8Array(0)), refused);
  await assert.rejects(loadLiteRt(new TextEncoder().encode('not a model at all')), refused);
  await assert.rejects(loadLiteRt(file.subarray(0, file.length >> 1)), refused);
  const rng = makeRng(3, 'damage');
  for (let i = 0; i < 60; i++) {
    const damaged = file.slice();
    for (let changes = 1 + rng.int(8); changes > 0; changes--) damaged[rng.int(damaged.length)] = rng.int(256);
    try {
      (await loadLiteRt(damaged)).close();
    } catch (error) {
      assert.ok(error instanceof GraftError && error.code === 'bad-model', `damage ${i}: ${error}`);
    }
  }
  const whole = await loadLiteRt(file);
  assert.equal((await whole.run([image(1)]))[0]![0], 6);
  whole.close();
});

test('a crash of the runtime is an error; a fresh one takes over, and models of the old one say so', async () => {
  const survivor = await loadLiteRt(file);
  // A negative zero point does not exist in uint8, and LiteRT traps on it.
  const shape = [1, 4];
  const crasher = writeTflite({
    description: '',
    tensors: [
      { name: 'x', type: 'FLOAT32', shape },
      { name: 'y', type: 'UINT8', shape, quantization: { scale: [1], zeroPoint: [-3], axis: 0 } },
    ],
    operators: [{ op: 'QUANTIZE', version: 1, inputs: [0], outputs: [1], options: {} }],
    inputs: [0],
    outputs: [1],
    metadata: [],
  });
  await assert.rejects(loadLiteRt(crasher), { code: 'bad-model', message: /LiteRT crashed/ });
  await assert.rejects(survivor.run([image(1)]), { code: 'bad-model', message: /no longer loaded/ });
  survivor.close();
  const fresh = await loadLiteRt(file);
  assert.equal((await fresh.run([image(1)]))[0]![0], 6);
  fresh.close();
  await assert.rejects(fresh.run([image(1)]), { message: /no longer loaded/ });
});

test('a run that fails inside of the runtime is an error, and not whatever was in the memory of the outputs', async () => {
  const quantization = (scale: number) => ({ scale: [scale], zeroPoint: [0], axis: 0 });
  const shape = [1, 1, 1, 1];
  // XNNPACK takes the convolution when the file is loaded, and cannot scale its sums by 1e9 when it is run.
  const failing = writeTflite({
    description: '',
    tensors: [
      { name: 'x', type: 'FLOAT32', shape },
      { name: 'x8', type: 'INT8', shape, quantization: quantization(1) },
      { name: 'weight', type: 'INT8', shape, data: Uint8Array.of(1), quantization: quantization(1) },
      { name: 'bias', type: 'INT32', shape: [1], data: new Uint8Array(4), quantization: quantization(1) },
      { name: 'y8', type: 'INT8', shape, quantization: quantization(1e-9) },
      { name: 'y', type: 'FLOAT32', shape },
    ],
    operators: [
      { op: 'QUANTIZE', version: 1, inputs: [0], outputs: [1], options: {} },
      {
        op: 'CONV_2D',
        version: 3,
        inputs: [1, 2, 3],
        outputs: [4],
        options: {
          padding: 1,
          stride_w: 1,
          stride_h: 1,
          fused_activation_function: 0,
          dilation_w_factor: 1,
          dilation_h_factor: 1,
        },
      },
      { op: 'DEQUANTIZE', version: 2, inputs: [4], outputs: [5], options: {} },
    ],
    inputs: [0],
    outputs: [5],
    metadata: [],
  });
  const model = await loadLiteRt(failing);
  for (let again = 0; again < 2; again++) {
    await assert.rejects(model.run([Float32Array.of(1)]), {
      name: 'GraftError',
      code: 'bad-model',
      message: /could not run the model: .*failed to prepare/,
    });
  }
  model.close();
  const whole = await loadLiteRt(file);
  assert.equal((await whole.run([image(1)]))[0]![0], 6);
  whole.close();
});

test('latency: the median is not above the 95th percentile', async () => {
  const model = await loadLiteRt(file);
  const { median, p95, runs } = await measureLatency(model, 20);
  assert.ok(0 < median && median <= p95 && p95 < 1000, `${median}, ${p95}`);
  assert.equal(runs, 20);
  model.close();
});
