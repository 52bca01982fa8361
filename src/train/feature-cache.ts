// Features on disk, keyed by content: one folder per backbone, one append-only file per run, fixed-size records.
// A record is the 32-byte key, the float32 features, and a CRC-32 of both; a torn last record is simply not there.
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

/** An open cache. Rows stay on disk: memory holds 100 bytes per row, whatever the width of the features. */
export interface FeatureCache {
  /** Number of features per row. */
  readonly width: number;
  has(key: string): boolean;
  /** Adds a row; it is on its way to the disk when the promise resolves. Adding a known key does nothing. */
  add(key: string, features: Float32Array): Promise<void>;
  /** Reads a row into `out` at `offset`. Throws when the key is unknown. */
  read(key: string, out: Float32Array, offset: number): void;
  /** Makes the added rows permanent and closes the files. */
  close(): Promise<void>;
}

/** Key of a view's features: any JSON value that says what they depend on, hashed. */
export function featureKey(...parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/**
 * Opens the cache in `folder`, made if need be, for rows of `width` features. Files of other runs are read, one new file
 * is written, so that runs may share the cache at the same time. Damaged records are skipped.
 * @throws GraftError `disk-full` or `no-access`.
 */
export async function openFeatureCache(folder: string, width: number): Promise<FeatureCache> {
  const recordBytes = KEY_BYTES + width * 4 + CRC_BYTES;
  const index = new Map<string, { file: number; position: number }>();
  const readers: number[] = [];
  let writer: { handle: FileHandle; file: number; position: number } | undefined;

  try {
    await mkdir(folder, { recursive: true });
    await mergeOldFiles(folder, recordBytes);
    for (const path of await listFiles(folder)) {
      const file = openIfThere(path);
      if (file === undefined) continue;
      readers.push(file);
      forEachRecord(file, recordBytes, (record, position) => index.set(keyOf(record), { file, position }));
    }
  } catch (error) {
    for (const file of readers) closeSync(file);
    throw explainSystemError(error, folder);
  }

  const startWriter = async () => {
    const path = join(folder, `${Date.now()}-${process.pid}.features`);
    const handle = await open(path, 'wx');
    const file = openSync(path, 'r');
    readers.push(file);
    return { handle, file, position: 0 };
  };

  return {
    width,
    has: key => index.has(key),
    async add(key, features) {
      if (index.has(key)) return;
      if (features.length !== width) throw new RangeError(`A row has ${width} features, not ${features.length}.`);
      try {
        writer ??= await startWriter();
        const { handle, file, position } = writer;
        writer.position += recordBytes;
        await writeFully(handle, encodeRecord(key, features, recordBytes), position);
        index.set(key, { file, position });
      } catch (error) {
        throw explainSystemError(error, folder);
      }
    },
    read(key, out, offset) {
      const entry = index.get(key);
      if (!entry) throw new Error(`The feature cache has no row ${key}.`);
      const bytes = new Uint8Array(out.buffer, out.byteOffset + offset * 4, width * 4);
      const got = readSync(entry.file, bytes, 0, bytes.length, entry.position + KEY_BYTES);
      if (got !== bytes.length) throw new Error(`The feature cache in ${folder} was cut short while it was in use.`);
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

function encodeRecord(key: string, features: Float32Array, recordBytes: number): Uint8Array {
  const record = Buffer.alloc(recordBytes);
  record.write(key, 0, 'hex');
  record.set(new Uint8Array(features.buffer, features.byteOffset, features.byteLength), KEY_BYTES);
  record.writeUInt32LE(crc32(record.subarray(0, recordBytes - CRC_BYTES)), recordBytes - CRC_BYTES);
  return record;
}

async function listFiles(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter(name => name.endsWith('.features'));
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

/**
 * Keeps the number of files small: when there are many, those that no run can still be writing become one. The new file is
 * whole before the old ones go.
 */
async function mergeOldFiles(folder: string, recordBytes: number): Promise<void> {
  const old = (await listFiles(folder)).filter(path => {
    const found = statSync(path, { throwIfNoEntry: false });
    return found !== undefined && Date.now() - found.mtimeMs > MERGE_AGE_MS;
  });
  if (old.length < MERGE_FILES) return;
  const merged = join(folder, `${Date.now()}-${process.pid}-merged.features`);
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
