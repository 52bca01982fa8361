// hf:owner/name: repositories as timm and exporters make them become a card with their weights or a model file, or are refused
// with what would be taken.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { GraftError } from '../../src/base/errors.ts';
import type { NoteEvent, ProgressEvent } from '../../src/base/events.ts';
import { cacheFolder } from '../../src/project/cache-folder.ts';
import { writeSafetensors } from '../../src/tensor/safetensors.ts';
import { buildBackbone } from '../../src/zoo/build-backbone.ts';
import { findCard } from '../../src/zoo/cards.ts';
import { HUB_PREFIX, type HubModel, resolveHubModel, suggestHub } from '../../src/zoo/hub.ts';
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
  assert.deepEqual(card.preprocess, {
    ...small.preprocess,
    size: 256,
    mean: [0.5, 0.4, 0.3],
    std: [0.2, 0.3, 0.4],
    kernel: 'cubic',
  });
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

/** The model, and the warnings on the way to it. */
async function resolveWarned(spec: string, cache: string): Promise<[HubModel, string[]]> {
  const warnings: string[] = [];
  const steps = resolveHubModel(spec, cache);
  for (;;) {
    const { done, value } = await steps.next();
    if (done) return [value, warnings];
    if (value.type === 'warning') warnings.push(value.message);
  }
}

test('a newer version that cannot be fetched whole leaves the cached one in use, online and offline', async t => {
  const { hub, cache, hubCache } = await setUp(t);
  const files = { 'config.json': JSON.stringify(config), 'README.md': README, 'model.safetensors': weights };
  const commit = hub.push('timm/some', files);
  const first = await drain(resolveHubModel('hf:timm/some', cache));
  assert.equal(first.pinned, `hf:timm/some@${commit}`);
  const ref = () => readFileSync(join(hubCache, 'models--timm--some', 'refs', 'main'), 'utf8');

  const changed = writeSafetensors(new Map([...parameters, ['more', parameters.get('features.0.0.weight')!]]));
  const next = hub.push('timm/some', {
    ...files,
    'config.json': JSON.stringify({ ...config }, null, 1),
    'model.safetensors': changed,
  });
  hub.faults.push({ on: 'cdn', status: 404 });
  await assert.rejects(drain(resolveHubModel('hf:timm/some', cache)), refusal('not-found', /timm\/some/));
  assert.equal(ref(), commit);
  hub.faults.splice(0, 1, { on: 'cdn', cutAfter: 0 });
  const [found, warnings] = await resolveWarned('hf:timm/some', cache);
  assert.deepEqual(found, first);
  assert.equal(warnings.length, 1);
  assert.match(warnings[0]!, /cut the connection.* The cached version of timm\/some is used\.$/);
  assert.equal(ref(), commit);
  assert.deepEqual(await drain(resolveHubModel('hf:timm/some', cache, true)), first);

  // Stopped by the user in the middle.
  hub.faults.splice(0, 1, { on: 'cdn', pause: 20 });
  const steps = resolveHubModel('hf:timm/some', cache);
  for (let step = await steps.next(); !step.done && step.value.type !== 'progress'; ) step = await steps.next();
  await steps.return(undefined as never);
  assert.deepEqual(await drain(resolveHubModel('hf:timm/some', cache, true)), first);
  assert.equal(ref(), commit);

  hub.faults.length = 0;
  assert.equal((await drain(resolveHubModel('hf:timm/some', cache))).pinned, `hf:timm/some@${next}`);
  assert.equal(ref(), next);
});

test('offline lists what is a backbone among all that is cached, a dozen at most', async t => {
  const { cache, hubCache } = await setUp(t);
  const put = (folder: string, files: Readonly<Record<string, string>>) => {
    const commit = '0123456789'.repeat(4);
    const root = join(hubCache, folder);
    mkdirSync(join(root, 'refs'), { recursive: true });
    writeFileSync(join(root, 'refs', 'main'), commit);
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, 'snapshots', commit, path)), { recursive: true });
      writeFileSync(join(root, 'snapshots', commit, path), text);
    }
  };
  const timm = { 'config.json': JSON.stringify(config), 'model.safetensors': 'x' };
  put('models--bert--uncased', { ...timm, 'config.json': '{"model_type": "bert", "architectures": ["BertModel"]}' });
  put('models--a--broken', { ...timm, 'config.json': '[' });
  put('models--a--vast', { ...timm, 'config.json': JSON.stringify(config) + ' '.repeat(2 ** 20) });
  put('models--a--vit', { ...timm, 'config.json': '{"architecture": "vit_tiny"}' });
  put('models--a--weightless', { 'config.json': timm['config.json'] });
  put('models--bad\x1b[31m--name', timm);
  put('models--lonely', timm);
  put('datasets--a--data', timm);
  put('models--b--network', { 'onnx/model.onnx': 'x' });
  put('models--b--some', timm);
  const hint = async () =>
    ((await drain(resolveHubModel('hf:a/none', cache, true)).catch((error: unknown) => error)) as GraftError).hint;
  assert.match((await hint())!, /Cached, and usable offline: hf:b\/network, hf:b\/some\.$/);
  for (let i = 10; i < 30; i++) put(`models--c--n${i}`, timm);
  assert.equal((await hint())!.split('hf:').length - 1, 12);
});

