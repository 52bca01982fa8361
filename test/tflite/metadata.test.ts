// TFLite Metadata: as flatc encodes it, read and written; damaged bytes refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraftError } from '../../src/base/errors.ts';
import { makeRng } from '../../src/base/rng.ts';
import { decodeMetadata, encodeMetadata, type ModelMetadata } from '../../src/tflite/metadata.ts';
import { metadataSchema } from '../../src/tflite/metadata-schema.ts';
import { readRoot } from '../../src/tflite/read-flatbuffer.ts';
import { readReference } from '../support/reference.ts';

const { files } = readReference<{ files: Record<string, string> }>('metadata.json');
const bytesOf = (name: string) => new Uint8Array(Buffer.from(files[name]!, 'base64'));

const image = {
  name: 'image',
  description: 'A photo.',
  colorSpace: 'rgb',
  mean: [127.5],
  std: [127.5],
  min: [-1],
  max: [1],
} as const;

const written: Readonly<Record<string, ModelMetadata>> = {
  classifier: {
    name: 'Leaves',
    description: 'Healthy and sick leaves: ä, 葉',
    version: '1',
    author: 'A. Person',
    license: 'Apache-2.0',
    inputs: [image],
    outputs: [
      {
        name: 'probability',
        description: 'One per class.',
        content: 'feature',
        min: [0],
        max: [1],
        labels: 'labels.txt',
      },
    ],
  },
  detector: {
    name: 'Detector',
    description: '',
    version: '',
    author: '',
    license: '',
    inputs: [image],
    outputs: [
      { name: 'location', description: 'Boxes.', content: 'boundingBox', itemAxes: [2, 2] },
      {
        name: 'category',
        description: 'Classes.',
        content: 'feature',
        itemAxes: [2, 2],
        valueLabels: 'labels.txt',
      },
      { name: 'score', description: 'Scores.', content: 'feature', itemAxes: [2, 2] },
      { name: 'number of detections', description: 'Rows.', content: 'feature' },
    ],
    outputGroup: { name: 'detection_result', tensors: ['location', 'category', 'score'] },
  },
};

for (const [name, metadata] of Object.entries(written)) {
  test(`${name}: what flatc encodes is read, and what is written has the same fields`, () => {
    assert.deepEqual(decodeMetadata(bytesOf(name)), metadata);
    const ours = encodeMetadata(metadata);
    const fields = (bytes: Uint8Array) => readRoot(metadataSchema, 'ModelMetadata', bytes);
    assert.deepEqual(fields(ours), fields(bytesOf(name)));
    assert.deepEqual(encodeMetadata(metadata), ours);
  });
}

test('what graft has no word for is left out, and the rest of the file is read', () => {
  const nameless = { name: '', description: '' };
  assert.deepEqual(decodeMetadata(bytesOf('other')), {
    ...{ name: 'Everything else', description: '', version: '', author: '', license: '' },
    inputs: [
      { ...nameless, name: 'grey', colorSpace: 'grayscale', mean: [0, 1, 2], std: [1, 2, 4] },
      { ...nameless, name: 'sound' },
      { ...nameless, name: 'text' },
      nameless,
    ],
    outputs: [{ ...nameless, name: 'box', labels: 'en.txt' }],
    outputGroup: { name: 'boxes', tensors: [] },
  });
});

test('a mean without its deviation is not written', () => {
  const change = (part: object) => () =>
    encodeMetadata({ ...written.classifier!, inputs: [{ name: 'x', description: '', ...part }] });
  assert.throws(change({ mean: [1] }), { name: 'RangeError', message: 'Tensor x has 1 means and 0 deviations.' });
  assert.throws(change({ mean: [1, 2, 3], std: [1] }), RangeError);
});

test('other formats and damaged metadata are refused or read, never worse', () => {
  const refuses = (bytes: Uint8Array, message: RegExp) =>
    assert.throws(() => decodeMetadata(bytes), { code: 'bad-model', message });
  refuses(new Uint8Array(0), /not a sound TFLite Metadata: bytes 4 to 8 are "", not "M001"/);
  refuses(new TextEncoder().encode('\0\0\0\0TFL3 and more'), /"TFL3", not "M001"/);
  const whole = bytesOf('other');
  for (let length = 0; length < whole.length; length += 7) {
    assert.throws(() => decodeMetadata(whole.subarray(0, length)), GraftError, `cut at ${length}`);
  }
  const rng = makeRng(3, 'damage');
  let refused = 0;
  for (let i = 0; i < 1000; i++) {
    const bytes = whole.slice();
    for (let changes = 1 + rng.int(4); changes > 0; changes--) bytes[8 + rng.int(bytes.length - 8)] = rng.int(256);
    try {
      decodeMetadata(bytes);
    } catch (error) {
      assert.ok(error instanceof GraftError && error.code === 'bad-model', `damage ${i}: ${error}`);
      refused++;
    }
  }
  assert.ok(refused > 100 && refused < 1000, `${refused} refused`);
});
