// Damaged ONNX and safetensors files: read or refused, never worse. npm run fuzz does 10,000 of each.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzz } from '../support/fuzz.ts';
import { onnxSeeds, safetensorsSeeds } from '../support/fuzz-seeds.ts';

for (const [format, seeds] of [
  ['onnx', onnxSeeds()],
  ['safetensors', safetensorsSeeds()],
] as const) {
  test(`400 damaged ${format} files are read or refused with a GraftError, in bounded time and memory`, async () => {
    const { defects, refused, read, files } = await fuzz(seeds, 400, 1, format);
    assert.deepEqual(defects, []);
    assert.equal(refused + read, files);
    assert.ok(refused > 50 && read > 20, `${refused} refused, ${read} read`);
  });
}
