// graft benchmark measures real models in real processes, side by side; threads are obeyed or refused.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { summariseTimes } from '../../src/engine/latency.ts';
import { benchmark, finish, type VerbEvent } from '../../src/index.ts';
import { readTflite } from '../../src/tflite/read.ts';
import { writeTflite } from '../../src/tflite/write.ts';
import { graftFile } from '../support/fuzz.ts';
import { temporaryFolder } from '../support/reference.ts';
import { onnxFile, writeSmallRun } from '../support/small-run.ts';

test('median and 95th percentile are those of the sorted times', () => {
  const times = Array.from({ length: 20 }, (_, i) => 20 - i);
  assert.deepEqual(summariseTimes(times), { median: 10, p95: 19, runs: 20 });
  assert.deepEqual(summariseTimes([3]), { median: 3, p95: 3, runs: 1 });
});

test('both models of a run folder, in turns', async t => {
  const folder = join(await temporaryFolder(t), 'run');
  writeSmallRun(folder);
  const events: VerbEvent<unknown>[] = [];
  const { models } = await finish(benchmark({ model: folder, runs: 25 }), event => events.push(event));
  assert.deepEqual(
    models.map(({ file, runtime, inputs, threads, bytes }) => [file, runtime, inputs, threads, bytes]),
    [
      [join(folder, 'model.tflite'), 'LiteRT', ['float32 [1, 8, 8, 3]'], 1, graftFile().length],
      [join(folder, 'model.onnx'), 'ONNX Runtime', ['float32 [1, 512]'], 1, onnxFile().length],
    ],
  );
  for (const { latency_ms, load_ms } of models) {
    assert.equal(latency_ms.runs, 25);
    assert.ok(latency_ms.median > 0 && latency_ms.median <= latency_ms.p95, JSON.stringify(latency_ms));
    assert.ok(load_ms > 0);
  }
  // Three turns each: 10, 10 and 5 runs, one model after the other.
  const done = events.flatMap(event => (event.type === 'progress' ? [event.done] : []));
  assert.deepEqual(done, [0, 10, 20, 30, 40, 45, 50]);
});

test('a slower, larger model is seen to be slower and larger', async t => {
  const folder = await temporaryFolder(t);
  // 32 MB of weights, a matrix product with each.
  const dense = readTflite(graftFile());
  const side = 2048;
  const weights = new Uint8Array(new Float32Array(side * side).fill(0.5).buffer);
  const large = writeTflite({
    ...dense,
    tensors: [
      { name: 'x', type: 'FLOAT32', shape: [1, side] },
      { name: 'w1', type: 'FLOAT32', shape: [side, side], data: weights },
      { name: 'w2', type: 'FLOAT32', shape: [side, side], data: weights.map(byte => byte ^ 1) },
      { name: 'y', type: 'FLOAT32', shape: [1, side] },
      { name: 'z', type: 'FLOAT32', shape: [1, side] },
    ],
    operators: [
      [0, 1, 3],
      [3, 2, 4],
    ].map(([x, w, y]) => ({
      op: 'FULLY_CONNECTED',
      version: 1,
      inputs: [x!, w!, -1],
      outputs: [y!],
      options: { fused_activation_function: 0, weights_format: 0, keep_num_dims: false },
    })),
    inputs: [0],
    outputs: [4],
    metadata: [],
    signature: undefined as never,
  });
  writeFileSync(join(folder, 'large.tflite'), large);
  writeFileSync(join(folder, 'small.tflite'), graftFile());
  const [big, small] = await Promise.all(
    ['large', 'small'].map(name => finish(benchmark({ model: join(folder, `${name}.tflite`), runs: 10 }))),
  );
  assert.deepEqual([big!.models.length, small!.models.length], [1, 1]);
  assert.ok(big!.models[0]!.latency_ms.median > 3 * small!.models[0]!.latency_ms.median);
  // The weights are repacked into memory of the runtime's own.
  const { memory_bytes } = big!.models[0]!;
  assert.ok(memory_bytes > 16e6 && memory_bytes < 160e6, `${memory_bytes}`);
  assert.ok(small!.models[0]!.memory_bytes < 16e6, `${small!.models[0]!.memory_bytes}`);
});

test('a model.onnx beside a .tflite is measured too, an .onnx with the threads asked for, which LiteRT has not', async t => {
  const folder = await temporaryFolder(t);
  writeSmallRun(folder);
  const measure = async (name: string, threads?: number) =>
    (await finish(benchmark({ model: join(folder, name), runs: 2, ...(threads && { threads }) }))).models;
  assert.deepEqual(
    (await measure('model.tflite')).map(({ runtime }) => runtime),
    ['LiteRT', 'ONNX Runtime'],
  );
  const [onnx, ...others] = await measure('model.onnx', 2);
  assert.deepEqual([onnx!.runtime, onnx!.threads, others.length], ['ONNX Runtime', 2, 0]);
  mkdirSync(join(folder, 'alone'));
  copyFileSync(join(folder, 'model.tflite'), join(folder, 'alone/a.tflite'));
  await assert.rejects(measure('alone/a.tflite', 2), {
    code: 'usage',
    message: /2 threads are for ONNX Runtime: LiteRT, which runs .*a\.tflite, has one thread/,
  });
  await assert.rejects(measure('model.tflite', 4), { code: 'usage', hint: /model\.onnx --threads 4/ });
});

test('what cannot be measured is refused with what it is', async t => {
  const folder = await temporaryFolder(t);
  writeSmallRun(folder);
  const measure = (name: string) => finish(benchmark({ model: join(folder, name), runs: 1 }));
  writeFileSync(join(folder, 'text.tflite'), 'hello');
  const whole = graftFile();
  mkdirSync(join(folder, 'cut'));
  writeFileSync(join(folder, 'cut/cut.tflite'), whole.subarray(0, whole.length >> 1));
  writeFileSync(join(folder, 'cut/cut.onnx'), onnxFile().subarray(0, 1000));
  await assert.rejects(measure('text.tflite'), { code: 'bad-model', message: /neither .* it seems to be text/ });
  await assert.rejects(measure('cut/cut.tflite'), { code: 'bad-model', message: /LiteRT/ });
  await assert.rejects(measure('cut/cut.onnx'), { code: 'bad-model', message: /ONNX Runtime refused the model/ });
  await assert.rejects(measure('none.tflite'), { code: 'not-found' });
  for (const name of ['model.tflite', 'model.onnx']) rmSync(join(folder, name));
  await assert.rejects(measure('.'), { code: 'bad-run', message: /neither model\.tflite nor model\.onnx/ });
  await assert.rejects(finish(benchmark({ model: folder, runs: 0 })), { code: 'usage' });
});

test('a script on the command line is not repeated by the processes that measure', async t => {
  const folder = await temporaryFolder(t);
  const model = join(folder, 'model.tflite');
  writeFileSync(model, graftFile());
  // Were it repeated, each process would start the next one without end.
  const script = `
    if (process.env.GRAFT_REPEATED) process.exit(1);
    process.env.GRAFT_REPEATED = '1';
    import(${JSON.stringify(new URL('../../src/index.ts', import.meta.url).href)})
      .then(({ benchmark, finish }) => finish(benchmark({ model: ${JSON.stringify(model)}, runs: 5 })))
      .then(({ models }) => console.log(models.length));`;
  const options = { encoding: 'utf8', timeout: 60_000 } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', '-e', script], options);
  assert.deepEqual([status, stdout.trim()], [0, '1'], stderr);
});
