// Safetensors against files of the safetensors package, every refusal with its words, and two thousand damaged files.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraftError } from '../../src/base/errors.ts';
import { makeRng, type Rng } from '../../src/base/rng.ts';
import { readSafetensors, writeSafetensors } from '../../src/tensor/safetensors.ts';
import { type DataType, float32, type Tensor } from '../../src/tensor/tensor.ts';
import { readReference } from '../support/reference.ts';

interface ReferenceCase {
  readonly name: string;
  readonly metadata: Record<string, string>;
  readonly tensors: readonly { name: string; dtype: DataType; shape: number[]; data: string }[];
  /** Base64. */
  readonly file: string;
}

const reference = readReference<ReferenceCase[]>('safetensors.json');
const referenceFile = ({ file }: ReferenceCase) => new Uint8Array(Buffer.from(file, 'base64'));

const arrays = {
  float32: Float32Array,
  float16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

/** What a case says that its file holds. */
function listTensors(tensors: ReferenceCase['tensors']): Map<string, Tensor> {
  return new Map(
    tensors.map(({ name, dtype, shape, data }) => {
      const { buffer } = new Uint8Array(Buffer.from(data, 'hex'));
      return [name, { dtype, shape, data: new arrays[dtype](buffer) } as Tensor];
    }),
  );
}

/** A file of a header (bytes, text, or what becomes its JSON) and so many bytes of data, all 0. */
function makeFile(header: unknown, dataBytes = 0): Uint8Array {
  const json = header instanceof Uint8Array || typeof header === 'string' ? header : JSON.stringify(header);
  const text = Buffer.from(json as string);
  const bytes = new Uint8Array(8 + text.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  return bytes;
}

const info = (dtype: string, shape: unknown, ...offsets: unknown[]) => ({ dtype, shape, data_offsets: offsets });

/** Shapes, types and bytes: to deepEqual one NaN is as good as another. */
const inBytes = (tensors: ReadonlyMap<string, Tensor>) =>
  Object.fromEntries(
    [...tensors].map(([name, { dtype, shape, data }]) => [
      `name ${name}`,
      { dtype, shape, kind: data.constructor.name, bytes: Buffer.from(data.buffer).toString('hex') },
    ]),
  );

test('files of the safetensors package are read, and written byte for byte', () => {
  for (const each of reference) {
    const file = referenceFile(each);
    const { tensors, metadata } = readSafetensors(file, 'reference.safetensors');
    assert.deepEqual(inBytes(tensors), inBytes(listTensors(each.tensors)), each.name);
    assert.deepEqual(metadata, each.metadata, each.name);
    assert.deepEqual(writeSafetensors(listTensors(each.tensors), each.metadata), file, each.name);
    assert.deepEqual(writeSafetensors(tensors, metadata), file, each.name);
  }
});

test('the order in which tensors and metadata are given does not matter', () => {
  for (const { name, tensors, metadata, file } of reference) {
    const backwards = Object.fromEntries(Object.entries(metadata).reverse());
    const bytes = writeSafetensors(listTensors([...tensors].reverse()), backwards);
    assert.equal(Buffer.from(bytes).toString('base64'), file, name);
  }
});

test('a file is read at any address, and what was read outlives it', () => {
  const [{ tensors }] = reference as [ReferenceCase];
  const file = referenceFile(reference[0]!);
  for (let shift = 0; shift < 8; shift++) {
    const moved = Buffer.alloc(file.length + shift).subarray(shift);
    moved.set(file);
    const read = readSafetensors(moved, 'moved.safetensors');
    moved.fill(0xff);
    assert.deepEqual(inBytes(read.tensors), inBytes(listTensors(tensors)));
  }
});

test('a view into a larger array is written alone', () => {
  const data = Float32Array.of(1, 2, 3, 4).subarray(1, 3);
  const read = readSafetensors(writeSafetensors(new Map([['view', float32([2], data)]])), 'view.safetensors');
  assert.deepEqual(read.tensors.get('view'), float32([2], [2, 3]));
});

test('a header in another order and with other white space is read as well', () => {
  const text =
    '{ "b" : {"data_offsets":[4,\n8],"shape":[1],"dtype":"F32"},\r\n"a":{"dtype":"I32","shape":[],"data_offsets":[0,4]}}\t ';
  const { tensors } = readSafetensors(makeFile(text, 8), 'hand.safetensors');
  assert.deepEqual([...tensors.keys()], ['a', 'b']);
});

const lone = '"\\ud83c"';
const ok = info('F32', [1], 0, 4);
const nest = (depth: number) => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`;

/** What is wrong, the file, and what the error says of it. */
const refusals: readonly (readonly [string, Uint8Array, string])[] = [
  ['no length', new Uint8Array(7), 'it has 7 bytes, and the length of its header alone takes 8'],
  [
    'length of all ones',
    new Uint8Array(8).fill(255),
    'its header claims 18446744073709551615 bytes; up to 10000000 are read',
  ],
  [
    'length over the limit',
    Uint8Array.of(0x81, 0x96, 0x98, 0, 0, 0, 0, 0),
    'its header claims 10000001 bytes; up to 10000000 are read',
  ],
  ['cut off', makeFile('{"a":1}').subarray(0, 12), 'its header claims 7 bytes, and 4 are left in the file'],
  ['no header', makeFile(''), "its header does not begin with '{'"],
  ['space before the header', makeFile(' {}'), "its header does not begin with '{'"],
  ['not UTF-8', makeFile({ a: ok }, 4).fill(0xff, 10, 11), 'its header is not UTF-8'],
  ['half of an object', makeFile('{"a":'), 'its header is not JSON ('],
  ['something behind the object', makeFile('{}\0'), 'its header is not JSON ('],
  [
    'tensor twice',
    makeFile(`{"a":${JSON.stringify(ok)},"a":${JSON.stringify(ok)}}`, 4),
    'its header has the key "a" twice in one place; once is wanted',
  ],
  [
    'twice, once escaped',
    makeFile(`{"a":${JSON.stringify(ok)},"\\u0061" :${JSON.stringify(ok)}}`, 4),
    'its header has the key "a" twice in one place; once is wanted',
  ],
  [
    'twice with quotation marks and backslashes',
    makeFile('{"\\\\\\"":0,"x":"{\\\\","\\\\\\"":0}'),
    'its header has the key "\\\\\\"" twice in one place; once is wanted',
  ],
  [
    'dtype twice',
    makeFile('{"a":{"dtype":"F32","dtype":"I32","shape":[1],"data_offsets":[0,4]}}', 4),
    'its header has the key "dtype" twice in one place; once is wanted',
  ],
  [
    'metadata twice',
    makeFile('{"__metadata__":{"k":"1"},"__metadata__":{}}'),
    'its header has the key "__metadata__" twice in one place; once is wanted',
  ],
  [
    'metadata key twice',
    makeFile('{"__metadata__":{"k":"1","k":"2"}}'),
    'its header has the key "k" twice in one place; once is wanted',
  ],
  ['deep', makeFile(nest(1_000_000)), 'its header nests more than 3 deep'],
  ['lists in the shape', makeFile(nest(3)), 'its header nests more than 3 deep'],
  ['metadata a list', makeFile({ __metadata__: ['x'] }), 'its __metadata__ is ["x"]; an object is wanted'],
  ['metadata null', makeFile('{"__metadata__":null}'), 'its __metadata__ is null; an object is wanted'],
  ['metadata a number', makeFile({ __metadata__: { epoch: 3 } }), 'its __metadata__ has 3 at "epoch"; text is wanted'],
  [
    'metadata not Unicode',
    makeFile(`{"__metadata__":{"k":${lone}}}`),
    'its __metadata__ has half a surrogate pair at "k"; Unicode is wanted',
  ],
  [
    'metadata key not Unicode',
    makeFile(`{"__metadata__":{${lone}:""}}`),
    'its __metadata__ has half a surrogate pair at "\\ud83c"; Unicode is wanted',
  ],
  [
    'name not Unicode',
    makeFile(`{${lone}:${JSON.stringify(ok)}}`, 4),
    'its tensor "\\ud83c" has half a surrogate pair in its name; Unicode is wanted',
  ],
  [
    'a list for a tensor',
    makeFile({ a: ['F32', 1, 0] }),
    'its tensor "a" is described by ["F32",1,0]; an object is wanted',
  ],
  ['a null for a tensor', makeFile({ a: null }), 'its tensor "a" is described by null; an object is wanted'],
  [
    'long words',
    makeFile({ a: 'x'.repeat(1000) }),
    `its tensor "a" is described by "${'x'.repeat(79)}...; an object is wanted`,
  ],
  ['no dtype', makeFile({ a: { shape: [], data_offsets: [0, 4] } }, 4), 'its tensor "a" has no dtype'],
  ['no shape', makeFile({ a: { dtype: 'F32', data_offsets: [0, 4] } }, 4), 'its tensor "a" has no shape'],
  ['no offsets', makeFile({ a: { dtype: 'F32', shape: [] } }, 4), 'its tensor "a" has no data_offsets'],
  [
    'a key too many',
    makeFile({ a: { ...ok, stride: [1] } }, 4),
    'its tensor "a" has a key "stride", which the format does not know',
  ],
  [
    'BF16',
    makeFile({ a: info('BF16', [2], 0, 4) }, 4),
    'its tensor "a" has the dtype "BF16"; I64, F32, I32, F16, I8, U8, BOOL are read',
  ],
  [
    'F64',
    makeFile({ a: info('F64', [], 0, 8) }, 8),
    'its tensor "a" has the dtype "F64"; I64, F32, I32, F16, I8, U8, BOOL are read',
  ],
  [
    'our own name of a dtype',
    makeFile({ a: info('float32', [], 0, 4) }, 4),
    'its tensor "a" has the dtype "float32"; I64, F32, I32, F16, I8, U8, BOOL are read',
  ],
  [
    'negative',
    makeFile({ a: info('F32', [-1], 0, 4) }, 4),
    'its tensor "a" has the shape [-1]; a list of whole numbers is wanted',
  ],
  [
    'negative zero',
    makeFile('{"a":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}'),
    'its tensor "a" has the shape [0]; a list of whole numbers is wanted',
  ],
  [
    'broken',
    makeFile({ a: info('F32', [0.5, 2], 0, 4) }, 4),
    'its tensor "a" has the shape [0.5,2]; a list of whole numbers is wanted',
  ],
  [
    'over 2^53',
    makeFile('{"a":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,4]}}', 4),
    'its tensor "a" has the shape [9007199254740992]; a list of whole numbers is wanted',
  ],
  [
    'a shape that is a number',
    makeFile({ a: info('F32', 1, 0, 4) }, 4),
    'its tensor "a" has the shape 1; a list of whole numbers is wanted',
  ],
  [
    '65 dimensions',
    makeFile({ a: info('F32', Array(65).fill(1), 0, 4) }, 4),
    'its tensor "a" has 65 dimensions; up to 64 are read',
  ],
  [
    'one offset',
    makeFile({ a: info('F32', [], 0) }, 4),
    'its tensor "a" has the data_offsets [0]; its first byte and the one behind it are wanted',
  ],
  [
    'negative offset',
    makeFile({ a: info('F32', [], -4, 0) }, 4),
    'its tensor "a" has the data_offsets [-4,0]; its first byte and the one behind it are wanted',
  ],
  [
    'offsets in the wrong order',
    makeFile({ a: info('F32', [], 4, 0) }, 4),
    'its tensor "a" has the data_offsets [4,0]; its first byte and the one behind it are wanted',
  ],
  [
    'too few bytes',
    makeFile({ a: info('F32', [2, 2], 0, 8) }, 8),
    'its tensor "a" has 8 bytes; F32 of shape [2,2] takes 16',
  ],
  [
    '2^126 values',
    makeFile({ a: info('I8', [2 ** 42, 2 ** 42, 2 ** 42], 0, 4) }, 4),
    `its tensor "a" has 4 bytes; I8 of shape [${2 ** 42},${2 ** 42},${2 ** 42}] takes ${2 ** 126}`,
  ],
  ['behind the end', makeFile({ a: info('F32', [2], 0, 8) }, 4), 'its tensor "a" ends at byte 8 of 4 bytes of data'],
  [
    '4 PB behind the end',
    makeFile({ a: info('I8', [2 ** 52], 0, 2 ** 52) }, 4),
    'its tensor "a" ends at byte 4503599627370496 of 4 bytes of data',
  ],
  [
    'two in one place',
    makeFile({ a: ok, b: ok }, 4),
    'its tensor "b" begins at byte 0, where another tensor has the bytes up to 4',
  ],
  [
    'two that overlap',
    makeFile({ a: ok, b: info('I8', [4], 2, 6) }, 6),
    'its tensor "b" begins at byte 2, where another tensor has the bytes up to 4',
  ],
  [
    'nothing inside another',
    makeFile({ a: ok, b: info('I8', [0], 2, 2) }, 4),
    'its tensor "b" begins at byte 2, where another tensor has the bytes up to 4',
  ],
  [
    'a hole before the first',
    makeFile({ a: info('I8', [1], 1, 2) }, 2),
    'its tensor "a" begins at byte 1, and no tensor has the bytes from 0 on',
  ],
  [
    'a hole between two',
    makeFile({ a: ok, b: info('I8', [1], 5, 6) }, 6),
    'its tensor "b" begins at byte 5, and no tensor has the bytes from 4 on',
  ],
  ['a hole at the end', makeFile({ a: ok }, 5), 'no tensor has the bytes from 4 on of 5 bytes of data'],
  ['data without tensors', makeFile({}, 1), 'no tensor has the bytes from 0 on of 1 bytes of data'],
  [
    'a boolean of 7',
    makeFile({ a: info('BOOL', [2], 0, 2) }, 2).fill(7, -1),
    'its tensor "a" is BOOL and has the byte 7; 0 and 1 are wanted',
  ],
];

