// graft models on the command line: a table that fits, JSON, and no network.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cards } from '../../src/zoo/cards.ts';
import { graft } from '../support/graft.ts';

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
  assert.match(stdout, /^mobilenet_v3_small +3\.1 MB +2\.5 M +57 M +67\.7 @224 +Apache-2\.0 +npm +yes$/m);
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
  assert.deepEqual([status, stdout], [0, 'No backbone is on this computer yet: the first graft train fetches one.\n']);
});
