// A robot's camera through the real command line: training for it, measuring through it, caches of its own, exact resume.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import { decodeFrame, FRAME } from '../../src/image/camera.ts';
import type { Prediction, TrainResult, ValResult } from '../../src/index.ts';
import { cacheFolder } from '../../src/project/cache-folder.ts';
import { drawSmallDataset, graft } from '../support/graft.ts';

let set: Awaited<ReturnType<typeof drawSmallDataset>>;
const at = (...path: readonly string[]) => join(set.folder, ...path);
/** The same leaves in train/ and val/, so that val measures the photos that the epoch is chosen on. */
before(async () => {
  set = await drawSmallDataset(32);
  for (const name of ['healthy', 'unhealthy']) {
    for (const [i, file] of readdirSync(join(set.data, name)).sort().entries()) {
      const split = i < 10 ? 'train' : 'val';
      mkdirSync(at('split', split, name), { recursive: true });
      cpSync(join(set.data, name, file), at('split', split, name, file));
    }
  }
  for (const cache of ['shared', 'own'])
    cpSync(join(cacheFolder(), 'weights'), at(cache, 'weights'), { recursive: true });
});
after(() => set.remove());

const small = '--imgsz 64 --views 3 --epochs 4 --fine-tune-epochs 2 --fine-tune-batch 8 --freeze 9 --cut-views 0';

/** Runs graft with the cache of this name and gives what it printed; it has to succeed. */
async function run(words: string, cache = 'shared') {
  const finished = await graft(words.trim().split(/ +/), { cwd: set.folder, env: { GRAFT_CACHE: at(cache) } });
  assert.equal(finished.status, 0, finished.stderr);
  return finished;
}
const train = async (name: string, words: string, cache?: string) => {
  const { stdout, stderr } = await run(`train ./split ${small} --name ${name} ${words} --json`, cache);
  return { ...(JSON.parse(stdout) as TrainResult), stderr };
};
const val = async (words: string) => JSON.parse((await run(`val ${words} --json`)).stdout) as ValResult;

function assertSameRun(name: string, wanted: string): void {
  for (const file of ['model.tflite', 'model.onnx', 'results.csv', 'weights/best.safetensors']) {
    const [found, want] = [name, wanted].map(folder => readFileSync(at('runs', folder, file)));
    assert.equal(Buffer.compare(found!, want!), 0, `${file} of ${name} is that of ${wanted}`);
  }
}

test('train --camera says what it does, writes it down, and chooses the epoch as the camera sees', async () => {
  const plain = await train('plain', '');
  assert.deepEqual(plain.chosen_on.camera, 'none');
  assert.equal(plain.chosen_on.accuracy, plain.validation.accuracy);
  const seen = await train('seen', '--camera greyscale');
  assert.match(
    seen.stderr,
    /For the camera greyscale: 50 % of the augmented views .*, and the epoch .* as it sees them\./,
  );
  assert.deepEqual(JSON.parse(readFileSync(at('runs/seen/metrics.json'), 'utf8')).chosen_on, seen.chosen_on);
  const models = ['plain', 'seen'].map(name => readFileSync(at('runs', name, 'model.tflite')));
  assert.notEqual(Buffer.compare(models[0]!, models[1]!), 0);
  const args = JSON.parse(readFileSync(at('runs/seen/args.json'), 'utf8'));
  assert.equal(args.options.camera, 'greyscale');
  assert.deepEqual(
    [args.settings.camera, args.settings.cameraShare, args.model.camera],
    ['greyscale', 0.5, 'greyscale'],
  );
  const ofPlain = JSON.parse(readFileSync(at('runs/plain/args.json'), 'utf8'));
  assert.deepEqual(
    [ofPlain.settings.camera, ofPlain.settings.cameraShare, ofPlain.model.camera],
    ['none', 0, undefined],
  );
  assert.equal(seen.chosen_on.camera, 'greyscale');
  assert.equal(seen.chosen_on.accuracy, seen.fine_tuning!.best.accuracy);
  // What chose the epoch is what val measures through the camera; the photos as they are stay what they are.
  const ofFile = await val('runs/seen/model.tflite ./split --camera greyscale');
  assert.deepEqual([ofFile.camera, ofFile.accuracy], ['greyscale', seen.chosen_on.accuracy]);
  assert.equal((await val('runs/seen ./split')).accuracy, seen.validation.accuracy);
});

test('the views of both are kept apart: a cache filled without a camera changes nothing with one', async () => {
  // 20 train photos: the plain photo twice, 3 views of which every other one is as the camera sees it; 12 for validation.
  const alone = await train('alone', '--camera greyscale', 'own');
  assert.deepEqual(alone.features, { computed: 20 * 5 + 12, cached: 0 });
  const metrics = JSON.parse(readFileSync(at('runs/seen/metrics.json'), 'utf8')) as TrainResult;
  const { computed, cached } = metrics.features;
  assert.equal(computed + cached, 20 * 5 + 12);
  // In the shared cache were the plain photo and the views that are not the camera's.
  assert.ok(cached >= 20 * 2 && cached <= 20 * 3, `${cached} cached`);
  assertSameRun('seen', 'alone');
  const frames = readdirSync(at('own/frames'), { recursive: true, encoding: 'utf8' }).filter(name =>
    name.includes('.'),
  );
  const bytes = frames.reduce((sum, name) => sum + statSync(at('own/frames', name)).size, 0);
  // A record is a key, a frame and a check sum.
  assert.equal(bytes, (20 + 12) * (32 + FRAME.width * FRAME.height + 4));
});

