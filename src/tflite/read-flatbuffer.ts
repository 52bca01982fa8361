// Reads a table of a schema from bytes that may be anything: every offset is checked, and the work is bounded.
import { GraftError } from '../base/errors.ts';
import type { FieldSpec, Schema, TableOf, Tables, UnionValue } from './flatbuffer-schema.ts';

/** Longest name or description, in bytes. */
const MAX_STRING = 65_536;

/**
 * Memory that the data may take, as a multiple of the file's bytes and in all. Sound files stay below 20 times (tables of 8
 * bytes that have no fields); one whose parts point to the same big vector thousands of times would take everything.
 */
const MAX_MEMORY_FACTOR = 32;
const MAX_MEMORY = 2 ** 30;

/** About what an object, a field or an element of a list, and a view of bytes take in memory. */
const OBJECT_COST = 64;
const FIELD_COST = 16;
const ELEMENT_COST = 8;
const VIEW_COST = 128;

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

/** A bounds-checked view of the file. */
interface Source {
  readonly schema: Schema;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Memory that may still be taken. */
  budget: number;
}

/** The error for a file that is not what it should be. `what` is the format that it should be of. */
export function badModel(problem: string, what = 'TFLite model'): GraftError {
  return new GraftError(
    'bad-model',
    `The file is not a sound ${what}: ${problem}.`,
    'The file may be damaged or cut off; export or download it again.',
  );
}

/**
 * The root table of the file, with everything below it. Vectors of ubyte are views of `bytes`; others are copies.
 * @throws GraftError `bad-model` for another format, and for anything that points outside of the file or repeats itself
 * without end.
 */
