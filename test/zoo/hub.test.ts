// hf:owner/name: repositories as timm and exporters make them become a card with their weights or a model file, or are refused
// with what would be taken.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { GraftError } from '../../src/base/errors.ts';
import type { NoteEvent, ProgressEvent } from '../../src/base/events.ts';
import { cacheFolder } from '../../src/project/cache-folder.ts';
import { writeSafetensors } from '../../src/tensor/safetensors.ts';
import { buildBackbone } from '../../src/zoo/build-backbone.ts';
import { findCard } from '../../src/zoo/cards.ts';
import { resolveHubModel } from '../../src/zoo/hub.ts';
import { readLicence, readTimmConfig } from '../../src/zoo/hub-config.ts';
import { loadWeights } from '../../src/zoo/load-weights.ts';
import { HUB_TOKEN, type HubServer, setVariables, startHub } from '../support/hub-server.ts';
import { drain, temporaryFolder } from '../support/reference.ts';

const small = findCard('mobilenet_v3_small');
const { parameters } = await drain(loadWeights(small, cacheFolder()));
const weights = writeSafetensors(parameters);

/** config.json of timm's repositories. */
const config = {
  architecture: 'mobilenetv3_small_100',
  num_classes: 1000,
  num_features: 1024,
  pretrained_cfg: {
    tag: 'lamb_in1k',
    custom_load: false,
    input_size: [3, 256, 256],
    fixed_input_size: false,
    interpolation: 'bicubic',
    crop_pct: 0.875,
    mean: [0.5, 0.4, 0.3],
    std: [0.2, 0.3, 0.4],
    num_classes: 1000,
    pool_size: [7, 7],
    first_conv: 'conv_stem',
    classifier: 'classifier',
  },
};
const README = '---\ntags:\n- image-classification\nlicense: apache-2.0\n---\n# Model card\n\nlicense: mit\n';

async function setUp(t: TestContext): Promise<{ hub: HubServer; cache: string; hubCache: string }> {
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
  return { hub, cache: join(folder, 'graft'), hubCache };
}

function refusal(code: string, message: RegExp, hint = /./) {
  return (error: unknown) => {
    assert.equal((error as GraftError).code, code, String((error as Error).stack));
    assert.match((error as GraftError).message, message);
    assert.match((error as GraftError).hint ?? '', hint);
    return true;
  };
}

test('a repository of timm becomes the card of its architecture, with its weights, its pixels and its licence', async t => {
  const { hub, cache } = await setUp(t);
  const commit = hub.push('timm/some.lamb_in1k', {
    'config.json': JSON.stringify(config),
    'README.md': README,
    'model.safetensors': weights,
  });
  const model = await drain(resolveHubModel('hf:timm/some.lamb_in1k', cache));
  assert.ok(model.kind === 'card');
  assert.deepEqual([model.pinned, model.licence], [`hf:timm/some.lamb_in1k@${commit}`, 'apache-2.0']);
  const { card } = model;
  assert.deepEqual(card.preprocess, { ...small.preprocess, size: 256, mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] });
  assert.equal(card.name, 'mobilenet_v3_small');
  assert.equal(card.variants[0].architecture, 'mobilenetv3_small_100');
  assert.deepEqual(card.weights.from, {
    kind: 'hub',
    repo: 'timm/some.lamb_in1k',
    file: 'model.safetensors',
    revision: commit,
  });

  const loaded = await drain(loadWeights(card, cache));
  const { file, sha256 } = loaded;
  const backbone = buildBackbone(card, { parameters: loaded.parameters, origin: { file, sha256 } });
  assert.equal(backbone.stages.length, small.stageWidths.length);

  // Pinned, it is the same for ever, and needs no network.
  hub.push('timm/some.lamb_in1k', { 'config.json': '{}' });
  const before = hub.requests.length;
  assert.deepEqual(await drain(resolveHubModel(model.pinned, cache)), model);
  assert.equal(hub.requests.length, before);
});

test('the flat config of old, other names of the architecture, and what a config leaves out', async t => {
  const { hub, cache } = await setUp(t);
  const flat = {
    architecture: 'tf_mobilenetv3_small_100',
    num_features: 576,
    input_size: [3, 224, 224],
    first_conv: 'conv_stem',
  };
  hub.push('timm/old', { 'config.json': JSON.stringify(flat), 'model.safetensors': weights });
  const model = await drain(resolveHubModel('hf:timm/old@main', cache));
  assert.ok(model.kind === 'card');
  assert.equal(model.licence, undefined);
  // TensorFlow's weights were trained on pixels from -1 to 1.
  assert.deepEqual(model.card.preprocess.mean, [0.5, 0.5, 0.5]);
  assert.deepEqual([model.card.variants[0].epsilon, model.card.weights.licence], [1e-3, 'NOASSERTION']);
});

