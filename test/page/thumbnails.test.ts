// Pictures of a page: small, upright, and no more of them than there is room for.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { makeRng } from '../../src/base/rng.ts';
import { openThumbnails } from '../../src/page/thumbnails.ts';

let folder: string;
const at = (name: string) => join(folder, name);
const bytesOf = (uri: string) => Buffer.from(uri.slice(uri.indexOf(',') + 1), 'base64');
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-thumbnails-'));
  const rng = makeRng(1, 'noise');
  const data = Buffer.from(Array.from({ length: 300 * 200 * 3 }, () => rng.int(256)));
  const photo = sharp(data, { raw: { width: 300, height: 200, channels: 3 } });
  // Lies on its side: 6 is a quarter turn.
  await photo.clone().withMetadata({ orientation: 6 }).jpeg().toFile(at('turned.jpg'));
  const clear = { r: 0, g: 0, b: 0, alpha: 0 };
  await sharp({ create: { width: 8, height: 8, channels: 4, background: clear } })
    .png()
    .toFile(at('clear.png'));
  await writeFile(at('text.jpg'), 'no photo');
});
after(() => rm(folder, { recursive: true, force: true }));

test('a photo is upright, as large as asked, and white where nothing is', async () => {
  const thumbnails = openThumbnails(1e6);
  const turned = await thumbnails.photo(at('turned.jpg'), 96);
  assert.match(turned!, /^data:image\/webp;base64,[\w+/=]+$/);
  const { width, height, format } = await sharp(bytesOf(turned!)).metadata();
  assert.deepEqual([width, height, format], [64, 96, 'webp']);
  const clear = await sharp(bytesOf((await thumbnails.photo(at('clear.png'), 8))!)).stats();
  assert.ok(clear.channels.slice(0, 3).every(({ min }) => min > 250));
});

test('what cannot be read is no picture, and takes no room', async () => {
  const thumbnails = openThumbnails(1e6);
  for (const name of ['text.jpg', 'gone.jpg', '.']) assert.equal(await thumbnails.photo(at(name), 96), undefined);
});

test('all pictures together stay within their bytes, and a smaller one may still find room', async () => {
  const one = (await openThumbnails(1e6).photo(at('turned.jpg'), 96))!.length;
  const thumbnails = openThumbnails(3 * one + 200);
  const taken: string[] = [];
  for (let i = 0; i < 5; i++) {
    const uri = await thumbnails.photo(at('turned.jpg'), 96);
    if (uri) taken.push(uri);
  }
  assert.equal(taken.length, 3);
  assert.equal(thumbnails.picture(new Uint8Array(one)), undefined);
  assert.ok(thumbnails.picture(new Uint8Array(20)));
});
