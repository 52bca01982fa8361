// Features on disk: rows of float32 in a record cache, one folder per backbone.
import { openRecordCache, type RecordCache } from './record-cache.ts';

/** An open cache of rows. */
export interface FeatureCache {
  /** Number of features per row. */
  readonly width: number;
  has(key: string): boolean;
  /** Adds a row; it is on its way to the disk when the promise resolves. Adding a known key does nothing. */
  add(key: string, features: Float32Array): Promise<void>;
  /** The same rows as bytes. */
  readonly records: RecordCache;
  /** Reads a row into `out` at `offset`. Throws when the key is unknown. */
  read(key: string, out: Float32Array, offset: number): void;
  /** Makes the added rows permanent and closes the files. */
  close(): Promise<void>;
}

/**
 * Opens the cache in `folder`, made if need be, for rows of `width` features.
 * @throws GraftError `disk-full` or `no-access`.
 */
export async function openFeatureCache(folder: string, width: number): Promise<FeatureCache> {
  const cache = await openRecordCache({ folder, suffix: 'features', bytes: width * 4 });
  return {
    width,
    records: cache,
    has: cache.has,
    add: (key, features) => cache.add(key, new Uint8Array(features.buffer, features.byteOffset, features.byteLength)),
    read: (key, out, offset) => cache.read(key, new Uint8Array(out.buffer, out.byteOffset + offset * 4, width * 4)),
    close: cache.close,
  };
}
