// Reading ONNX files: every element type by ONNX Runtime, weights in other files, and what is damaged or hostile.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { GraftError } from '../../src/base/errors.ts';
import { openSession } from '../../src/engine/session.ts';
import {
  TensorProto_DataLocation as Location,
  ModelProtoSchema,
  TensorProtoSchema,
  TensorProto_DataType as Type,
} from '../../src/onnx/generated/onnx_pb.ts';
import { readOnnxModel } from '../../src/onnx/read-model.ts';
import { narrowToFloat16 } from '../../src/tensor/float16.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import { agreeWithFile, type FileSpec, floatTensor as f, intTensor as i, onnxFile } from '../support/onnx-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'graft-onnx-'));
after(() => rmSync(folder, { recursive: true }));

const refuses = (work: () => unknown, message: RegExp, code = 'bad-model') =>
  assert.throws(work, (error: unknown) => {
    assert.ok(error instanceof GraftError, String((error as Error).stack));
    assert.equal(error.code, code);
    assert.match(error.message, message);
    return true;
  });

const values = [3, -2, 100, 0, 1, 7];
const whole = values.map(Math.abs);
type Numbers = Omit<MessageInitShape<typeof TensorProtoSchema>, '$typeName'>;
const tensor = (dataType: Type, rest: Numbers) =>
  create(TensorProtoSchema, { name: 'k', dims: [6n], dataType, ...rest });
const bytesOf = (array: ArrayBufferView) => new Uint8Array(array.buffer as ArrayBuffer);
const halves = [...narrowToFloat16(Float32Array.from(values))];
const bfloats = [...new Uint32Array(Float32Array.from(values).buffer)].map(bits => bits >>> 16);

/** Six numbers in every type, in the list that the format keeps them in and as raw bytes. */
const typed: readonly (readonly [string, Type, Numbers, Uint8Array])[] = [
  ['float32', Type.FLOAT, { floatData: values }, bytesOf(Float32Array.from(values))],
  ['float64', Type.DOUBLE, { doubleData: values }, bytesOf(Float64Array.from(values))],
  ['float16', Type.FLOAT16, { int32Data: halves }, bytesOf(Uint16Array.from(halves))],
  ['bfloat16', Type.BFLOAT16, { int32Data: bfloats }, bytesOf(Uint16Array.from(bfloats))],
  ['int64', Type.INT64, { int64Data: values.map(BigInt) }, bytesOf(BigInt64Array.from(values, BigInt))],
  ['int32', Type.INT32, { int32Data: values }, bytesOf(Int32Array.from(values))],
  ['int16', Type.INT16, { int32Data: values }, bytesOf(Int16Array.from(values))],
  ['int8', Type.INT8, { int32Data: values }, bytesOf(Int8Array.from(values))],
  ['uint64', Type.UINT64, { uint64Data: whole.map(BigInt) }, bytesOf(BigUint64Array.from(whole, BigInt))],
  ['uint32', Type.UINT32, { uint64Data: whole.map(BigInt) }, bytesOf(Uint32Array.from(whole))],
  ['uint16', Type.UINT16, { int32Data: whole }, bytesOf(Uint16Array.from(whole))],
  ['uint8', Type.UINT8, { int32Data: whole }, bytesOf(Uint8Array.from(whole))],
  ['bool', Type.BOOL, { int32Data: [1, 0, 1, 0, 0, 1] }, Uint8Array.of(1, 0, 1, 0, 0, 1)],
];
for (const [name, type, list, rawData] of typed) {
  test(`a constant of ${name} has its numbers, as a list and as bytes`, async () => {
    for (const rest of [list, { rawData }]) {
      const spec: FileSpec = {
        opset: 13,
        shape: [3, 4, 6],
        nodes: [
          ['Cast', 'k', 'c', { to: Type.FLOAT }],
          ['Add', 'x c', 'y'],
        ],
        constants: [tensor(type, rest)],
      };
      await agreeWithFile(onnxFile(spec));
    }
  });
}

