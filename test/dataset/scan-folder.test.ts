// Folders of every shape: what is taken for a class, what for a split, what is left out and what is refused.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { isInnerPath } from '../../src/dataset/folder.ts';
import { mapBounded } from '../../src/dataset/map-bounded.ts';
import { scanFolder, type VerdictCache } from '../../src/dataset/scan-folder.ts';
import { compareCodePoints, splitOfFolder } from '../../src/dataset/splits.ts';
import type { Verdict } from '../../src/image/verify.ts';
import { makeFolder, noise, photo, run } from './draw-photos.ts';

const paths = (items: readonly { path: string }[]) => items.map(item => item.path);
const onPosix = { skip: process.platform === 'win32' };

test('a flat folder: classes in code-point order, every photo with hash and size', async t => {
  const root = await makeFolder(t, { 'cat/b.jpg': 1, 'cat/a.jpg': 2, 'Zebra/1.jpg': 3, '10/x.jpg': 4, '2/x.jpg': 5 });
  const { result: scan, said, progress } = await run(scanFolder(root));
  assert.deepEqual(said, []);
  assert.equal(scan.kind, 'flat');
  assert.deepEqual(scan.classes, ['10', '2', 'Zebra', 'cat']);
  assert.deepEqual(paths(scan.photos), ['10/x.jpg', '2/x.jpg', 'Zebra/1.jpg', 'cat/a.jpg', 'cat/b.jpg']);
  const bytes = await readFile(join(root, 'cat/a.jpg'));
  assert.deepEqual(scan.photos[3], {
    path: 'cat/a.jpg',
    sha256: createHash('sha256').update(bytes).digest('hex'),
    bytes: bytes.length,
    width: 24,
    height: 16,
    class: 'cat',
    split: null,
  });
  assert.deepEqual([progress[0]?.done, progress.at(-1)?.done, progress.at(-1)?.total], [0, 5, 5]);
});

test('split folders by any of their names, in any case, with classes over all of them', async t => {
  const root = await makeFolder(t, { 'Train/b/1.jpg': 1, 'Train/a/1.jpg': 2, 'valid/a/1.jpg': 3, 'EVAL/c/1.jpg': 4 });
  const { result: scan, said } = await run(scanFolder(root));
  assert.deepEqual(scan.classes, ['a', 'b', 'c']);
  assert.deepEqual(
    scan.photos.map(item => `${item.path} ${item.split} ${item.class}`),
    ['EVAL/c/1.jpg test c', 'Train/a/1.jpg train a', 'Train/b/1.jpg train b', 'valid/a/1.jpg validation a'],
  );
  assert.deepEqual(said, [
    'note: The folder comes with splits: train from Train/, validation from valid/, test from EVAL/.',
  ]);
  const { result: part } = await run(scanFolder(root, { onlySplits: ['test'] }));
  assert.deepEqual(paths(part.photos), ['EVAL/c/1.jpg']);
  assert.deepEqual(part.classes, ['a', 'b', 'c']);
});

test('split names: the whole name has to be a keyword', () => {
  for (const name of ['train', 'training', 'TRAIN']) assert.equal(splitOfFolder(name), 'train');
  for (const name of ['validation', 'valid', 'val', 'dev']) assert.equal(splitOfFolder(name), 'validation');
  for (const name of ['test', 'testing', 'eval', 'evaluation']) assert.equal(splitOfFolder(name), 'test');
  for (const name of ['test tube', 'dev_board', 'train-1', 'trains']) assert.equal(splitOfFolder(name), null);
});

test('code-point order differs from UTF-16 order and from localeCompare', () => {
  const names = ['\u{1f436}', '\ufb01', 'é', 'z', 'Z', '10', '2', 'zz', ''];
  assert.deepEqual(names.sort(compareCodePoints), ['', '10', '2', 'Z', 'z', 'zz', 'é', '\ufb01', '\u{1f436}']);
});

