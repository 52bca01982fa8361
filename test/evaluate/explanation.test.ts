// Maps of several sizes become one whose mean is the logit; where its evidence is; and what the pictures show.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import {
  borderShare,
  describePlace,
  type Explanation,
  joinMaps,
  mapOf,
  placeOf,
} from '../../src/evaluate/explanation.ts';
import { drawExplanation, drawHeatMap } from '../../src/evaluate/heat-map.ts';

const probabilities = Float32Array.of(0.7, 0.3);

/** Evidence of 1 for the first class in one cell of a square, of -1 for the second. */
function spot(side: number, x: number, y: number): Explanation {
  const evidence = new Float32Array(2 * side * side);
  evidence[y * side + x] = 1;
  evidence[side * side + y * side + x] = -1;
  return { probabilities, side, evidence };
}

test('the mean of the joined map is the logit, whatever the maps are', () => {
  const maps = [
    { side: 2, values: Float32Array.of(4, 0, 0, 0, -4, 0, 0, 0) },
    { side: 4, values: Float32Array.from({ length: 32 }, (_, i) => (i === 15 ? 8 : 0)) },
  ];
  const joined = joinMaps(probabilities, Float32Array.of(3, -3), maps);
  assert.equal(joined.side, 4);
  for (const [k, logit] of [3, -3].entries()) {
    const mean = mapOf(joined, k).reduce((sum, value) => sum + value / 16, 0);
    assert.ok(Math.abs(mean - logit) < 1e-5, `${mean}`);
  }
  const map = mapOf(joined, 0);
  assert.ok(map[0]! > map[5]! && map[5]! > map[10]!, 'strongest in the upper left, of what the coarse map says');
  assert.ok(map[15]! > map[0]!, 'and in the cell of the fine map');
  // Without places all cells are the same.
  const flat = joinMaps(probabilities, Float32Array.of(2, -2), []);
  assert.deepEqual([flat.side, ...flat.evidence], [1, 2, -2]);
});

test('places and their names', () => {
  const where = (x: number, y: number) => describePlace(placeOf(spot(7, x, y), 0));
  assert.equal(where(0, 0), 'upper left');
  assert.equal(where(6, 3), 'right');
  assert.equal(where(3, 3), 'the middle');
  assert.equal(where(3, 6), 'lower middle');
  const even = { probabilities, side: 7, evidence: new Float32Array(98) };
  assert.equal(describePlace(placeOf(even, 0)), 'all over');
  assert.equal(borderShare(spot(7, 0, 3), 0), 1);
  assert.equal(borderShare(spot(7, 3, 3), 0), 0);
  assert.ok(Math.abs(borderShare(even, 0) - 24 / 49) < 1e-9);
});

test('heat-maps are bright where the evidence is, stretched to the photo, upright', async () => {
  // Turned by EXIF: 40 x 80 as people see it.
  const photo = await sharp({ create: { width: 80, height: 40, channels: 3, background: '#408040' } })
    .withMetadata({ orientation: 6 })
    .jpeg()
    .toBuffer();
  for (const format of ['png', 'webp'] as const) {
    const { data, info } = await sharp(await drawHeatMap(photo, spot(7, 0, 6), 0, { format }))
      .raw()
      .toBuffer({ resolveWithObject: true });
    assert.deepEqual([info.width, info.height], [40, 80]);
    const light = (x: number, y: number) => {
      const at = (y * info.width + x) * info.channels;
      return data[at]! + data[at + 1]! + data[at + 2]!;
    };
    assert.ok(light(3, 75) > light(36, 5) + 100, `${light(3, 75)}, ${light(36, 5)}`);
    assert.ok(Math.abs(light(36, 5) - light(36, 70)) < 12, 'nothing elsewhere');
  }
  const whole = await sharp(
    await drawExplanation(photo, spot(7, 0, 6), 0, { said: '<b>&"\u0007 97 %', about: 'x'.repeat(500) }),
  ).metadata();
  assert.deepEqual([whole.format, whole.width, whole.height], ['png', 400, 80 + 64]);
});

test('a camera cuts its frame out of the middle and sees no colour; photos of any kind are drawn', async () => {
  // Red, green and red again from the left: only green is in the frame, a third as wide as the photo.
  const stripe = (background: string) => ({ create: { width: 40, height: 30, channels: 3 as const, background } });
  const stripes = await sharp({ create: { width: 120, height: 30, channels: 3, background: '#ff0000' } })
    .composite([{ input: await sharp(stripe('#00ff00')).png().toBuffer(), left: 40, top: 0 }])
    .png()
    .toBuffer();
  const dark = { probabilities, side: 2, evidence: new Float32Array(8) };
  const { data, info } = await sharp(await drawHeatMap(stripes, dark, 0, { camera: 'greyscale', size: 80 }))
    .raw()
    .toBuffer({ resolveWithObject: true });
  assert.deepEqual([info.width, info.height], [80, 60]);
  // Luma of green is 150, that of red 76; 15 % of inferno's black lie over it.
  for (let i = 0; i < data.length; i += info.channels) {
    // At the edges the red beside it shines in.
    const x = (i / info.channels) % info.width;
    if (x < 4 || x > 75) continue;
    const [r, g, b] = data.subarray(i, i + 3) as unknown as [number, number, number];
    assert.ok(Math.abs(r - 127) < 4 && Math.abs(g - r) < 3 && Math.abs(b - r) < 3, `${r}, ${g}, ${b}`);
  }

  const grey = sharp(Buffer.alloc(16 * 12, 200), { raw: { width: 16, height: 12, channels: 1 } });
  const colour = sharp({
    create: { width: 16, height: 12, channels: 4, background: { r: 200, g: 200, b: 200, alpha: 1 } },
  });
  for (const photo of [
    await grey.clone().toColourspace('b-w').png().toBuffer(),
    await grey.clone().toColourspace('grey16').png().toBuffer(),
    await colour.clone().png().toBuffer(),
    await colour.clone().removeAlpha().toColourspace('cmyk').jpeg().toBuffer(),
    await colour.clone().gif().toBuffer(),
  ]) {
    for (const camera of ['none', 'greyscale'] as const) {
      const drawn = await sharp(await drawHeatMap(photo, dark, 0, { camera })).stats();
      for (const { mean, stdev } of drawn.channels.slice(0, 3))
        assert.ok(Math.abs(mean - 170) < 15 && stdev < 3, `${mean}`);
    }
  }
});