export function readRoot<T extends Tables, N extends keyof T & string>(
  schema: Schema<T>,
  name: N,
  bytes: Uint8Array,
): TableOf<T, N> {
  const { identifier, what } = schema;
  const found = new TextDecoder('latin1').decode(bytes.subarray(4, 8));
  if (found !== identifier) {
    throw badModel(`bytes 4 to 8 are ${JSON.stringify(found)}, not ${JSON.stringify(identifier)}`, what);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const source: Source = { schema, bytes, view, budget: Math.min(bytes.length * MAX_MEMORY_FACTOR, MAX_MEMORY) };
  return readTable(source, name, readOffset(source, 0)) as TableOf<T, N>;
}

function readTable(source: Source, name: string, start: number): Readonly<Record<string, unknown>> {
  const vtable = start - read(source, start, 4, at => source.view.getInt32(at, true));
  const vtableSize = readUint16(source, vtable);
  const tableSize = readUint16(source, vtable + 2);
  if (vtableSize < 4 || tableSize < 4) throw bad(source, `the vtable at byte ${vtable} is too small`);
  check(source, vtable, vtableSize);
  check(source, start, tableSize);
  const place = (slot: number, width: number): number => {
    const entry = 4 + 2 * slot;
    const offset = entry + 2 <= vtableSize ? readUint16(source, vtable + entry) : 0;
    if (offset !== 0 && (offset < 4 || offset + width > tableSize)) {
      throw bad(source, `a field of ${name} lies outside of its table at byte ${start}`);
    }
    return offset === 0 ? 0 : start + offset;
  };

  const data: Record<string, unknown> = {};
  const fields = fieldsOf(source.schema.tables[name]!);
  spend(source, OBJECT_COST + fields.length * FIELD_COST);
  for (const [field, [slot, type, absent, rare]] of fields) {
    if (isScalar(type)) {
      const { width, get } = scalarReaders[type];
      const at = place(slot, width);
      const value = at === 0 ? absent : get(source.view, at);
      if (!rare || value !== absent) data[field] = value;
    } else if (type.startsWith('union ')) {
      const typeAt = place(slot, 1);
      const at = place(slot + 1, 4);
      if (typeAt !== 0 && at !== 0) {
        data[field] = readUnion(source, type.slice('union '.length), source.view.getUint8(typeAt), at);
      }
    } else {
      const at = place(slot, 4);
      if (at !== 0) data[field] = readValue(source, type, readOffset(source, at));
    }
  }
  return data;
}

/** Entries of the tables that were read so far: making them anew for each would take most of the time. */
const knownFields = new WeakMap<Tables[string], readonly (readonly [string, FieldSpec])[]>();

function fieldsOf(table: Tables[string]): readonly (readonly [string, FieldSpec])[] {
  const known = knownFields.get(table) ?? Object.entries(table);
  knownFields.set(table, known);
  return known;
}

function readUnion(source: Source, name: string, type: number, at: number): UnionValue {
  const table = source.schema.unions[name]!.get(type);
  const value = table ? readTable(source, table, readOffset(source, at)) : {};
  return { type, table: table ?? null, value };
}

function readValue(source: Source, type: string, start: number): unknown {
  if (type !== 'string' && !type.startsWith('[')) return readTable(source, type, start);
  const length = read(source, start, 4, at => source.view.getUint32(at, true));
  const first = start + 4;
  if (type === 'string') {
    if (length > MAX_STRING) throw bad(source, `a name of ${length} bytes, more than ${MAX_STRING}`);
    check(source, first, length);
    spend(source, OBJECT_COST + length);
    return decoder.decode(source.bytes.subarray(first, first + length));
  }
  if (type === '[uint8]') {
    check(source, first, length);
    spend(source, VIEW_COST);
    return source.bytes.subarray(first, first + length);
  }
  if (type === '[uint16]') {
    check(source, first, 2 * length);
    spend(source, VIEW_COST + 2 * length);
    return new Uint16Array(source.bytes.slice(first, first + 2 * length).buffer);
  }
  const element = type.slice(1, -1);
  const { width, get } = vectorReaders[element as keyof typeof vectorReaders] ?? { width: 4, get: null };
  check(source, first, length * width);
  spend(source, OBJECT_COST + length * ELEMENT_COST);
  const items: unknown[] = new Array(length);
  for (let i = 0; i < length; i++) {
    const at = first + i * width;
    items[i] = get ? get(source.view, at) : readValue(source, element, readOffset(source, at));
  }
  return items;
}

interface ScalarReader {
  readonly width: number;
  readonly get: (view: DataView, at: number) => number | boolean | bigint;
}

const vectorReaders = {
  bool: { width: 1, get: (view, at) => view.getUint8(at) !== 0 },
  int32: { width: 4, get: (view, at) => view.getInt32(at, true) },
  uint32: { width: 4, get: (view, at) => view.getUint32(at, true) },
  int64: { width: 8, get: readExactLong },
  float32: { width: 4, get: (view, at) => view.getFloat32(at, true) },
} satisfies Record<string, ScalarReader>;

const scalarReaders = {
  ...vectorReaders,
  int64: { width: 8, get: (view, at) => view.getBigInt64(at, true) },
  int8: { width: 1, get: (view, at) => view.getInt8(at) },
  uint8: { width: 1, get: (view, at) => view.getUint8(at) },
  uint64: { width: 8, get: (view, at) => Number(view.getBigUint64(at, true)) },
} satisfies Record<string, ScalarReader>;

/** The numbers of 64 bits in vectors are zero points, axes and sizes; JavaScript has them exactly up to 2^53. */
function readExactLong(view: DataView, at: number): number {
  const value = Number(view.getBigInt64(at, true));
  if (!Number.isSafeInteger(value))
    throw badModel(`the number ${view.getBigInt64(at, true)} at byte ${at} is too large`);
  return value;
}

const isScalar = (type: string): type is keyof typeof scalarReaders => type in scalarReaders;

/** Offsets are unsigned, count from where they stand, and so always point forward. */
function readOffset(source: Source, at: number): number {
  const offset = read(source, at, 4, place => source.view.getUint32(place, true));
  if (offset === 0) throw bad(source, `the offset at byte ${at} points to itself`);
  return at + offset;
}

const readUint16 = (source: Source, at: number): number =>
  read(source, at, 2, place => source.view.getUint16(place, true));

function read(source: Source, at: number, width: number, get: (at: number) => number): number {
  check(source, at, width);
  return get(at);
}

function check(source: Source, at: number, length: number): void {
  if (at < 0 || at + length > source.bytes.length) {
    throw bad(source, `${length} bytes at byte ${at} lie outside of its ${source.bytes.length} bytes`);
  }
}

function spend(source: Source, memory: number): void {
  source.budget -= memory;
  if (source.budget < 0) throw bad(source, 'its parts point to each other too many times');
}

const bad = (source: Source, problem: string): GraftError => badModel(problem, source.schema.what);
