// Reads and writes safetensors files: a JSON header that names the tensors, then their bytes without holes.
// Files are taken as untrusted: whatever the format does not promise is refused. Equal tensors give equal bytes.
import { GraftError } from '../base/errors.ts';
import { type DataType, type DataTypes, sizeOf, type Tensor } from './tensor.ts';

/** The format allows 100 MB, but a tensor takes about 100 bytes of header: this is for 100,000, and is parsed in 1 s. */
const MAX_HEADER_BYTES = 10_000_000;
/** The header holds tensors, and these hold lists. */
const MAX_DEPTH = 3;
/** No framework has tensors with more dimensions (numpy 2). */
const MAX_DIMENSIONS = 64;
/** Bytes of the header's length, and what the header's own length is a multiple of. */
const WORD = 8;

const METADATA = '__metadata__';

/** Each type's name in the format and its array, in the order in which the reference writer stores them. */
const formats = {
  int64: ['I64', BigInt64Array],
  float32: ['F32', Float32Array],
  int32: ['I32', Int32Array],
  float16: ['F16', Uint16Array],
  int8: ['I8', Int8Array],
  uint8: ['U8', Uint8Array],
  bool: ['BOOL', Uint8Array],
} as const satisfies { readonly [D in DataType]: readonly [string, ArrayOf<DataTypes[D]>] };

interface ArrayOf<A> {
  new (buffer: ArrayBuffer): A;
  readonly BYTES_PER_ELEMENT: number;
}

const order = Object.keys(formats) as DataType[];

/** What the header says about a tensor. Offsets count from the end of the header. */
export interface TensorInfo {
  readonly name: string;
  /** As the format calls it. */
  readonly format: string;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

/**
 * The bytes of a safetensors file (https://github.com/huggingface/safetensors): tensors by descending size of their
 * elements, then by name; metadata by name, none when it is empty.
 * @throws RangeError for what no reader would take back: a name that is reserved or not Unicode, values that do not
 * fill their shape, a header over the limit.
 */
export function writeSafetensors(
  tensors: ReadonlyMap<string, Tensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  const sorted = [...tensors].sort(
    ([a, { dtype: left }], [b, { dtype: right }]) => order.indexOf(left) - order.indexOf(right) || compareUtf8(a, b),
  );
  const entries: string[] = [];
  const pairs = Object.entries(metadata).sort(([a], [b]) => compareUtf8(a, b));
  if (pairs.length > 0) entries.push(`"${METADATA}":{${pairs.map(pair => pair.map(quote).join(':')).join(',')}}`);
  let size = 0;
  for (const [name, { dtype, shape, data }] of sorted) {
    if (name === METADATA) throw new RangeError(`No tensor may have the name ${METADATA}.`);
    if (sizeOf(shape) !== data.length) {
      throw new RangeError(`${name} of shape [${shape.join(', ')}] has ${data.length} values.`);
    }
    const info = { dtype: formats[dtype][0], shape, data_offsets: [size, size + data.byteLength] };
    entries.push(`${quote(name)}:${JSON.stringify(info)}`);
    size += data.byteLength;
  }
  const text = Buffer.from(`{${entries.join(',')}}`);
  const headerBytes = Math.ceil(text.length / WORD) * WORD;
  if (headerBytes > MAX_HEADER_BYTES) throw new RangeError(`A header of ${headerBytes} bytes is too long.`);

  const bytes = new Uint8Array(WORD + headerBytes + size);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes), true);
  bytes.fill(0x20, WORD, WORD + headerBytes).set(text, WORD);
  let position = WORD + headerBytes;
  for (const [, { data }] of sorted) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position);
    position += data.byteLength;
  }
  return bytes;
}

/**
 * The tensors (in the order of their bytes) and the metadata of a safetensors file; nothing refers to `bytes`
 * afterwards. `where` names the file in errors.
 * @throws GraftError `bad-weights` when the file is damaged or holds types that graft does not compute with.
 */
export function readSafetensors(
  bytes: Uint8Array,
  where: string,
): { tensors: Map<string, Tensor>; metadata: Record<string, string> } {
  const sizes = new Map(order.map(key => [formats[key][0], formats[key][1].BYTES_PER_ELEMENT]));
  const { infos, data, metadata, fail } = parseSafetensors(bytes, where, sizes);
  return { tensors: new Map(infos.map(info => [info.name, copyTensor(info, data, fail)])), metadata };
}

