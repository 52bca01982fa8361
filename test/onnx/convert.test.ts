// Every op that is imported, by ONNX Runtime running the file itself: for a batch of any size, and for a file that fixes 1.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importedOps } from '../../src/onnx/convert-graph.ts';
import { onnxCases } from '../support/onnx-cases.ts';
import { agreeWithFile, onnxFile } from '../support/onnx-file.ts';

for (const [name, spec] of Object.entries(onnxCases)) {
  for (const batch of spec.batch === undefined ? ['N', 1] : [spec.batch]) {
    test(`${name}, opset ${spec.opset}, batch ${batch}`, async () => {
      await agreeWithFile(onnxFile({ ...spec, batch }));
    });
  }
}

test('every op that is imported has a case', () => {
  const tested = new Set(Object.values(onnxCases).flatMap(({ nodes }) => nodes.map(([op]) => op)));
  assert.deepEqual(
    importedOps.filter(op => !tested.has(op)),
    [],
  );
});
