// Wrong input at the command line: one sentence, what to do, the right status, no stack trace, nothing left behind.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { graft } from '../support/graft.ts';

let folder: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'graft-errors-'));
  const write = async (path: string, shade: number) => {
    mkdirSync(join(folder, path, '..'), { recursive: true });
    const image = sharp({ create: { width: 40, height: 30, channels: 3, background: { r: shade, g: 90, b: 40 } } });
    writeFileSync(join(folder, path), await image.jpeg().toBuffer());
  };
  mkdirSync(join(folder, 'empty'));
  for (let i = 0; i < 4; i++) await write(`one-class/healthy/${i}.jpg`, i * 20);
  for (let i = 0; i < 4; i++) await write(`few/healthy/${i}.jpg`, i * 20);
  await write('few/sick/0.jpg', 200);
  for (let i = 0; i < 8; i++) await write(`enough/${i % 2 ? 'sick' : 'healthy'}/${i}.jpg`, i * 20);
  for (const name of ['a', 'b']) {
    mkdirSync(join(folder, 'unreadable', name), { recursive: true });
    for (let i = 0; i < 3; i++) writeFileSync(join(folder, 'unreadable', name, `${i}.jpg`), `text ${i}`);
  }
  mkdirSync(join(folder, 'not-a-run'));
  writeFileSync(join(folder, 'not-a-model.tflite'), 'this is text and no model');
});
after(() => rmSync(folder, { recursive: true, force: true }));

const cases: readonly [string, readonly string[], number, RegExp][] = [
  ['a folder that is not there', ['train', 'nowhere'], 1, /"nowhere" does not exist/],
  ['an empty folder', ['train', 'empty'], 1, /empty/],
  ['one class only', ['train', 'one-class'], 1, /healthy/],
  ['a class with too few photos', ['train', 'few'], 1, /sick.*1/s],
  ['nothing readable', ['train', 'unreadable'], 1, /unreadable/],
  ['an unknown flag', ['train', 'few', '--epohcs', '3'], 2, /--epohcs.*--epochs/s],
  ['a flag with a word for a number', ['train', 'few', '--epochs', 'many'], 2, /'many'.*whole number from 1/s],
  ['a flag out of range', ['train', 'few', '--val', '1.5'], 2, /'1\.5'.*0\.01 to 0\.9/s],
  ['a time in minutes', ['train', 'few', '--max-latency', '5min'], 2, /'5min'.*Units: ms \(without one, too\), s\./s],
  ['a size in gigabytes', ['train', 'few', '--max-size', '8GB'], 2, /'8GB'.*Units: MB \(without one, too\), KB\./s],
  ['a size in half a unit', ['train', 'few', '--max-size', '8M'], 2, /'8M'.*from 0\.01 to 100000\. Units: MB/s],
  ['a size that is no multiple of 32', ['train', 'few', '--imgsz', '100'], 2, /100.*multiple of 32.*96/s],
  ['an unknown backbone', ['train', 'few', '--model', 'resnet999'], 2, /resnet999.*Near names: resnet18/s],
  ['an unknown command', ['trian', 'few'], 2, /trian.*train/s],
  ['a missing argument', ['val', 'few'], 2, /data/],
  ['a model that is not there', ['predict', 'nothing.tflite', 'few/sick/0.jpg'], 1, /nothing\.tflite does not exist/],
  ['a file that is no model', ['predict', 'not-a-model.tflite', 'few/sick/0.jpg'], 1, /not-a-model\.tflite|tflite/i],
  ['a folder that is no run', ['val', 'not-a-run', 'few'], 1, /not-a-run is not a finished run/],
  ['a photo in place of a model', ['predict', 'few/sick/0.jpg', 'few/sick/0.jpg'], 1, /neither a run folder nor/],
  [
    'weights that are no weights',
    ['train', 'enough', '--weights', 'not-a-model.tflite'],
    1,
    /not-a-model\.tflite is no weights file: GGUF or safetensors is wanted/,
  ],
  ['weights that are not there', ['train', 'enough', '--weights', 'none.gguf'], 1, /none\.gguf does not exist/],
];

for (const [name, words, status, message] of cases) {
  test(name, async () => {
    const finished = await graft(words, { cwd: folder });
    assert.equal(finished.status, status, finished.stderr);
    assert.match(finished.stderr, message);
    assert.doesNotMatch(finished.stderr, /\n\s+at |defect in graft/);
    assert.equal(finished.stdout, '');
    assert.equal(existsSync(join(folder, 'runs')), false, 'nothing is left behind');
  });
}

test('offline with an empty cache is one clear sentence', async () => {
  const env = {
    GRAFT_CACHE: join(folder, 'cache'),
    npm_config_cache: join(folder, 'npm-cache'),
    npm_config_registry: 'http://127.0.0.1:9/',
    HF_HUB_OFFLINE: '',
  };
  const finished = await graft(['train', 'enough'], { cwd: folder, env });
  assert.equal(finished.status, 1);
  assert.match(finished.stderr, /weights of MobileNetV3-Small are not in the cache .*could not be fetched/);
  assert.match(finished.stderr, /Connect to the internet once.*--weights/);
  assert.doesNotMatch(finished.stderr, /\n\s+at /);
  assert.equal(existsSync(join(folder, 'runs/train')), false);
});

test('names of files cannot send escapes to the terminal, in messages, in hints or on the command line', async () => {
  const name = 'a\x1b[31mb\x9bc';
  mkdirSync(join(folder, name, 'deeper'), { recursive: true });
  for (const words of [
    ['train', name],
    ['train', `${name}/deeper`],
    ['val', name, 'few'],
    ['predict', `${name}.tflite`, 'few/sick/0.jpg'],
    ['train', 'few', '--manifest', name],
    ['train', 'few', `--${name}`],
    ['train', 'few', '--epochs', name],
    ['train', 'few', '--model', name],
    [name],
  ]) {
    const { status, stderr } = await graft(words, { cwd: folder, env: { NO_COLOR: '1' } });
    assert.notEqual(status, 0);
    assert.doesNotMatch(stderr, /[^\n\P{Cc}]/u, JSON.stringify(stderr));
  }
  rmSync(join(folder, name), { recursive: true });
});

test('help is quick and complete', async () => {
  const times: number[] = [];
  for (let i = 0; i < 5; i++) {
    const start = performance.now();
    const { status, stdout } = await graft(['--help']);
    times.push(performance.now() - start);
    assert.equal(status, 0);
    for (const verb of ['demo', 'train', 'val', 'predict']) assert.match(stdout, new RegExp(`^  ${verb} `, 'm'));
  }
  assert.ok(Math.min(...times) < 300, `${times.map(Math.round)} ms`);
});
