// Manifests are read as a stranger's files: a good one comes back equal, each bad one is refused by the name of its field.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadManifest, type Manifest, readManifest, writeManifest } from '../../src/dataset/manifest.ts';
import { scanFolder } from '../../src/dataset/scan-folder.ts';
import { splitPhotos } from '../../src/dataset/split-photos.ts';
import { makeFolder, run } from './draw-photos.ts';

const manifest: Manifest = {
  version: 1,
  classes: ['a', '🐶'],
  photos: [
    { path: 'a/1.jpg', sha256: '0'.repeat(64), bytes: 10, width: 3, height: 2, class: 'a', split: 'train' },
    { path: '🐶/x y.png', sha256: '1'.repeat(64), bytes: 10, width: 3, height: 2, class: '🐶', split: 'validation' },
  ],
  excluded: [{ path: 'a/bad.jpg', reason: 'the file is empty (0 bytes)' }],
  seed: 7,
  how: ['train: 1 photos, the rest.'],
};

test('what was written is read', async t => {
  const root = await makeFolder(t, {
    'p/a/1.jpg': 1,
    'p/a/2.jpg': 2,
    'p/b/1.jpg': 3,
    'p/b/2.jpg': 4,
    'p/b/bad.jpg': 'x',
  });
  const made = splitPhotos((await run(scanFolder(join(root, 'p')))).result, { seed: 5 });
  const path = join(root, 'run/manifest.json');
  await writeManifest(path, made);
  assert.deepEqual(await loadManifest(path), made);
  assert.deepEqual(readManifest(JSON.stringify(manifest)), manifest);
  assert.deepEqual(readManifest({ ...manifest, unknown: 1 }), manifest);
  assert.ok(!JSON.stringify(made).includes(root), 'no absolute path');
});

const photo = (change: object) => ({ ...manifest, photos: [{ ...manifest.photos[0], ...change }, manifest.photos[1]] });
const bad: readonly [string, unknown, string][] = [
  ['a list', [], 'the manifest is a list of 0; wanted: an object'],
  ['another version', { ...manifest, version: 2 }, 'version is 2; wanted: 1'],
  ['no photos', { ...manifest, photos: [] }, 'photos is a list of 0; wanted: a list of 1 to 1000000'],
  ['photos missing', { ...manifest, photos: undefined }, 'photos is missing; wanted: a list of 1 to 1000000'],
  ['one class', { ...manifest, classes: ['a'] }, 'classes is a list of 1; wanted: a list of 2 to 1000000'],
  ['a class twice', { ...manifest, classes: ['a', 'a'] }, 'classes is a list of 2; wanted: each name once'],
  ['a class that is no text', { ...manifest, classes: ['a', 3] }, 'classes[1] is 3; wanted: a text'],
  ['a photo that is null', { ...manifest, photos: [null] }, 'photos[0] is null; wanted: an object'],
  ['a path twice', photo({ path: '🐶/x y.png' }), 'photos[1].path is "🐶/x y.png"; wanted: each path once'],
  ['a short hash', photo({ sha256: 'abc' }), 'photos[0].sha256 is "abc"; wanted: 64 lower-case hexadecimal digits'],
  ['an unknown class', photo({ class: 'c' }), 'photos[0].class is "c"; wanted: one of the classes'],
  ['an unknown split', photo({ split: 'dev' }), 'photos[0].split is "dev"; wanted: train, validation, test'],
  ['no bytes', photo({ bytes: 0 }), 'photos[0].bytes is 0; wanted: a whole number of at least 1'],
  ['half a pixel', photo({ width: 1.5 }), 'photos[0].width is 1.5; wanted: a whole number of at least 1'],
  ['a negative seed', { ...manifest, seed: -1 }, 'seed is -1; wanted: a whole number of at least 0'],
  [
    'the same file in two splits',
    photo({ sha256: '1'.repeat(64) }),
    'photos[1].split is "validation"; wanted: train, where a photo with the same sha256 is',
  ],
  ...['../x.jpg', '/etc/passwd', 'a/../../x', 'C:\\x.jpg', 'a\\..\\..\\x', ''].map(
    (path): [string, unknown, string] => [
      `the path ${JSON.stringify(path)}`,
      photo({ path }),
      `photos[0].path is ${JSON.stringify(path)}; wanted: a relative path without '..' that stays in the folder`,
    ],
  ),
];

for (const [name, value, message] of bad) {
  test(`refused: ${name}`, () => {
    assert.throws(() => readManifest(value), {
      code: 'bad-dataset',
      message: `manifest: ${message}.`,
      hint: 'Make the manifest again from the folder of photos.',
    });
  });
}

test('refused: a class name with a line break, text that is no JSON, a missing file', async t => {
  const broken = { ...manifest, classes: ['a', 'b\nc'] };
  assert.throws(() => readManifest(broken), { code: 'bad-dataset', message: /classes\[1\] is "b\\nc".*line break/ });
  assert.throws(() => readManifest('{', 'm.json'), { code: 'bad-dataset', message: /^m\.json: the text is no JSON/ });
  const root = await makeFolder(t, {});
  await assert.rejects(loadManifest(join(root, 'm.json')), { code: 'not-found' });
  await writeFile(join(root, 'm.json'), 'no');
  await assert.rejects(loadManifest(join(root, 'm.json')), {
    code: 'bad-dataset',
    message: /m\.json: the text is no JSON/,
  });
});
