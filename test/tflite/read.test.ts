// Files of other programs: everything that the format has is read, kept when it is written again, and bounded in memory.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Builder } from 'flatbuffers';
import { makeNoise } from '../../src/engine/latency.ts';
import { loadLiteRt } from '../../src/engine/litert.ts';
import { builtinName, compareReleases, firstRelease } from '../../src/tflite/builtin-operators.ts';
import type { KnownOperator, OtherOperator, TfliteModel } from '../../src/tflite/model.ts';
import { readTflite } from '../../src/tflite/read.ts';
import { operators, type TableData, tfliteSchema } from '../../src/tflite/schema.ts';
import { writeTflite } from '../../src/tflite/write.ts';
import { writeRoot } from '../../src/tflite/write-flatbuffer.ts';
import { chameleon, foreignFile, foreignModel } from '../support/foreign-model.ts';

const rewrite = (bytes: Uint8Array) => writeTflite(readTflite(bytes), { stampRuntime: false });
const bytesOf = (...values: number[]) => Uint8Array.of(...values);

test('the runtime calls every built-in operator by the name in the table', async () => {
  // It refuses an operator in a version that nothing has, and says which.
  for (let code = 0; builtinName(code) !== undefined; code++) {
    const name = builtinName(code)!;
    if (name === 'CUSTOM') continue;
    const file = writeTflite(
      {
        description: '',
        tensors: ['x', 'y'].map(tensor => ({ name: tensor, type: 'FLOAT32', shape: [1, 1] })),
        operators: [{ op: 'OTHER', code, name, version: 99, inputs: [0], outputs: [1] }],
        inputs: [0],
        outputs: [1],
        metadata: [],
      },
      { stampRuntime: false },
    );
    await assert.rejects(loadLiteRt(file), { message: new RegExp(`builtin opcode '${name}' version '99'`) });
  }
  assert.equal(builtinName(209), 'STABLEHLO_CASE');
  assert.equal(builtinName(210), undefined);
});

test('what graft writes agrees with the tables of all operators', () => {
  for (const [name, { code, optionsType, options, versions }] of Object.entries(operators)) {
    assert.equal(builtinName(code), name);
    if (optionsType > 0) assert.equal(tfliteSchema.unions.BuiltinOptions!.get(optionsType), options, name);
    for (const [version, release] of Object.entries(versions)) {
      assert.equal(firstRelease(code, Number(version)), release, `${name} ${version}`);
    }
  }
  assert.equal(firstRelease(130, 1), undefined);
  assert.equal(firstRelease(3, 99), undefined);
  assert.equal(firstRelease(3, 0), undefined);
  assert.ok(compareReleases('2.9.0', '2.14.0') < 0);
});

test('subgraphs, custom operators, sparse and dynamic tensors, details: read as they are', () => {
  const model = readTflite(foreignFile);
  assert.deepEqual(model, foreignModel);
});

test('written again, the content is the same, and from then on the bytes', () => {
  const again = rewrite(foreignFile);
  assert.deepEqual(readTflite(again), foreignModel);
  assert.deepEqual(rewrite(again), again);
  // A file that another program's data stands behind is read too.
  const followed = new Uint8Array([...again, 1, 2, 3]);
  assert.deepEqual(readTflite(followed), foreignModel);
});

test('LiteRT gets the same numbers from a file and from what graft writes of it', async () => {
  const files = [chameleon];
  const real = new URL('../../../shared/models/tf2_mobilenet_v2_1.0_224_ptq.tflite', import.meta.url);
  if (existsSync(real)) files.push(new Uint8Array(readFileSync(real)));
  for (const file of files) {
    const answers: unknown[] = [];
    for (const bytes of [file, rewrite(file)]) {
      const model = await loadLiteRt(bytes);
      answers.push(await model.run(model.inputs.map(({ dtype, shape }) => makeNoise(dtype, shape).data)));
      model.close();
    }
    assert.deepEqual(answers[1], answers[0]);
    assert.deepEqual(readTflite(rewrite(file)), readTflite(file));
  }
  const [resize, leaky] = readTflite(chameleon).operators as [KnownOperator<'RESIZE_BILINEAR'>, OtherOperator];
  assert.deepEqual([resize.op, leaky.name], ['RESIZE_BILINEAR', 'LEAKY_RELU']);
  assert.deepEqual(resize.options, { align_corners: false, half_pixel_centers: true });
});

test('a dimension that may change is 1 in the shape and -1 in its signature, however the file says so', () => {
  const write = (shape: number[], shape_signature?: number[]) =>
    writeRoot(
      tfliteSchema,
      'Model',
      {
        version: 3,
        buffers: [{ offset: 0 }],
        subgraphs: [{ tensors: [{ type: 0, buffer: 0, name: 'x', shape, shape_signature }] }],
      },
      1024,
    );
  const [old, current] = [write([-1, 4]), write([1, 4], [-1, 4])].map(bytes => readTflite(bytes).tensors[0]);
  assert.deepEqual(old, { name: 'x', type: 'FLOAT32', shape: [1, 4], shapeSignature: [-1, 4] });
  assert.deepEqual(old, current);
  assert.throws(() => readTflite(write([1, 4], [-1])), /1 dimensions in its signature/);
  assert.throws(() => readTflite(write([1, 4], [-2, 4])), { code: 'bad-model' });
});