test('a network in half precision is one in float32 with the same weights', async () => {
  const weights = narrowToFloat16(Float32Array.from({ length: 108 }, (_, n) => Math.sin(n)));
  const w = create(TensorProtoSchema, {
    name: 'w',
    dims: [4n, 3n, 3n, 3n],
    dataType: Type.FLOAT16,
    rawData: bytesOf(weights),
  });
  const spec: FileSpec = {
    opset: 13,
    nodes: [
      ['Cast', 'w', 'v', { to: 1 }],
      ['Conv', 'x v', 'y'],
    ],
    constants: [w],
  };
  const { graph } = await agreeWithFile(onnxFile(spec));
  assert.equal(graph.constants.size, 1);
});

/** A file whose weight is in another one. */
function outside(entries: Readonly<Record<string, string>>): Uint8Array {
  const w = create(TensorProtoSchema, {
    name: 'w',
    dims: [4n, 3n, 3n, 3n],
    dataType: Type.FLOAT,
    dataLocation: Location.EXTERNAL,
    externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
  });
  return onnxFile({ opset: 13, nodes: [['Conv', 'x w', 'y']], constants: [w] });
}
const numbers = Float32Array.from({ length: 108 }, (_, n) => Math.cos(n));
const filled = new Uint8Array(64 + 432 + 5);
filled.set(bytesOf(numbers), 64);

test('weights in another file are read from their place in it', async () => {
  const inside = join(folder, 'model', 'weights');
  mkdirSync(inside, { recursive: true });
  writeFileSync(join(inside, 'w.bin'), filled);
  const file = join(folder, 'model', 'model.onnx');
  writeFileSync(file, outside({ location: 'weights/w.bin', offset: '64', length: '432' }));
  const model = readOnnxModel(file);
  assert.deepEqual(model.constants.get('w')!.read().data, numbers);
  // ONNX Runtime finds them by the file's path as well.
  const ort = await import('onnxruntime-node');
  const session = await ort.InferenceSession.create(file);
  const image = new ort.Tensor('float32', new Float32Array(192).fill(1), [1, 3, 8, 8]);
  const { y } = await session.run({ x: image });
  const sum = numbers.subarray(0, 27).reduce((a, b) => a + b, 0);
  assert.ok(Math.abs((y!.data as Float32Array)[0]! - sum) < 1e-4);
  await session.release();
});

test('in the cache of the Hub, files are links into the blobs of their own repository, and nowhere else', () => {
  const repo = join(folder, 'hub', 'models--me--mine');
  const blobs = join(repo, 'blobs');
  const snapshot = join(repo, 'snapshots', 'a'.repeat(40), 'onnx');
  for (const made of [blobs, snapshot, join(folder, 'hub', 'models--me--other', 'blobs')]) {
    mkdirSync(made, { recursive: true });
    writeFileSync(join(made, 'blob'), filled);
  }
  symlinkSync(join('..', '..', '..', 'blobs', 'blob'), join(snapshot, 'model.onnx_data'));
  symlinkSync(join(folder, 'hub', 'models--me--other', 'blobs', 'blob'), join(snapshot, 'other'));
  writeFileSync(join(repo, 'secret'), filled);
  symlinkSync(join(repo, 'secret'), join(snapshot, 'secret'));
  symlinkSync(join(folder, 'hub'), join(blobs, 'up'));
  symlinkSync(join('..', '..', '..', 'blobs', 'up', 'models--me--mine', 'secret'), join(snapshot, 'around'));
  const read = (location: string, from = snapshot) =>
    readOnnxModel(outside({ location, offset: '64' }), from)
      .constants.get('w')!
      .read().data;
  assert.deepEqual(read('model.onnx_data'), numbers);
  assert.deepEqual(read('onnx/model.onnx_data', join(snapshot, '..')), numbers);
  for (const location of ['other', 'secret', 'around']) refuses(() => read(location), /a link that leads out/);

  // A folder that only looks like it: no commit.
  const like = join(repo, 'snapshots', 'main');
  mkdirSync(like);
  symlinkSync(join(blobs, 'blob'), join(like, 'model.onnx_data'));
  refuses(() => read('model.onnx_data', like), /a link that leads out/);
});

