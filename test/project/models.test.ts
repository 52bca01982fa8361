// The list of backbones: complete, without a network, and true about what is on this computer.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { GraftError } from '../../src/base/errors.ts';
import { finish, type VerbEvent } from '../../src/base/events.ts';
import { cacheFolder } from '../../src/project/cache-folder.ts';
import { type ModelsResult, models } from '../../src/project/models.ts';
import { writeSafetensors } from '../../src/tensor/safetensors.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import { cards, findCard } from '../../src/zoo/cards.ts';
import { loadWeights } from '../../src/zoo/load-weights.ts';
import { type HubServer, setVariables, startHub } from '../support/hub-server.ts';
import { drain, temporaryFolder } from '../support/reference.ts';

/** A Hub, and caches with nothing in them. */
async function setUp(t: TestContext): Promise<HubServer> {
  const hub = await startHub(t);
  const folder = await temporaryFolder(t);
  setVariables(t, {
    GRAFT_CACHE: join(folder, 'graft'),
    HF_HUB_CACHE: join(folder, 'hub'),
    HF_ENDPOINT: hub.url,
    HF_TOKEN: undefined,
    HF_TOKEN_PATH: join(folder, 'token'),
    HF_HUB_OFFLINE: undefined,
  });
  return hub;
}

test('all cards are listed, and those whose weights were fetched are marked', async t => {
  const hub = await setUp(t);
  const { models: all } = await finish(models());
  assert.deepEqual(
    all.map(({ name }) => name),
    cards.map(({ name }) => name),
  );
  assert.ok(all.every(({ cached }) => cached === null));
  assert.deepEqual((await finish(models({ offline: true }))).models, []);

  hub.push('timm/resnet18.a1_in1k', { 'model.safetensors': writeSafetensors(new Map([['a', float32([2], [1, 2])]])) });
  const { file } = await drain(loadWeights(findCard('resnet18'), cacheFolder()));
  const before = hub.requests.length;
  // Settings that only a request would need do not stand in the way of a list.
  setVariables(t, { HF_TOKEN: 'nonsense', HF_ENDPOINT: 'nonsense' });
  const { models: cached } = await finish(models({ offline: true }));
  assert.deepEqual(cached, [
    {
      ...all.find(({ name }) => name === 'resnet18')!,
      weights_bytes: 72,
      cached: file,
    },
  ]);
  assert.equal(hub.requests.length, before);
});

test('what is named is fetched first, with progress, each once', async t => {
  const hub = await setUp(t);
  const weights = writeSafetensors(new Map([['a', float32([2], [1, 2])]]));
  hub.push('timm/resnet18.a1_in1k', { 'model.safetensors': weights });
  hub.push('me/leaves', { 'config.json': '{"architecture": "resnet18"}', 'model.safetensors': weights });
  const fetch = ['resnet18', 'hf:me/leaves', 'resnet18'];
  const events: VerbEvent<ModelsResult>[] = [];
  const { models: listed } = await finish(models({ fetch }), event => events.push(event));
  assert.deepEqual(
    listed.filter(({ cached }) => cached !== null).map(({ name }) => name),
    ['resnet18'],
  );
  assert.equal(listed.length, cards.length);
  assert.equal(events.filter(event => event.type === 'progress' && event.done === event.total).length, 2);
  assert.deepEqual(
    events.flatMap(event => (event.type === 'note' ? [event.message] : [])),
    ['resnet18 is cached.', 'hf:me/leaves is cached.'],
  );
  const before = hub.requests.filter(({ part }) => part === 'cdn').length;
  assert.equal(before, 2);
  await finish(models({ fetch }));
  assert.equal(hub.requests.filter(({ part }) => part === 'cdn').length, before);
});

test('names that there are not are refused before anything is fetched, with near ones', async t => {
  const hub = await setUp(t);
  for (const [name, message, hint] of [
    ['resnet81', /no backbone called "resnet81"/, /Near names: resnet18/],
    ['', /no backbone called ""/, /graft models lists all/],
    ['timm/some', /no backbone called "timm\/some"/, /On the Hub there may be hf:timm\/some\./],
    ['hf:resnet18', /"resnet18" is not the name of a model/, /owner\/name/],
  ] as const) {
    await assert.rejects(finish(models({ fetch: ['resnet18', name] })), (error: GraftError) => {
      assert.equal(error.code, 'usage');
      assert.match(error.message, message);
      assert.match(error.hint!, hint);
      return true;
    });
  }
  await assert.rejects(
    finish(models({ fetch: ['resnet18'], offline: true })),
    (error: GraftError) => error.code === 'usage' && /offline, which fetches nothing/.test(error.message),
  );
  assert.equal(hub.requests.length, 0);
});

test('figures and licences of every backbone are there', async () => {
  for (const { name, weights_bytes, parameters, multiply_adds, imagenet_top1, licence, origin } of (
    await finish(models())
  ).models) {
    // float16 or float32, with means and variances, which are not counted as parameters.
    assert.ok(weights_bytes > 1.2 * parameters && weights_bytes < 4.2 * parameters, `${name}: ${weights_bytes}`);
    assert.ok(multiply_adds > 1e7 && imagenet_top1.percent > 50 && imagenet_top1.percent < 100, name);
    assert.ok(licence.length > 2 && origin.endsWith('.'), name);
  }
});
