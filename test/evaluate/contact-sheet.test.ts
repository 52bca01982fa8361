// The contact sheet: its order, its bounds, what untrusted names and broken photos may do to it (nothing), orientation.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import { GraftError } from '../../src/base/errors.ts';
import { type ContactTile, drawContactSheet, MAX_TILES, orderTiles } from '../../src/evaluate/contact-sheet.ts';

const root = await mkdtemp(join(tmpdir(), 'graft-sheet-'));
after(() => rm(root, { recursive: true, force: true }));

const plain = join(root, 'plain.jpg');
await sharp({ create: { width: 80, height: 60, channels: 3, background: '#2040c0' } })
  .jpeg()
  .toFile(plain);

const right = (probability: number, file = plain): ContactTile => ({ file, truth: 'a', predicted: 'a', probability });
const wrong = (probability: number, file = plain): ContactTile => ({ file, truth: 'a', predicted: 'b', probability });

async function readPixels(png: Uint8Array) {
  const { data, info } = await sharp(png).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const at = (x: number, y: number): number[] => [
    ...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3),
  ];
  return { at, width: info.width, height: info.height };
}

const isNear = (pixel: readonly number[], wanted: readonly number[]): boolean =>
  pixel.every((value, c) => Math.abs(value - wanted[c]!) <= 12);

test('mistakes come first, the surest on top; then right ones, the least sure first', () => {
  const tiles = [right(0.9), wrong(0.6), right(0.5), wrong(0.95), wrong(Number.NaN), right(0.7)];
  assert.deepEqual(
    orderTiles(tiles).map(tile => [tile.predicted, tile.probability]),
    [
      ['b', 0.95],
      ['b', 0.6],
      ['b', Number.NaN],
      ['a', 0.5],
      ['a', 0.7],
      ['a', 0.9],
    ],
  );
});

test('a mistake has a frame that a right photo lacks', async () => {
  const { at, width } = await readPixels(
    await drawContactSheet([right(0.9), wrong(0.8)], { tileSize: 200, columns: 2 }),
  );
  assert.equal(width, 430);
  const vermilion = [0xc2, 0x41, 0x0c];
  // Tiles start at x = 10 and 220, y = 56; the frame is 4 pixels thick.
  assert.ok(isNear(at(12, 60), vermilion), `${at(12, 60)}`);
  assert.ok(!isNear(at(222, 60), vermilion), `${at(222, 60)}`);
  assert.ok(isNear(at(110, 130), [0x20, 0x40, 0xc0]), `${at(110, 130)}`);
});

test('at most MAX_TILES are drawn', async () => {
  const many = await readPixels(
    await drawContactSheet(
      Array.from({ length: MAX_TILES + 40 }, () => right(0.9)),
      { tileSize: 120, columns: 12 },
    ),
  );
  const full = await readPixels(
    await drawContactSheet(
      Array.from({ length: MAX_TILES }, () => right(0.9)),
      { tileSize: 120, columns: 12 },
    ),
  );
  assert.deepEqual([many.width, many.height], [full.width, full.height]);
  assert.equal(full.height, 56 + 5 * (90 + 46 + 10) + 10);
});

test('names are text and nothing else, however long or strange', async () => {
  const lone = '\ud800';
  const names = [
    '</text><image href="file:///etc/passwd"/><text>',
    `&amp;"'<>${lone}\u0000\u0008\ufffe\u202eabc`,
    'x'.repeat(100_000),
    '',
    '葉'.repeat(50),
    '\n\t ',
  ];
  for (const name of names) {
    const tile = { file: plain, truth: name, predicted: `not ${name}`, probability: 0.5 };
    const sheet = await drawContactSheet([tile], { title: name });
    const { width, height } = await sharp(sheet).metadata();
    assert.deepEqual([width, height], [320, 272]);
  }
});

test('a long name stays within its tile', async () => {
  const tile = { file: plain, truth: 'W'.repeat(80), predicted: 'M'.repeat(80), probability: 0.5 };
  const { at, width } = await readPixels(await drawContactSheet([tile], { tileSize: 200 }));
  for (let y = 56; y < 250; y++) {
    for (let x = 212; x < width; x++) assert.deepEqual(at(x, y), [255, 255, 255]);
  }
});

test('EXIF orientation is applied', async () => {
  // Stored with red above blue and marked "turn by 180 degrees": shown with blue above red.
  const file = join(root, 'turned.jpg');
  const red = { create: { width: 80, height: 30, channels: 3, background: '#e00000' } } as const;
  await sharp({ create: { width: 80, height: 60, channels: 3, background: '#0000e0' } })
    .composite([{ input: await sharp(red).png().toBuffer(), left: 0, top: 0 }])
    .withMetadata({ orientation: 3 })
    .jpeg()
    .toFile(file);
  const { at } = await readPixels(await drawContactSheet([right(1, file)], { tileSize: 200 }));
  assert.ok(isNear(at(110, 80), [0, 0, 0xe0]), `${at(110, 80)}`);
  assert.ok(isNear(at(110, 190), [0xe0, 0, 0]), `${at(110, 190)}`);
});

test('a photo that is gone, damaged or an SVG program becomes a grey tile', async () => {
  const damaged = join(root, 'damaged.jpg');
  await writeFile(damaged, 'no photo');
  const program = join(root, 'program.svg');
  await writeFile(
    program,
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>',
  );
  for (const file of [join(root, 'gone.jpg'), damaged, program, root]) {
    const { at } = await readPixels(await drawContactSheet([wrong(0.8, file)], { tileSize: 200 }));
    assert.ok(isNear(at(60, 180), [0xe6, 0xe8, 0xeb]), `${file}: ${at(60, 180)}`);
  }
});

test('no tiles and options out of range are refused', async () => {
  const refused = (code: string) => (error: unknown) => error instanceof GraftError && error.code === code;
  await assert.rejects(drawContactSheet([]), refused('too-few-photos'));
  for (const options of [{ columns: 0 }, { columns: 13 }, { tileSize: 20 }, { tileSize: 1000 }, { tileSize: 150.5 }]) {
    await assert.rejects(drawContactSheet([right(1)], options), refused('usage'));
  }
});
