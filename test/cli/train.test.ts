// The main road through the real command line: photos in, a proven .tflite file out, then val and predict with it.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TrainResult, ValResult } from '../../src/index.ts';
import { drawSmallDataset, graft } from '../support/graft.ts';

let set: Awaited<ReturnType<typeof drawSmallDataset>>;
before(async () => {
  set = await drawSmallDataset(60);
});
after(() => set.remove());

/** Runs graft in the folder of the photos, with features cached there: nothing is known from other tests. */
const run = (...words: string[]) => graft(words, { cwd: set.folder });
/** Trains the head only: test/cli/fine-tune.test.ts fine-tunes. */
const train = (data: string, ...words: string[]) => run('train', data, '--fine-tune-epochs', '0', ...words);
const read = (file: string) => readFileSync(join(set.folder, file), 'utf8');

test('train writes a whole run folder, and the second run finds its features', async () => {
  const first = await train('./leaves', '--epochs', '30', '--seed', '3', '--json');
  assert.equal(first.status, 0, first.stderr);
  const result = JSON.parse(first.stdout) as TrainResult;
  assert.deepEqual(readdirSync(join(set.folder, 'runs/train')).sort(), [
    'args.json',
    'labels.txt',
    'manifest.json',
    'metrics.json',
    'model.onnx',
    'model.tflite',
    'results.csv',
    'weights',
  ]);
  assert.deepEqual(readdirSync(join(set.folder, 'runs/train/weights')), ['head.safetensors']);
  assert.equal(result.fine_tuning, null);
  assert.deepEqual(JSON.parse(read('runs/train/metrics.json')), result);
  assert.deepEqual(result.classes, ['healthy', 'unhealthy']);
  assert.equal(read('runs/train/labels.txt'), 'healthy\nunhealthy\n');
  assert.deepEqual(Object.keys(result.seconds), ['scan', 'features', 'head', 'calibrate', 'export', 'proof', 'total']);
  assert.ok(result.validation.accuracy > 0.6, `accuracy ${result.validation.accuracy}`);
  assert.equal(result.proof.accuracy, result.validation.accuracy);
  assert.equal(result.proof.top_class_agreement, 1);
  assert.ok(result.proof.max_difference < 1e-4, `${result.proof.max_difference}`);
  const rows = read('runs/train/results.csv').trim().split('\n');
  assert.equal(rows[0], 'phase,epoch,learning_rate,train_loss,train_accuracy,validation_loss,validation_accuracy');
  assert.equal(rows.length, result.epochs + 1);
  const args = JSON.parse(read('runs/train/args.json'));
  assert.equal(args.settings.head.seed, 3);
  assert.equal(args.settings.head.epochs, 30);
  assert.equal(args.settings.views, 3);

  const second = JSON.parse((await train('./leaves', '--epochs', '30', '--seed', '3', '--json')).stdout) as TrainResult;
  assert.equal(second.run, join('runs', 'train2'));
  assert.equal(second.features.computed, 0);
  assert.ok(second.features.cached > 0);
  for (const file of ['model.tflite', 'model.onnx', 'results.csv', 'manifest.json']) {
    assert.equal(
      Buffer.compare(
        readFileSync(join(set.folder, 'runs/train', file)),
        readFileSync(join(set.folder, 'runs/train2', file)),
      ),
      0,
      `${file} is the same for the same photos and seed`,
    );
  }
});

