// Walks the bytes of a protobuf message before they are decoded, and refuses those that would take memory without measure.
import type { DescMessage } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { badOnnx } from './model.ts';

/** About what a decoded message, an element of a list of numbers and a piece of text or bytes take in memory. */
const MESSAGE_COST = 400;
const NUMBER_COST = 32;
const FLOAT_COST = 8;
const PIECE_COST = 100;

/** Memory that decoding may take: a multiple of the bytes beside what any file may, and no more than this in all. */
const MAX_MEMORY_FACTOR = 8;
const ALLOWANCE = 2 ** 26;
const MAX_MEMORY = 2 ** 31;

/** Messages inside of messages: a graph's attribute's tensor is the fifth. */
const MAX_DEPTH = 16;

type Fields = ReadonlyMap<number, DescMessage['fields'][number]>;

/** Fields by number, of the messages that were met so far. */
const known = new WeakMap<DescMessage, Fields>();

/**
 * Checks that `bytes` are a message of the kind, as far as lengths go.
 * @throws GraftError `bad-model`.
 */
export function checkWire(schema: DescMessage, bytes: Uint8Array): void {
  const reader = new BinaryReader(bytes);
  const budget = { left: Math.min(MAX_MEMORY, ALLOWANCE + MAX_MEMORY_FACTOR * bytes.length) };
  try {
    walk(schema, reader, bytes.length, budget, 0);
  } catch (error) {
    if (error instanceof RangeError || (error instanceof Error && error.constructor === Error)) {
      throw badOnnx(`it is no protobuf message (${error.message})`, undefined, error);
    }
    throw error;
  }
}

function walk(schema: DescMessage, reader: BinaryReader, end: number, budget: { left: number }, depth: number): void {
  if (depth > MAX_DEPTH) throw new RangeError(`messages nest more than ${MAX_DEPTH} deep`);
  spend(budget, MESSAGE_COST);
  const fields = fieldsOf(schema);
  while (reader.pos < end) {
    const [number, wire] = reader.tag();
    const field = fields.get(number);
    if (!field || wire !== WireType.LengthDelimited) {
      if (field) spend(budget, NUMBER_COST);
      reader.skip(wire, number, MAX_DEPTH);
    } else {
      const length = reader.uint32();
      const stop = reader.pos + length;
      if (stop > end) throw new RangeError(`${length} bytes at byte ${reader.pos} lie outside of their message`);
      if (field.message) walk(field.message, reader, stop, budget, depth + 1);
      else spend(budget, costOf(field, length));
      reader.pos = stop;
    }
  }
  if (reader.pos !== end) throw new RangeError(`a message ends at byte ${reader.pos}, not ${end}`);
}

/** Fixed-width numbers are doubles in a list; others take at least one byte in the file each. */
function costOf(field: DescMessage['fields'][number], length: number): number {
  const isList = field.fieldKind === 'list' && field.listKind === 'scalar';
  if (!isList) return PIECE_COST;
  if (field.packed && field.scalar === 2) return (length / 4) * FLOAT_COST;
  if (field.packed && field.scalar === 1) return length;
  return field.packed ? length * NUMBER_COST : PIECE_COST;
}

function fieldsOf(schema: DescMessage): Fields {
  const fields = known.get(schema) ?? new Map(schema.fields.map(field => [field.number, field] as const));
  known.set(schema, fields);
  return fields;
}

function spend(budget: { left: number }, memory: number): void {
  budget.left -= memory;
  if (budget.left < 0) throw new RangeError('its parts would take more memory than any sound model of its size');
}
