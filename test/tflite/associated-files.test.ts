// Files behind a model: written for any ZIP program and for LiteRT, read from other programs, damaged ones refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unzipSync } from 'fflate';
import { GraftError } from '../../src/base/errors.ts';
import { makeRng } from '../../src/base/rng.ts';
import { loadLiteRt } from '../../src/engine/litert.ts';
import { attachFiles, readAttachedFiles } from '../../src/tflite/associated-files.ts';
import type { TfliteModel } from '../../src/tflite/model.ts';
import { readTflite } from '../../src/tflite/read.ts';
import { writeTflite } from '../../src/tflite/write.ts';
import { readReference } from '../support/reference.ts';

const model = writeTflite({
  description: 'softmax',
  tensors: [
    { name: 'x', type: 'FLOAT32', shape: [1, 3] },
    { name: 'y', type: 'FLOAT32', shape: [1, 3] },
  ],
  operators: [{ op: 'SOFTMAX', version: 1, inputs: [0], outputs: [1], options: { beta: 1 } }],
  inputs: [0],
  outputs: [1],
  metadata: [],
} satisfies TfliteModel);

const text = (value: string) => new TextEncoder().encode(value);
const files = [
  { name: 'labels.txt', data: text('healthy\nleaf blight\n葉\n') },
  { name: 'notes/ü.txt', data: new Uint8Array(0) },
];
const whole = attachFiles(model, files);
const listOf = (bytes: Uint8Array) => [...readAttachedFiles(bytes)].map(([name, data]) => ({ name, data }));
const refuses = (bytes: Uint8Array, message: RegExp) =>
  assert.throws(() => readAttachedFiles(bytes), { code: 'bad-model', message });

test('attached, then read: the same files, the model in front, and the same bytes again', () => {
  assert.deepEqual(listOf(whole), files);
  assert.deepEqual(whole.subarray(0, model.length), model);
  assert.deepEqual(attachFiles(model, files), whole);
  assert.deepEqual(readAttachedFiles(model), new Map());
  assert.deepEqual(listOf(attachFiles(model, [])), []);
});

test('another reader of archives finds them by offsets from the start of the whole', () => {
  const found = unzipSync(whole);
  assert.deepEqual(Object.keys(found), ['labels.txt', 'notes/ü.txt']);
  for (const { name, data } of files) assert.deepEqual(found[name], data);
  // Not packed: the text itself stands in the file.
  assert.ok(Buffer.from(whole.subarray(model.length)).includes(Buffer.from(files[0]!.data)));
});

test('the reader of models and LiteRT take the file as they take the model alone', async () => {
  assert.deepEqual(readTflite(whole), readTflite(model));
  const loaded = await loadLiteRt(whole);
  const [y] = await loaded.run([Float32Array.of(0, 0, 0)]);
  loaded.close();
  assert.ok([...y!].every(value => Math.abs(value - 1 / 3) < 1e-6));
});

interface Archive {
  readonly name: string;
  readonly files: readonly (readonly [name: string, hex: string])[];
  readonly file: string;
}

for (const { name, files: wanted, file } of readReference<Archive[]>('archives.json')) {
  test(`an archive of Python's zipfile: ${name}`, () => {
    const found = readAttachedFiles(new Uint8Array(Buffer.from(file, 'base64')));
    assert.deepEqual(
      [...found].map(([key, data]) => [key, Buffer.from(data).toString('hex')]),
      wanted,
    );
  });
}

test('files are attached once, under names of their own', () => {
  assert.throws(() => attachFiles(whole, files), { name: 'RangeError', message: /has attached files already/ });
  assert.throws(() => attachFiles(model, [files[0]!, files[0]!]), { name: 'RangeError', message: /same name/ });
});

test('limits: 100 files, 64 MB', () => {
  const many = (count: number) => Array.from({ length: count }, (_, i) => ({ name: `f${i}`, data: new Uint8Array(1) }));
  assert.equal(readAttachedFiles(attachFiles(model, many(100))).size, 100);
  refuses(attachFiles(model, many(101)), /it has 101 attached files, more than 100/);
  const half = { name: 'half', data: new Uint8Array(2 ** 25) };
  const halves = attachFiles(model, [half, { ...half, name: 'other half' }]);
  assert.equal(readAttachedFiles(halves).size, 2);
  refuses(attachFiles(model, [half, { ...half, name: 'other' }, files[0]!]), /more than 67108864 bytes/);
});

test('damaged archives are refused or read whole, never worse', () => {
  const packed = readReference<Archive[]>('archives.json').find(({ name }) => name === 'packed')!;
  const original = new Uint8Array(Buffer.from(packed.file, 'base64'));
  const contents = listOf(original);
  const labels = Buffer.from(original).indexOf('healthy\n');
  const flipped = original.slice();
  flipped[labels]! ^= 1;
  refuses(flipped, /attached files are damaged \(a checksum differs\)/);

  const rng = makeRng(5, 'damage');
  let refused = 0;
  for (let i = 0; i < 1000; i++) {
    const bytes = original.slice();
    bytes[64 + rng.int(bytes.length - 64)] = rng.int(256);
    try {
      const found = listOf(bytes);
      // A changed name, date or end of the archive; the contents have checksums.
      assert.ok(found.every(({ data }) => contents.some(file => Buffer.compare(file.data, data) === 0)));
    } catch (error) {
      assert.ok(error instanceof GraftError && error.code === 'bad-model', `damage ${i}: ${error}`);
      refused++;
    }
  }
  assert.ok(refused > 300 && refused < 1000, `${refused} refused`);
});
