// Weights that are damaged, of another shape or not to be had are refused with a sentence; nothing half-fetched stays.
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import type { GraftError } from '../../src/base/errors.ts';
import { cacheFolder } from '../../src/project/cache-folder.ts';
import { findCard } from '../../src/zoo/cards.ts';
import { buildFeatureGraph } from '../../src/zoo/graphs.ts';
import { loadWeights, weightsFile } from '../../src/zoo/load-weights.ts';
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
  const file = weightsFile(card, cache);
  mkdirSync(dirname(file), { recursive: true });
  const bytes = readFileSync(await realWeights());
  bytes[bytes.length - 100]! ^= 1;
  writeFileSync(file, bytes);
  await assert.rejects(drain(loadWeights(card, cache)), refusal('bad-weights', /has the sha256 .*wants faaa680c/));
});

test('a local file that is cut short, quantised nonsense or of another network is refused', async t => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'local.gguf');
  copyFileSync(await realWeights(), file);
  truncateSync(file, 2_000_000);
  await assert.rejects(
    drain(loadWeights(card, folder, file)),
    refusal('bad-weights', /ends behind the end of the file/),
  );
  writeFileSync(file, 'GGUF and then some text that is no header at all');
  await assert.rejects(drain(loadWeights(card, folder, file)), refusal('bad-weights', /not a usable GGUF file/));
  const { parameters } = await drain(loadWeights(card, cacheFolder()));
  const fewer = new Map(parameters);
  fewer.delete('features.3.block.0.0.weight');
  assert.throws(
    () => buildFeatureGraph(card, fewer),
    refusal('bad-weights', /no parameter features\.3\.block\.0\.0\.weight/),
  );
  const other = new Map(parameters).set('features.0.0.weight', parameters.get('features.1.block.0.0.weight')!);
  assert.throws(
    () => buildFeatureGraph(card, other),
    refusal('bad-weights', /shape \[16, 1, 3, 3\].*wants \[16, 3, 3, 3\]/),
  );
});

test('a registry that serves something else, or nothing, is told apart', async t => {
  const cache = await temporaryFolder(t);
  const { from } = card.weights;
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
  const registry = process.env.npm_config_registry;
  const npmCache = process.env.npm_config_cache;
  process.env.npm_config_registry = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  process.env.npm_config_cache = join(cache, 'npm');
  t.after(() => {
    restore('npm_config_registry', registry);
    restore('npm_config_cache', npmCache);
  });
  await assert.rejects(drain(loadWeights(card, cache)), refusal('bad-weights', /arrived damaged/));
  answer = 'missing';
  await assert.rejects(drain(loadWeights(card, cache)), refusal('offline', /could not be fetched.*E404/));
  answer = 'broken';
  await assert.rejects(drain(loadWeights(card, cache)), refusal('offline', /could not be fetched/));
  assert.deepEqual(readdirSync(join(cache, 'weights')), [], 'nothing half-fetched is left');
});

function restore(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}
