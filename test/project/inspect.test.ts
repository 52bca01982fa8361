// graft inspect on graft's own files and other programs': figures against counts by hand, and LiteRT's word for the rest.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadLiteRt } from '../../src/engine/litert.ts';
import { benchmark, finish, inspect } from '../../src/index.ts';
import { inspectModel } from '../../src/project/inspect.ts';
import { PROVENANCE_KEY } from '../../src/project/provenance.ts';
import { attachFiles } from '../../src/tflite/associated-files.ts';
import { encodeMetadata, METADATA_ENTRY } from '../../src/tflite/metadata.ts';
import type { TfliteModel, TfliteTensor } from '../../src/tflite/model.ts';
import { readTflite } from '../../src/tflite/read.ts';
import { writeTflite } from '../../src/tflite/write.ts';
import { chameleon, foreignFile } from '../support/foreign-model.ts';
import { graftFile } from '../support/fuzz.ts';
import { temporaryFolder } from '../support/reference.ts';

const inspectBytes = (bytes: Uint8Array) => inspectModel('model.tflite', bytes, readTflite(bytes));

test("graft's own file: counts, classes, normalisation, attached labels and origin", () => {
  const bytes = graftFile();
  const result = inspectBytes(bytes);
  assert.equal(result.bytes, bytes.length);
  assert.deepEqual(result.inputs, [
    { name: 'image', type: 'float32', shape: [1, 8, 8, 3], shape_signature: null, quantization: null },
  ]);
  assert.deepEqual(result.outputs[0]?.shape, [1, 2]);
  // A 3 x 3 convolution to 4 channels of 4 x 4, and a dense layer 4 -> 2.
  assert.equal(result.multiply_adds, 4 * 4 * 4 * (3 * 3 * 3) + 4 * 2);
  assert.equal(result.parameters, 4 * 3 * 3 * 3 + 4 + 2 * 4 + 2);
  assert.equal(result.constant_bytes.FLOAT32, 4 * result.parameters);
  assert.deepEqual(result.precision, { name: 'float32', operators: { float32: 2 } });
  assert.equal(result.oldest_runtime, '1.15.0');
  assert.equal(result.min_runtime_version, '1.15.0');
  assert.deepEqual(result.labels, ['healthy', 'sick']);
  assert.deepEqual(result.attached_files, [{ name: 'labels.txt', bytes: 13 }]);
  assert.equal(result.metadata?.license, 'Apache-2.0');
  assert.deepEqual(result.metadata?.inputs[0]?.mean, [127.5]);
  assert.equal(result.provenance?.backbone, 'small');
  assert.deepEqual(result.problems, []);
  const conv = result.operator_table.find(({ op }) => op === 'CONV_2D')!;
  assert.equal(conv.options.padding, 'VALID');
  assert.deepEqual(conv.outputs, ['float32 [1, 4, 4, 4]']);
});

test('inputs and outputs are those that LiteRT gives', async () => {
  for (const bytes of [graftFile(), chameleon]) {
    const model = await loadLiteRt(bytes);
    const { inputs, outputs } = inspectBytes(bytes);
    const known = (list: typeof inputs) => list.map(({ name, type, shape }) => ({ name, shape, dtype: type }));
    assert.deepEqual(known(inputs), model.inputs);
    assert.deepEqual(known(outputs), model.outputs);
    model.close();
  }
});

test("another program's file: subgraphs, custom operators, signatures, dynamic shapes", () => {
  const result = inspectBytes(foreignFile);
  assert.deepEqual(result.subgraphs, [
    { name: 'main', operators: 6, tensors: 6 },
    { name: 'body', operators: 0, tensors: 1 },
  ]);
  assert.deepEqual(result.inputs[0]?.shape_signature, [-1, 4]);
  // A custom operator is in no release; all others are known.
  assert.equal(result.oldest_runtime, null);
  assert.deepEqual(
    result.operators.filter(({ release }) => release === null),
    [{ name: 'TFLite_Detection_PostProcess', version: 4, count: 1, custom: true, release: null }],
  );
  assert.equal(result.operators.find(({ name }) => name === 'STABLEHLO_COMPOSITE')?.release, '2.17.0');
  assert.deepEqual(
    result.signatures.map(({ key, subgraph }) => [key, subgraph]),
    [
      ['serving_default', 0],
      ['step', 1],
    ],
  );
  assert.equal(result.provenance, null);
  assert.equal(result.metadata, null);
  // All of it is plain JSON, numbers of 64 bits too.
  const table = JSON.parse(JSON.stringify(result)).operator_table as { options: Record<string, unknown> }[];
  assert.deepEqual(table[4]!.options, { seed: String(2n ** 62n), seed2: '-1' });
  assert.deepEqual(table[1]!.options, { custom_options: '3 bytes' });
});

