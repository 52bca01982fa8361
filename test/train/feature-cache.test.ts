// The feature cache: rows come back, survive a torn end, and are shared by runs that write at the same time.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { openFeatureCache } from '../../src/train/feature-cache.ts';
import { recordKey } from '../../src/train/record-cache.ts';
import { temporaryFolder } from '../support/reference.ts';

const WIDTH = 5;
const row = (n: number) => Float32Array.from({ length: WIDTH }, (_, i) => n * 10 + i + 1 / 3);
const key = (n: number) => recordKey('photo', n);

async function fill(folder: string, numbers: readonly number[]): Promise<void> {
  const cache = await openFeatureCache(folder, WIDTH);
  for (const n of numbers) await cache.add(key(n), row(n));
  await cache.close();
}

async function known(folder: string, count: number): Promise<number[]> {
  const cache = await openFeatureCache(folder, WIDTH);
  const found = Array.from({ length: count }, (_, n) => n).filter(n => cache.has(key(n)));
  const out = new Float32Array(WIDTH + 2);
  for (const n of found) {
    cache.read(key(n), out, 1);
    assert.deepEqual(out.subarray(1, WIDTH + 1), row(n));
  }
  await cache.close();
  return found;
}

const filesIn = (folder: string) => readdirSync(folder).map(name => join(folder, name));

test('rows come back exactly, also in the run that wrote them', async t => {
  const folder = await temporaryFolder(t);
  const cache = await openFeatureCache(folder, WIDTH);
  await cache.add(key(1), row(1));
  await cache.add(key(1), row(2));
  const out = new Float32Array(WIDTH);
  cache.read(key(1), out, 0);
  assert.deepEqual(out, row(1), 'a known key is not written again');
  assert.throws(() => cache.read(key(9), out, 0));
  await cache.close();
  assert.deepEqual(await known(folder, 3), [1]);
});

test('a torn last record is not there, the others are', async t => {
  const folder = await temporaryFolder(t);
  await fill(folder, [0, 1, 2]);
  const [file] = filesIn(folder);
  truncateSync(file!, statSync(file!).size - 3);
  assert.deepEqual(await known(folder, 3), [0, 1]);
  await fill(folder, [2]);
  assert.deepEqual(await known(folder, 3), [0, 1, 2]);
});

test('a damaged record is not there', async t => {
  const folder = await temporaryFolder(t);
  await fill(folder, [0, 1, 2]);
  const [file] = filesIn(folder);
  const bytes = readFileSync(file!);
  bytes[bytes.length / 3 + 40]! ^= 1;
  writeFileSync(file!, bytes);
  assert.deepEqual(await known(folder, 3), [0, 2]);
});

test('two runs may write at once', async t => {
  const folder = await temporaryFolder(t);
  const [a, b] = [await openFeatureCache(folder, WIDTH), await openFeatureCache(folder, WIDTH)];
  await a.add(key(0), row(0));
  await new Promise(resolve => setTimeout(resolve, 2));
  await b.add(key(1), row(1));
  await Promise.all([a.close(), b.close()]);
  assert.deepEqual(await known(folder, 2), [0, 1]);
});

test('a cache that is only read leaves no file behind', async t => {
  const folder = await temporaryFolder(t);
  await fill(folder, []);
  assert.deepEqual(filesIn(folder), []);
});

test('many old files become one, and every sound row is still there', async t => {
  const folder = await temporaryFolder(t);
  const numbers = Array.from({ length: 20 }, (_, n) => n);
  for (const n of numbers) {
    await fill(folder, [n]);
    await new Promise(resolve => setTimeout(resolve, 2));
  }
  assert.equal(filesIn(folder).length, 20);
  const yesterday = new Date(Date.now() - 25 * 3600 * 1000);
  const [torn, ...others] = filesIn(folder).sort();
  truncateSync(torn!, 10);
  for (const file of [torn!, ...others.slice(1)]) utimesSync(file, yesterday, yesterday);
  assert.deepEqual(await known(folder, 20), numbers.slice(1));
  assert.equal(filesIn(folder).length, 2, 'the merged file, and the one that a run may still be writing');
  assert.deepEqual(await known(folder, 20), numbers.slice(1));
});
