// The split: stratified, repeatable, nearly still when photos are added, and never the same file on both sides.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { Manifest } from '../../src/dataset/manifest.ts';
import { type Scan, type ScannedPhoto, scanFolder } from '../../src/dataset/scan-folder.ts';
import { splitDefaults, splitPhotos } from '../../src/dataset/split-photos.ts';
import { makeFolder, run } from './draw-photos.ts';

/** A scan without files: `count` photos per class, from number `first` on. */
function pretend(classes: Record<string, number>, first = 0): Scan {
  const photos = Object.entries(classes).flatMap(([label, count]) =>
    Array.from({ length: count }, (_, i): ScannedPhoto => {
      const path = `${label}/${first + i}.jpg`;
      const sha256 = createHash('sha256').update(path).digest('hex');
      return { path, sha256, bytes: 1, width: 1, height: 1, class: label, split: null };
    }),
  );
  return {
    root: '/r',
    kind: 'flat',
    splitFolders: [],
    classes: Object.keys(classes).sort(),
    photos,
    excluded: [],
    ignored: [],
  };
}

const counts = (manifest: Manifest, label: string) =>
  ['train', 'validation', 'test'].map(
    split => manifest.photos.filter(photo => photo.class === label && photo.split === split).length,
  );
const splitOf = (manifest: Manifest) => new Map(manifest.photos.map(photo => [photo.path, photo.split]));

test('has the expected defaults', () => {
  assert.deepEqual(splitDefaults, { seed: 0, validationFraction: 0.15, testFraction: 0 });
});

test('a flat folder is split per class; no test unless asked', () => {
  const manifest = splitPhotos(pretend({ a: 100, b: 20, c: 2 }));
  assert.deepEqual(counts(manifest, 'a'), [85, 15, 0]);
  assert.deepEqual(counts(manifest, 'b'), [17, 3, 0]);
  assert.deepEqual(counts(manifest, 'c'), [1, 1, 0]);
  assert.deepEqual(manifest.how, [
    'train: 103 photos, the rest.',
    'validation: 19 photos, 0.15 of each class of all photos, chosen by seed 0.',
  ]);
  const tested = splitPhotos(pretend({ a: 100, b: 20, c: 3 }), { testFraction: 0.2 });
  assert.deepEqual(counts(tested, 'a'), [65, 15, 20]);
  assert.deepEqual(counts(tested, 'c'), [1, 1, 1]);
});

test('extreme fractions leave at least one photo in every split', () => {
  const manifest = splitPhotos(pretend({ a: 3, b: 10 }), { validationFraction: 0.9, testFraction: 0.09 });
  assert.deepEqual(counts(manifest, 'a'), [1, 1, 1]);
  assert.deepEqual(counts(manifest, 'b'), [1, 8, 1]);
});

test('the same seed gives the same split, whatever the order; another seed gives another', () => {
  const scan = pretend({ a: 60, b: 60 });
  const first = splitPhotos(scan, { seed: 3 });
  assert.deepEqual(splitPhotos({ ...scan, photos: [...scan.photos].reverse() }, { seed: 3 }), first);
  assert.notDeepEqual(splitOf(splitPhotos(scan, { seed: 4 })), splitOf(first));
});

test('renaming a photo does not move it', () => {
  const scan = pretend({ a: 40, b: 40 });
  const renamed = scan.photos.map((photo, i) => ({ ...photo, path: `${photo.class}/new-${1000 - i}.jpg` }));
  const shas = (manifest: Manifest) => manifest.photos.filter(p => p.split === 'validation').map(p => p.sha256);
  assert.deepEqual(shas(splitPhotos({ ...scan, photos: renamed })).sort(), shas(splitPhotos(scan)).sort());
});

test('photos added later move few old ones', () => {
  const old = pretend({ a: 200, b: 200 });
  const before = splitOf(splitPhotos(old, { testFraction: 0.1 }));
  for (const added of [1, 20, 200]) {
    const more = pretend({ a: added, b: added }, 1000);
    const after = splitOf(splitPhotos({ ...old, photos: [...old.photos, ...more.photos] }, { testFraction: 0.1 }));
    const moved = [...before].filter(([path, split]) => after.get(path) !== split).length;
    // Only photos at a border move: the binomial spread of how many newcomers land before it, about sqrt(0.15 * 200).
    const most = { 1: 4, 20: 12, 200: 40 }[added]!;
    assert.ok(moved <= most, `${moved} of 400 moved when ${added} were added per class`);
    const jumped = [...before].filter(
      ([path, split]) => split !== 'train' && after.get(path) !== split && after.get(path) !== 'train',
    );
    assert.deepEqual(jumped, [], 'none goes from validation to test or back');
  }
});

test('given splits are taken as they are', async t => {
  const root = await makeFolder(t, {
    'train/a/1.jpg': 1,
    'train/b/1.jpg': 2,
    'val/a/1.jpg': 3,
    'test/a/1.jpg': 4,
    'test/b/1.jpg': 5,
  });
  const manifest = splitPhotos((await run(scanFolder(root))).result, { validationFraction: 0.5, testFraction: 0.3 });
  assert.deepEqual(
    manifest.photos.map(photo => `${photo.path} ${photo.split}`),
    ['test/a/1.jpg test', 'test/b/1.jpg test', 'train/a/1.jpg train', 'train/b/1.jpg train', 'val/a/1.jpg validation'],
  );
  assert.deepEqual(manifest.how, [
    'train: 2 photos, as given in train/.',
    'validation: 1 photos, as given in val/.',
    'validation has no photo of "b".',
    'test: 2 photos, as given in test/.',
  ]);
});