test('the precision is that of the operators with weights, looking behind DEQUANTIZE', () => {
  const dense = (values: TfliteTensor['type'], weights: TfliteTensor['type'], stored = weights): TfliteModel => {
    const tensors: TfliteTensor[] = [
      { name: 'x', type: values, shape: [1, 4] },
      { name: 'stored', type: stored, shape: [2, 4] },
      { name: 'weights', type: weights, shape: [2, 4] },
      { name: 'y', type: values, shape: [1, 2] },
    ];
    const unpacked = stored !== weights;
    return {
      ...readTflite(chameleon),
      tensors,
      operators: [
        ...(unpacked ? [{ op: 'DEQUANTIZE', version: 3, inputs: [1], outputs: [2], options: {} } as const] : []),
        {
          op: 'FULLY_CONNECTED',
          version: 1,
          inputs: [0, unpacked ? 2 : 1, -1],
          outputs: [3],
          options: { fused_activation_function: 0, weights_format: 0, keep_num_dims: false },
        },
      ],
      outputs: [3],
    };
  };
  const precisionOf = (model: TfliteModel) => inspectBytes(writeTflite(model, { stampRuntime: false })).precision;
  assert.equal(precisionOf(dense('FLOAT32', 'FLOAT32')).name, 'float32');
  assert.equal(precisionOf(dense('FLOAT32', 'FLOAT32', 'FLOAT16')).name, 'float16 weights');
  assert.equal(precisionOf(dense('FLOAT32', 'FLOAT32', 'INT8')).name, 'int8 weights');
  assert.equal(precisionOf(dense('FLOAT32', 'INT8')).name, 'dynamic range int8');
  assert.equal(precisionOf(dense('INT8', 'INT8')).name, 'int8');
  assert.equal(precisionOf(dense('UINT8', 'UINT8')).name, 'uint8');
  assert.equal(precisionOf(dense('INT16', 'INT8')).name, 'int16 with int8 weights');
  const float = dense('FLOAT32', 'FLOAT32');
  const hybrid = dense('FLOAT32', 'INT8').operators[0]!;
  const mixed = precisionOf({
    ...float,
    tensors: [...float.tensors, { name: 'w8', type: 'INT8', shape: [2, 4] }],
    operators: [...float.operators, { ...hybrid, inputs: [0, 4, -1] }],
  });
  assert.deepEqual(mixed, { name: 'mixed', operators: { float32: 1, 'dynamic range int8': 1 } });
  // Nothing has weights: the values themselves tell.
  assert.deepEqual(inspectBytes(chameleon).precision, { name: 'float32', operators: { float32: 2 } });
});