test('no path leads out of the folder of the model', () => {
  const place = join(folder, 'escape');
  mkdirSync(place);
  writeFileSync(join(folder, 'secret.bin'), filled);
  symlinkSync(join(folder, 'secret.bin'), join(place, 'link.bin'));
  symlinkSync(folder, join(place, 'up'));
  mkdirSync(join(place, 'folder.bin'));
  writeFileSync(join(place, 'short.bin'), filled.subarray(0, 100));
  const read = (entries: Readonly<Record<string, string>>, from: string | undefined = place) =>
    readOnnxModel(outside(entries), from).constants.get('w')!.read();
  for (const location of [
    '../secret.bin',
    join(folder, 'secret.bin'),
    'a/../../secret.bin',
    '..\\secret.bin',
    'C:\\x',
    '',
    'a\0b',
  ]) {
    refuses(() => read({ location }), /a path below the model's folder is wanted/);
  }
  refuses(() => read({ location: 'link.bin' }), /a link that leads out/);
  refuses(() => read({ location: 'up/secret.bin' }), /a link that leads out/);
  refuses(() => read({ location: 'folder.bin' }), /is no file/);
  refuses(() => read({ location: 'missing.bin' }), /does not exist/, 'not-found');
  refuses(() => read({ location: 'short.bin' }), /takes the bytes 0 to 432 of short\.bin, which has 100/);
  refuses(() => read({ location: 'short.bin', offset: '-1' }), /not a whole number/);
  refuses(() => read({ location: 'short.bin', offset: '1e3' }), /not a whole number/);
  refuses(() => read({ location: 'short.bin', length: '40' }), /has 40 bytes in short\.bin, and its shape takes 432/);
  refuses(
    () =>
      readOnnxModel(outside({ location: 'w.bin' }))
        .constants.get('w')!
        .read(),
    /did not come with it/,
  );
});

const simple: FileSpec = {
  opset: 13,
  nodes: [
    ['Relu', 'x', 'a'],
    ['Add', 'a k', 'y'],
  ],
  constants: [f('k', [8])],
};
type Model = ReturnType<typeof fromBinary<typeof ModelProtoSchema>>;
/** The file of a sound model after a change. */
function changed(change: (model: Model) => unknown, spec = simple): Uint8Array {
  const model = fromBinary(ModelProtoSchema, onnxFile(spec));
  change(model);
  return toBinary(ModelProtoSchema, model);
}

test('nodes in another order are sorted', async () => {
  const bytes = changed(({ graph }) => {
    graph!.node.reverse();
  });
  assert.deepEqual(
    readOnnxModel(bytes).nodes.map(({ op }) => op),
    ['Relu', 'Add'],
  );
});

/** Changes that make a file wrong, and what is said. */
const wrong: Readonly<Record<string, readonly [(model: Model) => unknown, RegExp]>> = {
  'a circle': [({ graph }) => Object.assign(graph!.node[0]!.input, { 0: 'y' }), /run in a circle/],
  'two values of one name': [
    ({ graph }) => Object.assign(graph!.node[1]!.output, { 0: 'a' }),
    /two values are called "a"/,
  ],
  'two constants of one name': [({ graph }) => graph!.initializer.push(f('k', [8])), /two constants are called "k"/],
  'a value that nothing makes': [
    ({ graph }) => Object.assign(graph!.node[1]!.input, { 1: 'z' }),
    /reads "z", which nothing makes/,
  ],
  'an output that nothing makes': [
    ({ graph }) => Object.assign(graph!.output[0]!, { name: 'z' }),
    /nothing makes its output "z"/,
  ],
  'too few bytes': [
    ({ graph }) => Object.assign(graph!.initializer[0]!, { rawData: new Uint8Array(31) }),
    /has 31 bytes, and its shape takes 32/,
  ],
  'too few numbers': [
    ({ graph }) => {
      graph!.initializer[0]!.rawData = new Uint8Array(0);
      graph!.initializer[0]!.floatData = [1, 2, 3];
    },
    /has 3 numbers, and its shape takes 8/,
  ],
  'a negative dimension': [
    ({ graph }) => Object.assign(graph!.initializer[0]!, { dims: [-8n] }),
    /has the shape \[-8\]/,
  ],
  'a dimension without end': [
    ({ graph }) => Object.assign(graph!.initializer[0]!, { dims: [2n ** 40n] }),
    /has the shape/,
  ],
  'more dimensions than there are': [
    ({ graph }) => Object.assign(graph!.initializer[0]!, { dims: new Array(17).fill(1n) }),
    /has 17 dimensions/,
  ],
  'a type without a name': [
    ({ graph }) => Object.assign(graph!.initializer[0]!, { dataType: 99 }),
    /elements of type 99/,
  ],
  text: [({ graph }) => Object.assign(graph!.initializer[0]!, { dataType: Type.STRING }), /holds text/],
  'an old opset': [
    model => Object.assign(model.opsetImport[0]!, { version: 6n }),
    /uses opset 6 of ONNX; 7 to 22 are read/,
  ],
  'a new opset': [model => Object.assign(model.opsetImport[0]!, { version: 99n }), /uses opset 99/],
  'no graph': [model => delete model.graph, /has no graph/],
};
for (const [name, [change, message]] of Object.entries(wrong)) {
  test(`${name} is refused`, () => {
    refuses(() => {
      const model = readOnnxModel(changed(change));
      for (const constant of model.constants.values()) constant.read();
    }, message);
  });
}

test('what is no protobuf message is refused, and so is what would take memory without measure', () => {
  const bytes = onnxFile(simple);
  refuses(() => readOnnxModel(bytes.subarray(0, bytes.length - 7)), /no protobuf message/);
  refuses(
    () => readOnnxModel(new TextEncoder().encode('version https://git-lfs.github.com/spec/v1')),
    /no protobuf message|no graph/,
  );
  refuses(() => readOnnxModel(new Uint8Array(0)), /no graph/);
  // Empty nodes of two bytes each, which would be objects of hundreds.
  const nodes = new Uint8Array(2_000_000).map((_, n) => (n % 2 === 0 ? 0x0a : 0));
  refuses(() => readOnnxModel(wrapGraph(nodes)), /more memory than any sound model/);
  // Graphs inside of graphs.
  let nested: Uint8Array = new Uint8Array(0);
  for (let depth = 0; depth < 40; depth++) nested = field(1, field(5, field(6, nested)));
  refuses(() => readOnnxModel(wrapGraph(nested)), /nest more than 16 deep/);
});

/** A field of bytes of a message. */
function field(number: number, bytes: Uint8Array): Uint8Array {
  const length: number[] = [];
  for (let left = bytes.length; left > 127 || length.length === 0 || left > 0; left >>>= 7) {
    length.push(left > 127 ? (left & 127) | 128 : left);
  }
  return new Uint8Array(Buffer.concat([Uint8Array.of((number << 3) | 2, ...length), bytes]));
}
const wrapGraph = (graph: Uint8Array) => new Uint8Array(Buffer.concat([Uint8Array.of(0x08, 8), field(7, graph)]));

test('a file with lists of floats is as it was after reading', () => {
  const spec: FileSpec = { ...simple, constants: [tensor(Type.FLOAT, { floatData: values, name: 'k', dims: [6n] })] };
  const bytes = onnxFile({ ...spec, shape: [3, 4, 6] });
  const copy = bytes.slice();
  assert.deepEqual([...readOnnxModel(bytes).constants.get('k')!.read().data], values);
  assert.deepEqual(bytes, copy);
  // Floats in a tensor of doubles are none of its numbers.
  const other = onnxFile({ ...simple, constants: [tensor(Type.DOUBLE, { floatData: values, dims: [3n] })] });
  refuses(() => readOnnxModel(other).constants.get('k')!.read(), /has 0 numbers, and its shape takes 3/);
});

test('integers of 64 bits keep their value up to 2^53, and a file is not changed by reading it', async () => {
  const bytes = onnxFile({ ...simple, constants: [f('k', [8]), i('big', [2 ** 53 - 1, -5])] });
  const copy = bytes.slice();
  const model = readOnnxModel(bytes);
  assert.deepEqual([...model.constants.get('big')!.read().data], [2 ** 53 - 1, -5]);
  assert.deepEqual(bytes, copy);
  const session = await openSession(bytes, { threads: 1 });
  await session.run({ x: float32([1, 3, 8, 8], new Float32Array(192)) });
  await session.close();
});