test('val measures the run and its file alike; predict tells the class of single photos', async () => {
  const [ofRun, ofFile] = await Promise.all(
    ['runs/train', 'runs/train/model.tflite'].map(async model => {
      const { status, stdout, stderr } = await run('val', model, './leaves', '--json');
      assert.equal(status, 0, stderr);
      return JSON.parse(stdout) as ValResult;
    }),
  );
  assert.equal(ofRun!.images, 60);
  assert.ok(ofRun!.accuracy > 0.8);
  assert.deepEqual(ofRun!.confusion, ofFile!.confusion);
  assert.equal(ofRun!.accuracy, ofFile!.accuracy);

  const photos = ['leaves/healthy/leaf-0001.jpg', 'leaves/unhealthy/leaf-0001.jpg'];
  const { status, stdout } = await run('predict', 'runs/train/model.tflite', ...photos, '--json');
  assert.equal(status, 0);
  const predictions = JSON.parse(stdout);
  assert.deepEqual(
    predictions.map((prediction: { file: string }) => prediction.file),
    photos,
  );
  for (const { label, known, best, probability, probabilities } of predictions) {
    assert.equal(label, known ? best : 'unknown');
    assert.ok(Math.abs(probabilities.healthy + probabilities.unhealthy - 1) < 1e-5);
    assert.equal(probability, Math.max(probabilities.healthy, probabilities.unhealthy));
    assert.equal(probabilities[best], probability);
  }
});

test('a model file works alone, without its folder', async () => {
  mkdirSync(join(set.folder, 'alone'));
  cpSync(join(set.folder, 'runs/train/model.tflite'), join(set.folder, 'alone/leaf.tflite'));
  const { status, stdout } = await run('predict', 'alone/leaf.tflite', 'leaves/healthy', '--reject-below', '0');
  assert.equal(status, 0);
  assert.match(stdout, /leaf-0001\.jpg\s+(un)?healthy\s+\d+\.\d %/);
});

test('a run whose labels do not fit its model is refused', async () => {
  cpSync(join(set.folder, 'runs/train'), join(set.folder, 'mixed'), { recursive: true });
  const args = JSON.parse(read('mixed/args.json'));
  args.model.classes = ['healthy', 'odd', 'unhealthy'];
  writeFileSync(join(set.folder, 'mixed/args.json'), JSON.stringify(args));
  const { status, stderr } = await run('val', 'mixed', './leaves');
  assert.equal(status, 1);
  assert.match(stderr, /gives 2 probabilities, and its description names 3 classes/);
  assert.doesNotMatch(stderr, /\n\s+at /);
});

test('a photo that cannot be read is named, the others are told, and the status is 1', async () => {
  writeFileSync(join(set.folder, 'broken.jpg'), 'no photo');
  const { status, stdout, stderr } = await run('predict', 'runs/train', 'broken.jpg', 'leaves/healthy/leaf-0001.jpg');
  assert.equal(status, 1);
  assert.match(stderr, /broken\.jpg/);
  assert.doesNotMatch(stderr, /at .*\.js:\d+/);
  assert.match(stdout, /leaf-0001\.jpg/);
});

test('views and mirroring are switched off where that is said', async () => {
  const settings = (name: string) => JSON.parse(read(`runs/${name}/args.json`)).settings;
  for (const [name, ...words] of [
    ['plain', '--views', '0'],
    ['unmirrored', '--no-flip', '--views', '1'],
  ] as const) {
    const { status, stderr } = await train('./leaves', '--epochs', '2', '--name', name, ...words);
    assert.equal(status, 0, stderr);
  }
  assert.equal(settings('plain').views, 0);
  assert.equal(settings('unmirrored').augmentation.flip, false);
  assert.equal(settings('train').augmentation.flip, true);
});

test('more photos: only what is new is computed', async () => {
  const more = join(set.folder, 'more');
  cpSync(join(set.folder, 'leaves'), more, { recursive: true });
  cpSync(join(set.folder, 'leaves/healthy/leaf-0001.jpg'), join(more, 'healthy/copy.jpg'));
  const extra = await drawSmallDataset(70);
  for (const name of ['leaf-0031.jpg', 'leaf-0032.jpg']) {
    cpSync(join(extra.data, 'healthy', name), join(more, 'healthy', name));
  }
  await extra.remove();
  const { stdout, stderr } = await train('./more', '--epochs', '5', '--seed', '3', '--json');
  const { features, excluded } = JSON.parse(stdout) as TrainResult;
  assert.equal(excluded, 1);
  assert.match(stderr, /copy\.jpg/);
  // Two new photos with four views each at most, and old ones that moved from validation to train.
  assert.ok(features.computed <= 4 * 4, `${features.computed} computed`);
  assert.ok(features.cached > 150);
});

