// The list of backbones: complete, without a network, and true about what is on this computer.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { finish } from '../../src/base/events.ts';
import { cacheFolder } from '../../src/project/cache-folder.ts';
import { models } from '../../src/project/models.ts';
import { writeSafetensors } from '../../src/tensor/safetensors.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import { cards, findCard } from '../../src/zoo/cards.ts';
import { loadWeights } from '../../src/zoo/load-weights.ts';
import { setVariables, startHub } from '../support/hub-server.ts';
import { drain, temporaryFolder } from '../support/reference.ts';

test('all cards are listed, and those whose weights were fetched are marked', async t => {
  const hub = await startHub(t);
  const folder = await temporaryFolder(t);
  const own = { GRAFT_CACHE: join(folder, 'graft'), HF_HUB_CACHE: join(folder, 'hub') };
  setVariables(t, { ...own, HF_ENDPOINT: hub.url, HF_TOKEN: undefined, HF_HUB_OFFLINE: undefined });
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
