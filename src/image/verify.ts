// Is this file a whole, readable photo? Told by its content, never by its name, and decoded as cheaply as that allows.
import { MAX_PIXELS, photoFormats } from './decode.ts';
import { loadSharp } from './load-sharp.ts';

/** Most bytes that a photo file may have: 150 megapixels of PNG fit, and a few at a time fit in memory. */
export const MAX_PHOTO_BYTES = 256 * 1024 * 1024;

/** Bytes at the start of a file that `sniffImage` looks at. */
export const HEAD_BYTES = 512;

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

/** A kind of image, recognised by the first bytes. */
export interface Sniffed {
  /** The name that people know, e.g. JPEG. */
  readonly name: string;
  /** False for kinds that graft refuses to open. */
  readonly readable: boolean;
}

/** First bytes per kind, as Latin-1; `at` is their offset. Kinds that are refused never reach libvips. */
const signatures: readonly { name: string; readable: boolean; magic: string; at?: number }[] = [
  { name: 'JPEG', readable: true, magic: '\xff\xd8\xff' },
  { name: 'PNG', readable: true, magic: '\x89PNG\r\n\x1a\n' },
  { name: 'GIF', readable: true, magic: 'GIF87a' },
  { name: 'GIF', readable: true, magic: 'GIF89a' },
  { name: 'WebP', readable: true, magic: 'WEBP', at: 8 },
  { name: 'TIFF', readable: true, magic: 'II*\0' },
  { name: 'TIFF', readable: true, magic: 'MM\0*' },
  { name: 'TIFF', readable: true, magic: 'II+\0' },
  { name: 'TIFF', readable: true, magic: 'MM\0+' },
  // A BMP header: 'BM', the file's size, then four reserved zero bytes; 'BM' alone would catch text.
  { name: 'BMP', readable: false, magic: '\0\0\0\0', at: 6 },
  { name: 'PDF', readable: false, magic: '%PDF-' },
  { name: 'Photoshop', readable: false, magic: '8BPS' },
  { name: 'JPEG 2000', readable: false, magic: '\0\0\0\x0cjP  ' },
  { name: 'JPEG 2000', readable: false, magic: '\xff\x4f\xff\x51' },
  { name: 'JPEG XL', readable: false, magic: '\xff\x0a' },
  { name: 'JPEG XL', readable: false, magic: '\0\0\0\x0cJXL ' },
  { name: 'icon', readable: false, magic: '\0\0\x01\0' },
  { name: 'OpenEXR', readable: false, magic: '\x76\x2f\x31\x01' },
  { name: 'Radiance HDR', readable: false, magic: '#?RADIANCE' },
  { name: 'DDS', readable: false, magic: 'DDS ' },
];

/**
 * Names the kind of image that starts with `head` (HEAD_BYTES bytes are enough), or null when it is no image we know.
 * Videos, text and archives give null.
 */
export function sniffImage(head: Uint8Array): Sniffed | null {
  const text = Buffer.from(head.buffer, head.byteOffset, Math.min(head.byteLength, HEAD_BYTES)).toString('latin1');
  for (const { name, readable, magic, at = 0 } of signatures) {
    if (!text.startsWith(magic, at)) continue;
    if (name === 'WebP' && !text.startsWith('RIFF')) continue;
    if (name === 'BMP' && !text.startsWith('BM')) continue;
    return { name, readable };
  }
  if (text.startsWith('ftyp', 4)) return sniffBrands(text);
  if (/^(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?(?:<!DOCTYPE svg|<svg[\s>])/is.test(text)) {
    return { name: 'SVG', readable: false };
  }
  return null;
}

/**
 * ISO base media files: box size, 'ftyp', major brand, version, compatible brands. AVIF pictures are decoded by the
 * library that comes with graft; HEVC ones (HEIC, the iPhone's default) are not, for reasons of patents.
 */
function sniffBrands(text: string): Sniffed | null {
  const size = text.charCodeAt(2) * 256 + text.charCodeAt(3);
  const brands = text.slice(8, Math.max(12, Math.min(size, HEAD_BYTES))).match(/.{4}/gs) ?? [];
  if (brands.some(brand => brand === 'avif' || brand === 'avis')) return { name: 'AVIF', readable: true };
  if (brands.some(brand => /^(?:hei[cxms]|hev[cxms]|mif1|msf1)$/.test(brand))) return { name: 'HEIC', readable: false };
  return null;
}

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

/** The sentence for a file over MAX_PHOTO_BYTES. */
export function tooManyBytes(bytes: number): string {
  const mebi = (count: number) => Math.ceil(count / 1024 / 1024);
  return `${mebi(bytes)} MiB are more than the limit of ${mebi(MAX_PHOTO_BYTES)} MiB for one photo`;
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