test('a named run folder that holds something is not touched without --exist-ok', async () => {
  const before = read('runs/train/metrics.json');
  const refused = await train('./leaves', '--name', 'train');
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /run folder .*train exists.*\n.*--exist-ok/);
  assert.equal(read('runs/train/metrics.json'), before);
  const allowed = await train('./leaves', '--name', 'train', '--exist-ok', '--epochs', '2', '--json');
  assert.equal(allowed.status, 0, allowed.stderr);
  assert.equal((JSON.parse(allowed.stdout) as TrainResult).epochs, 2);
});

const twentyFour = ['--fine-tune-epochs', '0', '--views', '24'];

test('Ctrl-C ends with one sentence, and what was computed stays in the cache', async () => {
  const env = { GRAFT_CACHE: join(set.folder, 'cache') };
  cpSync(await weightsFolder(), join(env.GRAFT_CACHE, 'weights'), { recursive: true });
  const stopped = await graft(['train', './leaves', '--name', 'stopped', ...twentyFour], {
    cwd: set.folder,
    env,
    start: child => signalWhenBusy(child, env.GRAFT_CACHE, 'SIGINT'),
  });
  assert.equal(stopped.status, 130, stopped.stderr);
  assert.match(stopped.stderr, /Stopped\./);
  assert.equal(existsSync(join(set.folder, 'runs/stopped')), false, 'no empty run folder is left');
  const again = await graft(['train', './leaves', ...twentyFour, '--epochs', '2', '--json'], {
    cwd: set.folder,
    env,
  });
  const { features } = JSON.parse(again.stdout) as TrainResult;
  assert.ok(features.cached > 0, 'the first run had computed something');
  assert.ok(features.computed > 0, 'the first run was stopped in the middle');
});

test('kill -9 in the middle of the features loses at most what was in flight', async () => {
  const env = { GRAFT_CACHE: join(set.folder, 'cache') };
  rmSync(join(env.GRAFT_CACHE, 'features'), { recursive: true });
  const killed = await graft(['train', './leaves', '--name', 'killed', ...twentyFour], {
    cwd: set.folder,
    env,
    start: child => signalWhenBusy(child, env.GRAFT_CACHE, 'SIGKILL'),
  });
  assert.equal(killed.status, null);
  assert.equal(existsSync(join(set.folder, 'runs/killed/metrics.json')), false);
  const again = await graft(['train', './leaves', ...twentyFour, '--epochs', '2', '--json'], {
    cwd: set.folder,
    env,
  });
  const { features } = JSON.parse(again.stdout) as TrainResult;
  assert.ok(features.cached > 0 && features.computed > 0, JSON.stringify(features));
});

/** Sends `signal` once a tenth of the features (60 photos, 25 views at most, 4.7 KB each) is in the cache. */
function signalWhenBusy(child: ChildProcess, cache: string, signal: NodeJS.Signals): void {
  const look = setInterval(() => {
    const files = existsSync(join(cache, 'features')) ? readdirSync(join(cache, 'features'), { recursive: true }) : [];
    const bytes = files.reduce((sum, name) => sum + statSync(join(cache, 'features', String(name))).size, 0);
    if (bytes > 600_000) child.kill(signal);
    if (bytes > 600_000 || child.exitCode !== null) clearInterval(look);
  }, 10);
}

/** The cache's weights, fetched by the runs above. */
async function weightsFolder(): Promise<string> {
  const { cacheFolder } = await import('../../src/project/cache-folder.ts');
  return join(cacheFolder(), 'weights');
}
