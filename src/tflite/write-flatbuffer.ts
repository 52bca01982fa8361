// Writes a table of a schema through the flatbuffers library, generic over the schema's data.
import { Builder } from 'flatbuffers';
import type { FieldSpec, Schema, TableOf, Tables, UnionValue } from './flatbuffer-schema.ts';

/** Data bytes of a vector of ubyte start at a multiple of this, as Buffer.data wants. */
const DATA_ALIGNMENT = 16;

/** The bytes of a file of the schema's format whose root is `data`. `size` is a guess of their number. */
export function writeRoot<T extends Tables, N extends keyof T & string>(
  schema: Schema<T>,
  name: N,
  data: TableOf<T, N>,
  size: number,
): Uint8Array {
  const target = { builder: new Builder(size), tables: schema.tables, vectors: new Map<string, number>() };
  const root = append(target, name, data as Readonly<Record<string, unknown>>);
  target.builder.finish(root, schema.identifier);
  return target.builder.asUint8Array().slice();
}

/** A file under construction. */
interface Target {
  readonly builder: Builder;
  readonly tables: Tables;
  /** Offsets of the vectors of numbers so far: equal ones are stored once. */
  readonly vectors: Map<string, number>;
}

function append(target: Target, name: string, data: Readonly<Record<string, unknown>>): number {
  const { builder, tables } = target;
  const fields: readonly (readonly [string, FieldSpec])[] = Object.entries(tables[name]!);
  // A flatbuffer is written backwards: what a table points to must be there before the table is begun.
  const offsets = new Map<string, number>();
  for (const [field, [, type]] of fields) {
    const value = data[field];
    if (value !== undefined && !isScalar(type)) offsets.set(field, appendValue(target, type, value));
  }
  builder.startObject(Math.max(0, ...fields.map(([, [slot, type]]) => slot + (isUnion(type) ? 2 : 1))));
  for (const [field, [slot, type, absent]] of fields) {
    const value = data[field];
    if (value === undefined) continue;
    if (isScalar(type)) {
      scalarWriters[type](builder, slot, value as Scalar, absent!);
    } else if (isUnion(type)) {
      builder.addFieldInt8(slot, (value as UnionValue).type, 0);
      builder.addFieldOffset(slot + 1, offsets.get(field)!, 0);
    } else {
      builder.addFieldOffset(slot, offsets.get(field)!, 0);
    }
  }
  return builder.endObject();
}

function appendValue(target: Target, type: string, value: unknown): number {
  const { builder, vectors } = target;
  if (type === 'string') return builder.createString(value as string);
  if (type === '[uint8]') {
    const bytes = value as Uint8Array;
    builder.prep(DATA_ALIGNMENT, bytes.length);
    return builder.createByteVector(bytes);
  }
  if (isUnion(type)) {
    const { table, value: fields } = value as UnionValue;
    return append(target, table!, fields as Readonly<Record<string, unknown>>);
  }
  if (!type.startsWith('[')) return append(target, type, value as Readonly<Record<string, unknown>>);
  const element = type.slice(1, -1);
  if (element in vectorWriters) {
    const numbers = value as readonly number[];
    const key = `${element} ${numbers.join()}`;
    const known = vectors.get(key);
    if (known !== undefined) return known;
    const { width, add } = vectorWriters[element as keyof typeof vectorWriters];
    builder.startVector(width, numbers.length, width);
    for (let i = numbers.length - 1; i >= 0; i--) add(builder, numbers[i]!);
    const offset = builder.endVector();
    vectors.set(key, offset);
    return offset;
  }
  const items = (value as readonly unknown[]).map(item => appendValue(target, element, item));
  builder.startVector(4, items.length, 4);
  for (let i = items.length - 1; i >= 0; i--) builder.addOffset(items[i]!);
  return builder.endVector();
}

type Scalar = number | boolean | bigint;
type ScalarWriter = (builder: Builder, slot: number, value: Scalar, absent: Scalar) => void;

const writeByte: ScalarWriter = (builder, slot, value, absent) =>
  builder.addFieldInt8(slot, Number(value), Number(absent));
const writeWord: ScalarWriter = (builder, slot, value, absent) =>
  builder.addFieldInt32(slot, Number(value), Number(absent));
const writeLong: ScalarWriter = (builder, slot, value, absent) =>
  builder.addFieldInt64(slot, BigInt(value), BigInt(absent));

const scalarWriters = {
  bool: writeByte,
  int8: writeByte,
  uint8: writeByte,
  int32: writeWord,
  uint32: writeWord,
  int64: writeLong,
  uint64: writeLong,
  float32: (builder, slot, value, absent) => builder.addFieldFloat32(slot, Number(value), Number(absent)),
} satisfies Record<string, ScalarWriter>;

const vectorWriters = {
  bool: { width: 1, add: (builder: Builder, value: number) => builder.addInt8(Number(value)) },
  uint16: { width: 2, add: (builder: Builder, value: number) => builder.addInt16(value) },
  int32: { width: 4, add: (builder: Builder, value: number) => builder.addInt32(value) },
  uint32: { width: 4, add: (builder: Builder, value: number) => builder.addInt32(value) },
  int64: { width: 8, add: (builder: Builder, value: number) => builder.addInt64(BigInt(value)) },
  float32: { width: 4, add: (builder: Builder, value: number) => builder.addFloat32(value) },
};

const isUnion = (type: string): boolean => type.startsWith('union ');

const isScalar = (type: string): type is keyof typeof scalarWriters => type in scalarWriters;