test('multiply-adds of every operator that has them, counted by hand', () => {
  const count = (name: string, code: number, shapes: readonly number[][], output: readonly number[], value = {}) => {
    const tensors = [...shapes, output].map((shape, i) => ({ name: `${i}`, type: 'FLOAT32', shape }));
    const [inputs, outputs] = [shapes.map((_, i) => i), [shapes.length]];
    const options = { type: 101, table: 'BatchMatMulOptions', value };
    const operator = { op: 'OTHER', code, name, version: 1, inputs, outputs, options };
    const model = { description: '', tensors, operators: [operator], inputs, outputs, metadata: [] };
    return inspectModel('x', new Uint8Array(0), model as unknown as TfliteModel).multiply_adds;
  };
  // Groups: kernels of 4 of the 8 input channels.
  assert.equal(
    count(
      'CONV_2D',
      3,
      [
        [1, 6, 6, 8],
        [16, 3, 3, 4],
      ],
      [1, 4, 4, 16],
    ),
    4 * 4 * 16 * 9 * 4,
  );
  assert.equal(
    count(
      'DEPTHWISE_CONV_2D',
      4,
      [
        [1, 6, 6, 8],
        [1, 3, 3, 16],
      ],
      [1, 4, 4, 16],
    ),
    4 * 4 * 16 * 9,
  );
  assert.equal(
    count(
      'FULLY_CONNECTED',
      9,
      [
        [3, 8],
        [5, 8],
      ],
      [3, 5],
    ),
    3 * 5 * 8,
  );
  assert.equal(count('TRANSPOSE_CONV', 67, [[4], [6, 2, 2, 8], [1, 3, 3, 8]], [1, 6, 6, 6]), 3 * 3 * 8 * 6 * 4);
  assert.equal(
    count(
      'CONV_3D',
      132,
      [
        [1, 4, 4, 4, 2],
        [3, 3, 3, 2, 5],
      ],
      [1, 2, 2, 2, 5],
    ),
    8 * 5 * 27 * 2,
  );
  assert.equal(
    count(
      'BATCH_MATMUL',
      126,
      [
        [2, 3, 7],
        [2, 7, 5],
      ],
      [2, 3, 5],
    ),
    2 * 3 * 5 * 7,
  );
  assert.equal(
    count(
      'BATCH_MATMUL',
      126,
      [
        [2, 7, 3],
        [2, 7, 5],
      ],
      [2, 3, 5],
      { adj_x: true },
    ),
    2 * 3 * 5 * 7,
  );
  // Impossible ranks cost nothing, and so does what only moves numbers.
  assert.equal(count('CONV_2D', 3, [[8], [16]], [1, 4, 4, 16]), 0);
  assert.equal(count('TRANSPOSE', 39, [[2, 3], [2]], [3, 2]), 0);
});

test('a damaged part is left out and named; the rest is shown', () => {
  const bytes = graftFile();
  const whole = Buffer.from(bytes.buffer);
  bytes[whole.indexOf('PK\x03\x04')] = 0;
  const metadata = whole.indexOf('M001');
  bytes.fill(0xff, metadata - 4, metadata);
  const { problems, attached_files, labels, operators } = inspectBytes(bytes);
  assert.equal(problems.length, 2, problems.join('\n'));
  assert.match(problems.join('\n'), /TFLite Metadata.*attached files/s);
  assert.deepEqual(attached_files, []);
  assert.deepEqual(labels, ['healthy', 'sick'], "graft's own list of classes is still there");
  assert.ok(operators.length > 3);
});

