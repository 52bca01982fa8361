// Records of one size on disk, keyed by content: one append-only file per run in a folder that runs share.
// A record is the 32-byte key, the bytes, and a CRC-32 of both; a torn last record is simply not there.
import { createHash } from 'node:crypto';
import { closeSync, fdatasyncSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { explainSystemError } from '../base/errors.ts';

const KEY_BYTES = 32;
const CRC_BYTES = 4;
/** How much of a file is read at a time while it is indexed. */
const CHUNK_BYTES = 4 * 1024 * 1024;

/** So many files of earlier runs, all untouched for so long, become one. */
const MERGE_FILES = 16;
const MERGE_AGE_MS = 24 * 3600 * 1000;

/** Where a record lies: a file and the position of its bytes in it. */
export interface RecordPlace {
  readonly path: string;
  readonly position: number;
}

/** An open cache. Records stay on disk: memory holds 100 bytes per record, whatever its size. */
export interface RecordCache {
  /** Bytes per record. */
  readonly bytes: number;
  has(key: string): boolean;
  /**
   * Adds a record; it is on its way to the disk when the promise resolves. Nothing is done when the key is known, or when
   * the cache has the size that it may have.
   */
  add(key: string, record: Uint8Array): Promise<void>;
  /** Reads a record into `out`, which has its size. Throws when the key is unknown. */
  read(key: string, out: Uint8Array): void;
  /** Where a record can be read by another thread while the cache is open; undefined when the key is unknown. */
  locate(key: string): RecordPlace | undefined;
  /** Makes the added records permanent and closes the files. */
  close(): Promise<void>;
}

/** Where and how large a cache is. */
export interface RecordCacheOptions {
  /** Made if need be. */
  readonly folder: string;
  /** What the files' names end in, without the dot. */
  readonly suffix: string;
  /** Bytes per record. */
  readonly bytes: number;
  /** Bytes that all files may have together; default: no limit. Old files go first, untouched ones of the last day stay. */
  readonly maxBytes?: number;
}

/** Key of a record: any JSON value that says what it depends on, hashed. */
export function recordKey(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/**
 * Opens a cache. Files of other runs are read, one new file is written, so that runs may share the cache at the same time.
 * Damaged records are skipped.
 * @throws GraftError `disk-full` or `no-access`.
 */
export async function openRecordCache(options: RecordCacheOptions): Promise<RecordCache> {
  const { folder, suffix, bytes, maxBytes = Number.POSITIVE_INFINITY } = options;
  const recordBytes = KEY_BYTES + bytes + CRC_BYTES;
  let total = 0;
  const index = new Map<string, { file: number; path: string; position: number }>();
  const readers: number[] = [];
  let writer: { handle: FileHandle; file: number; path: string; position: number } | undefined;

  try {
    await mkdir(folder, { recursive: true });
    await dropOldFiles(folder, suffix, maxBytes);
    await mergeOldFiles(folder, suffix, recordBytes);
    for (const path of await listFiles(folder, suffix)) {
      const file = openIfThere(path);
      if (file === undefined) continue;
      readers.push(file);
      forEachRecord(file, recordBytes, (record, position) => index.set(keyOf(record), { file, path, position }));
      total += statSync(path).size;
    }
  } catch (error) {
    for (const file of readers) closeSync(file);
    throw explainSystemError(error, folder);
  }

  const startWriter = async () => {
    const path = join(folder, `${Date.now()}-${process.pid}.${suffix}`);
    const handle = await open(path, 'wx');
    const file = openSync(path, 'r');
    readers.push(file);
    return { handle, file, path, position: 0 };
  };

  return {
    bytes,
    has: key => index.has(key),
    async add(key, record) {
      if (index.has(key) || total + recordBytes > maxBytes) return;
      if (record.length !== bytes) throw new RangeError(`A record has ${bytes} bytes, not ${record.length}.`);
      try {
        writer ??= await startWriter();
        const { handle, file, path, position } = writer;
        writer.position += recordBytes;
        total += recordBytes;
        await writeFully(handle, encodeRecord(key, record, recordBytes), position);
        index.set(key, { file, path, position });
      } catch (error) {
        throw explainSystemError(error, folder);
      }
    },
    read(key, out) {
      const entry = index.get(key);
      if (!entry) throw new Error(`The cache has no record ${key}.`);
      const got = readSync(entry.file, out, 0, bytes, entry.position + KEY_BYTES);
      if (got !== bytes) throw new Error(`The cache in ${folder} was cut short while it was in use.`);
    },
    locate(key) {
      const entry = index.get(key);
      return entry && { path: entry.path, position: entry.position + KEY_BYTES };
    },
    async close() {
      try {
        if (writer) {
          await writer.handle.datasync();
          await writer.handle.close();
        }
      } catch (error) {
        throw explainSystemError(error, folder);
      } finally {
        for (const file of readers.splice(0)) closeSync(file);
        writer = undefined;
      }
    },
  };
}

/** A write may be short, most of all on a disk that fills up; the next one then says why. */
async function writeFully(handle: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten;
  }
}

function encodeRecord(key: string, bytes: Uint8Array, recordBytes: number): Uint8Array {
  const record = Buffer.alloc(recordBytes);
  record.write(key, 0, 'hex');
  record.set(bytes, KEY_BYTES);
  record.writeUInt32LE(crc32(record.subarray(0, recordBytes - CRC_BYTES)), recordBytes - CRC_BYTES);
  return record;
}

async function listFiles(folder: string, suffix: string): Promise<string[]> {
  const names = (await readdir(folder)).filter(name => name.endsWith(`.${suffix}`));
  return names.sort().map(name => join(folder, name));
}

/** Another run may have merged the file away since the folder was read. */
function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Makes room in a cache that has grown beyond `maxBytes`: the oldest files go that no run can still be using. */
async function dropOldFiles(folder: string, suffix: string, maxBytes: number): Promise<void> {
  const files = (await listFiles(folder, suffix)).flatMap(path => {
    const found = statSync(path, { throwIfNoEntry: false });
    return found ? [{ path, size: found.size, age: Date.now() - found.mtimeMs }] : [];
  });
  let total = files.reduce((sum, { size }) => sum + size, 0);
  for (const { path, size, age } of files.sort((a, b) => b.age - a.age)) {
    if (total <= maxBytes || age < MERGE_AGE_MS) return;
    await rm(path, { force: true });
    total -= size;
  }
}

/**
 * Keeps the number of files small: when there are many, those that no run can still be writing become one. The new file is
 * whole before the old ones go.
 */
async function mergeOldFiles(folder: string, suffix: string, recordBytes: number): Promise<void> {
  const old = (await listFiles(folder, suffix)).filter(path => {
    const found = statSync(path, { throwIfNoEntry: false });
    return found !== undefined && Date.now() - found.mtimeMs > MERGE_AGE_MS;
  });
  if (old.length < MERGE_FILES) return;
  const merged = join(folder, `${Date.now()}-${process.pid}-merged.${suffix}`);
  const out = openSync(`${merged}.part`, 'w');
  const kept = new Set<string>();
  try {
    for (const path of old) {
      const file = openIfThere(path);
      if (file === undefined) continue;
      forEachRecord(file, recordBytes, record => {
        if (kept.has(keyOf(record))) return;
        kept.add(keyOf(record));
        for (let done = 0; done < recordBytes; ) done += writeSync(out, record, done);
      });
      closeSync(file);
    }
    fdatasyncSync(out);
  } finally {
    closeSync(out);
  }
  await rename(`${merged}.part`, merged);
  for (const path of old) await rm(path, { force: true });
}

const keyOf = (record: Buffer) => record.toString('hex', 0, KEY_BYTES);

/** Calls `found` with every sound record; the buffer is only lent. */
function forEachRecord(file: number, recordBytes: number, found: (record: Buffer, position: number) => void): void {
  const perChunk = Math.max(1, Math.floor(CHUNK_BYTES / recordBytes));
  const chunk = Buffer.alloc(perChunk * recordBytes);
  for (let position = 0; ; ) {
    const got = readSync(file, chunk, 0, chunk.length, position);
    for (let start = 0; start + recordBytes <= got; start += recordBytes) {
      const record = chunk.subarray(start, start + recordBytes);
      const sum = record.readUInt32LE(recordBytes - CRC_BYTES);
      if (crc32(record.subarray(0, recordBytes - CRC_BYTES)) === sum) found(record, position + start);
    }
    if (got < chunk.length) return;
    position += got;
  }
}