/**
 * The parts of a safetensors file, checked, with the tensors in the order of their bytes. `data` is a part of `bytes`.
 * @param sizes bytes of an element of each type that the caller takes, by the format's name for it.
 * @throws GraftError `bad-weights`, as `fail` does.
 */
export function parseSafetensors(
  bytes: Uint8Array,
  where: string,
  sizes: ReadonlyMap<string, number>,
): { infos: TensorInfo[]; data: Uint8Array; metadata: Record<string, string>; fail: Fail } {
  const fail: Fail = (reason, hint) => {
    throw new GraftError(
      'bad-weights',
      `${where} is not a usable safetensors file: ${reason}.`,
      hint ?? 'If it was copied or fetched, do that again; else use another file.',
    );
  };
  const headerBytes = readHeaderLength(bytes, fail);
  const header = parseHeader(bytes.subarray(WORD, WORD + headerBytes), fail);
  const entries = Object.entries(header).filter(([name]) => name !== METADATA);
  const infos = entries.map(([name, value]) => checkInfo(name, value, sizes, fail));
  infos.sort((a, b) => a.start - b.start || a.end - b.end);
  const data = bytes.subarray(WORD + headerBytes);
  checkCover(infos, data.length, fail);
  const metadata = Object.hasOwn(header, METADATA) ? checkMetadata(header[METADATA], fail) : {};
  return { infos, data, metadata, fail };
}

/** Refuses the file for a reason. */
export type Fail = (reason: string, hint?: string) => never;

function readHeaderLength(bytes: Uint8Array, fail: Fail): number {
  if (bytes.length < WORD) fail(`it has ${bytes.length} bytes, and the length of its header alone takes ${WORD}`);
  const length = new DataView(bytes.buffer, bytes.byteOffset, WORD).getBigUint64(0, true);
  if (length > MAX_HEADER_BYTES) fail(`its header claims ${length} bytes; up to ${MAX_HEADER_BYTES} are read`);
  const left = bytes.length - WORD;
  if (length > left) fail(`its header claims ${length} bytes, and ${left} are left in the file`);
  return Number(length);
}

function parseHeader(bytes: Uint8Array, fail: Fail): Readonly<Record<string, unknown>> {
  if (bytes[0] !== 0x7b) fail("its header does not begin with '{'");
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return fail('its header is not UTF-8');
  }
  let header: Readonly<Record<string, unknown>>;
  try {
    header = JSON.parse(text);
  } catch (error) {
    return fail(`its header is not JSON (${(error as Error).message})`);
  }
  checkKeys(text, fail);
  return header;
}

/** Refuses keys that an object of a valid JSON text has twice (JSON.parse keeps the last one) and nests of nests. */
function checkKeys(text: string, fail: Fail): void {
  const keysOfOpen: Set<string>[] = [];
  const mark = /["{}[\]]/g;
  const colon = /[ \t\r\n]*:/y;
  for (let found = mark.exec(text); found; found = mark.exec(text)) {
    if (found[0] === '"') {
      const end = findEndOfString(text, found.index);
      mark.lastIndex = end;
      colon.lastIndex = end;
      if (!colon.test(text)) continue;
      const key = JSON.parse(text.slice(found.index, end)) as string;
      const keys = keysOfOpen.at(-1)!;
      if (keys.has(key)) fail(`its header has the key ${shorten(key)} twice in one place; once is wanted`);
      keys.add(key);
    } else if (found[0] === '{' || found[0] === '[') {
      if (keysOfOpen.length === MAX_DEPTH) fail(`its header nests more than ${MAX_DEPTH} deep`);
      keysOfOpen.push(new Set());
    } else keysOfOpen.pop();
  }
}

/** The position behind the string that begins at `start`; not by one expression, which long strings would overflow. */
function findEndOfString(text: string, start: number): number {
  for (let quoteMark = text.indexOf('"', start + 1); ; quoteMark = text.indexOf('"', quoteMark + 1)) {
    let before = quoteMark;
    while (text[before - 1] === '\\') before--;
    if ((quoteMark - before) % 2 === 0) return quoteMark + 1;
  }
}

/** One tensor's entry, as far as it can be judged alone. */
function checkInfo(name: string, value: unknown, sizes: ReadonlyMap<string, number>, fail: Fail): TensorInfo {
  const tensor = `its tensor ${shorten(name)}`;
  if (!isUnicode(name)) fail(`${tensor} has half a surrogate pair in its name; Unicode is wanted`);
  if (!isRecord(value)) return fail(`${tensor} is described by ${shorten(value)}; an object is wanted`);
  for (const key of ['dtype', 'shape', 'data_offsets']) if (!Object.hasOwn(value, key)) fail(`${tensor} has no ${key}`);
  const unknown = Object.keys(value).find(key => key !== 'dtype' && key !== 'shape' && key !== 'data_offsets');
  if (unknown !== undefined) fail(`${tensor} has a key ${shorten(unknown)}, which the format does not know`);

  const format = value.dtype as string;
  const size = sizes.get(format);
  if (size === undefined) {
    const known = [...sizes.keys()].join(', ');
    return fail(`${tensor} has the dtype ${shorten(format)}; ${known} are read`, 'Save it as F32 or F16.');
  }
  const { shape, data_offsets: offsets } = value;
  if (!isCounts(shape)) return fail(`${tensor} has the shape ${shorten(shape)}; a list of whole numbers is wanted`);
  if (shape.length > MAX_DIMENSIONS) {
    fail(`${tensor} has ${shape.length} dimensions; up to ${MAX_DIMENSIONS} are read`);
  }
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    return fail(`${tensor} has the data_offsets ${shorten(offsets)}; its first byte and the one behind it are wanted`);
  }
  const [start, end] = offsets as [number, number];
  // Products of whole numbers are exact up to 2^53, and what is beyond, or NaN, is no difference of two offsets.
  const wanted = sizeOf(shape) * size;
  if (end - start !== wanted) {
    fail(`${tensor} has ${end - start} bytes; ${format} of shape ${shorten(shape)} takes ${wanted}`);
  }
  return { name, format, shape, start, end };
}

