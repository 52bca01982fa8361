// Small pictures inside of a page, within a number of bytes for all of them together.
import { readFile, stat } from 'node:fs/promises';
import sharp from 'sharp';

/** Largest photo that is opened, in bytes and in pixels. */
const MAX_FILE_BYTES = 100_000_000;
const MAX_PIXELS = 100_000_000;
const QUALITY = 60;

/** Pictures for a page. */
export interface Thumbnails {
  /** A photo as a data URI, upright, its longer side `size` pixels; undefined when it cannot be read or there is no room left. */
  photo(file: string, size: number): Promise<string | undefined>;
  /** An image file (WebP) as a data URI; undefined when there is no room left. */
  picture(webp: Uint8Array): string | undefined;
}

/** Starts the pictures of a page that may take `maxBytes` together, as they stand in the page. */
export function openThumbnails(maxBytes: number): Thumbnails {
  let left = maxBytes;
  const picture = (webp: Uint8Array): string | undefined => {
    const uri = `data:image/webp;base64,${Buffer.from(webp).toString('base64')}`;
    if (uri.length > left) return undefined;
    left -= uri.length;
    return uri;
  };
  return {
    picture,
    async photo(file, size) {
      const webp = await shrink(file, size);
      return webp && picture(webp);
    },
  };
}

async function shrink(file: string, size: number): Promise<Buffer | undefined> {
  try {
    if ((await stat(file)).size > MAX_FILE_BYTES) return undefined;
    return await sharp(await readFile(file), { limitInputPixels: MAX_PIXELS })
      .autoOrient()
      .resize(size, size, { fit: 'inside' })
      .flatten({ background: '#ffffff' })
      .webp({ quality: QUALITY })
      .toBuffer();
  } catch {
    // A page is an overview: what cannot be shown is named there.
    return undefined;
  }
}
