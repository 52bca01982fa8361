// The file format: written and read back, aligned and shared as promised, and damaged files refused or parsed, never worse.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraftError } from '../../src/base/errors.ts';
import { makeRng } from '../../src/base/rng.ts';
import { loadLiteRt } from '../../src/engine/litert.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import { bytesOf, type TfliteModel } from '../../src/tflite/model.ts';
import { readTflite } from '../../src/tflite/read.ts';
import { Activation, Padding } from '../../src/tflite/schema.ts';
import { oldestRuntime, writeTflite } from '../../src/tflite/write.ts';

const weights = makeRng(1, 'weights');
const constant = (shape: readonly number[], size: number) =>
  bytesOf(
    float32(
      shape,
      Float32Array.from({ length: size }, () => weights.normal()),
    ),
  );
const runtimeEntry = (release: string) => {
  const data = new Uint8Array(16);
  data.set(Buffer.from(release));
  return { name: 'min_runtime_version', data };
};

/** Every kind of field: options with defaults, without and with vectors, codes over 127 bytes apart, quantisation. */
const sample: TfliteModel = {
  description: 'A sample: ä, 葉',
  tensors: [
    { name: 'image', type: 'FLOAT32', shape: [1, 4, 4, 3] },
    { name: 'kernel', type: 'FLOAT32', shape: [2, 3, 3, 3], data: constant([2, 3, 3, 3], 54) },
    { name: 'bias', type: 'FLOAT32', shape: [2], data: constant([2], 2) },
    { name: 'conv', type: 'FLOAT32', shape: [1, 2, 2, 2] },
    { name: 'swish', type: 'FLOAT32', shape: [1, 2, 2, 2] },
    {
      name: 'target',
      type: 'INT32',
      shape: [2],
      data: bytesOf({ dtype: 'int32', shape: [2], data: Int32Array.of(1, 8) }),
    },
    { name: 'flat', type: 'FLOAT32', shape: [1, 8] },
    { name: 'soft', type: 'FLOAT32', shape: [1, 8] },
    { name: 'bytes', type: 'UINT8', shape: [1, 8], quantization: { scale: [1 / 256], zeroPoint: [3], axis: 0 } },
  ],
  operators: [
    {
      op: 'CONV_2D',
      version: 1,
      inputs: [0, 1, 2],
      outputs: [3],
      options: {
        padding: Padding.VALID,
        stride_w: 1,
        stride_h: 1,
        fused_activation_function: Activation.RELU6,
        dilation_w_factor: 1,
        dilation_h_factor: 1,
      },
    },
    { op: 'HARD_SWISH', version: 1, inputs: [3], outputs: [4], options: {} },
    { op: 'RESHAPE', version: 1, inputs: [4, 5], outputs: [6], options: { new_shape: [1, 8] } },
    { op: 'SOFTMAX', version: 1, inputs: [6], outputs: [7], options: { beta: 1 } },
    { op: 'QUANTIZE', version: 1, inputs: [7], outputs: [8], options: {} },
  ],
  inputs: [0],
  outputs: [8, 7],
  signature: {
    key: 'serving_default',
    inputs: [{ name: 'image', tensor: 0 }],
    outputs: [
      { name: 'bytes', tensor: 8 },
      { name: 'soft', tensor: 7 },
    ],
  },
  metadata: [{ name: 'classes', data: new TextEncoder().encode('a\nb') }, runtimeEntry('1.15.0')],
};

const file = writeTflite(sample);
const damaged = (change: (bytes: Uint8Array, view: DataView) => void): Uint8Array => {
  const bytes = file.slice();
  change(bytes, new DataView(bytes.buffer));
  return bytes;
};

test('write, then read: the same model; write again: the same bytes', () => {
  assert.deepEqual(readTflite(file), sample);
  assert.deepEqual(writeTflite(readTflite(file)), file);
  assert.equal(Buffer.from(file.subarray(4, 8)).toString(), 'TFL3');
});

test('LiteRT reads it, in the order of the outputs', async () => {
  const model = await loadLiteRt(file);
  assert.deepEqual(model.inputs, [{ name: 'image', shape: [1, 4, 4, 3], dtype: 'float32' }]);
  assert.deepEqual(
    model.outputs.map(({ name, dtype }) => [name, dtype]),
    [
      ['bytes', 'uint8'],
      ['soft', 'float32'],
    ],
  );
  const [bytes, soft] = await model.run([new Float32Array(48).fill(0.5)]);
  assert.ok(Math.abs((soft as Float32Array).reduce((sum, value) => sum + value, 0) - 1) < 1e-5);
  (soft as Float32Array).forEach((value, i) => {
    assert.ok(Math.abs(value * 256 + 3 - bytes![i]!) <= 1, `${value} is ${bytes![i]} of 256`);
  });
  model.close();
});

test('constants start at multiples of 16, and equal ones share their bytes', () => {
  for (const { data } of readTflite(file).tensors) assert.equal((data?.byteOffset ?? 0) % 16, 0);
  const twin = { ...sample.tensors[1]!, name: 'twin' };
  const twins = writeTflite({ ...sample, tensors: [...sample.tensors, twin] });
  assert.ok(twins.length < file.length + twin.data!.length, `${twins.length} after ${file.length}`);
  const [first, second] = ['kernel', 'twin'].map(name => readTflite(twins).tensors.find(t => t.name === name)!.data!);
  assert.equal(first!.byteOffset, second!.byteOffset);
});