/** Refuses data that belong to two tensors or to none. The tensors come in the order of their bytes. */
function checkCover(infos: readonly TensorInfo[], length: number, fail: Fail): void {
  let covered = 0;
  for (const { name, start, end } of infos) {
    const tensor = `its tensor ${shorten(name)}`;
    if (end > length) fail(`${tensor} ends at byte ${end} of ${length} bytes of data`);
    if (start < covered) fail(`${tensor} begins at byte ${start}, where another tensor has the bytes up to ${covered}`);
    if (start > covered) fail(`${tensor} begins at byte ${start}, and no tensor has the bytes from ${covered} on`);
    covered = end;
  }
  if (covered < length) fail(`no tensor has the bytes from ${covered} on of ${length} bytes of data`);
}

function checkMetadata(value: unknown, fail: Fail): Record<string, string> {
  if (!isRecord(value)) return fail(`its ${METADATA} is ${shorten(value)}; an object is wanted`);
  for (const [key, item] of Object.entries(value)) {
    if (typeof item !== 'string')
      return fail(`its ${METADATA} has ${shorten(item)} at ${shorten(key)}; text is wanted`);
    if (!isUnicode(key) || !isUnicode(item)) {
      fail(`its ${METADATA} has half a surrogate pair at ${shorten(key)}; Unicode is wanted`);
    }
  }
  return value as Record<string, string>;
}

/** A copy, because a typed array must begin at a multiple of its element's size and the data need not. */
function copyTensor({ name, format, shape, start, end }: TensorInfo, data: Uint8Array, fail: Fail): Tensor {
  const dtype = order.find(key => formats[key][0] === format)!;
  const copy = new Uint8Array(data.subarray(start, end));
  const odd = dtype === 'bool' ? copy.find(byte => byte > 1) : undefined;
  if (odd !== undefined) fail(`its tensor ${shorten(name)} is BOOL and has the byte ${odd}; 0 and 1 are wanted`);
  return { dtype, shape, data: new formats[dtype][1](copy.buffer) } as Tensor;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Whether `value` is a list of whole numbers from 0 on that are exact. */
function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every(item => Number.isSafeInteger(item) && item >= 0 && !Object.is(item, -0));
}

/** JSON for a message. What an untrusted file says can be long. */
function shorten(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 80)}...` : text;
}

/** Whether a text has a UTF-8 form: half a surrogate pair, which JSON can escape, has none. */
function isUnicode(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

/** A text as JSON. */
function quote(text: string): string {
  if (!isUnicode(text)) throw new RangeError(`${JSON.stringify(text)} cannot be written as UTF-8.`);
  return JSON.stringify(text);
}

/** Order of code points, which JavaScript's own order of strings is not above U+FFFF. */
function compareUtf8(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
