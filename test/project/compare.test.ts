// Models side by side: the same photos, what one was trained on left out, and chance told from a difference.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { loadManifest } from '../../src/dataset/manifest.ts';
import { type CompareOptions, compare, finish, type TrainOptions, train } from '../../src/index.ts';
import { readTflite } from '../../src/tflite/read.ts';
import { writeTflite } from '../../src/tflite/write.ts';
import { drawSmallDataset, graft } from '../support/graft.ts';

let set: Awaited<ReturnType<typeof drawSmallDataset>>;
const at = (...path: string[]) => join(set.folder, ...path);
const learn = (name: string, options: TrainOptions) =>
  finish(train({ data: set.data, project: at('runs'), fineTuneEpochs: 0, val: 0.4, name, ...options }));
before(async () => {
  set = await drawSmallDataset(60);
  await learn('good', { imgsz: 128, views: 3 });
  await learn('other', { imgsz: 64, views: 0, seed: 5 });
  const bytes = readFileSync(at('runs/good/model.tflite'));
  writeFileSync(at('moved.tflite'), bytes);
  writeFileSync(at('foreign.tflite'), writeTflite({ ...readTflite(bytes), metadata: [] }));
  writeFileSync(at('swapped.txt'), 'unhealthy\nhealthy\n');
});
after(() => set.remove());

/** Compares, and gives what was said besides. */
async function told(options: CompareOptions) {
  const notes: string[] = [];
  const result = await finish(compare({ workers: 1, ...options }), event => {
    if (event.type === 'note' || event.type === 'warning') notes.push(event.message);
  });
  return { result, notes: notes.join('\n') };
}

test('a model is better than one that calls everything by the other name, and the same as its own file', async () => {
  const { result, notes } = await told({
    models: [at('foreign.tflite'), at('runs/good'), at('runs/good/model.tflite')],
    labels: at('swapped.txt'),
    pixels: 'signed',
  });
  assert.equal(result.images, 24);
  assert.match(notes, /The 24 validation photos of .*good/);
  assert.match(notes, /Nobody knows which photos [^,]*foreign\.tflite was trained on/);
  const [wrong, good, file] = result.models;
  assert.ok(good!.figures.accuracy > 0.75, `${good!.figures.accuracy}`);
  // Classes are matched by their names, which are in another order there.
  assert.ok(Math.abs(good!.figures.accuracy + wrong!.figures.accuracy - 1) < 1e-9);
  assert.equal(file!.figures.accuracy, good!.figures.accuracy);
  assert.ok(file!.latency_ms.median > 0 && file!.size === readFileSync(at('runs/good/model.tflite')).length);
  assert.deepEqual([good!.runtime, file!.runtime], ['onnx', 'tflite']);

  assert.deepEqual(
    result.pairs.map(({ model, against }) => [against, model].map(path => path.slice(set.folder.length + 1))),
    [
      ['foreign.tflite', 'runs/good'],
      ['foreign.tflite', 'runs/good/model.tflite'],
      ['runs/good', 'runs/good/model.tflite'],
    ],
  );
  const [pair, , twin] = result.pairs;
  const { won, lost, difference, interval, p, p_corrected, verdict } = pair!;
  const right = Math.round(24 * good!.figures.accuracy);
  assert.deepEqual([won.length, lost.length, Math.round(24 * difference)], [right, 24 - right, 2 * right - 24]);
  assert.ok(won.every(path => /^(un)?healthy\/leaf-\d+\.jpg$/.test(path)));
  assert.ok(interval.low > 0 && interval.low < difference && difference < interval.high);
  assert.ok(p_corrected < 0.05 && Math.abs(p_corrected - 3 * p) < 1e-12);
  const points = (value: number) => (100 * value).toFixed(1);
  const bounds = `${points(difference)} points \\(${points(interval.low)} to ${points(interval.high)}\\)`;
  assert.match(verdict, new RegExp(`good is better than .*foreign\\.tflite by ${bounds}`));
  assert.match(twin!.verdict, /are right on the same photos/);
  assert.deepEqual([twin!.p, twin!.p_corrected], [1, 1]);
});