for (const [what, file, reason] of refusals) {
  test(`refused: ${what}`, () => {
    const start = `some/file is not a usable safetensors file: ${reason}`;
    const hint = reason.includes('the dtype')
      ? 'Save it as F32 or F16.'
      : 'If it was copied or fetched, do that again; else use another file.';
    assert.throws(
      () => readSafetensors(file, 'some/file'),
      (error: GraftError) => {
        assert.ok(error instanceof GraftError, String(error));
        assert.equal(error.message.slice(0, start.length), start);
        assert.match(error.message.slice(start.length), reason.endsWith('(') ? /^.+\)\.$/ : /^\.$/);
        assert.deepEqual([error.code, error.hint], ['bad-weights', hint]);
        return true;
      },
    );
  });
}

test('what nobody could read back is not written', () => {
  const one = float32([1], [1]);
  assert.throws(() => writeSafetensors(new Map([['__metadata__', one]])), /RangeError: No tensor may have the name/);
  assert.throws(() => writeSafetensors(new Map([['a', { ...one, shape: [2] }]])), /RangeError: a of shape \[2\] has 1/);
  assert.throws(() => writeSafetensors(new Map([['\ud83c', one]])), /RangeError: .* cannot be written as UTF-8/);
  assert.throws(() => writeSafetensors(new Map(), { a: '\udf43' }), /RangeError: .* cannot be written as UTF-8/);
  assert.throws(() => writeSafetensors(new Map(), { a: 'x'.repeat(1e7) }), /RangeError: A header of 1\d+ bytes/);
});