test('what is no .tflite is called what it seems to be', async t => {
  const folder = await temporaryFolder(t);
  const { default: sharp } = await import('sharp');
  const { emptyGraph, startEmitter } = await import('../../src/onnx/emitter.ts');
  const { writeOnnx } = await import('../../src/onnx/write.ts');
  const graph = startEmitter(emptyGraph('relu'));
  const x = graph.input({ name: 'x', dtype: 'float32', shape: [1] });
  const y = graph.emit('Relu', [x], {});
  const photo = sharp({ create: { width: 9, height: 9, channels: 3, background: 'green' } });
  const whole = graftFile();
  const files: readonly [string, Uint8Array | string, RegExp][] = [
    ['model.onnx', writeOnnx(graph.build([{ name: y, dtype: 'float32', shape: [1] }])), /seems to be an ONNX model/],
    ['photo.tflite', await photo.jpeg().toBuffer(), /seems to be a photo \(JPEG\)/],
    ['page.tflite', '<!DOCTYPE html>\n<html><body>404 <svg></svg></body></html>', /seems to be an HTML page/],
    [
      'pointer.tflite',
      'version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 4070174\n',
      /seems to be a Git LFS pointer.*git lfs pull/s,
    ],
    ['model.keras', Buffer.from('PK\x03\x04 and so on'), /seems to be a ZIP archive/],
    ['model.h5', Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'), /seems to be an HDF5 file/],
    ['weights.gguf', 'GGUF\x03\0\0\0', /seems to be a GGUF weight file/],
    [
      'weights.safetensors',
      Buffer.from('\x10\0\0\0\0\0\0\0{"a": 1}', 'latin1'),
      /seems to be a safetensors weight file/,
    ],
    ['notes.txt', 'hello\n', /seems to be text/],
    ['empty.tflite', '', /it is empty/],
    ['noise.tflite', Buffer.from([0, 1, 2, 3, 4, 5, 6, 7]), /seems to be something else/],
    ['half.tflite', whole.subarray(0, whole.length >> 1), /half\.tflite: .*lie outside of its.*cut off/s],
  ];
  for (const [name, content, message] of files) {
    writeFileSync(join(folder, name), content);
    await assert.rejects(finish(inspect({ model: join(folder, name) })), (error: Error & { hint: string }) => {
      assert.match(`${error.message}\n${error.hint}`, message, name);
      assert.ok(error.message.includes(name));
      return true;
    });
  }
  await assert.rejects(finish(inspect({ model: join(folder, 'none.tflite') })), { code: 'not-found' });
  await assert.rejects(finish(inspect({ model: folder })), { code: 'bad-run', message: /has no model\.tflite/ });
});

test("Google's MobileNetV2 in int8: its published figures", () => {
  const file = new URL('../../../shared/models/tf2_mobilenet_v2_1.0_224_ptq.tflite', import.meta.url);
  if (!existsSync(file)) return;
  const result = inspectBytes(new Uint8Array(readFileSync(file)));
  assert.equal(result.precision.name, 'int8');
  // 3,504,872 parameters for 1,000 classes, of which 34,112 of the normalisations become 17,056 biases; here are 1,001.
  assert.equal(result.parameters, 3_504_872 - 17_056 + 1_281);
  assert.equal((result.multiply_adds / 1e6).toFixed(1), '300.8');
  assert.equal(result.oldest_runtime, result.min_runtime_version);
  assert.equal(result.labels?.length, 1001);
  assert.deepEqual(result.inputs[0]?.quantization?.zero_point, [127]);
});

test('a description that is null, and labels without end, are problems and not defects', async t => {
  const folder = await temporaryFolder(t);
  const model = readTflite(graftFile());
  const file = join(folder, 'null.tflite');
  const nothing = { name: PROVENANCE_KEY, data: new TextEncoder().encode('null') };
  writeFileSync(file, writeTflite({ ...model, metadata: [nothing] }));
  const { problems, provenance } = await finish(inspect({ model: file }));
  assert.equal(provenance, null);
  assert.match(problems.join('\n'), /description that this version of graft cannot read/);

  const output = { name: 'probability', description: '', labels: 'labels.txt' };
  const metadata = encodeMetadata({
    name: '',
    description: '',
    version: '',
    author: '',
    license: '',
    inputs: [{ name: 'image', description: '' }],
    outputs: [output],
  });
  const described = writeTflite({ ...model, metadata: [{ name: METADATA_ENTRY, data: metadata }] });
  const withLabels = (text: string) => {
    const path = join(folder, 'labels.tflite');
    writeFileSync(path, attachFiles(described, [{ name: 'labels.txt', data: new TextEncoder().encode(text) }]));
    return finish(inspect({ model: path }));
  };
  assert.deepEqual((await withLabels('a\r\nb\r\n')).labels, ['a', 'b']);
  assert.equal((await withLabels('\n'.repeat(2 ** 20 + 1))).labels, null);
});

test('a pipe is refused at once', async t => {
  if (process.platform === 'win32') return;
  const folder = await temporaryFolder(t);
  const pipe = join(folder, 'pipe.tflite');
  spawnSync('mkfifo', [pipe]);
  await assert.rejects(finish(inspect({ model: pipe })), { code: 'bad-model' });
  await assert.rejects(finish(benchmark({ model: pipe })), { code: 'bad-model' });
});
