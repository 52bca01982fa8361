// Writes a table of the TFLite schema through the flatbuffers library, generic over the schema's data.
import type { Builder } from 'flatbuffers';
import { type FieldSpec, type OptionsValue, type TableData, type TableName, tables } from './schema.ts';

/** Data bytes of a vector of ubyte start at a multiple of this, as Buffer.data wants. */
const DATA_ALIGNMENT = 16;

/** Appends `data` and everything below it to `builder`; returns the offset of the table. */
export function writeTable<N extends TableName>(builder: Builder, name: N, data: TableData<N>): number {
  return append(builder, name, data as Readonly<Record<string, unknown>>);
}

function append(builder: Builder, name: TableName, data: Readonly<Record<string, unknown>>): number {
  const fields = Object.entries(tables[name] as Readonly<Record<string, FieldSpec>>);
  // A flatbuffer is written backwards: what a table points to must be there before the table is begun.
  const offsets = new Map<string, number>();
  for (const [field, [, type]] of fields) {
    const value = data[field];
    if (value !== undefined && !isScalar(type)) offsets.set(field, appendValue(builder, type, value));
  }
  builder.startObject(Math.max(0, ...fields.map(([, [slot, type]]) => slot + (type === 'options' ? 2 : 1))));
  for (const [field, [slot, type, absent]] of fields) {
    const value = data[field];
    if (value === undefined) continue;
    if (isScalar(type)) {
      scalarWriters[type](builder, slot, Number(value), Number(absent));
    } else if (type === 'options') {
      builder.addFieldInt8(slot, (value as OptionsValue).type, 0);
      builder.addFieldOffset(slot + 1, offsets.get(field)!, 0);
    } else {
      builder.addFieldOffset(slot, offsets.get(field)!, 0);
    }
  }
  return builder.endObject();
}

function appendValue(builder: Builder, type: string, value: unknown): number {
  if (type === 'string') return builder.createString(value as string);
  if (type === '[uint8]') {
    const bytes = value as Uint8Array;
    builder.prep(DATA_ALIGNMENT, bytes.length);
    return builder.createByteVector(bytes);
  }
  if (type === 'options') {
    const { table, value: options } = value as OptionsValue;
    return append(builder, table ?? 'EmptyOptions', options as Readonly<Record<string, unknown>>);
  }
  if (!type.startsWith('[')) return append(builder, type as TableName, value as Readonly<Record<string, unknown>>);
  const element = type.slice(1, -1);
  if (element in vectorWriters) {
    const numbers = value as readonly number[];
    const { width, add } = vectorWriters[element as keyof typeof vectorWriters];
    builder.startVector(width, numbers.length, width);
    for (let i = numbers.length - 1; i >= 0; i--) add(builder, numbers[i]!);
    return builder.endVector();
  }
  const items = (value as readonly Readonly<Record<string, unknown>>[]).map(item =>
    append(builder, element as TableName, item),
  );
  builder.startVector(4, items.length, 4);
  for (let i = items.length - 1; i >= 0; i--) builder.addOffset(items[i]!);
  return builder.endVector();
}

type ScalarWriter = (builder: Builder, slot: number, value: number, absent: number) => void;

const scalarWriters = {
  bool: (builder, slot, value, absent) => builder.addFieldInt8(slot, value, absent),
  int8: (builder, slot, value, absent) => builder.addFieldInt8(slot, value, absent),
  uint8: (builder, slot, value, absent) => builder.addFieldInt8(slot, value, absent),
  int32: (builder, slot, value, absent) => builder.addFieldInt32(slot, value, absent),
  uint32: (builder, slot, value, absent) => builder.addFieldInt32(slot, value, absent),
  uint64: (builder, slot, value, absent) => builder.addFieldInt64(slot, BigInt(value), BigInt(absent)),
  float32: (builder, slot, value, absent) => builder.addFieldFloat32(slot, value, absent),
} satisfies Record<string, ScalarWriter>;

const vectorWriters = {
  int32: { width: 4, add: (builder: Builder, value: number) => builder.addInt32(value) },
  int64: { width: 8, add: (builder: Builder, value: number) => builder.addInt64(BigInt(value)) },
  float32: { width: 4, add: (builder: Builder, value: number) => builder.addFloat32(value) },
};

const isScalar = (type: string): type is keyof typeof scalarWriters => type in scalarWriters;
