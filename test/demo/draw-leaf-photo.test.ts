// The drawn leaves: the same bytes for the same seed, real JPEGs of the sizes promised, and no class told by its colours.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp from 'sharp';
import { GraftError } from '../../src/base/errors.ts';
import { makeRng } from '../../src/base/rng.ts';
import { boxBlur, clamp01, enlarge, hex, makeCanvas, smoothstep } from '../../src/demo/canvas.ts';
import { diseases, pickDisease } from '../../src/demo/diseases.ts';
import { drawLeafPhoto } from '../../src/demo/draw-leaf-photo.ts';
import { makeLeafShape } from '../../src/demo/leaf-shape.ts';
import { makeLeafLook, paintLeaf } from '../../src/demo/paint-leaf.ts';

test('equal options give equal bytes, and seed, index and class each change them', async () => {
  const options = { seed: 4, index: 2, healthy: true, size: 96 };
  const first = Buffer.from(await drawLeafPhoto(options));
  assert.ok(first.equals(await drawLeafPhoto(options)));
  for (const change of [{ seed: 5 }, { index: 3 }, { healthy: false }]) {
    assert.ok(!first.equals(await drawLeafPhoto({ ...options, ...change })));
  }
});

test('photos are JPEGs whose longer edge is `size`, or 320 to 360 pixels', async () => {
  for (let index = 0; index < 4; index++) {
    for (const size of [undefined, 64]) {
      const jpeg = await drawLeafPhoto({ seed: 1, index, healthy: index % 2 === 0, ...(size ? { size } : {}) });
      const { format, width, height, channels } = await sharp(jpeg).metadata();
      assert.equal(format, 'jpeg');
      assert.equal(channels, 3);
      const longer = Math.max(width, height);
      if (size) assert.equal(longer, size);
      else assert.ok(longer >= 320 && longer <= 360, `${longer} pixels`);
    }
  }
});

test('numbers out of range are refused with the range', async () => {
  for (const wrong of [{ size: 63 }, { size: 1025 }, { index: -1 }, { seed: 0.5 }, { size: Number.NaN }]) {
    await assert.rejects(
      drawLeafPhoto({ seed: 0, index: 0, healthy: true, ...wrong }),
      (error: unknown) =>
        error instanceof GraftError && error.code === 'usage' && /whole number/.test(error.hint ?? ''),
    );
  }
});

test('every disease changes pixels of the leaf, and none outside it', () => {
  const frame = { width: 160, height: 120 };
  const pose = { x: 20, y: 60, angle: 0, length: 120, squash: 1, bend: 0, stalk: 0.1 };
  for (const [name, paint] of Object.entries(diseases)) {
    const rng = makeRng(3, name);
    const leaf = paintLeaf(rng, frame, makeLeafShape(rng), pose, makeLeafLook(rng))!;
    const [rgb, cover] = [leaf.rgb.slice(), leaf.cover.slice()];
    paint(rng, leaf, { strength: 0.8, opacity: 0.9 });
    let inside = 0;
    for (let i = 0; i < cover.length; i++) {
      const changed = [0, 1, 2].some(c => rgb[i * 3 + c] !== leaf.rgb[i * 3 + c]) || cover[i] !== leaf.cover[i];
      if (!changed) continue;
      assert.ok(leaf.inside[i]! > 0, `${name} painted outside the leaf`);
      inside++;
    }
    assert.ok(inside > 30, `${name} changed ${inside} pixels`);
    assert.ok(
      leaf.rgb.every(value => Number.isFinite(value)),
      `${name} made a value that is no number`,
    );
  }
});

test('every disease is picked', () => {
  const rng = makeRng(0, 'shares');
  const seen = new Set(Array.from({ length: 300 }, () => pickDisease(rng)));
  assert.deepEqual([...seen].sort(), Object.keys(diseases).sort());
});

test('a leaf out of the frame gives no layer', () => {
  const rng = makeRng(0, 'far');
  const pose = { x: 900, y: 900, angle: 0, length: 50, squash: 1, bend: 0, stalk: 0.1 };
  assert.equal(paintLeaf(rng, { width: 100, height: 100 }, makeLeafShape(rng), pose, makeLeafLook(rng)), undefined);
});

