// Models side by side: the same photos, what one was trained on left out, and chance told from a difference.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { loadManifest } from '../../src/dataset/manifest.ts';
import { type CompareOptions, compare, finish, type TrainOptions, train } from '../../src/index.ts';
import { readTflite } from '../../src/tflite/read.ts';
import { writeTflite } from '../../src/tflite/write.ts';
import { drawSmallDataset } from '../support/graft.ts';

let set: Awaited<ReturnType<typeof drawSmallDataset>>;
const at = (...path: string[]) => join(set.folder, ...path);
const learn = (name: string, options: TrainOptions = {}) =>
  finish(train({ data: set.data, project: at('runs'), imgsz: 64, fineTuneEpochs: 0, views: 0, name, ...options }));
before(async () => {
  set = await drawSmallDataset(60);
  await learn('good', { val: 0.4, views: 3, imgsz: 128 });
  // Taught the opposite on two of three photos.
  const manifest = await loadManifest(at('runs/good/manifest.json'));
  const photos = manifest.photos.map((photo, i) =>
    photo.split === 'train' && i % 3 > 0
      ? { ...photo, class: photo.class === 'healthy' ? 'unhealthy' : 'healthy' }
      : photo,
  );
  writeFileSync(at('wrong.json'), JSON.stringify({ ...manifest, photos }));
  await learn('bad', { manifest: at('wrong.json'), imgsz: 128 });
  await learn('other', { val: 0.4, seed: 5 });
});
after(() => set.remove());

/** Compares, and gives what was said besides. */
async function told(options: CompareOptions) {
  const notes: string[] = [];
  const result = await finish(compare(options), event => {
    if (event.type === 'note' || event.type === 'warning') notes.push(event.message);
  });
  return { result, notes: notes.join('\n') };
}

test('a good model is better than one that has hardly learned, and the same as its own file', async () => {
  const models = [at('runs/bad'), at('runs/good'), at('runs/good/model.tflite')];
  const { result, notes } = await told({ models });
  assert.equal(result.images, 24);
  assert.match(notes, /The 24 validation photos of .*bad/);
  const [first, second, file] = result.models;
  assert.ok(second!.figures.accuracy > first!.figures.accuracy);
  assert.equal(file!.figures.accuracy, second!.figures.accuracy);
  assert.ok(file!.latency_ms.median > 0 && file!.size === readFileSync(at('runs/good/model.tflite')).length);
  const [pair, twin] = result.pairs;
  assert.ok(
    second!.figures.accuracy > 0.75 && first!.figures.accuracy < 0.7,
    `${second!.figures.accuracy}, ${first!.figures.accuracy}`,
  );
  assert.ok(pair!.p_corrected < 0.05 && pair!.p <= pair!.p_corrected);
  assert.equal(pair!.won.length - pair!.lost.length, Math.round(24 * pair!.difference));
  assert.match(pair!.verdict, /good is better than .*bad by \d+\.\d points \(\d/);
  assert.equal(twin!.p, pair!.p);
  const same = await told({ models: models.slice(1) });
  assert.match(same.result.pairs[0]!.verdict, /are right on the same photos/);
});

test('photos that one of them was trained on are left out, and who chose its epoch on them is said', async () => {
  const [good, other] = [
    await loadManifest(at('runs/good/manifest.json')),
    await loadManifest(at('runs/other/manifest.json')),
  ];
  const of = (manifest: typeof good, split: string) =>
    new Set(manifest.photos.filter(photo => photo.split === split).map(photo => photo.sha256));
  const trainedByOther = of(other, 'train');
  const left = [...of(good, 'validation')].filter(sha256 => !trainedByOther.has(sha256)).length;
  const { result, notes } = await told({ models: [at('runs/good'), at('runs/other')] });
  assert.equal(result.images, left);
  assert.match(notes, new RegExp(`${24 - left} of the 24 photos are left out`));
  assert.match(result.pairs[0]!.verdict, /No difference .* more than noise|same photos/);

  // As a folder, of which only one of the two has chosen its epoch on some.
  const folder = at('validation');
  for (const { path, split } of good.photos) {
    if (split !== 'validation') continue;
    mkdirSync(join(folder, path, '..'), { recursive: true });
    cpSync(join(set.data, path), join(folder, path));
  }
  cpSync(at('runs/good/model.tflite'), at('lonely.tflite'));
  const lonely = await told({ models: [at('lonely.tflite'), at('runs/good')], data: folder });
  assert.match(lonely.notes, /good chose its epoch on these photos, and others did not/);
  await assert.rejects(finish(compare({ models: [at('lonely.tflite'), at('lonely.tflite')] })), {
    code: 'usage',
    message: /no photos to compare on/,
  });
});

test("classes in another order are put right, in somebody else's file too; other classes are refused", async () => {
  const bytes = readFileSync(at('runs/good/model.tflite'));
  const model = readTflite(bytes);
  writeFileSync(at('foreign.tflite'), writeTflite({ ...model, metadata: [] }));
  writeFileSync(at('names.txt'), 'healthy\nunhealthy\n');
  const options = { labels: at('names.txt'), pixels: 'signed' } as const;
  const { result } = await told({ models: [at('runs/good'), at('foreign.tflite')], ...options });
  assert.match(result.pairs[0]!.verdict, /same photos/);
  writeFileSync(at('names.txt'), 'unhealthy\nhealthy\n');
  const swapped = await told({ models: [at('runs/good'), at('foreign.tflite')], ...options });
  const [right, wrong] = swapped.result.models;
  assert.ok(Math.abs(right!.figures.accuracy + wrong!.figures.accuracy - 1) < 1e-9);
  writeFileSync(at('names.txt'), 'healthy\nmould\n');
  await assert.rejects(finish(compare({ models: [at('runs/good'), at('foreign.tflite')], ...options })), {
    code: 'label-mismatch',
    message: /foreign\.tflite knows healthy, mould/,
  });
  await assert.rejects(finish(compare({ models: [at('runs/good')] })), { code: 'usage' });
  rmSync(join(set.data, 'healthy/leaf-0001.jpg'));
});
