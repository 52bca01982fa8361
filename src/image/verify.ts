// Is this file a whole, readable photo? Told by its content, never by its name, and decoded as cheaply as that allows.
import { MAX_PIXELS, photoFormats } from './decode.ts';
import { loadSharp } from './load-sharp.ts';
import { MAX_PHOTO_BYTES, sniffImage, tooManyBytes } from './sniff.ts';

/** Grows whenever `verifyPhoto` may judge a file differently, so that remembered verdicts can be thrown away. */
export const VERDICT_VERSION = 1;

/** What `verifyPhoto` found. It depends on the bytes alone, so it may be remembered by their sha256. */
export type Verdict =
  | {
      readonly ok: true;
      /** jpeg, png, webp, gif, tiff or avif. */
      readonly format: string;
      /** Size in pixels as a person sees the photo: EXIF orientation applied. Animations: the first frame. */
      readonly width: number;
      readonly height: number;
      /** EXIF orientation of the stored pixels, 1..8; 1 (upright) when the file says nothing. */
      readonly orientation: number;
    }
  | { readonly ok: false; readonly reason: string };

/**
 * Checks a whole photo file: recognises it by content, holds it against the limits and decodes every part of it, so that
 * a truncated or damaged file is found now and not in the middle of a training. JPEGs are decoded at 1/8 of their size,
 * which still reads all their data. Colour spaces, 16 bits, transparency and animation are fine.
 * @returns a verdict; it never throws for what is in the bytes.
 */
export async function verifyPhoto(bytes: Uint8Array): Promise<Verdict> {
  const refuse = (reason: string): Verdict => ({ ok: false, reason });
  if (bytes.length === 0) return refuse('the file is empty (0 bytes)');
  if (bytes.length > MAX_PHOTO_BYTES) return refuse(tooManyBytes(bytes.length));
  const sniffed = sniffImage(bytes);
  if (sniffed === null) return refuse('not an image: its content is no JPEG, PNG, WebP, GIF, TIFF or AVIF');
  if (sniffed.name === 'HEIC') {
    return refuse('a HEIC photo, which cannot be read here; convert it to JPEG (iPhone: Settings, Camera, Formats)');
  }
  if (!sniffed.readable) return refuse(`a file of the kind ${sniffed.name}, which is not read; save it as JPEG or PNG`);
  const sharp = await loadSharp();
  try {
    const input = { failOn: 'truncated', limitInputPixels: MAX_PIXELS } as const;
    const {
      format,
      width,
      height,
      orientation = 1,
      autoOrient,
    } = await sharp(bytes, {
      ...input,
      limitInputPixels: false,
    }).metadata();
    // Only the header has been read so far, hence no limit: the message can name the size.
    if (!photoFormats.has(format)) return refuse(`a file of the kind ${format}, which is not read`);
    if (width * height > MAX_PIXELS) {
      return refuse(`${width} x ${height} pixels are more than the limit of ${MAX_PIXELS / 1e6} megapixels`);
    }
    if (format === 'jpeg' && !jpegEnds(bytes)) return refuse('truncated: the JPEG data stop before their end');
    // The linear kernel asks for every row; `nearest` would leave rows at the bottom of a PNG undecoded.
    const shrunk = { width: Math.ceil(width / 8), height: Math.ceil(height / 8) };
    await sharp(bytes, input)
      .resize({ ...shrunk, fit: 'fill', kernel: 'linear' })
      .raw()
      .toBuffer();
    return {
      ok: true,
      format: format === 'heif' ? 'avif' : format,
      width: autoOrient.width,
      height: autoOrient.height,
      orientation,
    };
  } catch (error) {
    return refuse(explainDecoder(sniffed.name, error));
  }
}

/**
 * True when the JPEG's marker segments reach an end-of-image marker. libvips drops the last partial row of blocks when
 * it decodes at 1/8, so a cut in the last few rows would go unseen without this.
 */
function jpegEnds(bytes: Uint8Array): boolean {
  let at = bytes.indexOf(0xff, 2);
  while (at >= 0 && at + 1 < bytes.length) {
    const marker = bytes[at + 1]!;
    if (marker === 0xd9) return true;
    if (marker === 0xff) {
      at += 1;
      continue;
    }
    // 00 is a stuffed data byte, 01 and d0..d8 stand alone; every other marker is followed by its segment's length.
    const alone = marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd8);
    const length = alone ? 0 : ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
    at = bytes.indexOf(0xff, at + 2 + length);
  }
  return false;
}

/** The decoder's complaint as one line that starts with what it means. */
function explainDecoder(name: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const line = message.replaceAll(/\s+/g, ' ').trim().slice(0, 160);
  if (/premature end|unexpected end|truncated|end of file/i.test(message)) return `truncated: ${line}`;
  if (/pixel limit/i.test(message)) return `more pixels than the limit of ${MAX_PIXELS / 1e6} megapixels`;
  return `a damaged ${name}: ${line}`;
}