/** Ways to damage bytes: a bit turned, a byte that means something in JSON, a piece gone, a piece twice. */
const edits: readonly ((bytes: number[], rng: Rng) => void)[] = [
  (bytes, rng) => bytes.splice(rng.int(bytes.length), 1, rng.int(256)),
  (bytes, rng) => bytes.splice(rng.int(bytes.length), 1, rng.pick([...Buffer.from('"{}[],:0123456789-e.\\ ')])),
  (bytes, rng) => bytes.splice(rng.int(bytes.length), 1 + rng.int(9)),
  (bytes, rng) => {
    const start = rng.int(bytes.length);
    bytes.splice(rng.int(bytes.length), 0, ...bytes.slice(start, start + 1 + rng.int(60)));
  },
];

/** A copy of a file with one to three edits in one of its parts. */
function damage(file: Uint8Array, rng: Rng): Uint8Array {
  const headerEnd = 8 + file[0]! + 256 * file[1]!;
  const parts = [file.subarray(0, 8), file.subarray(8, headerEnd), file.subarray(headerEnd)].map(part => [...part]);
  // The length, the header (with a length that fits it again) or the data.
  const edited = rng.pick([0, 1, 1, 1, 2]);
  for (let left = 1 + rng.int(3); left > 0; left--) rng.pick(edits)(parts[edited]!, rng);
  if (edited === 1) parts[0] = [...makeFile(Uint8Array.from(parts[1]!)).subarray(0, 8)];
  return Uint8Array.from(parts.flat());
}

