// Model files as backbones: graft's own exports give back the backbone that they were made of; other formats are told apart.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, type TestContext, test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { zipSync } from 'fflate';
import { GraftError } from '../../src/base/errors.ts';
import { makeRng } from '../../src/base/rng.ts';
import { openSession } from '../../src/engine/session.ts';
import { type ImportedBackbone, makeBackbone } from '../../src/import/make-backbone.ts';
import { readOnnxClassifier } from '../../src/import/onnx-backbone.ts';
import { openModelFile } from '../../src/import/open-model.ts';
import { readTfliteClassifier } from '../../src/import/tflite-backbone.ts';
import {
  ModelProtoSchema,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
} from '../../src/onnx/generated/onnx_pb.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, type Tensor } from '../../src/tensor/tensor.ts';
import { lowerToTflite } from '../../src/tflite/lower.ts';
import { encodeMetadata, METADATA_ENTRY } from '../../src/tflite/metadata.ts';
import type { TfliteModel } from '../../src/tflite/model.ts';
import { takeUint8 } from '../../src/tflite/outer-types.ts';
import { halveWeights } from '../../src/tflite/shrink-weights.ts';
import { writeTflite } from '../../src/tflite/write.ts';
import type { Backbone } from '../../src/zoo/backbone.ts';
import { buildClassifierGraph, buildFeatureGraph, featureWidth } from '../../src/zoo/graphs.ts';
import { stageShapes } from '../../src/zoo/stages.ts';
import { openDefaultBackbone } from '../support/default-backbone.ts';
import { drawLeafScene } from '../support/leaf-scene.ts';
import { mutate } from '../support/mutate.ts';
import { largestDifference, largestNumber, temporaryFolder } from '../support/reference.ts';
import { noise } from '../support/two-runtimes.ts';
import { network } from './networks.ts';

let original: Backbone;
let head: Parameters<typeof buildClassifierGraph>[1];
let wanted: Float32Array;
const { pixels } = drawLeafScene(1, ['sick']);
before(async () => {
  original = await openDefaultBackbone();
  const rng = makeRng(1, 'head');
  head = { weight: noise(rng, [4, featureWidth(original)]), bias: float32([4], [1, 2, 3, 4]) };
  wanted = await featuresOf(original);
});

async function featuresOf(backbone: Backbone): Promise<Float32Array> {
  const { size } = backbone.preprocess;
  const session = await openSession(writeOnnx(buildFeatureGraph(backbone)));
  const image: Tensor = { dtype: 'uint8', shape: [1, size, size, 3], data: pixels };
  const features = (await session.run({ image })).features!.data as Float32Array;
  await session.close();
  return features;
}

const withMetadata = (model: TfliteModel): TfliteModel => ({
  ...model,
  metadata: [
    {
      name: METADATA_ENTRY,
      data: encodeMetadata({
        name: '',
        description: '',
        version: '',
        author: '',
        license: 'Apache-2.0',
        inputs: [{ name: 'image', description: '', colorSpace: 'rgb', mean: [127.5], std: [127.5] }],
        outputs: [{ name: 'probability', description: '', content: 'feature' }],
      }),
    },
  ],
});

async function openBytes(test: TestContext, name: string, bytes: Uint8Array): Promise<ImportedBackbone> {
  const file = join(await temporaryFolder(test), name);
  writeFileSync(file, bytes);
  const backbone = await openModelFile(file);
  assert.deepEqual(
    { file: backbone.weights.file, sha256: backbone.weights.sha256 },
    { file, sha256: createHash('sha256').update(bytes).digest('hex') },
  );
  return backbone;
}

test('an exported classifier gives the backbone back that it was made of', async t => {
  const signed = lowerToTflite(buildClassifierGraph(original, head, 'signed'));
  const files: readonly (readonly [string, Uint8Array, RegExp, number])[] = [
    ['model.tflite', writeTflite(withMetadata(signed)), /as its metadata says/, 1e-4],
    ['halves.tflite', writeTflite(withMetadata(halveWeights(signed))), /as its metadata says/, 0.02],
    ['uint8.tflite', writeTflite(takeUint8(signed)), /as its quantised input tells/, 1e-4],
    ['model.onnx', writeOnnx(buildClassifierGraph(original, head, 'uint8')), /as the type of its input tells/, 1e-4],
  ];
  for (const [name, bytes, source, tolerance] of files) {
    const backbone = await openBytes(t, name, bytes);
    assert.deepEqual(stageShapes(backbone), stageShapes(original), name);
    const difference = largestDifference(await featuresOf(backbone), wanted);
    assert.ok(difference <= tolerance * largestNumber(wanted), `${name}: features differ by ${difference}`);
    assert.match(backbone.notes.join(' '), source);
    assert.match(backbone.notes[0]!, /last layer of 4 outputs/);
    assert.equal(backbone.name, name.replace(/\..*/, ''));
  }
});