test('files are told by content; the bad ones are left out with a reason and stay on disk', async t => {
  const whole = await photo(7);
  const root = await makeFolder(t, {
    'a/jpeg-called.png': await photo(1),
    'a/no-extension': 2,
    'a/notes.jpg': 'these are my notes',
    'a/empty.jpg': '',
    'a/cut.jpg': whole.subarray(0, whole.length >> 1),
    'a/drawing.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
    'a/README.md': '# a',
    'a/Thumbs.db': 'x',
    'a/.DS_Store': 'x',
    'a/metadata.csv': 'file_name,label',
    'b/1.jpg': 3,
    '.git/x.jpg': 4,
    '__MACOSX/a/x.jpg': 5,
    'loose.jpg': 6,
    'README.md': 'x',
    'docs/index.html': 'x',
  });
  const { result: scan, said } = await run(scanFolder(root));
  assert.deepEqual(paths(scan.photos), ['a/jpeg-called.png', 'a/no-extension', 'b/1.jpg']);
  assert.deepEqual(scan.classes, ['a', 'b']);
  assert.deepEqual(
    scan.excluded.map(({ path, reason, class: label }) => [path, label, reason.split(':')[0]]),
    [
      ['a/cut.jpg', 'a', 'truncated'],
      ['a/drawing.svg', 'a', 'a file of the kind SVG, which is not read; save it as JPEG or PNG'],
      ['a/empty.jpg', 'a', 'the file is empty (0 bytes)'],
      ['a/notes.jpg', 'a', 'not an image'],
      ['loose.jpg', null, 'lies beside the class folders and so has no class; move it into one'],
    ],
  );
  assert.deepEqual(scan.ignored, [
    '.git',
    'README.md',
    '__MACOSX',
    'a/.DS_Store',
    'a/README.md',
    'a/Thumbs.db',
    'a/metadata.csv',
    'docs/index.html',
  ]);
  assert.deepEqual(said[0], 'note: The folder "docs" holds no photos and is not taken for a class.');
  assert.match(said[1]!, /^warning: Left out 5: "a\/cut.jpg": truncated: .*; and 2 more\.$/);
  assert.equal((await readFile(join(root, 'a/cut.jpg'))).length, whole.length >> 1);
});

test('any Unicode in names, spaces and line breaks in file names', onPosix, async t => {
  const names = ['Жук/фото 1.jpg', '猫/写真\n2.jpg', '🐶/%20 .jpg', "o'brien/a\\b.jpg"];
  const root = await makeFolder(t, Object.fromEntries(names.map((name, i) => [name, i])));
  const { result: scan } = await run(scanFolder(root));
  assert.deepEqual(scan.classes, ["o'brien", 'Жук', '猫', '🐶']);
  assert.deepEqual(paths(scan.photos).sort(), [...names].sort());
});

test(
  'links: loops, folders, dead ends and escapes are left out, a link to a file inside is a file',
  onPosix,
  async t => {
    const outside = await makeFolder(t, { 'secret.jpg': 9 });
    const root = await makeFolder(t, { 'a/1.jpg': 1, 'b/1.jpg': 2 });
    await symlink('..', join(root, 'a/up'));
    await symlink('.', join(root, 'self'));
    await symlink('loop.jpg', join(root, 'a/loop.jpg'));
    await symlink('nothing.jpg', join(root, 'a/dead.jpg'));
    await symlink(join(outside, 'secret.jpg'), join(root, 'a/secret.jpg'));
    await symlink('../b/1.jpg', join(root, 'a/linked.jpg'));
    await symlink('/dev/zero', join(root, 'a/zero.jpg'));
    const { result: scan } = await run(scanFolder(root));
    assert.deepEqual(paths(scan.photos), ['a/1.jpg', 'a/linked.jpg', 'b/1.jpg']);
    assert.deepEqual(
      scan.excluded.map(({ path, reason }) => `${path}: ${reason}`),
      [
        'a/dead.jpg: a link to nothing',
        'a/loop.jpg: a link that leads to itself',
        'a/secret.jpg: a link to a file outside of this folder; put the file itself here',
        'a/up: a link to a folder; such links are not followed, put the folder itself here',
        'a/zero.jpg: a link to something that is no file',
        'self: a link to a folder; such links are not followed, put the folder itself here',
      ],
    );
    // The data set itself may be given through a link.
    await symlink(root, join(outside, 'dataset'));
    assert.equal((await run(scanFolder(join(outside, 'dataset')))).result.photos.length, 3);
  },
);

