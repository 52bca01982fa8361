// Backbones from ONNX files on the Hub: with what the repository says of their pixels, and with weights in a second file.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { lstatSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { GraftError } from '../../src/base/errors.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { openBackbone } from '../../src/project/open-backbone.ts';
import { network } from '../import/networks.ts';
import { addUnused, splitOnnx } from '../support/external-onnx.ts';
import { type HubServer, setVariables, startHub } from '../support/hub-server.ts';
import { drain, temporaryFolder } from '../support/reference.ts';

const REPO = 'somebody/leafnet';

/** A classifier of images of any size. */
const classifier = writeOnnx(
  network(
    (n, image) => {
      const last = n.block('b', n.block('a', image, [3, 8], { stride: 2 }), [8, 12], { stride: 2 });
      n.dense('end', n.flatten('flat', n.pooled('pool', last)), [12, 10]);
      return { end: [10] };
    },
    { name: 'input', dtype: 'float32', shape: ['N', 3, 'height', 'width'] },
  ),
);
const preprocessor = JSON.stringify({
  image_mean: [0.5, 0.4, 0.3],
  image_std: [0.25, 0.2, 0.1],
  size: { height: 96, width: 96 },
  resample: 3,
});
const preprocess = { size: 96, fit: 'squash', kernel: 'cubic', mean: [0.5, 0.4, 0.3], std: [0.25, 0.2, 0.1] };

async function setUp(t: TestContext) {
  const hub = await startHub(t);
  const folder = await temporaryFolder(t);
  const hubCache = join(folder, 'hub');
  setVariables(t, {
    HF_ENDPOINT: hub.url,
    HF_HUB_CACHE: hubCache,
    HF_TOKEN: undefined,
    HF_TOKEN_PATH: join(folder, 'token'),
    HF_HUB_OFFLINE: undefined,
  });
  const open = (model = `hf:${REPO}`, more: { imgsz?: number; offline?: boolean; pixels?: 'unit' } = {}) =>
    drain(openBackbone({ model, ...more }, join(folder, 'graft')));
  return {
    hub,
    folder,
    open,
    snapshot: (commit: string) => join(hubCache, 'models--somebody--leafnet', 'snapshots', commit),
  };
}

