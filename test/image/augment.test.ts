// Augmented views: what a map does to known pixels, that views are seeded, and that switches switch.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeRng } from '../../src/base/rng.ts';
import { type Augmentation, defaultAugmentation, renderView, sampleView } from '../../src/image/augment.ts';

const SIZE = 16;
const off: Augmentation = {
  flip: false,
  verticalFlip: false,
  rotation: 0,
  zoom: 0,
  shift: 0,
  squash: 0,
  brightness: 0,
  contrast: 0,
  saturation: 0,
  greyscale: 0,
};
const photo = Uint8Array.from({ length: SIZE * SIZE * 3 }, (_, i) => (i * 37 + (i >> 5) * 11) % 256);

function render(options: Augmentation, seed: number): Uint8Array {
  const out = new Uint8Array(photo.length);
  renderView(photo, SIZE, sampleView(options, SIZE, makeRng(seed)), out);
  return out;
}

/** Seeds whose first coin decides for a mirror and against one. */
const [mirrored, plain] = [true, false].map(wanted => {
  for (let seed = 0; ; seed++) if (makeRng(seed).chance(0.5) === wanted) return seed;
}) as [number, number];

test('with everything off, a view is the photo itself', () => {
  for (let seed = 0; seed < 5; seed++) assert.deepEqual(render(off, seed), photo);
});

test('a flip mirrors left and right exactly, half of the time', () => {
  const out = render({ ...off, flip: true }, mirrored);
  for (let y = 0; y < SIZE; y++) {
    for (let x = 0; x < SIZE; x++) {
      for (let c = 0; c < 3; c++) {
        assert.equal(out[(y * SIZE + x) * 3 + c], photo[(y * SIZE + SIZE - 1 - x) * 3 + c]);
      }
    }
  }
  assert.deepEqual(render({ ...off, flip: true }, plain), photo);
});

test('a quarter turn moves corners to corners', () => {
  const view = sampleView({ ...off, rotation: 90 }, SIZE, {
    ...makeRng(0),
    uniform: () => 1,
    chance: () => false,
    next: () => 0,
  });
  const out = new Uint8Array(photo.length);
  renderView(photo, SIZE, view, out);
  const at = (pixels: Uint8Array, x: number, y: number) => [
    ...pixels.subarray((y * SIZE + x) * 3, (y * SIZE + x) * 3 + 3),
  ];
  const corners = [at(photo, 0, 0), at(photo, 15, 0), at(photo, 0, 15), at(photo, 15, 15)].map(String);
  const turned = [at(out, 0, 0), at(out, 15, 0), at(out, 0, 15), at(out, 15, 15)];
  for (const corner of turned) {
    const nearest = Math.min(
      ...corners.map(other => Math.max(...other.split(',').map((v, i) => Math.abs(Number(v) - corner[i]!)))),
    );
    assert.ok(nearest <= 1, `${corner} is none of ${corners.join(' | ')}`);
  }
  assert.notDeepEqual(turned.map(String), corners);
});

test('greyscale has the luma of ITU-R BT.601 in all channels; brightness shifts and clamps', () => {
  const grey = render({ ...off, greyscale: 1 }, 3);
  for (let i = 0; i < grey.length; i += 3) {
    const luma = 0.299 * photo[i]! + 0.587 * photo[i + 1]! + 0.114 * photo[i + 2]!;
    for (let c = 0; c < 3; c++) assert.ok(Math.abs(grey[i + c]! - luma) <= 0.51);
  }
  const dark = sampleView({ ...off, brightness: 0.5 }, SIZE, { ...makeRng(0), uniform: () => -1 });
  const out = new Uint8Array(photo.length);
  renderView(photo, SIZE, dark, out);
  out.forEach((value, i) => {
    assert.equal(value, Math.max(0, Math.round(photo[i]! - 127.5)));
  });
});

test('views are the same for the same seed, differ for others, and keep the pixel range', () => {
  assert.deepEqual(render(defaultAugmentation, 5), render(defaultAugmentation, 5));
  assert.notDeepEqual(render(defaultAugmentation, 5), render(defaultAugmentation, 6));
  const strong = {
    ...defaultAugmentation,
    rotation: 180,
    zoom: 0.9,
    shift: 0.5,
    squash: 1,
    contrast: 1,
    brightness: 1,
  };
  for (let seed = 0; seed < 50; seed++) render(strong, seed);
});

test('switching one augmentation off leaves the others as they were', () => {
  const [all, less] = [defaultAugmentation, { ...defaultAugmentation, contrast: 0, brightness: 0 }].map(
    options => sampleView(options, SIZE, makeRng(9)).affine,
  );
  assert.deepEqual(all, less);
});
