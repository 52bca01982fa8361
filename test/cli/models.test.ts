// graft models on the command line: a table that fits, JSON, and no network.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { writeSafetensors } from '../../src/tensor/safetensors.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import { cards } from '../../src/zoo/cards.ts';
import { graft } from '../support/graft.ts';
import { startHub } from '../support/hub-server.ts';
import { temporaryFolder } from '../support/reference.ts';

const unreachable = { HF_ENDPOINT: 'http://127.0.0.1:2', npm_config_registry: 'http://127.0.0.1:2' };

test('the table fits 100 columns and has every backbone', async () => {
  const { status, stdout, stderr } = await graft(['models'], { env: unreachable });
  assert.deepEqual([status, stderr], [0, '']);
  const lines = stdout.split('\n');
  assert.ok(
    lines.every(line => line.length <= 100),
    stdout,
  );
  assert.match(lines[0]!, /^model +weights +parameters +mult-adds +ImageNet top-1 +licence +source +cached$/);
  assert.deepEqual(
    lines.slice(1, cards.length + 1).map(line => line.split(' ')[0]),
    cards.map(({ name }) => name),
  );
  assert.match(stdout, /^mobilenet_v3_small +3\.1 MB +2\.5 M +57 M +67\.7\* @224 +Apache-2\.0 +npm +yes$/m);
  // Its published accuracy is of the weights that it was tuned from; all others have their own.
  assert.match(stdout, /^\* mobilenet_v3_small: of torchvision's IMAGENET1K_V1, before they were tuned\.$/m);
  assert.equal(stdout.split('*').length - 1, 2);
});

test('--json and --offline', async () => {
  const { status, stdout } = await graft(['models', '--json', '--offline'], { env: unreachable });
  assert.equal(status, 0);
  const { models } = JSON.parse(stdout) as { models: { name: string; cached: string | null }[] };
  assert.ok(models.some(({ name }) => name === 'mobilenet_v3_small'));
  assert.ok(models.every(({ cached }) => cached !== null));
});

test('an empty cache is a sentence, not an empty table', async () => {
  const env = { ...unreachable, GRAFT_CACHE: '/nowhere', HF_HUB_CACHE: '/nowhere' };
  const { status, stdout } = await graft(['models', '--offline'], { env });
  assert.deepEqual(
    [status, stdout],
    [0, 'No backbone is on this computer yet: the first graft train fetches one, and graft models --fetch any.\n'],
  );
});

test('--fetch fetches, and prints the table; other names are a sentence with near ones', async t => {
  const hub = await startHub(t);
  const weights = writeSafetensors(new Map([['a', float32([50_000], new Float32Array(50_000))]]));
  hub.push('timm/resnet18.a1_in1k', { 'model.safetensors': weights });
  const folder = await temporaryFolder(t);
  const env = { ...unreachable, GRAFT_CACHE: folder, HF_ENDPOINT: hub.url, HF_HOME: folder, HF_TOKEN: '' };
  const unknown = await graft(['models', '--fetch', 'resnet18,resnet81'], { env });
  assert.deepEqual([unknown.status, unknown.stdout], [2, '']);
  assert.match(unknown.stderr, /no backbone called "resnet81"\.\nNear names: resnet18/);
  assert.equal(hub.requests.length, 0);

  const { status, stdout, stderr } = await graft(['models', '--fetch', 'resnet18'], { env });
  assert.equal(status, 0, stderr);
  assert.equal(stderr, 'weights: 0.2/0.2 MB\nresnet18 is cached.\n');
  assert.match(stdout, /^resnet18 .* yes$/m);
  assert.match(stdout, /^resnet50 .* no$/m);
  const again = await graft(['models', '--fetch', 'resnet18', '--json'], { env: { ...env, HF_HUB_OFFLINE: '1' } });
  assert.equal(again.status, 0, again.stderr);
  assert.ok(JSON.parse(again.stdout).models.some(({ cached }: { cached: string | null }) => cached !== null));
});

test('the help has an example of --fetch', async () => {
  assert.match((await graft(['models', '--help'])).stdout, /^ {2}graft models --fetch mobilenet_v3_large,resnet18$/m);
});
