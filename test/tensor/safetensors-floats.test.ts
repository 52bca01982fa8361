// Weights of every floating-point type become the float32 numbers that they stand for; counters are left out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GraftError } from '../../src/base/errors.ts';
import { readSafetensors, writeSafetensors } from '../../src/tensor/safetensors.ts';
import { readSafetensorsFloats } from '../../src/tensor/safetensors-floats.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import { readReference } from '../support/reference.ts';

/** A file of one tensor `a` of a type, whose data begin `shift` bytes behind a multiple of 8. */
function makeFile(dtype: string, shape: number[], data: Uint8Array, shift = 0): Uint8Array {
  const text = `{"a":{"dtype":"${dtype}","shape":${JSON.stringify(shape)},"data_offsets":[0,${data.length}]}}`;
  const header = Buffer.from(text.padEnd(Math.ceil(text.length / 8) * 8 + shift));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  return Uint8Array.from(Buffer.concat([length, header, data]));
}

const inBytes = (values: Uint16Array | Float32Array | Float64Array | BigInt64Array) => new Uint8Array(values.buffer);
const read = (file: Uint8Array) => readSafetensorsFloats(file, 'some/file').get('a');

/** Patterns and their values by IEEE 754 and by the definition of bfloat16, the upper half of a float32. */
const cases: readonly (readonly [dtype: string, data: Uint8Array, values: readonly number[]])[] = [
  ['F16', inBytes(Uint16Array.of(0x3c00, 0xc248, 0x0001, 0x7bff)), [1, -3.140625, 2 ** -24, 65504]],
  [
    'BF16',
    inBytes(Uint16Array.of(0x3f80, 0xc049, 0x0001, 0x7f7f)),
    [1, -3.140625, 2 ** -133, (2 - 2 ** -7) * 2 ** 127],
  ],
  ['F32', inBytes(Float32Array.of(1, -3.140625, 2 ** -149, 1e30)), [1, -3.140625, 2 ** -149, Math.fround(1e30)]],
  [
    'F64',
    inBytes(Float64Array.of(1, Math.PI, 2 ** -149, 1e30)),
    [1, Math.fround(Math.PI), 2 ** -149, Math.fround(1e30)],
  ],
];

for (const [dtype, data, values] of cases) {
  test(`${dtype} becomes float32, wherever the data begin`, () => {
    for (const shift of [0, 1, 2, 4]) {
      assert.deepEqual(read(makeFile(dtype, [2, 2], data, shift)), {
        dtype: 'float32',
        shape: [2, 2],
        data: Float32Array.from(values),
      });
    }
  });
}

test('float32 is not copied where it lies well', () => {
  const file = writeSafetensors(new Map([['a', float32([3], [1, 2, 3])]]));
  assert.equal(read(file)!.data.buffer, file.buffer);
});

test('counters and masks are left out, and what is no plain number is refused', () => {
  assert.equal(read(makeFile('I64', [], inBytes(BigInt64Array.of(7n)))), undefined);
  assert.equal(read(makeFile('BOOL', [1], Uint8Array.of(1))), undefined);
  for (const dtype of ['I8', 'U8', 'F8_E4M3']) {
    assert.throws(
      () => read(makeFile(dtype, [1], Uint8Array.of(1))),
      ({ code, message }: GraftError) =>
        code === 'bad-weights' && message.includes(`dtype "${dtype}"; F64, I64, F32, I32, F16, BF16, BOOL are read`),
    );
  }
});

test('files of the safetensors package give the floats that are in them', () => {
  const reference = readReference<{ name: string; file: string }[]>('safetensors.json');
  let floats = 0;
  for (const { file } of reference) {
    const bytes = Uint8Array.from(Buffer.from(file, 'base64'));
    const { tensors } = readSafetensors(bytes, 'file');
    if ([...tensors.values()].some(({ dtype }) => dtype === 'int8' || dtype === 'uint8')) continue;
    const wanted = [...tensors]
      .filter(([, { dtype }]) => dtype === 'float32' || dtype === 'float16')
      .map(([name]) => name);
    assert.deepEqual([...readSafetensorsFloats(bytes, 'file').keys()], wanted);
    floats += wanted.length;
  }
  assert.ok(floats > 0);
});