test('constants behind the flatbuffer are read from where they stand, and never from outside', () => {
  const root = (offset: number, size: number): TableData<'Model'> => ({
    version: 3,
    buffers: [{ offset: 0 }, { offset, size }],
    subgraphs: [{ tensors: [{ type: 9, buffer: 1, name: 'w', shape: [4] }] }],
  });
  const size = writeRoot(tfliteSchema, 'Model', root(1000, 4), 1024).length;
  const place = (offset: number, count: number) =>
    new Uint8Array([...writeRoot(tfliteSchema, 'Model', root(offset, count), 1024), 5, 6, 7, 8]);
  assert.deepEqual(readTflite(place(size, 4)).tensors[0]!.data, bytesOf(5, 6, 7, 8));
  assert.throws(() => readTflite(place(size + 1, 4)), /4 bytes at byte \d+, outside of its/);
  assert.throws(() => readTflite(place(2 ** 60, 4)), /outside of its/);
  assert.throws(() => readTflite(place(size, 3)), /has 3 bytes of INT8 data/);
});

test('files that contradict themselves are refused, each with what is wrong', () => {
  const change = (part: object) => () =>
    readTflite(writeTflite({ ...foreignModel, ...part } as TfliteModel, { stampRuntime: false }));
  const sparse = foreignModel.tensors.find(tensor => tensor.sparsity)!;
  const withSparsity = (part: object) =>
    change({
      tensors: foreignModel.tensors.map(tensor =>
        tensor === sparse ? { ...tensor, sparsity: { ...sparse.sparsity, ...part } } : tensor,
      ),
    });
  assert.throws(withSparsity({ traversalOrder: [0] }), /2 axes is sparse in 1 axes and describes 2/);
  assert.throws(withSparsity({ dimensions: [] }), /describes 0/);
  const { signature } = foreignModel;
  assert.throws(change({ signature: { ...signature, subgraph: 7 } }), /calls subgraph 7 of 2/);
  assert.throws(
    change({ otherSignatures: [{ key: 'k', inputs: [{ name: 'x', tensor: 99 }], outputs: [] }] }),
    /tensor 99/,
  );
});

test('an operator whose options are newer than graft is read, and not written', () => {
  const options = { type: 200, table: null, value: {} };
  const operator = { op: 'OTHER', code: 98, name: 'LEAKY_RELU', version: 1, inputs: [0], outputs: [1], options };
  const model = { ...readTflite(chameleon), operators: [operator] } as TfliteModel;
  assert.throws(() => writeTflite(model, { stampRuntime: false }), { code: 'unsupported-op', message: /LEAKY_RELU/ });
});

test('parts that are shared thousands of times are refused before they take memory', () => {
  for (const [what, bytes] of Object.entries(sharedFiles())) {
    const before = process.memoryUsage().heapUsed;
    const start = performance.now();
    assert.throws(() => readTflite(bytes), { code: 'bad-model', message: /too many times/ }, what);
    const grown = process.memoryUsage().heapUsed - before;
    assert.ok(grown < 64 * bytes.length + 4e6, `${what}: ${bytes.length} bytes took ${grown}`);
    assert.ok(performance.now() - start < 2000, what);
  }
});

/** Files as no writer makes them: all pointers of a vector lead to one table, which is an object for each in memory. */
function sharedFiles(): Record<string, Uint8Array> {
  const share = (builder: Builder, item: number, count: number) => {
    builder.startVector(4, count, 4);
    for (let i = 0; i < count; i++) builder.addOffset(item);
    return builder.endVector();
  };
  const finish = (builder: Builder, slot: number, vector: number) => {
    builder.startObject(8);
    builder.addFieldInt32(0, 3, 0);
    builder.addFieldOffset(slot, vector, 0);
    builder.finish(builder.endObject(), 'TFL3');
    return builder.asUint8Array().slice();
  };
  const table = (builder: Builder, fields: Record<number, number> = {}) => {
    builder.startObject(8);
    for (const [slot, offset] of Object.entries(fields)) builder.addFieldOffset(Number(slot), offset, 0);
    return builder.endObject();
  };
  const nested = new Builder();
  const tensors = share(nested, table(nested), 20_000);
  const subgraphs = finish(nested, 2, share(nested, table(nested, { 0: tensors }), 20_000));
  const flat = new Builder();
  const data = flat.createByteVector(new Uint8Array(8));
  const buffers = finish(flat, 4, share(flat, table(flat, { 0: data }), 200_000));
  const numbers = new Builder();
  numbers.startVector(4, 50_000, 4);
  for (let i = 0; i < 50_000; i++) numbers.addInt32(1);
  const inputs = table(numbers, { 1: numbers.endVector() });
  const vectors = finish(numbers, 2, share(numbers, inputs, 5000));
  return { subgraphs, buffers, vectors };
}