test('validation photos that the other was trained on are left out; chance is called noise', async () => {
  const manifests = [
    await loadManifest(at('runs/good/manifest.json')),
    await loadManifest(at('runs/other/manifest.json')),
  ];
  const [validation, learned] = (['validation', 'train'] as const).map(
    (split, i) => new Set(manifests[i]!.photos.filter(photo => photo.split === split).map(({ sha256 }) => sha256)),
  );
  const left = [...validation!].filter(sha256 => !learned!.has(sha256)).length;
  const { result, notes } = await told({ models: [at('runs/good'), at('runs/other')] });
  assert.equal(result.images, left);
  assert.match(notes, new RegExp(`${24 - left} of the 24 photos are left out`));
  assert.doesNotMatch(notes, /chose its epoch|Nobody knows/);
  const [{ p, verdict, interval }] = result.pairs as [(typeof result.pairs)[number]];
  assert.ok(p >= 0.05, verdict);
  assert.match(
    verdict,
    new RegExp(
      `No difference .* more than noise.* better by ${(100 * interval.low).toFixed(1)} to ${(100 * interval.high).toFixed(1)} points`,
    ),
  );
});

test('graft compare on a folder: a table, sentences, and who has seen the photos', async () => {
  writeFileSync(join(set.data, 'healthy/broken.jpg'), 'no photo');
  const { status, stdout, stderr } = await graft(['compare', at('moved.tflite'), at('runs/good'), '--data', set.data]);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /36 of the 60 photos are left out/);
  assert.match(stderr, /1 file is left out, as healthy\/broken\.jpg/);
  assert.match(stderr, /good chose its epoch on these photos, and others did not/);
  assert.match(stderr, /Nobody knows which photos [^,]*moved\.tflite was trained on/);
  assert.match(stdout, /^model +right +95 % +macro F1 +log-loss +size +ms\n/);
  assert.match(stdout, /24 photos; .* run folders in ONNX Runtime, files in LiteRT/);
  assert.match(stdout, /are right on the same photos/);
});

test("what cannot be compared gets a sentence, and somebody else's file without names is taken in the folder's order", async () => {
  const foreign = { models: [at('runs/good'), at('foreign.tflite')], pixels: 'signed' } as const;
  const { result, notes } = await told(foreign);
  assert.match(notes, /foreign\.tflite does not say what its classes are called: taken for "healthy", "unhealthy"/);
  assert.match(result.pairs[0]!.verdict, /same photos/);

  const refused = (options: CompareOptions, code: string, message: RegExp) =>
    assert.rejects(finish(compare(options)), { code, message });
  writeFileSync(at('names.txt'), 'healthy\nmould\n');
  const mould = { ...foreign, labels: at('names.txt') };
  await refused(mould, 'label-mismatch', /foreign\.tflite knows "healthy", "mould", and .*good knows "healthy", "unh/);
  await refused({ models: [at('runs/good')] }, 'usage', /nothing to compare one model with/);
  const own = [at('moved.tflite'), at('moved.tflite')];
  await refused({ models: own }, 'usage', /no photos to compare on/);
  await refused({ models: own, labels: at('names.txt') }, 'usage', /labels is set, but all of the models/);
  const { photos } = await loadManifest(at('runs/good/manifest.json'));
  for (const { path } of photos.filter(({ split }) => split === 'train').slice(0, 3)) {
    mkdirSync(dirname(at('learned', path)), { recursive: true });
    cpSync(join(set.data, path), at('learned', path));
  }
  mkdirSync(at('learned/unhealthy'), { recursive: true });
  const seen = { models: [at('runs/good'), at('moved.tflite')], data: at('learned') };
  await refused(seen, 'too-few-photos', /No photo is left that none of the models was trained on/);
});
