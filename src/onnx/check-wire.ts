// Walks the bytes of a protobuf message before they are decoded, and refuses those that would take memory without measure.
import { type DescMessage, ScalarType } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { TensorProto_DataType, TensorProtoSchema } from './generated/onnx_pb.ts';
import { badOnnx } from './model.ts';

/** About what a decoded message, an element of a list of numbers and a piece of text or bytes take in memory. */
const MESSAGE_COST = 400;
const NUMBER_COST = 32;
const INT32_COST = 8;
const PIECE_COST = 100;

/** Memory that decoding may take: a multiple of the bytes beside what any file may, and no more than this in all. */
const MAX_MEMORY_FACTOR = 12;
const ALLOWANCE = 2 ** 26;
const MAX_MEMORY = 2 ** 31;

/** Messages inside of messages: a graph's attribute's tensor is the fifth. */
const MAX_DEPTH = 16;

type Field = DescMessage['fields'][number];
type Fields = ReadonlyMap<number, Field>;

/** Fields by number, of the messages that were met so far. */
const known = new WeakMap<DescMessage, Fields>();

/** What is known while a message is walked through. */
interface Walk {
  readonly bytes: Uint8Array;
  readonly reader: BinaryReader;
  /** Memory that may still be taken. */
  left: number;
  /** Where the tag of a tensor's float_data is, in tensors that have one list of floats and nothing else. */
  readonly floatLists: number[];
}

/**
 * Checks that `bytes` are a message of the kind, as far as lengths go.
 * @returns the places of the tags of float_data, for withFloatsAsBytes.
 * @throws GraftError `bad-model`.
 */
export function checkWire(schema: DescMessage, bytes: Uint8Array): readonly number[] {
  const left = Math.min(MAX_MEMORY, ALLOWANCE + MAX_MEMORY_FACTOR * bytes.length);
  const state: Walk = { bytes, reader: new BinaryReader(bytes), left, floatLists: [] };
  try {
    walk(schema, state, bytes.length, 0);
  } catch (error) {
    if (error instanceof RangeError || (error instanceof Error && error.constructor === Error)) {
      throw badOnnx(`it is no protobuf message (${error.message})`, undefined, error);
    }
    throw error;
  }
  return state.floatLists;
}

/** Tags of TensorProto's float_data (field 4) and raw_data (field 9), both with a length. */
const FLOAT_DATA = (4 << 3) | WireType.LengthDelimited;
const RAW_DATA = (9 << 3) | WireType.LengthDelimited;

/**
 * Runs `work` on the bytes while lists of floats are called raw_data, which has the same bytes: decoded as lists, they would
 * take eight times the memory, and seconds. Afterwards the bytes are as they were.
 */
export function withFloatsAsBytes<T>(bytes: Uint8Array, floatLists: readonly number[], work: () => T): T {
  try {
    for (const place of floatLists) bytes[place] = RAW_DATA;
    return work();
  } finally {
    for (const place of floatLists) bytes[place] = FLOAT_DATA;
  }
}

function walk(schema: DescMessage, state: Walk, end: number, depth: number): void {
  if (depth > MAX_DEPTH) throw new RangeError(`messages nest more than ${MAX_DEPTH} deep`);
  spend(state, MESSAGE_COST);
  const { bytes, reader } = state;
  const fields = fieldsOf(schema);
  const isTensor = schema === TensorProtoSchema;
  const data: number[] = [];
  let type = 0;
  while (reader.pos < end) {
    const place = reader.pos;
    const [number, wire] = reader.tag();
    const field = fields.get(number);
    if (isTensor && isData(field)) data.push(place);
    if (isTensor && field?.name === 'data_type' && wire === WireType.Varint) type = reader.int32();
    else if (!field || wire !== WireType.LengthDelimited) {
      if (field) spend(state, NUMBER_COST);
      reader.skip(wire, number, MAX_DEPTH);
    } else {
      const length = reader.uint32();
      const stop = reader.pos + length;
      if (stop > end) throw new RangeError(`${length} bytes at byte ${reader.pos} lie outside of their message`);
      if (field.message) walk(field.message, state, stop, depth + 1);
      else spend(state, costOf(field, length));
      reader.pos = stop;
    }
  }
  if (reader.pos !== end) throw new RangeError(`a message ends at byte ${reader.pos}, not ${end}`);
  const [first] = data;
  if (type !== TensorProto_DataType.FLOAT || first === undefined || data.length > 1) return;
  if (bytes[first] === FLOAT_DATA) state.floatLists.push(first);
}

/** Whether a field of a tensor holds its numbers, or says where they are. */
const isData = (field: Field | undefined): boolean =>
  field !== undefined && (field.name.endsWith('_data') || field.name === 'data_location');

/** Memory of a field with a length; a list of numbers has up to one for every byte, floats aside. */
function costOf(field: Field, length: number): number {
  if (field.fieldKind !== 'list' || field.listKind !== 'scalar') return PIECE_COST;
  switch (field.scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return PIECE_COST;
    // Lists of floats are not decoded but where they are in pieces.
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return 2 * length;
    case ScalarType.INT32:
      return INT32_COST * length;
    default:
      return NUMBER_COST * length;
  }
}

function fieldsOf(schema: DescMessage): Fields {
  const fields = known.get(schema) ?? new Map(schema.fields.map(field => [field.number, field] as const));
  known.set(schema, fields);
  return fields;
}

function spend(state: Walk, memory: number): void {
  state.left -= memory;
  if (state.left < 0) throw new RangeError('its parts would take more memory than any sound model of its size');
}
