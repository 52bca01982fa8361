// Any photo becomes upright 8-bit RGB of the wanted size: orientations, modes, animations, transparency.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import type { GraftError } from '../../src/base/errors.ts';
import { decodePhoto } from '../../src/image/decode.ts';

const spec = { size: 32, fit: 'squash', kernel: 'linear' } as const;

/** Left half red, right half blue, with a green strip along the top: every turn and mirror shows. */
function drawFlag(width = 64, height = 48): Buffer {
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const colour = y < height / 4 ? [0, 200, 0] : x < width / 2 ? [200, 0, 0] : [0, 0, 200];
      pixels.set(colour, (y * width + x) * 3);
    }
  }
  return pixels;
}

const flag = () => sharp(drawFlag(), { raw: { width: 64, height: 48, channels: 3 } });
const at = (pixels: Uint8Array, x: number, y: number) => [...pixels.subarray((y * 32 + x) * 3, (y * 32 + x) * 3 + 3)];

/** Green on top, red to the left, blue to the right, to the tolerance of JPEG and colour profiles. */
function assertUpright(pixels: Uint8Array, tolerance = 40): void {
  assert.equal(pixels.length, 32 * 32 * 3);
  const expected: [number, number, number[]][] = [
    [16, 2, [0, 200, 0]],
    [5, 24, [200, 0, 0]],
    [26, 24, [0, 0, 200]],
  ];
  for (const [x, y, colour] of expected) {
    const got = at(pixels, x, y);
    for (let c = 0; c < 3; c++) {
      assert.ok(Math.abs(got[c]! - colour[c]!) <= tolerance, `(${x}, ${y}) is ${got}, wanted ${colour}`);
    }
  }
}

/** What a camera stores for each EXIF orientation: the transform that the orientation undoes. */
const stored: Record<number, (image: ReturnType<typeof sharp>) => Promise<Buffer>> = {
  1: image => image.png().toBuffer(),
  2: image => image.flop().png().toBuffer(),
  3: image => image.rotate(180).png().toBuffer(),
  4: image => image.flip().png().toBuffer(),
  5: async image =>
    sharp(await image.rotate(270).png().toBuffer())
      .flip()
      .png()
      .toBuffer(),
  6: image => image.rotate(270).png().toBuffer(),
  7: async image =>
    sharp(await image.rotate(90).png().toBuffer())
      .flip()
      .png()
      .toBuffer(),
  8: image => image.rotate(90).png().toBuffer(),
};

for (const [orientation, store] of Object.entries(stored)) {
  test(`EXIF orientation ${orientation} is applied`, async () => {
    const turned = sharp(await store(flag()));
    const photo = await turned
      .jpeg({ quality: 95 })
      .withMetadata({ orientation: Number(orientation) })
      .toBuffer();
    assertUpright(await decodePhoto(photo, spec));
  });
}

test('formats: JPEG, PNG, WebP, GIF, TIFF, AVIF', async () => {
  for (const format of ['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif'] as const) {
    assertUpright(await decodePhoto(await flag().toFormat(format).toBuffer(), spec));
  }
});

test('CMYK and 16-bit photos become RGB', async () => {
  const cmyk = await flag().toColourspace('cmyk').jpeg({ quality: 95 }).toBuffer();
  assert.equal((await sharp(cmyk).metadata()).space, 'cmyk');
  // Pure green and blue are outside of what these inks can show.
  assertUpright(await decodePhoto(cmyk, spec), 120);
  const deep = await flag().toColourspace('rgb16').png().toBuffer();
  assert.equal((await sharp(deep).metadata()).depth, 'ushort');
  assertUpright(await decodePhoto(deep, spec));
});

test('a greyscale photo has three equal channels', async () => {
  const grey = await flag().greyscale().jpeg().toBuffer();
  const pixels = await decodePhoto(grey, spec);
  assert.equal(pixels.length, 32 * 32 * 3);
  for (let i = 0; i < pixels.length; i += 3) assert.deepEqual(pixels[i], pixels[i + 1]);
});

test('transparent parts become white', async () => {
  const clear = { r: 10, g: 20, b: 30, alpha: 0 };
  const image = await sharp({ create: { width: 20, height: 20, channels: 4, background: clear } })
    .png()
    .toBuffer();
  assert.deepEqual(new Set(await decodePhoto(image, spec)), new Set([255]));
});

test('an animation gives its first frame', async () => {
  const frames = Buffer.concat([drawFlag(), Buffer.alloc(64 * 48 * 3, 77)]);
  const animated = await sharp(frames, { raw: { width: 64, height: 96, channels: 3, pageHeight: 48 } })
    .gif({ delay: [50, 50] })
    .toBuffer();
  assert.equal((await sharp(animated, { animated: true }).metadata()).pages, 2);
  assertUpright(await decodePhoto(animated, spec));
});

test('what is no photo, or a damaged one, is a bad-photo error', async () => {
  const whole = await sharp(drawFlag(640, 480), { raw: { width: 640, height: 480, channels: 3 } })
    .jpeg()
    .toBuffer();
  for (const bytes of [new Uint8Array(), Buffer.from('text'), whole.subarray(0, whole.length / 2)]) {
    await assert.rejects(decodePhoto(bytes, spec), (error: unknown) => (error as GraftError).code === 'bad-photo');
  }
});