test('a folder inside a class folder is left out, and said', async t => {
  const root = await makeFolder(t, { 'a/1.jpg': 1, 'a/indoor/2.jpg': 2, 'b/1.jpg': 3 });
  const { result: scan } = await run(scanFolder(root));
  assert.deepEqual(paths(scan.photos), ['a/1.jpg', 'b/1.jpg']);
  assert.deepEqual(scan.excluded, [
    { path: 'a/indoor', reason: 'a folder inside the class folder "a"; move its photos up', class: null },
  ]);
});

const refusals: readonly [string, Record<string, string | number>, string, RegExp, RegExp][] = [
  ['an empty folder', {}, 'empty-dataset', /holds no photos/, /one folder per class/],
  ['only texts', { 'a/x.txt': 'x', 'y.md': 'y' }, 'empty-dataset', /holds no photos/, /one folder per class/],
  [
    'no class folders',
    { '1.jpg': 1, '2.jpg': 2 },
    'bad-dataset',
    /holds 2 photos but no class folders/,
    /one folder per class/,
  ],
  [
    'splits and classes side by side',
    { 'train/a/1.jpg': 1, 'test/a/1.jpg': 2, 'dog/1.jpg': 3, 'cat/1.jpg': 4 },
    'bad-dataset',
    /mixes split folders \("test", "train"\) with class folders \("cat", "dog"\)/,
    /train\/cat; or, if "test", "train" are classes, rename/,
  ],
  [
    'a class called test',
    { 'test/1.jpg': 1, 'cat/1.jpg': 2 },
    'bad-dataset',
    /\("test"\) with class folders \("cat"\)/,
    /rename/,
  ],
  [
    'a split without classes',
    { 'train/1.jpg': 1 },
    'bad-dataset',
    /train" holds 1 photo but no class folders/,
    /name of a class/,
  ],
  [
    'a wrapper',
    { 'beans/a/1.jpg': 1, 'beans/b/1.jpg': 2 },
    'bad-dataset',
    /too deep .*"beans\/a"/,
    /beans", give that folder/,
  ],
  [
    'a wrapper around splits',
    { 'x/train/a/1.jpg': 1 },
    'bad-dataset',
    /too deep .*"x\/train\/a"/,
    /x", give that folder/,
  ],
  [
    'one class too deep',
    { 'a/1.jpg': 1, 'b/in/1.jpg': 2 },
    'bad-dataset',
    /too deep .*"b\/in"/,
    /Move the photos up into "b"/,
  ],
  ['a split too deep', { 'train/a/in/1.jpg': 1 }, 'bad-dataset', /too deep .*"train\/a\/in"/, /up into "train\/a"/],
  [
    'accents in two forms',
    { 'train/\u00e9/1.jpg': 1, 'val/e\u0301/1.jpg': 2 },
    'bad-dataset',
    /look the same/,
    /same name/,
  ],
];

for (const [name, files, code, message, hint] of refusals) {
  test(`refused with what to do: ${name}`, async t => {
    const root = await makeFolder(t, files);
    await assert.rejects(run(scanFolder(root)), { code, message, hint });
  });
}

test('refused with what to do: a path that is missing, or a file', async t => {
  const root = await makeFolder(t, { 'a.zip': 'PK' });
  const missing = join(root, 'nowhere');
  await assert.rejects(run(scanFolder(missing)), {
    code: 'not-found',
    message: /nowhere" does not exist/,
    hint: /Check/,
  });
  const file = join(root, 'a.zip');
  await assert.rejects(run(scanFolder(file)), {
    code: 'bad-dataset',
    message: /is a file, not a folder/,
    hint: /unpacked/,
  });
});

