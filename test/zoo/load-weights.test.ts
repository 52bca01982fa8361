// Weights that are damaged, of another shape or not to be had are refused with a sentence; nothing half-fetched stays.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, realpathSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join, relative } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { GraftError } from '../../src/base/errors.ts';
import { cacheFolder } from '../../src/project/cache-folder.ts';
import { narrowToFloat16 } from '../../src/tensor/float16.ts';
import { writeSafetensors } from '../../src/tensor/safetensors.ts';
import { float32, int64, type Tensor } from '../../src/tensor/tensor.ts';
import { buildBackbone } from '../../src/zoo/build-backbone.ts';
import type { NpmSource } from '../../src/zoo/card.ts';
import { findCard } from '../../src/zoo/cards.ts';
import { loadWeights } from '../../src/zoo/load-weights.ts';
import { setVariables, startHub } from '../support/hub-server.ts';
import { drain, temporaryFolder } from '../support/reference.ts';

const card = findCard('mobilenet_v3_small');

async function realWeights(): Promise<string> {
  return (await drain(loadWeights(card, cacheFolder()))).file;
}

function refusal(code: string, message: RegExp) {
  return (error: unknown) => {
    assert.equal((error as GraftError).code, code, String(error));
    assert.match((error as GraftError).message, message);
    return true;
  };
}

test('weights are kept with their licence', async () => {
  const folder = dirname(dirname(await realWeights()));
  assert.deepEqual(readdirSync(folder).sort(), ['LICENSE', 'NOTICE', 'weights']);
  assert.match(readFileSync(join(folder, 'NOTICE'), 'utf8'), /MobileNetV3-Small/);
});

test('a cached file that has changed is refused', async t => {
  const cache = await temporaryFolder(t);
  const file = join(cache, relative(cacheFolder(), await realWeights()));
  mkdirSync(dirname(file), { recursive: true });
  const bytes = readFileSync(await realWeights());
  bytes[bytes.length - 100]! ^= 1;
  writeFileSync(file, bytes);
  await assert.rejects(drain(loadWeights(card, cache)), refusal('bad-weights', /has the sha256 .*wants faaa680c/));
  truncateSync(file, 1000);
  await assert.rejects(drain(loadWeights(card, cache)), refusal('bad-weights', /has the sha256 .*wants faaa680c/));
});

test('a local file that is cut short, quantised nonsense or of another network is refused', async t => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'local.gguf');
  copyFileSync(await realWeights(), file);
  truncateSync(file, 2_000_000);
  await assert.rejects(
    drain(loadWeights(card, folder, { file })),
    refusal('bad-weights', /ends behind the end of the file/),
  );
  writeFileSync(file, 'GGUF and then some text that is no header at all');
  await assert.rejects(drain(loadWeights(card, folder, { file })), refusal('bad-weights', /not a usable GGUF file/));
  const { parameters } = await drain(loadWeights(card, cacheFolder()));
  const build = (changed: typeof parameters) => () =>
    buildBackbone(card, { parameters: changed, origin: { file, sha256: '' } });
  const fewer = new Map(parameters);
  fewer.delete('features.3.block.0.0.weight');
  assert.throws(build(fewer), refusal('bad-weights', /features\.3\.block\.0\.0\.weight/));
  const other = new Map(parameters).set('features.0.0.weight', parameters.get('features.1.block.0.0.weight')!);
  assert.throws(build(other), refusal('bad-weights', /shape \[16, 1, 3, 3\].*wants \[16, 3, 3, 3\]/));
});

test('the same numbers come out of GGUF and of safetensors in float16 and float32', async t => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'local.safetensors');
  const { parameters } = await drain(loadWeights(card, cacheFolder()));
  const halved = [...parameters].map(([name, { shape, data }]): [string, Tensor] => [
    name,
    name.endsWith('.weight')
      ? { dtype: 'float16', shape, data: narrowToFloat16(data) }
      : { dtype: 'float32', shape, data },
  ]);
  writeFileSync(file, writeSafetensors(new Map([...halved, ['steps.num_batches_tracked', int64([], [7])]])));
  const found = await drain(loadWeights(card, folder, { file }));
  assert.equal(found.parameters.size, parameters.size);
  let inFloat16 = 0;
  for (const [name, { shape, data }] of parameters) {
    const other = found.parameters.get(name)!;
    assert.deepEqual(other.shape, shape);
    for (let i = 0; i < data.length; i++) {
      // Weights of convolutions are float16 in the GGUF file already.
      if (data[i] === other.data[i]) inFloat16++;
      else assert.ok(Math.abs(data[i]! - other.data[i]!) <= Math.abs(data[i]!) * 2 ** -11 + 2 ** -25, name);
    }
  }
  assert.ok(inFloat16 > 900_000, `${inFloat16}`);
});

