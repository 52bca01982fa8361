// Every kind of file that a folder of photos may hold, each with the verdict it must get.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { decodePhoto, MAX_PIXELS } from '../../src/image/decode.ts';
import { MAX_PHOTO_BYTES, sniffImage } from '../../src/image/sniff.ts';
import { verifyPhoto } from '../../src/image/verify.ts';
import { noise, photo, pngClaiming } from '../dataset/draw-photos.ts';

const text = (content: string) => Buffer.from(content, 'latin1');

async function animated(format: 'gif' | 'webp'): Promise<Buffer> {
  const frames = await Promise.all([1, 2, 3].map(seed => noise(seed).png().toBuffer()));
  const joined = sharp(frames, { join: { animated: true } });
  return format === 'gif' ? joined.gif().toBuffer() : joined.webp().toBuffer();
}

const good: readonly [
  string,
  () => Promise<Buffer>,
  { format: string; orientation?: number; size?: [number, number] },
][] = [
  ['JPEG', () => photo(1), { format: 'jpeg' }],
  ['progressive JPEG', () => noise(1).jpeg({ progressive: true }).toBuffer(), { format: 'jpeg' }],
  ['greyscale JPEG', () => noise(1).greyscale().jpeg().toBuffer(), { format: 'jpeg' }],
  ['CMYK JPEG', () => noise(1).toColourspace('cmyk').jpeg().toBuffer(), { format: 'jpeg' }],
  [
    'EXIF-rotated JPEG',
    () => noise(1).withMetadata({ orientation: 6 }).jpeg().toBuffer(),
    { format: 'jpeg', orientation: 6, size: [16, 24] },
  ],
  [
    'JPEG with bytes behind its end',
    async () => Buffer.concat([await photo(1), text('SEFT trailer')]),
    { format: 'jpeg' },
  ],
  ['16-bit PNG', () => noise(1).toColourspace('rgb16').png().toBuffer(), { format: 'png' }],
  ['transparent PNG', () => noise(1, 24, 16, 4).png().toBuffer(), { format: 'png' }],
  ['palette PNG', () => noise(1).png({ palette: true }).toBuffer(), { format: 'png' }],
  ['interlaced PNG', () => noise(1).png({ progressive: true }).toBuffer(), { format: 'png' }],
  ['very wide PNG', async () => pngClaiming(100_000, 3, 3), { format: 'png', size: [100_000, 3] }],
  ['WebP', () => noise(1).webp().toBuffer(), { format: 'webp' }],
  ['animated WebP', () => animated('webp'), { format: 'webp' }],
  ['GIF', () => noise(1).gif().toBuffer(), { format: 'gif' }],
  ['animated GIF', () => animated('gif'), { format: 'gif' }],
  ['TIFF', () => noise(1).tiff().toBuffer(), { format: 'tiff' }],
  ['AVIF', () => noise(1).avif({ effort: 0 }).toBuffer(), { format: 'avif' }],
  ['one pixel', () => noise(1, 1, 1).png().toBuffer(), { format: 'png', size: [1, 1] }],
];

for (const [name, draw, { format, orientation = 1, size = [24, 16] }] of good) {
  test(`a good photo: ${name}`, async () => {
    const bytes = await draw();
    const [width, height] = size;
    assert.deepEqual(await verifyPhoto(bytes), { ok: true, format, width, height, orientation });
    // What passes here must not fail later.
    assert.equal((await decodePhoto(bytes, { size: 8, fit: 'squash', kernel: 'linear' })).length, 192);
  });
}

test('the drawn files are what their names say', async () => {
  const of = async (name: string) => sharp(await good.find(row => row[0] === name)![1]()).metadata();
  assert.equal((await of('CMYK JPEG')).space, 'cmyk');
  assert.equal((await of('16-bit PNG')).depth, 'ushort');
  assert.equal((await of('animated GIF')).pages, 3);
  assert.equal((await of('animated WebP')).pages, 3);
  assert.equal((await of('transparent PNG')).hasAlpha, true);
});

const svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>';
const bmp = text(`BM\x46\0\0\0\0\0\0\0\x36\0\0\0${'\0'.repeat(40)}`);
const kind = (name: string) => `a file of the kind ${name}, which is not read; save it as JPEG or PNG`;
const noImage = 'not an image: its content is no JPEG, PNG, WebP, GIF, TIFF or AVIF';
const heic = 'a HEIC photo, which cannot be read here; convert it to JPEG (iPhone: Settings, Camera, Formats)';
const tooMany = `100000 x 100000 pixels are more than the limit of ${MAX_PIXELS / 1e6} megapixels`;
const bad: readonly [string, () => Promise<Uint8Array> | Uint8Array, string | RegExp][] = [
  ['empty file', () => new Uint8Array(0), 'the file is empty (0 bytes)'],
  ['text', () => text('hello, I am a photo'), noImage],
  ['text that starts with BM', () => text('BMW, a kind of car'), noImage],
  ['zeros', () => new Uint8Array(5000), noImage],
  ['MP4 video', () => text('\0\0\0\x18ftypisom\0\0\0\0isommp42'), noImage],
  ['SVG', () => text(svg), kind('SVG')],
  ['SVG behind an XML head', () => text(`<?xml version="1.0"?>\n<!-- x -->\n${svg}`), kind('SVG')],
  ['PDF', () => text('%PDF-1.7\n'), kind('PDF')],
  ['BMP', () => bmp, kind('BMP')],
  ['HEIC', () => text('\0\0\0\x18ftypheic\0\0\0\0mif1heic'), heic],
  ['HEIC with a general brand', () => text('\0\0\0\x18ftypmif1\0\0\0\0mif1heic'), heic],
  ['decompression bomb', () => pngClaiming(100_000, 100_000, 1), tooMany],
  ['header only', async () => (await photo(1)).subarray(0, 100), /^(?:truncated|a damaged JPEG): /],
  ['magic bytes only', () => text('\xff\xd8\xff'), /^(?:truncated|a damaged JPEG): /],
];

for (const [name, make, reason] of bad) {
  test(`no photo: ${name}`, async () => {
    const verdict = await verifyPhoto(await make());
    assert.ok(!verdict.ok);
    if (typeof reason === 'string') assert.equal(verdict.reason, reason);
    else assert.match(verdict.reason, reason);
    assert.doesNotMatch(verdict.reason, /\n/);
  });
}

test('a file over the limit of bytes is not looked into', async () => {
  const huge = { length: MAX_PHOTO_BYTES + 1 } as Uint8Array;
  const reason = '257 MiB are more than the limit of 256 MiB for one photo';
  assert.deepEqual(await verifyPhoto(huge), { ok: false, reason });
});

// Sizes that are no multiple of 8, where a decoder that shrinks while it loads may leave the last rows unread.
for (const [width, height] of [
  [64, 64],
  [61, 487],
  [333, 100],
  [9, 300],
] as const) {
  test(`truncation is seen wherever the cut is, ${width} x ${height}`, async () => {
    const image = noise(3, width, height);
    const files: [string, Buffer][] = [
      ['jpeg', await image.clone().jpeg().toBuffer()],
      ['progressive jpeg', await image.clone().jpeg({ progressive: true }).toBuffer()],
      ['png', await image.clone().png().toBuffer()],
      ['interlaced png', await image.clone().png({ progressive: true }).toBuffer()],
      ['webp', await image.clone().webp().toBuffer()],
      ['gif', await image.clone().gif().toBuffer()],
      ['tiff', await image.clone().tiff({ compression: 'lzw' }).toBuffer()],
    ];
    for (const [name, bytes] of files) {
      assert.ok((await verifyPhoto(bytes)).ok, name);
      // PNG: the last 12 bytes are the end marker, the 4 before are a checksum; without them every pixel is there.
      for (const cut of [20, 60, 500, bytes.length >> 2, bytes.length >> 1]) {
        const verdict = await verifyPhoto(bytes.subarray(0, bytes.length - cut));
        assert.ok(!verdict.ok, `${name} without its last ${cut} of ${bytes.length} bytes`);
      }
    }
    for (const cut of [1, 2, 3]) assert.ok(!(await verifyPhoto(files[0]![1].subarray(0, -cut))).ok, `jpeg - ${cut}`);
  });
}

test('flipped bytes in a PNG are seen', async () => {
  const bytes = await noise(1, 100, 100).png().toBuffer();
  bytes[bytes.length >> 1]! ^= 0x55;
  const verdict = await verifyPhoto(bytes);
  assert.ok(!verdict.ok);
  assert.match(verdict.reason, /^a damaged PNG: /);
});

test('random bytes behind every readable signature never throw', async () => {
  const heads = ['\xff\xd8\xff\xe0', '\x89PNG\r\n\x1a\n', 'GIF89a', 'RIFF\0\0\0\0WEBP', 'II*\0', '\0\0\0\x1cftypavif'];
  for (const head of heads) {
    const junk = await noise(head.length, 50, 50).raw().toBuffer();
    const bytes = Buffer.concat([text(head), junk]);
    assert.equal(sniffImage(bytes)?.readable, true);
    assert.equal((await verifyPhoto(bytes)).ok, false);
  }
});