/** A classifier of images [N, 3, 32, 32] as an ONNX file. */
const smallOnnx = (shape: readonly (number | string)[]): Uint8Array =>
  writeOnnx(
    network(
      (n, image) => {
        const last = n.block('b', n.block('a', image, [3, 8], { stride: 2 }), [8, 12], { stride: 2 });
        n.dense('end', n.flatten('flat', n.pooled('pool', last)), [12, 10]);
        return { end: [10] };
      },
      { name: 'input', dtype: 'float32', shape },
    ),
  );

test('size and pixels: from the file, from a file beside it, from the user, or asked for', async t => {
  const folder = await temporaryFolder(t);
  const [fixed, free] = [join(folder, 'a model (1).onnx'), join(folder, 'free.onnx')];
  writeFileSync(fixed, smallOnnx([1, 3, 32, 32]));
  writeFileSync(free, smallOnnx(['N', 3, 'height', 'width']));
  await assert.rejects(openModelFile(fixed), /does not say how its pixels are scaled/);
  const said = await openModelFile(fixed, { pixels: 'signed' });
  assert.deepEqual([said.preprocess.size, said.preprocess.mean, said.name], [32, [0.5, 0.5, 0.5], 'a_model_1_']);
  assert.equal((await openModelFile(free, { pixels: 'unit' })).preprocess.size, 224);
  assert.equal((await openModelFile(free, { pixels: 'unit', size: 64 })).preprocess.size, 64);
  await assert.rejects(
    openModelFile(fixed, { pixels: 'unit', size: 64 }),
    (error: unknown) => error instanceof GraftError && error.code === 'usage' && error.message.includes(fixed),
  );
  // A side that is known counts for the other.
  const half = join(folder, 'half.onnx');
  writeFileSync(half, smallOnnx(['N', 3, 64, 'w']));
  assert.equal((await openModelFile(half, { pixels: 'unit' })).preprocess.size, 64);
  // A file that has nothing to do with the model is passed over, and one that is damaged where all is said.
  writeFileSync(join(folder, 'config.json'), '{"name":"myapp","mean":"arithmetic"}');
  assert.equal((await openModelFile(free, { pixels: 'unit' })).preprocess.size, 224);
  writeFileSync(join(folder, 'config.json'), '{"architecture":"a","mean":"arithmetic"}');
  await assert.rejects(openModelFile(free, { pixels: 'unit' }), /three numbers/);
  assert.equal((await openModelFile(free, { pixels: 'unit', size: 48 })).preprocess.size, 48);
  writeFileSync(join(folder, 'config.json'), '{"architecture":"a","input_size":[3,80,80]}');
  assert.equal((await openModelFile(free, { pixels: 'unit' })).preprocess.size, 80);
  writeFileSync(
    join(folder, 'config.json'),
    JSON.stringify({
      pretrained_cfg: {
        mean: [0.4, 0.4, 0.4],
        std: [0.2, 0.2, 0.2],
        input_size: [3, 96, 96],
        interpolation: 'bicubic',
      },
    }),
  );
  const beside = await openModelFile(free);
  assert.deepEqual(beside.preprocess, {
    size: 96,
    fit: 'squash',
    kernel: 'cubic',
    mean: [0.4, 0.4, 0.4],
    std: [0.2, 0.2, 0.2],
  });
  assert.equal((await openModelFile(fixed)).preprocess.size, 32);
});