test('canvas tools', () => {
  assert.deepEqual(hex('#ff0080'), [1, 0, 128 / 255]);
  assert.deepEqual([clamp01(-1), clamp01(0.5), clamp01(7)], [0, 0.5, 1]);
  assert.deepEqual([smoothstep(0, 2, 1), smoothstep(2, 0, 2), smoothstep(2, 0, 0)], [0.5, 0, 1]);
  // A box blur keeps a constant, and spreads a spike over its square.
  const flat = new Float32Array(35).fill(0.25);
  boxBlur(flat, 7, 5, 1, 2, 2);
  assert.ok(flat.every(value => Math.abs(value - 0.25) < 1e-6));
  const spike = new Float32Array(25);
  spike[12] = 9;
  boxBlur(spike, 5, 5, 1, 1, 1);
  const expected = [0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0];
  assert.deepEqual(
    Array.from(spike, value => Math.round(value * 1e4) / 1e4),
    expected,
  );
  assert.ok(enlarge(makeCanvas(3, 2, [0.5, 0.25, 1]), 7, 5).rgb.every((value, i) => value === [0.5, 0.25, 1][i % 3]));
});

/** Mean of each channel, and the square roots of the shares of 4 x 4 x 4 colours. */
async function describeColours(jpeg: Uint8Array): Promise<{ mean: number[]; histogram: number[] }> {
  const { data, info } = await sharp(jpeg).raw().toBuffer({ resolveWithObject: true });
  const pixels = info.width * info.height;
  const mean = [0, 0, 0];
  const bins = new Array<number>(64).fill(0);
  for (let i = 0; i < data.length; i += 3) {
    for (let c = 0; c < 3; c++) mean[c]! += data[i + c]! / 255 / pixels;
    bins[(data[i]! >> 6) * 16 + (data[i + 1]! >> 6) * 4 + (data[i + 2]! >> 6)]! += 1 / pixels;
  }
  return { mean, histogram: bins.map(Math.sqrt) };
}

/** Accuracy of logistic regression (standardised features, 300 steps of gradient descent, L2 0.1) on the last third. */
function probe(features: readonly number[][], labels: readonly number[]): number {
  const split = Math.round((features.length * 2) / 3);
  const width = features[0]!.length;
  const known = features.slice(0, split);
  const means = Array.from({ length: width }, (_, j) => known.reduce((sum, row) => sum + row[j]! / split, 0));
  const scales = means.map(
    (mean, j) => 1e-6 + Math.sqrt(known.reduce((sum, row) => sum + (row[j]! - mean) ** 2 / split, 0)),
  );
  const rows = features.map(row => row.map((value, j) => (value - means[j]!) / scales[j]!));
  const weights = new Float64Array(width + 1);
  const score = (row: readonly number[]): number =>
    row.reduce((sum, value, j) => sum + value * weights[j]!, weights[width]!);
  for (let step = 0; step < 300; step++) {
    const gradient = weights.map((weight, j) => (j < width ? 0.1 * weight : 0));
    for (let i = 0; i < split; i++) {
      const error = (1 / (1 + Math.exp(-score(rows[i]!))) - labels[i]!) / split;
      for (let j = 0; j < width; j++) gradient[j]! += error * rows[i]![j]!;
      gradient[width]! += error;
    }
    for (let j = 0; j <= width; j++) weights[j]! -= 0.3 * gradient[j]!;
  }
  const right = rows.slice(split).filter((row, i) => score(row) > 0 === (labels[split + i] === 1)).length;
  return right / (features.length - split);
}

test('colours alone do not tell the classes apart', async () => {
  const photos = 210;
  const labels = Array.from({ length: photos }, (_, i) => i % 2);
  const colours = [];
  for (let i = 0; i < photos; i++) {
    const jpeg = await drawLeafPhoto({ seed: 11, index: i >> 1, healthy: i % 2 === 0, size: 112 });
    colours.push(await describeColours(jpeg));
  }
  const mean = probe(
    colours.map(colour => colour.mean),
    labels,
  );
  const histogram = probe(
    colours.map(colour => colour.histogram),
    labels,
  );
  assert.ok(mean < 0.75, `mean colour reaches ${mean}`);
  assert.ok(histogram < 0.75, `the colour histogram reaches ${histogram}`);
});