test('without a validation folder, validation comes from train and never from test', async t => {
  const files: Record<string, number> = {};
  for (let i = 0; i < 6; i++) {
    files[`train/a/${i}.jpg`] = i;
    files[`train/b/${i}.jpg`] = 10 + i;
    files[`test/a/${i}.jpg`] = 20 + i;
    files[`test/b/${i}.jpg`] = 30 + i;
  }
  const root = await makeFolder(t, files);
  const manifest = splitPhotos((await run(scanFolder(root))).result, { validationFraction: 0.34 });
  assert.deepEqual(counts(manifest, 'a'), [4, 2, 6]);
  for (const photo of manifest.photos) assert.equal(photo.path.startsWith('test/'), photo.split === 'test');
});

test('identical files: one copy counts, none with two labels, the exam keeps its own', async t => {
  const root = await makeFolder(t, {
    'train/a/1.jpg': 1,
    'train/a/1 (copy).jpg': 1,
    'train/a/2.jpg': 2,
    'train/a/tested.jpg': 3,
    'train/b/1.jpg': 4,
    'train/b/2.jpg': 5,
    'train/b/mislabelled.jpg': 6,
    'val/a/mislabelled too.jpg': 6,
    'val/b/1.jpg': 7,
    'val/b/tested.jpg': 3 + 5,
    'test/b/x.jpg': 8,
    'test/a/x.jpg': 3,
  });
  const manifest = splitPhotos((await run(scanFolder(root))).result);
  assert.deepEqual(
    manifest.photos.map(photo => photo.path),
    [
      'test/a/x.jpg',
      'test/b/x.jpg',
      'train/a/1 (copy).jpg',
      'train/a/2.jpg',
      'train/b/1.jpg',
      'train/b/2.jpg',
      'val/b/1.jpg',
    ],
  );
  assert.deepEqual(
    manifest.excluded.map(({ path, reason }) => `${path}: ${reason}`),
    [
      'train/a/1.jpg: a copy of "train/a/1 (copy).jpg"',
      'train/a/tested.jpg: a copy of "test/a/x.jpg", which is in test',
      'train/b/mislabelled.jpg: the same file is in the class "a" too: "val/a/mislabelled too.jpg"',
      'val/a/mislabelled too.jpg: the same file is in the class "b" too: "train/b/mislabelled.jpg"',
      'val/b/tested.jpg: a copy of "test/b/x.jpg", which is in test',
    ],
  );
});

test('too few photos: every class that lacks some is named with what was found and wanted', async t => {
  const root = await makeFolder(t, {
    'a/1.jpg': 1,
    'a/bad.jpg': 'x',
    'b/1.jpg': 2,
    'b/2.jpg': 2,
    'c/1.jpg': 4,
    'c/2.jpg': 5,
  });
  const { result: scan } = await run(scanFolder(root));
  assert.throws(() => splitPhotos(scan), {
    code: 'too-few-photos',
    message:
      'Too few photos: class "a" has 1 usable photo (1 unreadable left out), wanted at least 2; ' +
      'class "b" has 1 usable photo (1 duplicates left out), wanted at least 2 (one each for train, validation).',
    hint: /Add photos to the class/,
  });
  assert.throws(
    () => splitPhotos(pretend({ a: 2, b: 9 }), { testFraction: 0.1 }),
    /"a" has 2 .* at least 3 \(one each/,
  );
});

test('a class that is only in the test folder cannot be learned', async t => {
  const root = await makeFolder(t, { 'train/a/1.jpg': 1, 'train/b/1.jpg': 2, 'val/a/1.jpg': 3, 'test/c/1.jpg': 4 });
  const { result: scan } = await run(scanFolder(root));
  assert.throws(() => splitPhotos(scan), { code: 'too-few-photos', message: /"c" has 0 usable photos for train/ });
});

test('refused with what to do', async t => {
  const one = await makeFolder(t, { 'a/1.jpg': 1, 'a/2.jpg': 2 });
  const { result: single } = await run(scanFolder(one));
  assert.throws(() => splitPhotos(single), { code: 'too-few-classes', message: /one class only, "a"/, hint: /other/ });
  const broken = await makeFolder(t, { 'a/1.jpg': 'x', 'b/1.jpg': '' });
  const { result: unreadable } = await run(scanFolder(broken));
  assert.throws(() => splitPhotos(unreadable), {
    code: 'empty-dataset',
    message: /^None of the 2 files in .* is a usable photo, e\.g\. "a\/1\.jpg": not an image/,
    hint: /JPEG/,
  });
  const exam = await makeFolder(t, { 'test/a/1.jpg': 1, 'test/b/1.jpg': 2 });
  const { result: tests } = await run(scanFolder(exam));
  assert.throws(() => splitPhotos(tests), { code: 'bad-dataset', message: /no train photos.*"test"/, hint: /train\// });
  const scan = pretend({ a: 9, b: 9 });
  for (const options of [
    { seed: -1 },
    { seed: 0.5 },
    { validationFraction: 0 },
    { validationFraction: 1 },
    { validationFraction: Number.NaN },
    { testFraction: -0.1 },
    { validationFraction: 0.6, testFraction: 0.4 },
  ]) {
    assert.throws(() => splitPhotos(scan, options), { code: 'usage' }, JSON.stringify(options));
  }
});