test('weights in a file beside an ONNX model: read from there, and part of the hash', async t => {
  const folder = await temporaryFolder(t);
  const whole = smallOnnx([1, 3, 32, 32]);
  const model = fromBinary(ModelProtoSchema, whole);
  const moved = model.graph!.initializer.find(({ name }) => name === 'b.conv.weight')!;
  const data = moved.rawData!;
  moved.rawData = new Uint8Array(0);
  moved.dataLocation = TensorProto_DataLocation.EXTERNAL;
  moved.externalData = [['location', 'weights.bin'] as const, ['length', `${data.length}`] as const].map(
    ([key, value]) => create(StringStringEntryProtoSchema, { key, value }),
  );
  const bytes = toBinary(ModelProtoSchema, model);
  writeFileSync(join(folder, 'whole.onnx'), whole);
  writeFileSync(join(folder, 'parts.onnx'), bytes);
  writeFileSync(join(folder, 'weights.bin'), data);
  const [one, two] = [
    await openModelFile(join(folder, 'whole.onnx'), { pixels: 'unit' }),
    await openModelFile(join(folder, 'parts.onnx'), { pixels: 'unit' }),
  ];
  assert.deepEqual(two.graph.constants, one.graph.constants);
  assert.equal(two.weights.sha256, createHash('sha256').update(bytes).update(data).digest('hex'));
  assert.equal(one.weights.sha256, createHash('sha256').update(whole).digest('hex'));
});

test('other formats get a sentence with what to do', async t => {
  const folder = await temporaryFolder(t);
  const text = (value: string) => Buffer.from(value, 'latin1');
  const cases: readonly (readonly [string, Uint8Array, RegExp, RegExp])[] = [
    ['net.pt', zipSync({ 'net/data.pkl': Uint8Array.of(0x80, 2) }), /ZIP archive/, /torch\.onnx\.export/],
    ['net.pth', Uint8Array.of(0x80, 2, 0x8a, 0x0a), /pickle/, /torch\.onnx\.export/],
    ['net.pkl', Uint8Array.of(0x80, 5, 0x95, 0x0a), /pickle/, /they run programs/],
    ['net.h5', text('\x89HDF\r\n\x1a\nrest of it'), /HDF5/, /from_keras_model/],
    ['net.gguf', text('GGUF\x03\0\0\0rest of it'), /GGUF/, /weights without a network.*--weights/],
    ['net.safetensors', text('\x10\0\0\0\0\0\0\0{"a": {}}'), /safetensors/, /weights without a network.*--weights/],
    ['net.tflite', text('<!DOCTYPE html><html>'), /HTML page/, /Download the file itself/],
    ['page.onnx', text('<!DOCTYPE html><html>'), /HTML page/, /Download the file itself/],
    ['pointer.onnx', text('version https://git-lfs.github.com/spec/v1'), /Git LFS pointer/, /git lfs pull/],
    ['notes.onnx', text('a few words'), /seems to be text/, /Name a \.onnx or \.tflite file/],
    ['unknown.onnx', Uint8Array.of(0x3a, 9, 0, 1), /not a sound ONNX model/, /./],
    ['unknown.bin', Uint8Array.of(0x3a, 9, 0, 1), /something else/, /Name a \.onnx or \.tflite file/],
    ['empty.onnx', new Uint8Array(0), /it is empty/, /again/],
    ['damaged.onnx', smallOnnx([1, 3, 32, 32]).slice(0, 900), /not a sound ONNX model/, /./],
    [
      'damaged.tflite',
      writeTflite(lowerToTflite(buildClassifierGraph(original, head, 'signed'))).slice(0, 4000),
      /not a sound TFLite model/,
      /./,
    ],
  ];
  for (const [name, bytes, message, hint] of cases) {
    const file = join(folder, name);
    writeFileSync(file, bytes);
    await assert.rejects(
      openModelFile(file, { pixels: 'unit' }),
      (error: unknown) =>
        error instanceof GraftError &&
        error.code === 'bad-model' &&
        error.message.includes(file) &&
        message.test(error.message) &&
        hint.test(error.hint ?? ''),
      name,
    );
  }
  mkdirSync(join(folder, 'saved'));
  await assert.rejects(openModelFile(join(folder, 'saved')), /is a folder/);
  writeFileSync(join(folder, 'saved', 'saved_model.pb'), 'x');
  await assert.rejects(openModelFile(join(folder, 'saved')), /is a SavedModel of TensorFlow/);
  await assert.rejects(
    openModelFile(join(folder, 'nowhere.onnx')),
    (error: unknown) => error instanceof GraftError && error.code === 'not-found',
  );
});