test('the oldest runtime is the newest of the operators; versions graft does not write are an error', () => {
  const [conv, swish] = sample.operators as [never, never];
  assert.equal(oldestRuntime([]), '1.5.0');
  assert.equal(oldestRuntime([conv, swish]), '1.15.0');
  assert.equal(oldestRuntime([swish, { ...(conv as object), version: 6 } as never]), '2.9.0');
  assert.throws(() => oldestRuntime([{ ...(conv as object), version: 12 } as never]), /version 12 of CONV_2D/);
  const { metadata, ...rest } = sample;
  const plain = writeTflite({ ...rest, metadata: metadata.slice(0, 1) });
  assert.deepEqual(plain, file);
});

test('operators that are newer than graft are read, and not written', () => {
  const [first, ...others] = sample.operators;
  // 117, hard-swish, stands in both slots of its operator code, as a byte and as an int32.
  const bytes = damaged(raw => {
    for (let at = 0; at < raw.length; at++) {
      if (raw[at] === 117 && (raw[at + 1] === 0 || raw[at - 1] === 0)) raw[at] = 222;
    }
  });
  const model = readTflite(bytes);
  const options = { type: 91, table: 'EmptyOptions', value: {} };
  const place = { version: 1, inputs: [3], outputs: [4] };
  assert.deepEqual(model.operators[1], { op: 'OTHER', code: 222, ...place, options });
  assert.deepEqual(model.operators[0], first);
  assert.equal(model.operators.length, others.length + 1);
  assert.throws(() => writeTflite(model), { code: 'unsupported-op', message: /Operator 222 has no table/ });
});

const refuses = (bytes: Uint8Array, pattern: RegExp) =>
  assert.throws(() => readTflite(bytes), { code: 'bad-model', message: pattern });

test('files that are something else, and files cut off at any place, are refused', () => {
  refuses(new Uint8Array(0), /bytes 4 to 8/);
  refuses(new TextEncoder().encode('{"not": "a model"}'), /bytes 4 to 8 are .*, not "TFL3"/);
  refuses(
    damaged((_, view) => view.setUint32(0, 0xfffffff0, true)),
    /lie outside/,
  );
  for (let length = 0; length < file.length; length += 37) {
    assert.throws(() => readTflite(file.subarray(0, length)), GraftError, `cut at ${length}`);
  }
});

test('models that contradict themselves are refused', () => {
  const change = (part: Partial<TfliteModel>) => writeTflite({ ...sample, ...part });
  const tensor = (part: object) =>
    change({ tensors: [{ ...sample.tensors[0]!, ...part }, ...sample.tensors.slice(1)] });
  refuses(change({ inputs: [9] }), /list of inputs names tensor 9 of 9/);
  refuses(change({ outputs: [-1] }), /list of outputs names tensor -1/);
  refuses(change({ operators: [{ ...sample.operators[1]!, inputs: [99] } as never] }), /operator 0 names tensor 99/);
  refuses(tensor({ shape: [1, -4] }), /impossible shape \[1, -4\]/);
  refuses(tensor({ shape: new Array(9).fill(1) }), /impossible shape/);
  refuses(tensor({ shape: [65536, 65536] }), /impossible shape/);
  refuses(tensor({ data: new Uint8Array(5) }), /has 5 bytes of FLOAT32 data/);
  refuses(tensor({ quantization: { scale: [1, 2], zeroPoint: [0], axis: 0 } }), /2 scales and 1 zero points/);
  refuses(tensor({ quantization: { scale: [1, 2], zeroPoint: [0, 0], axis: 3 } }), /2 scales and 2 zero points/);
  const absent = readTflite(change({ operators: [{ ...sample.operators[1]!, inputs: [-1] } as never] }));
  assert.deepEqual(absent.operators[0]!.inputs, [-1]);
});

test('500 damaged files are read or refused, and quickly', () => {
  const rng = makeRng(7, 'damage');
  let refused = 0;
  const start = performance.now();
  for (let i = 0; i < 500; i++) {
    const bytes = damaged((raw, view) => {
      for (let changes = 1 + rng.int(4); changes > 0; changes--) {
        const at = rng.int(raw.length - 4);
        if (rng.chance(0.5)) raw[at] = rng.int(256);
        else view.setUint32(at & ~3, rng.pick([0, 1, 4, 0x7fffffff, 0xffffffff, rng.int(raw.length)]), true);
      }
    });
    try {
      readTflite(bytes);
    } catch (error) {
      assert.ok(error instanceof GraftError && error.code === 'bad-model', `damage ${i}: ${error}`);
      refused++;
    }
  }
  assert.ok(refused > 100 && refused < 500, `${refused} refused`);
  assert.ok(performance.now() - start < 5000);
});

test('a file whose parts point to each other is refused before it takes forever', () => {
  // 4,000 metadata entries are one table; its name of 40,000 letters would be read 4,000 times.
  const entries = Array.from({ length: 4000 }, () => ({ name: 'x'.repeat(10), data: new Uint8Array(0) }));
  entries.push(runtimeEntry('1.15.0'));
  const long = { name: 'y'.repeat(40_000), data: new Uint8Array(1) };
  const bytes = writeTflite({ ...sample, metadata: [...entries, long] });
  const view = new DataView(bytes.buffer);
  const vector = findVector(view, entries.length + 1);
  const last = vector + 4 * (entries.length + 1);
  const target = last + view.getUint32(last, true);
  for (let at = vector + 4; at <= last; at += 4) view.setUint32(at, target - at, true);
  refuses(bytes, /too many times/);
});

/** Where a vector of `length` entries starts. */
function findVector(view: DataView, length: number): number {
  for (let at = 0; at + 4 <= view.byteLength; at += 4) {
    if (view.getUint32(at, true) === length) return at;
  }
  throw new Error(`No vector of ${length}.`);
}