test('weights of another kind beside a cached network do not hide what the repository has', async t => {
  const { hub, cache, hubCache } = await setUp(t);
  const commit = hub.push('a/b', {
    'config.json': '{"model_type": "convnext"}',
    'model.onnx': 'x',
    'model.safetensors': 'y',
  });
  const snapshot = join(hubCache, 'models--a--b', 'snapshots', commit);
  mkdirSync(snapshot, { recursive: true });
  writeFileSync(join(snapshot, 'config.json'), '{"model_type": "convnext"}');
  writeFileSync(join(snapshot, 'model.safetensors'), 'y');
  assert.equal((await drain(resolveHubModel(`hf:a/b@${commit}`, cache))).kind, 'file');
  assert.ok(existsSync(join(snapshot, 'model.onnx')));
});

test('without a network nothing that only a request needs is looked at', async t => {
  const { hub, cache } = await setUp(t);
  hub.push('timm/some', { 'config.json': JSON.stringify(config), 'model.safetensors': weights });
  const first = await drain(resolveHubModel('hf:timm/some', cache));
  setVariables(t, { HF_TOKEN: 'nonsense', HF_ENDPOINT: 'nonsense' });
  assert.deepEqual(await drain(resolveHubModel('hf:timm/some', cache, true)), first);
  await assert.rejects(drain(resolveHubModel('hf:timm/some', cache)), refusal('usage', /HF_ENDPOINT|HF_TOKEN/));
});

test('names that were perhaps meant for the Hub', () => {
  const commit = 'a'.repeat(40);
  for (const [name, suggested] of [
    ['timm/resnet18.a1_in1k', 'timm/resnet18.a1_in1k'],
    ['HF:timm/some@main', 'timm/some@main'],
    ['Hf:huggingface.co/timm/some', 'timm/some'],
    ['https://huggingface.co/timm/some', 'timm/some'],
    ['http://hf.co/timm/some/?library=timm#files', 'timm/some'],
    [`https://huggingface.co/timm/some/tree/${commit}`, `timm/some@${commit}`],
    ['https://huggingface.co/timm/some/blob/main/model.onnx', 'timm/some@main'],
    ['https://huggingface.co/a/net.onnx', 'a/net.onnx'],
  ]) {
    assert.equal(suggestHub(name!), HUB_PREFIX + suggested, name);
  }
  for (const name of [
    'resnet18',
    'hf:timm/some',
    './timm/some',
    '../timm/some',
    '/timm/some',
    'a/b/c',
    'models/net.onnx',
    'models/Net.TFLITE',
    'a/b c',
    'https://huggingface.co/timm',
    'https://example.org/timm/some',
    `https://huggingface.co/${'a/'.repeat(1e6)}`,
  ]) {
    assert.equal(suggestHub(name), undefined, name.slice(0, 100));
  }
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
    [cfg({ interpolation: 'random' }), 'bad-model', /"random" for interpolation; one of bilinear, bicubic, lanczos is/],
    [cfg({ interpolation: 3 }), 'bad-model', /has 3 for interpolation/],
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
  assert.equal(readLicence("---\nlicense:   'cc-by-4.0' # odd\n---\n"), 'cc-by-4.0');
  assert.equal(readLicence('---\nlicense: mit # odd\n---\n'), 'mit');
  assert.equal(readLicence('---\nlicense: # odd\n---\n'), undefined);
  for (const front of [
    `license:${' '.repeat(20_000)}`,
    `license: a${' a'.repeat(20_000)}"`,
    'license: x\n'.repeat(2e5),
  ]) {
    const start = performance.now();
    readLicence(`---\n${front}\n---\n`);
    assert.ok(performance.now() - start < 1000);
  }
});

test('a config of timm gives what it says and nothing else', () => {
  assert.deepEqual(readTimmConfig(JSON.stringify({ architecture: 'resnet18' }), 'here'), {
    architecture: 'resnet18',
    numFeatures: undefined,
    firstConv: undefined,
    classifier: undefined,
    interpolation: undefined,
    changes: [],
  });
});
