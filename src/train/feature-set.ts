// The features and labels that a head trains on: in memory when they are few, else read from the cache row by row, so that
// memory does not grow with the photos.

/** Features and labels of one part of the dataset. */
export interface FeatureSet {
  readonly width: number;
  /** Class index per photo. */
  readonly labels: readonly number[];
  /** Views per photo; view 0 is the plain photo. */
  readonly views: number;
  /** Copies the features of a photo's view into `out` at `offset`. */
  readonly read: (photo: number, view: number, out: Float32Array, offset: number) => void;
}

/** Features that are kept in memory, in bytes: 3,400 photos with four views. Reading them again costs 5 us a row. */
const MEMORY_BYTES = 64 * 1024 * 1024;

/** A set of features that are read with `read`, once if they fit into memory. */
export function makeFeatureSet(
  width: number,
  labels: readonly number[],
  views: number,
  read: FeatureSet['read'],
): FeatureSet {
  const rows = labels.length * views;
  if (rows * width * 4 > MEMORY_BYTES) return { width, labels, views, read };
  const all = new Float32Array(rows * width);
  for (let row = 0; row < rows; row++) read(Math.floor(row / views), row % views, all, row * width);
  return {
    width,
    labels,
    views,
    read(photo, view, out, offset) {
      const start = (photo * views + view) * width;
      out.set(all.subarray(start, start + width), offset);
    },
  };
}
