// Reads a table of the TFLite schema from bytes that may be anything: every offset is checked, and the work is bounded.
import { GraftError } from '../base/errors.ts';
import { type FieldSpec, optionsTable, type TableData, type TableName, tables } from './schema.ts';

/** Longest name or description, in bytes. */
const MAX_STRING = 65_536;

/**
 * Fields, characters and vector elements that may be read, per byte of the file. A file in which nothing is shared has
 * at most one per byte; one that points to the same big vector thousands of times would take forever.
 */
const MAX_ITEMS_PER_BYTE = 8;

/** A bounds-checked view of the file. */
interface Source {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  budget: number;
}

/** The error for a file that is not what it should be. */
export function badModel(problem: string): GraftError {
  return new GraftError(
    'bad-model',
    `The file is not a sound TFLite model: ${problem}.`,
    'The file may be damaged or cut off; export or download it again.',
  );
}

/**
 * The root table of the file, with everything below it. Vectors of ubyte are views of `bytes`; others are copies.
 * @throws GraftError `bad-model` for anything that points outside of the file or repeats itself without end.
 */
export function readRoot<N extends TableName>(bytes: Uint8Array, name: N): TableData<N> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const source = { bytes, view, budget: bytes.length * MAX_ITEMS_PER_BYTE };
  return readTable(source, name, readOffset(source, 0)) as TableData<N>;
}

function readTable(source: Source, name: TableName, start: number): Readonly<Record<string, unknown>> {
  const vtable = start - read(source, start, 4, at => source.view.getInt32(at, true));
  const vtableSize = readUint16(source, vtable);
  const tableSize = readUint16(source, vtable + 2);
  if (vtableSize < 4 || tableSize < 4) throw badModel(`the vtable at byte ${vtable} is too small`);
  check(source, vtable, vtableSize);
  check(source, start, tableSize);
  const place = (slot: number, width: number): number => {
    const entry = 4 + 2 * slot;
    const offset = entry + 2 <= vtableSize ? readUint16(source, vtable + entry) : 0;
    if (offset !== 0 && (offset < 4 || offset + width > tableSize)) {
      throw badModel(`a field of ${name} lies outside of its table at byte ${start}`);
    }
    return offset === 0 ? 0 : start + offset;
  };

  const data: Record<string, unknown> = {};
  for (const [field, [slot, type, absent]] of Object.entries(tables[name] as Readonly<Record<string, FieldSpec>>)) {
    if (isScalar(type)) {
      const { width, get } = scalarReaders[type];
      const at = place(slot, width);
      data[field] = at === 0 ? absent : get(source.view, at);
    } else if (type === 'options') {
      const typeAt = place(slot, 1);
      const at = place(slot + 1, 4);
      if (typeAt !== 0 && at !== 0) data[field] = readOptions(source, source.view.getUint8(typeAt), at);
    } else {
      const at = place(slot, 4);
      if (at !== 0) data[field] = readValue(source, type, readOffset(source, at));
    }
    spend(source, 1);
  }
  return data;
}

function readOptions(source: Source, type: number, at: number): unknown {
  const table = optionsTable(type);
  const value = table ? readTable(source, table, readOffset(source, at)) : {};
  return { type, table: table ?? null, value };
}

function readValue(source: Source, type: string, start: number): unknown {
  if (type !== 'string' && !type.startsWith('[')) return readTable(source, type as TableName, start);
  const length = read(source, start, 4, at => source.view.getUint32(at, true));
  const first = start + 4;
  if (type === 'string') {
    if (length > MAX_STRING) throw badModel(`a name of ${length} bytes, more than ${MAX_STRING}`);
    check(source, first, length);
    spend(source, length);
    return new TextDecoder().decode(source.bytes.subarray(first, first + length));
  }
  if (type === '[uint8]') {
    check(source, first, length);
    return source.bytes.subarray(first, first + length);
  }
  const element = type.slice(1, -1);
  const { width, get } = vectorReaders[element as keyof typeof vectorReaders] ?? { width: 4, get: null };
  check(source, first, length * width);
  spend(source, length);
  const items: unknown[] = new Array(length);
  for (let i = 0; i < length; i++) {
    const at = first + i * width;
    items[i] = get ? get(source.view, at) : readTable(source, element as TableName, readOffset(source, at));
  }
  return items;
}

interface ScalarReader {
  readonly width: number;
  readonly get: (view: DataView, at: number) => number | boolean;
}

const vectorReaders = {
  int32: { width: 4, get: (view, at) => view.getInt32(at, true) },
  int64: { width: 8, get: (view, at) => Number(view.getBigInt64(at, true)) },
  float32: { width: 4, get: (view, at) => view.getFloat32(at, true) },
} satisfies Record<string, ScalarReader>;

const scalarReaders = {
  ...vectorReaders,
  bool: { width: 1, get: (view, at) => view.getUint8(at) !== 0 },
  int8: { width: 1, get: (view, at) => view.getInt8(at) },
  uint8: { width: 1, get: (view, at) => view.getUint8(at) },
  uint32: { width: 4, get: (view, at) => view.getUint32(at, true) },
  uint64: { width: 8, get: (view, at) => Number(view.getBigUint64(at, true)) },
} satisfies Record<string, ScalarReader>;

const isScalar = (type: string): type is keyof typeof scalarReaders => type in scalarReaders;

/** Offsets are unsigned, count from where they stand, and so always point forward. */
function readOffset(source: Source, at: number): number {
  const offset = read(source, at, 4, place => source.view.getUint32(place, true));
  if (offset === 0) throw badModel(`the offset at byte ${at} points to itself`);
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
    throw badModel(`${length} bytes at byte ${at} lie outside of its ${source.bytes.length} bytes`);
  }
}

function spend(source: Source, items: number): void {
  source.budget -= items;
  if (source.budget < 0) throw badModel('its parts point to each other too many times');
}
