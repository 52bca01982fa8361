// Files that travel behind a model, as a ZIP archive after the flatbuffer: labels.txt and what other programs attach.
import { crc32, inflateRawSync } from 'node:zlib';
import { zipSync } from 'fflate';
import { GraftError } from '../base/errors.ts';
import { badModel } from './read-flatbuffer.ts';

/** A file and its contents. */
export interface AttachedFile {
  readonly name: string;
  readonly data: Uint8Array;
}

/** Most files that are read from an archive, and most bytes of all of them together. */
const MAX_FILES = 100;
const MAX_BYTES = 2 ** 26;

/** Records of an archive: their signature, their length up to the parts that vary, and where the fields stand. */
const LOCAL = { signature: 0x04034b50, length: 30, nameLength: 26, extraLength: 28 };
const ENTRY = {
  signature: 0x02014b50,
  length: 46,
  flags: 8,
  method: 10,
  crc: 16,
  packedSize: 20,
  size: 24,
  nameLength: 28,
  extraLength: 30,
  commentLength: 32,
  offset: 42,
};
const END = { signature: 0x06054b50, length: 22, count: 10, directorySize: 12, offset: 16, commentLength: 20 };
const MAX_COMMENT = 0xffff;
const STORED = 0;
const DEFLATED = 8;
const ENCRYPTED = 1;

/** Of every file, so that equal files give equal bytes. Local time, as in the archive. */
const DATE = new Date(1980, 0, 1, 12);

/**
 * The model with files behind it, in their order, not packed, since MediaPipe refuses packed ones. Offsets count from the
 * start of the whole, so that any ZIP program opens it.
 * @throws RangeError when two files have one name, or the model has files already.
 */
export function attachFiles(model: Uint8Array, files: readonly AttachedFile[]): Uint8Array {
  if (findEnd(viewOf(model)) !== undefined) throw new RangeError('The model has attached files already.');
  if (new Set(files.map(({ name }) => name)).size < files.length) throw new RangeError('Two files have the same name.');
  const contents = Object.fromEntries(files.map(({ name, data }) => [name, data]));
  const archive = zipSync(contents, { level: 0, mtime: DATE });
  const bytes = new Uint8Array(model.length + archive.length);
  bytes.set(model);
  bytes.set(archive, model.length);

  const view = new DataView(bytes.buffer, model.length);
  const shift = (at: number) => view.setUint32(at, view.getUint32(at, true) + model.length, true);
  const end = archive.length - END.length;
  let entry = view.getUint32(end + END.offset, true);
  for (let left = files.length; left > 0; left--) {
    shift(entry + ENTRY.offset);
    entry += entryLength(view, entry);
  }
  shift(end + END.offset);
  return bytes;
}

/**
 * The files behind a model, by name; none when there is no archive. Names are as they stand there and may be anything.
 * Offsets may count from the start of the file or of the archive. Files that are not packed are views of `bytes`.
 * @throws GraftError `bad-model` when the archive is damaged, or larger than is allowed here.
 */
export function readAttachedFiles(bytes: Uint8Array): Map<string, Uint8Array> {
  const view = viewOf(bytes);
  const end = findEnd(view);
  const files = new Map<string, Uint8Array>();
  if (end === undefined) return files;
  const count = view.getUint16(end + END.count, true);
  if (count > MAX_FILES) throw badModel(`it has ${count} attached files, more than ${MAX_FILES}`);
  // The directory stands right before its end, wherever its offset counts from.
  let entry = end - view.getUint32(end + END.directorySize, true);
  const start = entry - view.getUint32(end + END.offset, true);
  let left = MAX_BYTES;
  try {
    for (let i = 0; i < count; i++) {
      const name = new TextDecoder().decode(
        part(bytes, entry + ENTRY.length, view.getUint16(entry + ENTRY.nameLength, true)),
      );
      const data = readEntry(bytes, view, entry, start, left);
      left -= data.length;
      files.set(name, data);
      entry += entryLength(view, entry);
    }
  } catch (error) {
    if (error instanceof GraftError) throw error;
    throw badModel(`its attached files are damaged (${(error as Error).message})`);
  }
  return files;
}

/** The contents of the file that the record at `entry` describes. `left`: most bytes that it may have. */
function readEntry(bytes: Uint8Array, view: DataView, entry: number, start: number, left: number): Uint8Array {
  const field = (name: keyof typeof ENTRY, wide: boolean) =>
    wide ? view.getUint32(entry + ENTRY[name], true) : view.getUint16(entry + ENTRY[name], true);
  const local = start + field('offset', true);
  if (view.getUint32(entry, true) !== ENTRY.signature || view.getUint32(local, true) !== LOCAL.signature) {
    throw new RangeError('a record is not where it should be');
  }
  const size = field('size', true);
  if (size > left) throw badModel(`its attached files have more than ${MAX_BYTES} bytes`);
  const method = field('method', false);
  if ((method !== STORED && method !== DEFLATED) || field('flags', false) & ENCRYPTED) {
    throw new RangeError(`method ${method}, or a password`);
  }
  const variable = view.getUint16(local + LOCAL.nameLength, true) + view.getUint16(local + LOCAL.extraLength, true);
  const packed = part(bytes, local + LOCAL.length + variable, field('packedSize', true));
  const data =
    method === STORED ? packed : new Uint8Array(inflateRawSync(packed, { maxOutputLength: Math.max(1, size) }));
  if (data.length !== size || crc32(data) !== field('crc', true)) throw new RangeError('a checksum differs');
  return data;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** Where the last record of the archive starts; undefined when there is none that ends with the file. */
function findEnd(view: DataView): number | undefined {
  const last = view.byteLength - END.length;
  for (let at = last; at >= Math.max(0, last - MAX_COMMENT); at--) {
    if (view.getUint32(at, true) === END.signature && view.getUint16(at + END.commentLength, true) === last - at)
      return at;
  }
  return undefined;
}

/** Bytes of the directory's record at `entry`. */
const entryLength = (view: DataView, entry: number): number =>
  [ENTRY.nameLength, ENTRY.extraLength, ENTRY.commentLength].reduce(
    (sum, field) => sum + view.getUint16(entry + field, true),
    ENTRY.length,
  );

function part(bytes: Uint8Array, from: number, length: number): Uint8Array {
  if (from < 0 || from + length > bytes.length) throw new RangeError(`${length} bytes at byte ${from}`);
  return bytes.subarray(from, from + length);
}
