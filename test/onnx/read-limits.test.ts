// What reading an ONNX file is bounded by: regions of other files, the number of outputs, the length of errors.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { GraftError } from '../../src/base/errors.ts';
import { convertOnnx } from '../../src/onnx/convert.ts';
import {
  TensorProto_DataLocation as Location,
  TensorProtoSchema,
  TensorProto_DataType as Type,
} from '../../src/onnx/generated/onnx_pb.ts';
import { readOnnxModel } from '../../src/onnx/read-model.ts';
import { onnxFile } from '../support/onnx-file.ts';
import { temporaryFolder } from '../support/reference.ts';

const refuses = (work: () => unknown, message: RegExp, code = 'bad-model') =>
  assert.throws(work, (error: unknown) => {
    assert.ok(error instanceof GraftError, String((error as Error).stack));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  });

test('the files that hold weights are told, and tensors of one region share it', async t => {
  const place = await temporaryFolder(t);
  writeFileSync(join(place, 'w.bin'), new Uint8Array(40_000));
  const tensors = (count: number, offset: (i: number) => number, dataType = Type.FLOAT) => {
    const constants = Array.from({ length: count }, (_, i) => {
      const externalData = Object.entries({ location: 'w.bin', offset: `${offset(i)}` });
      return create(TensorProtoSchema, {
        name: `w${i}`,
        dims: [1n, 3n, 8n, 8n],
        dataType,
        dataLocation: Location.EXTERNAL,
        externalData: externalData.map(([key, value]) => ({ key, value })),
      });
    });
    const nodes = constants.map(
      ({ name }, i) => ['Add', `${i === 0 ? 'x' : `a${i}`} ${name}`, i === count - 1 ? 'y' : `a${i + 1}`] as const,
    );
    return readOnnxModel(onnxFile({ opset: 13, nodes, constants }), place);
  };
  const shared = tensors(40, () => 768);
  assert.deepEqual(shared.externalFiles, ['w.bin']);
  const data = [...shared.constants.values()].map(constant => constant.read().data);
  assert.equal(new Set(data.map(({ buffer }) => buffer)).size, 1);
  // 103 regions of 768 bytes are not yet twice the file.
  const [few, many] = [tensors(104, i => i), tensors(106, i => i)];
  for (const constant of few.constants.values()) constant.read();
  refuses(() => {
    for (const constant of many.constants.values()) constant.read();
  }, /tensors take \d+ bytes out of files that have 40000/);
});

test('outputs are few and have names of their own', () => {
  const nodes = Array.from({ length: 101 }, (_, i) => ['Relu', 'x', `y${i}`] as const);
  const names = nodes.map(([, , name]) => name);
  assert.equal(readOnnxModel(onnxFile({ opset: 13, nodes, outputs: names.slice(1) })).outputs.length, 100);
  refuses(() => readOnnxModel(onnxFile({ opset: 13, nodes, outputs: names })), /has 101 outputs, more than 100/);
  refuses(() => readOnnxModel(onnxFile({ opset: 13, nodes, outputs: ['y1', 'y1'] })), /two outputs have one name/);
});

test('names in errors are on one line and cut off', () => {
  const long = `Bad\nop${'x'.repeat(500)}`;
  const nodes = Array.from({ length: 60 }, (_, i) => [`${long}${i}`, 'x', i === 0 ? 'y' : `z${i}`] as const);
  const sum = ['Sum', nodes.map(([, , name]) => name).join(' '), 'end'] as const;
  const bytes = onnxFile({
    opset: 13,
    nodes: [...nodes.map(([op, a, b], i) => [`${i}${op}`, a, b] as const), sum],
    outputs: ['end'],
  });
  refuses(
    () => convertOnnx(readOnnxModel(bytes)),
    /^The model has operations that graft does not import: [^\n]{1,2500}; and 48 more\.$/,
    'unsupported-op',
  );
});