/** Files that storage was asked for, by the order in which they were. */
function fetched({ requests }: HubServer): string[] {
  const paths = requests
    .filter(({ part }) => part === 'resolve')
    .map(({ url }) => url.replace(/.*\/[0-9a-f]{40}\//, ''));
  return [...new Set(paths)];
}

test('a repository with onnx/model.onnx: mean, deviation and size of its preprocessor_config.json', async t => {
  const { hub, open } = await setUp(t);
  const commit = hub.push(REPO, {
    'onnx/model.onnx': classifier,
    'preprocessor_config.json': preprocessor,
    'config.json': '{"model_type": "leafnet", "num_labels": 10}',
  });
  const { model, backbone } = await open();
  assert.equal(model, `hf:${REPO}@${commit}`);
  assert.deepEqual(backbone.preprocess, preprocess);
  assert.equal(backbone.weights.sha256, createHash('sha256').update(classifier).digest('hex'));
  assert.equal((await open(undefined, { imgsz: 64 })).backbone.preprocess.size, 64);
  const before = hub.requests.length;
  assert.deepEqual((await open(model, { offline: true })).backbone, backbone);
  assert.equal(hub.requests.length, before);
});

test("a repository of timm with an ONNX file: those of timm's config.json, at the top", async t => {
  const { hub, open } = await setUp(t);
  const said = { mean: [0.5, 0.4, 0.3], std: [0.25, 0.2, 0.1], input_size: [3, 96, 96], interpolation: 'bicubic' };
  hub.push(REPO, {
    'onnx/model.onnx': classifier,
    'config.json': JSON.stringify({ architecture: 'vit_tiny', pretrained_cfg: said }),
  });
  assert.deepEqual((await open()).backbone.preprocess, preprocess);
});

test('what a repository says wrongly is refused with the name of the file, and what it leaves out is asked for', async t => {
  const { hub, open } = await setUp(t);
  hub.push(REPO, { 'onnx/model.onnx': classifier, 'preprocessor_config.json': '{"image_mean": [1], "image_std": 0}' });
  await assert.rejects(
    open(),
    (error: GraftError) =>
      error.code === 'bad-model' &&
      /preprocessor_config\.json has 0 for image_std; three numbers above 0/.test(error.message),
  );
  hub.push(REPO, { 'onnx/model.onnx': classifier });
  await assert.rejects(open(), (error: GraftError) => error.code === 'usage' && /--pixels imagenet/.test(error.hint!));
  assert.equal((await open(undefined, { pixels: 'unit' })).backbone.preprocess.size, 224);
});

test('weights in a second file come with it, from links in the cache, and the network last', async t => {
  const { hub, open, snapshot } = await setUp(t);
  const whole = hub.push(REPO, { 'model.onnx': classifier, 'preprocessor_config.json': preprocessor });
  const one = (await open(`hf:${REPO}@${whole}`)).backbone;
  for (const name of ['onnx/model.onnx_data', 'model.onnx.data']) {
    const [file, end] = [name.replace(/[._]data$/, ''), name.replace(/.*\//, '')];
    const { model: bytes, data } = splitOnnx(classifier, end);
    assert.ok(bytes.length < classifier.length / 2 && data.length > classifier.length / 2);
    hub.requests.length = 0;
    const commit = hub.push(REPO, { [file]: bytes, [name]: data, 'preprocessor_config.json': preprocessor });
    const { model, backbone } = await open();
    assert.deepEqual([backbone.graph.constants, backbone.preprocess], [one.graph.constants, one.preprocess]);
    assert.equal(backbone.weights.sha256, createHash('sha256').update(bytes).update(data).digest('hex'));
    assert.ok(lstatSync(join(snapshot(commit), name)).isSymbolicLink());
    assert.equal(fetched(hub).at(-1), file);
    assert.deepEqual((await open(model, { offline: true })).backbone, backbone);
  }
});

test('a link that leads out of the repository is not followed, not even for a hash', async t => {
  const { hub, folder, open, snapshot } = await setUp(t);
  const { model: bytes, data } = splitOnnx(classifier, 'model.onnx_data');
  const files = { 'model.onnx': bytes, 'model.onnx_data': data, 'preprocessor_config.json': preprocessor };
  const commit = hub.push(REPO, files);
  const { model } = await open();
  const link = join(snapshot(commit), 'model.onnx_data');
  writeFileSync(join(folder, 'secret'), data);
  rmSync(link);
  symlinkSync(join(folder, 'secret'), link);
  await assert.rejects(
    open(model),
    (error: GraftError) =>
      error.code === 'bad-model' && /a link that leads out of the model's folder/.test(error.message),
  );
});

test('constants that nothing reads lead nowhere either', async t => {
  const { folder, open } = await setUp(t);
  writeFileSync(join(folder, 'secret'), 'x'.repeat(100));
  mkdirSync(join(folder, 'mine'));
  const file = join(folder, 'mine', 'net.onnx');
  for (const [location, message] of [
    ['../secret', /net\.onnx: .*a path below the model's folder is wanted/],
    ['/dev/zero', /net\.onnx: .*a path below the model's folder is wanted/],
    ['nothing', /nothing does not exist \(ENOENT\)/],
  ] as const) {
    writeFileSync(file, addUnused(classifier, location));
    await assert.rejects(open(file, { pixels: 'unit' }), (error: GraftError) => {
      assert.equal(error.code, location === 'nothing' ? 'not-found' : 'bad-model', error.stack);
      assert.match(error.message, message);
      return true;
    });
  }
});