test('two thousand damaged files are read or refused, and nothing else', () => {
  const rng = makeRng(0, 'damaged safetensors');
  const files = reference.map(referenceFile).filter(file => file.length > 16);
  const reasons = new Set<string>();
  let read = 0;
  for (let i = 0; i < 2000; i++) {
    const file = damage(rng.pick(files), rng);
    try {
      const { tensors, metadata } = readSafetensors(file, 'damaged');
      // What was read takes no more than the file, and can be written and read again.
      const size = [...tensors.values()].reduce((sum, { data }) => sum + data.buffer.byteLength, 0);
      assert.ok(size < file.length, `${size} bytes of data from ${file.length}`);
      const again = readSafetensors(writeSafetensors(tensors, metadata), 'again');
      assert.deepEqual(inBytes(again.tensors), inBytes(tensors));
      assert.deepEqual(again.metadata, metadata);
      read++;
    } catch (error) {
      assert.ok(error instanceof GraftError && error.code === 'bad-weights', `file ${i}: ${(error as Error).stack}`);
      assert.match(error.message, /^damaged is not a usable safetensors file: .+\.$/s);
      reasons.add(error.message.replace(/\(.*|"(?:[^"\\]|\\.)*"?|\d+/gs, '').slice(0, 70));
    }
  }
  // Both ways were gone often, and the refusals reach all checks.
  assert.ok(read > 100 && read < 1900, `${read} were read`);
  assert.ok(reasons.size > 15, [...reasons].join('\n'));
});