test('files that are no weights are refused by what they are', async t => {
  const folder = await temporaryFolder(t);
  const zip = (name: string) => Buffer.concat([Buffer.from('PK\x03\x04'.padEnd(30, '\0')), Buffer.from(name)]);
  const pickle = /a Python pickle.*runs whatever code its maker put into it/;
  const files: readonly (readonly [name: string, content: Uint8Array, message: RegExp])[] = [
    ['model.pt', zip('archive/data.pkl'), pickle],
    ['model.pth', Buffer.from('\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.', 'latin1'), pickle],
    ['pickled.safetensors', Buffer.from('\x80\x04\x95\x0b\x00', 'latin1'), pickle],
    ['model.npz', zip('weight.npy'), /a ZIP archive/],
    ['model.h5', Buffer.from('\x89HDF\r\n\x1a\n', 'latin1'), /an HDF5 file/],
    ['model.tflite', Buffer.from('\x1c\0\0\0TFL3', 'latin1'), /a \.tflite model/],
    ['pointer.gguf', Buffer.from('version https://git-lfs.github.com/spec/v1\noid'), /a Git LFS pointer/],
    ['text.txt', Buffer.from('hello, this is text'), /is no weights file: GGUF or safetensors is wanted/],
    ['empty.safetensors', Buffer.alloc(0), /is empty/],
    ['short.safetensors', Buffer.from('\x10\0\0'), /it has 3 bytes/],
    [
      'nan.safetensors',
      writeSafetensors(new Map([['a', float32([2], [1, Number.NaN])]])),
      /values in a that are no finite numbers/,
    ],
  ];
  for (const [name, content, message] of files) {
    const file = join(folder, name);
    writeFileSync(file, content);
    await assert.rejects(drain(loadWeights(card, folder, { file })), refusal('bad-weights', message), name);
  }
  // A header of 128 bytes begins with the byte of a pickle.
  const file = join(folder, 'header.safetensors');
  const text = '{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.padEnd(128);
  writeFileSync(file, Buffer.concat([Buffer.from('\x80\0\0\0\0\0\0\0', 'latin1'), Buffer.from(text), Buffer.alloc(4)]));
  assert.equal((await drain(loadWeights(card, folder, { file }))).parameters.size, 1);
  // Gigabytes are refused before they are read: a pickle as such, the rest for their size.
  for (const [name, message] of [
    ['model.pt', pickle],
    ['short.safetensors', /has 6000000000 bytes, and weights may have/],
  ] as const) {
    truncateSync(join(folder, name), 6e9);
    await assert.rejects(
      drain(loadWeights(card, folder, { file: join(folder, name) })),
      refusal('bad-weights', message),
    );
  }
  await assert.rejects(
    drain(loadWeights(card, folder, { file: join(folder, 'none') })),
    refusal('not-found', /none does not exist/),
  );
  await assert.rejects(drain(loadWeights(card, folder, { file: folder })), refusal('no-access', /is a folder/));
});

const large = findCard('mobilenet_v3_large');
const LARGE_REPO = 'timm/mobilenetv3_large_100.ra_in1k';

/** A Hub with the repository of a card, and caches of this test's own. */
async function hubOf(t: TestContext, value: number) {
  const hub = await startHub(t);
  const folder = await temporaryFolder(t);
  setVariables(t, {
    HF_ENDPOINT: hub.url,
    HF_HUB_CACHE: join(folder, 'hub'),
    HF_TOKEN: undefined,
    HF_TOKEN_PATH: join(folder, 'token'),
    HF_HUB_OFFLINE: undefined,
  });
  hub.push(LARGE_REPO, { 'model.safetensors': writeSafetensors(new Map([['a', float32([1], [value])]])) });
  return { hub, cache: join(folder, 'graft') };
}

test("a card's weights come from the Hub once, with progress, and from the cache after that", async t => {
  const { hub, cache } = await hubOf(t, 1);
  const steps = loadWeights(large, cache);
  const first = await steps.next();
  assert.deepEqual(first.value, { type: 'progress', stage: 'weights', done: 0, total: 68, unit: 'bytes' });
  const { parameters, file, sha256 } = await drain(steps);
  assert.deepEqual(parameters.get('a'), float32([1], [1]));
  assert.equal(sha256.length, 64);
  const before = hub.requests.length;
  for (const offline of [true, false]) assert.equal((await drain(loadWeights(large, cache, { offline }))).file, file);
  assert.equal(hub.requests.length, before);

  const blob = realpathSync(file);
  const bytes = readFileSync(blob);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(blob, bytes);
  await assert.rejects(drain(loadWeights(large, cache)), (error: GraftError) => {
    assert.equal(error.code, 'bad-weights');
    assert.equal(
      error.message,
      `${file} has the sha256 ${error.message.split(' ')[4]!.slice(0, 64)}; MobileNetV3-Large wants ${sha256}.`,
    );
    assert.equal(error.hint, `Delete ${blob} and run again to fetch it anew.`);
    return true;
  });
});

