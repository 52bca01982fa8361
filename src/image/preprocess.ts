// How a photo becomes the numbers a network reads: one record, on the backbone's card, read by training, export and robot.

/** Preprocessing of a backbone. */
export interface Preprocess {
  /** Width and height of the network's input, in pixels. */
  readonly size: number;
  /** `squash`: both edges to `size`, aspect ratio not kept, as the programs on robots do. */
  readonly fit: 'squash';
  /** Resampling filter of sharp; area-aware when it shrinks. */
  readonly kernel: 'linear' | 'cubic' | 'lanczos3';
  /** Per-channel mean and standard deviation of RGB in the range 0..1: the network reads (x / 255 - mean) / std. */
  readonly mean: readonly [number, number, number];
  readonly std: readonly [number, number, number];
}