test("graft's own description: the size where any is taken, and how photos are resampled", async t => {
  const preprocess = { ...original.preprocess, kernel: 'lanczos3' } as const;
  const description = JSON.stringify({ format: 1, classes: ['a', 'b'], preprocess });
  const described = (model: TfliteModel): TfliteModel => ({
    ...model,
    metadata: [...model.metadata, { name: 'graft', data: new TextEncoder().encode(description) }],
  });
  const signed = lowerToTflite(buildClassifierGraph(original, head, 'signed'));
  const onnx = buildClassifierGraph(original, head, 'uint8', { graft: description });
  const files: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ['model.tflite', writeTflite(described(signed)), /as graft's own description says/],
    ['uint8.tflite', writeTflite(described(takeUint8(signed))), /as its quantised input tells/],
    ['model.onnx', writeOnnx(onnx), /as the type of its input tells/],
  ];
  for (const [name, bytes, source] of files) {
    const backbone = await openBytes(t, name, bytes);
    assert.match(backbone.notes.join(' '), source);
    assert.deepEqual([backbone.preprocess.size, backbone.preprocess.kernel], [preprocess.size, 'lanczos3'], name);
    const difference = largestDifference(await featuresOf(backbone), wanted);
    assert.ok(difference <= 1e-4 * largestNumber(wanted), `${name}: features differ by ${difference}`);
  }
  const small = (graft: string) => {
    const model = fromBinary(ModelProtoSchema, smallOnnx(['N', 3, 'height', 'width']));
    model.metadataProps = [create(StringStringEntryProtoSchema, { key: 'graft', value: graft })];
    return toBinary(ModelProtoSchema, model);
  };
  const file = join(await temporaryFolder(t), 'small.onnx');
  const read = async (graft: unknown) => {
    writeFileSync(file, small(typeof graft === 'string' ? graft : JSON.stringify(graft)));
    return (await openModelFile(file, { pixels: 'unit' })).preprocess;
  };
  const sound = { size: 40, fit: 'squash', kernel: 'cubic' };
  const own = await read({ format: 1, preprocess: sound });
  assert.deepEqual([own.size, own.kernel], [40, 'cubic']);
  for (const other of ['a plant', 'null', '[]', { by: 'somebody' }]) assert.equal((await read(other)).size, 224);
  for (const wrong of [
    {},
    { ...sound, size: 0 },
    { ...sound, size: 1e9 },
    { ...sound, kernel: 'x' },
    { ...sound, fit: 'crop' },
  ]) {
    await assert.rejects(
      read({ format: 1, preprocess: wrong }),
      /a description that this version of graft cannot read/,
    );
  }
});

test('damaged files become backbones or are refused', () => {
  const rng = makeRng(4, 'damage');
  const small = network(
    (n, image) => {
      const planes = n.graph.node('Transpose', 'planes', [image], { perm: [0, 3, 1, 2] });
      const stem = n.relu('stem', n.conv('stem.conv', planes, [3, 4], { stride: 2 }));
      const sum = n.add('sum', n.relu('inner', n.conv('inner.conv', stem, [4, 4])), stem);
      n.softmax('end', n.dense('dense', n.flatten('flat', n.pooled('pool', sum)), [4, 5]));
      return { end: [5] };
    },
    { name: 'input', dtype: 'float32', shape: ['N', 16, 16, 3] },
  );
  const kinds = {
    onnx: {
      bytes: writeOnnx(small),
      read: (bytes: Uint8Array) => readOnnxClassifier(bytes, '.', { asked: undefined, usual: undefined }),
    },
    tflite: { bytes: writeTflite(lowerToTflite(small)), read: readTfliteClassifier },
  };
  for (const [kind, { bytes, read }] of Object.entries(kinds)) {
    const counts = { opened: 0, refused: 0 };
    const seed = { name: kind, bytes, regions: [[0, bytes.length]] as const };
    for (let i = 0; i < 1000; i++) {
      const { bytes: damaged, how } = mutate([seed], rng);
      try {
        const { stages } = makeBackbone({ ...read(damaged), weights: { file: 'a', sha256: '' } }, undefined, {
          pixels: 'unit',
        });
        assert.ok(stages.length > 0);
        counts.opened++;
      } catch (error) {
        assert.ok(error instanceof GraftError, `${kind} ${i} (${how}): ${(error as Error).stack}`);
        counts.refused++;
      }
    }
    assert.ok(counts.opened > 50 && counts.refused > 50, `${kind}: ${JSON.stringify(counts)}`);
  }
});