test('refused with what to do: a class name that labels.txt cannot hold', onPosix, async t => {
  const root = await makeFolder(t, { 'a\nb/1.jpg': 1, 'c/1.jpg': 2 });
  await assert.rejects(run(scanFolder(root)), {
    code: 'bad-dataset',
    message: /^"a\\nb" cannot be a class name: it holds a line break/,
    hint: 'Rename the folder.',
  });
});

test('refused with what to do: a split that is not there', async t => {
  const root = await makeFolder(t, { 'train/a/1.jpg': 1 });
  const wanted = { code: 'bad-dataset', message: /no photos in test; its split folders are "train"/, hint: /Choose/ };
  await assert.rejects(run(scanFolder(root, { onlySplits: ['test'] })), wanted);
});

test('class names that differ in case or end with a space are warned of', async t => {
  const root = await makeFolder(t, { 'train/Cat/1.jpg': 1, 'val/cat/1.jpg': 2, 'val/ dog/1.jpg': 3 });
  const { said } = await run(scanFolder(root));
  assert.ok(said.includes('warning: The classes "Cat" and "cat" differ only in case or outer spaces.'));
  assert.ok(said.includes('warning: The class name " dog" starts or ends with a space, which readers may drop.'));
});

test('verdicts are remembered by content: the second scan decodes nothing', async t => {
  const root = await makeFolder(t, { 'a/1.jpg': 1, 'a/bad.jpg': 'text', 'b/1.jpg': 2 });
  const known = new Map<string, Verdict>();
  let sets = 0;
  const verdicts: VerdictCache = {
    get: sha => known.get(sha),
    set: (sha, verdict) => {
      sets++;
      known.set(sha, verdict);
    },
  };
  const first = await run(scanFolder(root, { verdicts }));
  assert.equal(sets, 3);
  const second = await run(scanFolder(root, { verdicts, workers: 1 }));
  assert.equal(sets, 3);
  assert.deepEqual(second.result, first.result);
  await writeFile(join(root, 'b/1.jpg'), await noise(5).png().toBuffer());
  await run(scanFolder(root, { verdicts }));
  assert.equal(sets, 4);
});

test('a class folder may hold thousands of files', async t => {
  const root = await makeFolder(t, { 'b/1.jpg': 1 });
  await mkdir(join(root, 'a'));
  const bytes = await photo(2);
  await Promise.all(Array.from({ length: 2000 }, (_, i) => writeFile(join(root, 'a', `${i}.jpg`), bytes)));
  const known = new Map<string, Verdict>();
  const verdicts: VerdictCache = { get: sha => known.get(sha), set: (sha, verdict) => known.set(sha, verdict) };
  assert.equal((await run(scanFolder(root, { verdicts }))).result.photos.length, 2001);
});

test('work is bounded, keeps its order, and stops at the first failure', async () => {
  let running = 0;
  let most = 0;
  const work = async (i: number) => {
    most = Math.max(most, ++running);
    await new Promise(resolve => setTimeout(resolve, (7 - i) % 5));
    running--;
    return i * i;
  };
  const progress = { stage: 's', unit: 'u' };
  const { result } = await run(mapBounded([1, 2, 3, 4, 5, 6, 7], 3, work, progress));
  assert.deepEqual(result, [1, 4, 9, 16, 25, 36, 49]);
  assert.equal(most, 3);
  const begun: number[] = [];
  const failing = async (i: number) => {
    begun.push(i);
    throw new Error(`item ${i}`);
  };
  await assert.rejects(run(mapBounded([1, 2, 3, 4], 1, failing, progress)), /item 1/);
  assert.deepEqual(begun, [1]);
  assert.deepEqual((await run(mapBounded([], 3, work, progress))).result, []);
});

test('inner paths', () => {
  for (const path of ['a', 'a/b.jpg', '.../x', 'a b/ü.png']) assert.ok(isInnerPath(path), path);
  const outer = ['', '/a', '..', 'a/../b', '../a', 'a/', 'a//b', './a', 'C:\\a', 'C:/a', '\\a', 'a\\..\\b', 'a\0'];
  for (const path of outer) assert.ok(!isInnerPath(path), path);
});