test('without a network the message says what works', async t => {
  const { hub, cache } = await hubOf(t, 1);
  await drain(loadWeights(large, cache));
  const offline = (hint: RegExp) => (error: GraftError) => {
    assert.equal(error.code, 'offline');
    assert.match(error.message, /The weights of MobileNetV2 are not in the cache and could not be fetched/);
    assert.match(error.hint!, hint);
    return true;
  };
  const load = () => drain(loadWeights(findCard('mobilenet_v2'), cache, { offline: true }));
  await assert.rejects(load(), offline(/mobilenet_v3_large is cached and works offline\.$/));
  hub.push('somebody/leaves', { 'config.json': '{"architecture": "resnet18"}', 'model.safetensors': 'x' });
  const { fetchHubFile } = await import('../../src/hub/fetch-file.ts');
  const { readHubSettings } = await import('../../src/hub/settings.ts');
  for (const path of ['config.json', 'model.safetensors']) {
    const wanted = { repo: { type: 'model', name: 'somebody/leaves' } as const, revision: 'main', path, maxBytes: 100 };
    await drain(fetchHubFile(await readHubSettings(), wanted, 'file'));
  }
  await assert.rejects(load(), offline(/Cached, and usable offline: mobilenet_v3_large, hf:somebody\/leaves\.$/));
  await assert.rejects(
    drain(loadWeights(card, cache, { offline: true })),
    refusal('offline', /MobileNetV3-Small are not in the cache.*nothing may be fetched/),
  );
});

/** A proxy of whoever runs the tests does not lead to this computer. */
const noProxy = Object.fromEntries(
  ['http_proxy', 'https_proxy', 'proxy', 'npm_config_proxy', 'npm_config_https_proxy'].flatMap(name => [
    [name, undefined],
    [name.toUpperCase(), undefined],
  ]),
);

test('HF_HUB_OFFLINE keeps weights of the npm registry from being fetched too', async t => {
  const cache = await temporaryFolder(t);
  let requests = 0;
  const server = createServer((_, response) => {
    requests++;
    response.writeHead(404).end('{}');
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  setVariables(t, {
    npm_config_registry: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    npm_config_cache: join(cache, 'npm'),
    HF_HUB_CACHE: join(cache, 'hub'),
    HF_HUB_OFFLINE: '1',
    ...noProxy,
  });
  await assert.rejects(drain(loadWeights(card, cache)), (error: GraftError) => {
    assert.equal(error.code, 'offline');
    assert.match(error.message, /MobileNetV3-Small are not in the cache.*nothing may be fetched/);
    assert.match(error.hint!, /without --offline and HF_HUB_OFFLINE/);
    return true;
  });
  assert.equal(requests, 0);
});

test('a registry that serves something else, or nothing, is told apart', async t => {
  const cache = await temporaryFolder(t);
  const from = card.weights.from as NpmSource;
  let answer: 'other' | 'missing' | 'broken' = 'other';
  const server = createServer((request, response) => {
    if (answer === 'missing') return response.writeHead(404).end('{}');
    if (answer === 'broken') return request.socket.destroy();
    if (request.url?.endsWith('.tgz')) return response.end('this is no tarball');
    const tarball = `http://127.0.0.1:${(server.address() as AddressInfo).port}/weights.tgz`;
    const version = { name: from.package, version: from.version, dist: { tarball, integrity: from.integrity } };
    response.end(JSON.stringify({ name: from.package, versions: { [from.version]: version }, 'dist-tags': {} }));
  });
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  setVariables(t, {
    npm_config_registry: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    npm_config_cache: join(cache, 'npm'),
    ...noProxy,
    HF_HUB_OFFLINE: undefined,
  });
  await assert.rejects(drain(loadWeights(card, cache)), refusal('bad-weights', /arrived damaged/));
  answer = 'missing';
  await assert.rejects(drain(loadWeights(card, cache)), refusal('offline', /could not be fetched.*E404/));
  answer = 'broken';
  await assert.rejects(drain(loadWeights(card, cache)), refusal('offline', /could not be fetched/));
  assert.deepEqual(readdirSync(join(cache, 'weights')), [], 'nothing half-fetched is left');
});