test('val and predict say through what the photos were seen, and real frames give what photos give', async () => {
  for (const name of ['healthy', 'unhealthy']) {
    mkdirSync(at('frames', name), { recursive: true });
    for (const file of readdirSync(at('split/val', name))) {
      const frame = await decodeFrame(readFileSync(at('split/val', name, file)));
      const png = sharp(frame, { raw: { ...FRAME, channels: 1 } }).png();
      await png.toFile(at('frames', name, `${file}.png`));
    }
  }
  const ofPhotos = await run('val runs/seen ./split --camera greyscale');
  assert.match(
    ofPhotos.stdout,
    /^\d+\.\d % of 12 photos in \.\/split \(its validation split\) are right, as the greyscale camera sees them;$/m,
  );
  assert.doesNotMatch(ofPhotos.stderr, /trained for/);
  const ofFrames = await run('val runs/seen ./frames --camera greyscale');
  const tables = ({ stdout }: { readonly stdout: string }) => stdout.slice(stdout.indexOf('\n'));
  assert.equal(tables(ofFrames), tables(ofPhotos));
  const told = await run('val runs/seen ./split');
  assert.doesNotMatch(told.stdout, /camera/);
  assert.match(told.stderr, /trained for the camera greyscale: --camera greyscale shows/);

  const photo = readdirSync(at('split/val/healthy'))[0]!;
  const words = `predict runs/seen split/val/healthy/${photo} frames/healthy/${photo}.png --camera greyscale`;
  const [one, two] = JSON.parse((await run(`${words} --json`)).stdout) as Prediction[];
  assert.deepEqual(one!.probabilities, two!.probabilities);
  assert.equal(one!.camera, 'greyscale');
  assert.match((await run(words)).stdout, /^photo, as the greyscale camera sees it +class/);
  const [plain] = JSON.parse((await run(`predict runs/seen split/val/healthy/${photo} --json`)).stdout) as Prediction[];
  assert.notDeepEqual(plain!.probabilities, one!.probabilities);
  assert.equal(plain!.camera, 'none');
});

test('a run that is killed goes on to the same bytes, and not with another camera', async () => {
  const words = `train ./split ${small} --name killed --camera greyscale --save-every 0`;
  const last = at('runs/killed/weights/last.safetensors');
  const killed = await graft(words.split(' '), {
    cwd: set.folder,
    env: { GRAFT_CACHE: at('own') },
    start(child) {
      const look = setInterval(() => {
        if (statSync(last, { throwIfNoEntry: false })) child.kill('SIGKILL');
        if (statSync(last, { throwIfNoEntry: false }) || child.exitCode !== null) clearInterval(look);
      }, 2);
    },
  });
  assert.equal(killed.status, null, killed.stderr);
  const other = await graft('train --resume runs/killed --camera none'.split(' '), { cwd: set.folder });
  assert.equal(other.status, 2);
  assert.match(
    other.stderr,
    /other settings:\n {2}camera: "greyscale" then, "none" now\n {2}cameraShare: 0\.5 then, 0 now/,
  );
  await run('train --resume runs/killed', 'own');
  assertSameRun('killed', 'alone');
});

test('cached activations, no augmented views, and what is printed at the end', async () => {
  const { stdout } = await run(`train ./split ${small} --camera greyscale --name cut --freeze 6 --cut-views 2`);
  const figures = /(\d+\.\d %) are right as the greyscale camera sees them, which chose the epoch \(/.exec(stdout);
  assert.ok(figures, stdout);
  assert.match(stdout, /of 12 validation photos are right as they are \(macro F1/);
  assert.match(stdout, /npx graft val runs\/cut \.\/other-photos --camera greyscale/);
  const { accuracy } = await val('runs/cut/model.tflite ./split --camera greyscale');
  assert.equal(figures[1], `${(100 * accuracy).toFixed(1)} %`);
  const bare = await train('bare', '--camera greyscale --views 0');
  assert.equal(bare.features.computed + bare.features.cached, 20 * 2 + 12);
});

for (const words of [
  'train ./split',
  'find-lr ./split',
  'val runs/seen ./split',
  'predict runs/seen split/val/healthy',
]) {
  test(`a camera that there is not is refused: ${words}`, async () => {
    const { status, stdout, stderr } = await graft([...words.split(' '), '--camera', 'colour'], { cwd: set.folder });
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.match(stderr, /^graft: The setting camera is "colour"\.\nIt has to be one of: none, greyscale\.\n$/);
  });
}