test('without a network the cached version is used, with a warning; what is not cached is refused', async t => {
  const { hub, cache, hubCache } = await setUp(t);
  const files = { 'config.json': JSON.stringify(config), 'model.safetensors': weights };
  const commit = hub.push('timm/some', files);
  const first = await drain(resolveHubModel('hf:timm/some', cache));
  assert.ok(first.kind === 'card');
  await drain(loadWeights(first.card, cache));
  const before = hub.requests.length;
  assert.deepEqual(await drain(resolveHubModel('hf:timm/some', cache, true)), first);
  setVariables(t, { HF_HUB_OFFLINE: '1' });
  assert.deepEqual(await drain(resolveHubModel('hf:timm/some', cache)), first);
  assert.equal(hub.requests.length, before);
  setVariables(t, { HF_HUB_OFFLINE: undefined });

  // Nobody listens there.
  setVariables(t, { HF_ENDPOINT: 'http://127.0.0.1:2' });
  const events: (NoteEvent | ProgressEvent)[] = [];
  const steps = resolveHubModel('hf:timm/some', cache);
  for (let step = await steps.next(); ; step = await steps.next()) {
    if (step.done) {
      assert.deepEqual(step.value, first);
      break;
    }
    events.push(step.value as NoteEvent);
  }
  assert.deepEqual(
    events.map(({ type }) => type),
    ['warning'],
  );
  assert.match(
    (events[0] as NoteEvent).message,
    /cannot be reached \(ECONNREFUSED\).* The cached version of timm\/some is used\./,
  );

  const other = drain(resolveHubModel('hf:timm/other', cache, true));
  await assert.rejects(
    other,
    refusal('offline', /timm\/other is not in the cache/, /hf:timm\/some is cached and works offline/),
  );
  rmSync(join(hubCache, 'models--timm--some', 'snapshots', commit, 'model.safetensors'));
  await assert.rejects(
    drain(resolveHubModel('hf:timm/some', cache, true)),
    refusal('offline', /timm\/some is not in the cache/),
  );
});

test('a private repository opens with HF_TOKEN', async t => {
  const { hub, cache } = await setUp(t);
  hub.push('me/mine', { 'config.json': JSON.stringify(config), 'model.safetensors': weights }, 'private');
  await assert.rejects(
    drain(resolveHubModel('hf:me/mine', cache)),
    refusal('no-access', /me\/mine \(401\)/, /HF_TOKEN/),
  );
  setVariables(t, { HF_TOKEN: HUB_TOKEN });
  assert.equal((await drain(resolveHubModel('hf:me/mine', cache))).kind, 'card');
});

test('another architecture comes as ONNX, with the folder of what the repository says of its pixels', async t => {
  const { hub, cache, hubCache } = await setUp(t);
  const network = Buffer.from('an ONNX model');
  const convNext = JSON.stringify({ model_type: 'convnext', architectures: ['ConvNextForImageClassification'] });
  const commit = hub.push('somebody/convnext', {
    'config.json': convNext,
    'preprocessor_config.json': '{"size": 192}',
    'onnx/model.onnx': network,
    'onnx/model_quantized.onnx': 'another',
    'model.safetensors': weights,
    'README.md': '---\nlicense: other\nlicense_name: "my-licence" # odd\n---\n',
  });
  const model = await drain(resolveHubModel('hf:somebody/convnext', cache));
  assert.ok(model.kind === 'file');
  assert.deepEqual(readFileSync(model.file), network);
  assert.deepEqual([model.pinned, model.licence], [`hf:somebody/convnext@${commit}`, 'my-licence']);
  assert.equal(model.folder, join(hubCache, 'models--somebody--convnext', 'snapshots', commit));
  assert.equal(model.file, join(model.folder, 'onnx', 'model.onnx'));
  assert.deepEqual(readdirSync(model.folder).sort(), ['README.md', 'config.json', 'onnx', 'preprocessor_config.json']);
  assert.equal(readFileSync(join(model.folder, 'preprocessor_config.json'), 'utf8'), '{"size": 192}');

  hub.push('somebody/bare', { 'model.onnx': network });
  const bare = await drain(resolveHubModel('hf:somebody/bare', cache));
  assert.ok(bare.kind === 'file');
  assert.deepEqual(readdirSync(bare.folder), ['model.onnx']);
});

