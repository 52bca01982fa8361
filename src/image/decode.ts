// Photo bytes to pixels: EXIF orientation applied, any mode (grey, CMYK, 16 bits, animated, transparent) to 8-bit RGB.
import { GraftError } from '../base/errors.ts';
import { loadSharp } from './load-sharp.ts';
import type { Preprocess } from './preprocess.ts';
import { sniffImage } from './sniff.ts';

/** Most pixels that a photo may have (a 108-megapixel phone camera passes, a decompression bomb does not). */
export const MAX_PIXELS = 150_000_000;

/** Formats that are read. libvips would also run SVG, PDF and others, which are programs rather than photos. */
export const photoFormats = new Set(['jpeg', 'png', 'webp', 'gif', 'tiff', 'heif', 'avif']);

/** The part of Preprocess that decoding reads. */
export type DecodeSpec = Pick<Preprocess, 'size' | 'fit' | 'kernel'>;

/** What a photo is brought to. `fill` does not keep the aspect ratio, `cover` keeps it and cuts off what stands over. */
export interface DecodeTarget {
  readonly width: number;
  readonly height: number;
  readonly fit: 'fill' | 'cover';
  readonly kernel: Preprocess['kernel'];
}

/**
 * Decodes a photo to `size` x `size` RGB pixels, squashed: the aspect ratio is not kept. Transparent parts become white,
 * animations give their first frame.
 * @returns size * size * 3 bytes, rows from the top, RGB interleaved.
 * @throws GraftError `bad-photo` when the bytes are no photo, are damaged, or hold more than MAX_PIXELS pixels.
 */
export function decodePhoto(bytes: Uint8Array, { size, kernel }: DecodeSpec): Promise<Uint8Array> {
  return decodeTo(bytes, { width: size, height: size, fit: 'fill', kernel });
}

/** The same for any target: width * height * 3 bytes. */
export async function decodeTo(bytes: Uint8Array, target: DecodeTarget): Promise<Uint8Array> {
  const sniffed = sniffImage(bytes);
  if (!sniffed?.readable) {
    const what = sniffed ? `a file of the kind ${sniffed.name}` : 'no image';
    throw new GraftError('bad-photo', `The photo cannot be decoded: it is ${what}.`, 'Save it as JPEG or PNG.');
  }
  const sharp = await loadSharp();
  try {
    const { data, info } = await sharp(bytes, { failOn: 'truncated', limitInputPixels: MAX_PIXELS })
      .autoOrient()
      .resize(target)
      .flatten({ background: '#ffffff' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new Error(`${info.channels} channels after conversion to RGB`);
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!;
    throw new GraftError('bad-photo', `The photo cannot be decoded: ${reason}`, 'Save it again as JPEG or PNG.', error);
  }
}
