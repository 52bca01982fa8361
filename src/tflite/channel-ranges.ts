// Ranges of a model's inner values per channel: collected photo by photo, then read off.

/** Smallest, largest and mean value per channel (last axis). */
export interface ChannelRanges {
  readonly min: Float32Array;
  readonly max: Float32Array;
  readonly mean: Float32Array;
}

/**
 * Part of the photos whose extremes a range covers. The widest one in a hundred would make the scale of all the others
 * coarser. Measured in bench/quantise.bench.ts against 1, 0.98 and 0.95.
 */
const COVERED = 0.99;

/** Extremes and means of one value in one photo. `values` has the channels innermost. */
export function channelExtremes(values: Float32Array, channels: number): ChannelRanges {
  const min = new Float32Array(channels).fill(Number.POSITIVE_INFINITY);
  const max = new Float32Array(channels).fill(Number.NEGATIVE_INFINITY);
  const sum = new Float64Array(channels);
  for (let i = 0, c = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value < min[c]!) min[c] = value;
    if (value > max[c]!) max[c] = value;
    sum[c]! += value;
    if (++c === channels) c = 0;
  }
  return { min, max, mean: Float32Array.from(sum, total => (total * channels) / values.length) };
}

/**
 * Ranges over the photos: per channel the extremes that `covered` of the photos stay within, and the mean of all.
 * @param photos at least one.
 * @param covered part of 1. Default: 0.99.
 */
export function summariseChannels(photos: readonly ChannelRanges[], covered = COVERED): ChannelRanges {
  const channels = photos[0]!.min.length;
  const rank = Math.min(photos.length - 1, Math.floor(covered * photos.length));
  const column = new Float32Array(photos.length);
  const at = (key: 'min' | 'max', c: number, place: number): number => {
    photos.forEach((photo, i) => {
      column[i] = photo[key][c]!;
    });
    return column.sort()[place]!;
  };
  const each = (value: (c: number) => number) => Float32Array.from({ length: channels }, (_, c) => value(c));
  return {
    min: each(c => at('min', c, photos.length - 1 - rank)),
    max: each(c => at('max', c, rank)),
    mean: each(c => photos.reduce((sum, photo) => sum + photo.mean[c]!, 0) / photos.length),
  };
}

/** The ranges with every number changed, by its channel. */
export const mapRanges = ({ min, max, mean }: ChannelRanges, change: (value: number, channel: number) => number) => ({
  min: min.map(change),
  max: max.map(change),
  mean: mean.map(change),
});

/** Largest absolute value of a channel. */
export const widthOf = ({ min, max }: ChannelRanges, channel: number): number =>
  Math.max(Math.abs(min[channel]!), Math.abs(max[channel]!));