test('what cannot be used is refused with what could be', async t => {
  const { hub, cache } = await setUp(t);
  const resolve = (files: Record<string, string | Uint8Array>) => {
    hub.push('a/b', files);
    return drain(resolveHubModel('hf:a/b', cache));
  };
  const timm = (changed: object) => ({
    'config.json': JSON.stringify({ ...config, ...changed }),
    'model.safetensors': weights,
  });
  const cfg = (changed: object) => timm({ pretrained_cfg: { ...config.pretrained_cfg, ...changed } });
  const known = /Known architectures: .*mobilenetv3_large_100.*resnet18.*ONNX/;
  const cases: readonly (readonly [Record<string, string | Uint8Array>, code: string, RegExp, RegExp?])[] = [
    [
      timm({ architecture: 'vit_tiny' }),
      'unsupported-op',
      /a\/b is a vit_tiny, and has no onnx\/model\.onnx or model\.onnx/,
      known,
    ],
    [{ 'config.json': '{}' }, 'unsupported-op', /a\/b names no architecture of timm/, known],
    [{ 'README.md': README }, 'unsupported-op', /a\/b names no architecture of timm/, known],
    [{ ...timm({}), 'model.safetensors': '', 'pytorch_model.bin': 'x' }, 'ok', /./],
    [
      { 'config.json': JSON.stringify(config), 'pytorch_model.bin': 'x' },
      'bad-weights',
      /only a Python pickle/,
      /safetensors/,
    ],
    [timm({ num_features: 2048 }), 'bad-model', /it has 2048 features, and MobileNetV3-Small has 576 or 1024/, /ONNX/],
    [timm({ model_args: { act_layer: 'silu' } }), 'bad-model', /it was made with act_layer/],
    [cfg({ first_conv: 'stem.conv' }), 'bad-model', /its first convolution is stem\.conv/],
    [cfg({ classifier: 'head.fc' }), 'bad-model', /its classifier is head\.fc/],
    [cfg({ input_size: [1, 224, 224] }), 'bad-model', /has \[1,224,224\] for input_size; \[3, side, side\] is wanted/],
    [cfg({ input_size: [3, 224, 1e9] }), 'bad-model', /for input_size/],
    [cfg({ input_size: [3, 1e9, 1e9] }), 'bad-model', /has 1000000000 for input_size; 16 to 2048 pixels/],
    [cfg({ mean: [0.5, 0.5] }), 'bad-model', /for mean; three numbers/],
    [cfg({ mean: 'x'.repeat(1000) }), 'bad-model', /^config.json of a\/b has "x{79} for mean/],
    [cfg({ std: [0.5, 0.5, 0] }), 'bad-model', /for std; three numbers above 0/],
    [timm({ architecture: ['x'] }), 'bad-model', /for architecture; a name is wanted/],
    [timm({ pretrained_cfg: [] }), 'bad-model', /for pretrained_cfg; an object/],
    [{ 'config.json': '[1' }, 'bad-model', /config\.json of a\/b is not JSON/],
    [{ 'config.json': 'null' }, 'bad-model', /has null for the file; an object/],
    [{ 'config.json': ' '.repeat(2 ** 20 + 1) }, 'bad-weights', /has 1048577 bytes, and up to 1048576 are read/],
  ];
  for (const [files, code, message, hint] of cases) {
    if (code === 'ok') assert.equal((await resolve(files)).kind, 'card');
    else await assert.rejects(resolve(files), refusal(code, message, hint));
  }
  for (const name of ['', 'b', 'a/b/c', '../..', 'a/b@..']) {
    await assert.rejects(drain(resolveHubModel(`hf:${name}`, cache)), refusal('usage', /is not the name of/), name);
  }
});

test('licences in front matter', () => {
  assert.equal(readLicence('---\r\nlicense: "bsd-3-clause"\r\n---\r\n'), 'bsd-3-clause');
  assert.equal(readLicence('---\nlicense:\n- mit\n---\n'), undefined);
  assert.equal(readLicence('# A model\nlicense: mit\n'), undefined);
  assert.equal(readLicence(`---\nlicense: ${'x'.repeat(200)}\n---\n`), undefined);
});

test('a config of timm gives what it says and nothing else', () => {
  assert.deepEqual(readTimmConfig(JSON.stringify({ architecture: 'resnet18' }), 'here'), {
    architecture: 'resnet18',
    numFeatures: undefined,
    firstConv: undefined,
    classifier: undefined,
    changes: [],
  });
});
