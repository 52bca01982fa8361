// What kind of image starts with these bytes? Told by content alone; kinds that libvips would run as programs are refused.

/** Most bytes that a photo file may have: 150 megapixels of PNG fit, and a few at a time fit in memory. */
export const MAX_PHOTO_BYTES = 256 * 1024 * 1024;

/** Bytes at the start of a file that `sniffImage` looks at. */
export const HEAD_BYTES = 512;

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

/** The sentence for a file over MAX_PHOTO_BYTES. */
export function tooManyBytes(bytes: number): string {
  const mebi = (count: number) => Math.ceil(count / 1024 / 1024);
  return `${mebi(bytes)} MiB are more than the limit of ${mebi(MAX_PHOTO_BYTES)} MiB for one photo`;
}
