// What a robot's camera makes of a photo: OpenCV's own numbers to the bit, and frames that keep the shape of things.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import sharp from 'sharp';
import { makeRng } from '../../src/base/rng.ts';
import { defaultAugmentation, renderView, sampleView } from '../../src/image/augment.ts';
import { decodeFrame, FRAME, lumaOf, renderFrame, seeFrame } from '../../src/image/camera.ts';
import { decodeSeen } from '../../src/image/render-photo-view.ts';
import { largestDifference, readReference } from '../support/reference.ts';

interface Reference {
  readonly lumaSha256: string;
  readonly lumaFirstRow: readonly number[];
  readonly cases: readonly {
    readonly size: number;
    readonly sha256: string;
    readonly rows: Readonly<Record<string, readonly number[]>>;
  }[];
}
const reference = readReference<Reference>('camera.json');
const { width, height } = FRAME;
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** pixel(y, x, c) of the reference. */
const pixels = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
  const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
  return (x * 7 + y * 13 + c * 29 + ((x * y) % 31) * 5) % 256;
});
const frame = lumaOf(pixels);

test('luma is that of OpenCV', () => {
  assert.deepEqual([...frame.subarray(0, width)], reference.lumaFirstRow);
  assert.equal(sha256(frame), reference.lumaSha256);
});

for (const { size, sha256: wanted, rows } of reference.cases) {
  test(`a frame resized to ${size} is what OpenCV gives`, () => {
    const out = new Uint8Array(size * size * 3);
    seeFrame(frame, size, out);
    for (const [y, row] of Object.entries(rows)) {
      const found = row.map((_, x) => out[(Number(y) * size + x) * 3]!);
      assert.equal(largestDifference(found, row), 0, `row ${y}`);
    }
    assert.equal(sha256(out), wanted, 'every byte of the three channels');
  });
}

/** A PNG of these RGB pixels. */
const png = (data: Uint8Array, size: { readonly width: number; readonly height: number }) =>
  sharp(data, { raw: { ...size, channels: 3 } }).png();

test('a frame that a camera took stays as it is: photos and real frames take the same way', async () => {
  const colour = await png(pixels, FRAME).toBuffer();
  assert.deepEqual(await decodeFrame(colour), frame);
  const grey = await sharp(frame, { raw: { ...FRAME, channels: 1 } })
    .png()
    .toBuffer();
  assert.deepEqual(await decodeFrame(grey), frame);
  const spec = { size: 224, fit: 'squash', kernel: 'lanczos3' } as const;
  const seen = await decodeSeen('greyscale', grey, spec);
  assert.equal(sha256(seen), reference.cases.find(({ size }) => size === 224)!.sha256);
  assert.notDeepEqual(await decodeSeen('none', grey, spec), seen);
});

/** A black photo with a white disc, 120 pixels wide, in its middle. */
function drawDisc(width: number, height: number) {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const inside = Math.hypot(x + 0.5 - width / 2, y + 0.5 - height / 2) < 60;
      if (inside) data.fill(255, (y * width + x) * 3, (y * width + x + 1) * 3);
    }
  }
  return png(data, { width, height });
}

/** How wide and how high what is white in a frame is, in pixels. */
function extent(seen: Uint8Array): { across: number; down: number } {
  const line = (from: number, count: number, step: number) =>
    Array.from({ length: count }, (_, i) => seen[from + i * step]!).reduce((sum, value) => sum + value / 255, 0);
  return { across: line((height / 2) * width, width, 1), down: line(width / 2, height, width) };
}

test('photos of every shape fill the frame, and a disc in the middle stays round', async () => {
  for (const [w, h] of [
    [480, 480],
    [960, 240],
    [300, 900],
    [160, 120],
  ] as const) {
    const { across, down } = extent(await decodeFrame(await drawDisc(w, h).toBuffer()));
    const wanted = 120 * Math.max(width / w, height / h);
    for (const [side, found] of Object.entries({ across, down })) {
      const want = Math.min(wanted, side === 'across' ? width : height);
      assert.ok(Math.abs(found - want) < 2, `${side} of a ${w} x ${h} photo: ${found}, wanted ${want}`);
    }
  }
});

test('a photo is turned upright before it is cropped', async () => {
  // Stored on its side: the left third of the upright 400 x 300 photo is white.
  const data = new Uint8Array(400 * 300 * 3).map((_, i) => (Math.floor(i / 3) % 400 < 133 ? 255 : 0));
  const stored = await png(data, { width: 400, height: 300 }).rotate(270).toBuffer();
  const photo = await sharp(stored).jpeg({ quality: 95 }).withMetadata({ orientation: 6 }).toBuffer();
  const seen = await decodeFrame(photo);
  const column = (x: number) => Array.from({ length: height }, (_, y) => seen[y * width + x]!);
  assert.ok(Math.min(...column(50)) > 250, 'left');
  assert.ok(Math.max(...column(250)) < 5, 'right');
});

test('a view of a frame is the luma of the same view of the photo', () => {
  // A square cut of the frame, for which renderView serves; a mild view, so that no colour is clamped.
  const rng = (seed: number) => makeRng(seed, 'view');
  const mild = { ...defaultAugmentation, zoom: 0.5, brightness: 0.02, contrast: 0.05, saturation: 0.1 };
  const smooth = Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    const [c, x, y] = [i % 3, Math.floor(i / 3) % width, Math.floor(i / 3 / width)];
    return Math.round(128 + 40 * Math.sin(x / 17 + c) + 30 * Math.cos(y / 13 - c));
  });
  const square = new Uint8Array(height * height * 3);
  const left = (width - height) / 2;
  for (let y = 0; y < height; y++) {
    square.set(smooth.subarray((y * width + left) * 3, (y * width + left + height) * 3), y * height * 3);
  }
  for (let seed = 0; seed < 5; seed++) {
    const view = sampleView({ ...mild, shift: 0, zoom: 0 }, height, rng(seed));
    const wide = sampleView({ ...mild, shift: 0, zoom: 0 }, width, rng(seed), height);
    const ofPhoto = new Uint8Array(square.length);
    renderView(square, height, view, ofPhoto);
    const ofFrame = renderFrame(lumaOf(smooth), wide);
    // Inside of the square, where neither reaches beyond its border.
    const luma = lumaOf(ofPhoto);
    for (let y = height / 4; y < (3 * height) / 4; y++) {
      for (let x = height / 4; x < (3 * height) / 4; x++) {
        const difference = Math.abs(luma[y * height + x]! - ofFrame[y * width + left + x]!);
        assert.ok(difference <= 2, `view ${seed}, (${x}, ${y}): ${difference} apart`);
      }
    }
  }
});

test('with everything off, a view of a frame is the frame itself', () => {
  const off = Object.fromEntries(Object.keys(defaultAugmentation).map(name => [name, 0]));
  const view = sampleView({ ...off, flip: false, verticalFlip: false } as never, width, makeRng(1), height);
  assert.deepEqual(renderFrame(frame, view), frame);
});

test('what is no photo is a bad-photo error', async () => {
  await assert.rejects(decodeFrame(Buffer.from('text')), { code: 'bad-photo' });
});
