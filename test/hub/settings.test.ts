// What the user set up for the Hub: the variables that all of its tools read, and the token that `hf auth login` stored.
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { inspect } from 'node:util';
import type { GraftError } from '../../src/base/errors.ts';
import { fetchHubFile } from '../../src/hub/fetch-file.ts';
import { parseRepo } from '../../src/hub/repo.ts';
import { type HubSettings, readHubSettings } from '../../src/hub/settings.ts';
import { HUB_TOKEN, setVariables, startHub } from '../support/hub-server.ts';
import { drain, temporaryFolder } from '../support/reference.ts';

const names = [
  'HF_ENDPOINT',
  'HF_TOKEN',
  'HF_TOKEN_PATH',
  'HF_HOME',
  'HF_HUB_CACHE',
  'HF_HUB_OFFLINE',
  'HF_HUB_DISABLE_IMPLICIT_TOKEN',
  'HUGGINGFACE_HUB_CACHE',
  'XDG_CACHE_HOME',
];

/** Reads the settings of an environment with just these variables, in a home with nothing in it. */
async function setUp(t: TestContext) {
  const home = await temporaryFolder(t);
  setVariables(t, { ...Object.fromEntries(names.map(name => [name, undefined])), HOME: home, USERPROFILE: home });
  const read = (env: Readonly<Record<string, string>>, offline?: boolean): Promise<HubSettings> => {
    for (const name of names) delete process.env[name];
    Object.assign(process.env, env);
    return readHubSettings(offline);
  };
  const store = (file: string, text: string) => {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    return file;
  };
  return { home, read, store };
}

test('endpoint, cache and offline come from the variables that all tools of the Hub read', async t => {
  const { read } = await setUp(t);
  assert.equal((await read({})).endpoint, 'https://huggingface.co');
  assert.match((await read({})).cacheFolder, /\.cache\/huggingface\/hub$/);
  assert.equal((await read({ HF_HOME: '/h', XDG_CACHE_HOME: '/x' })).cacheFolder, '/h/hub');
  assert.equal((await read({ HF_HUB_CACHE: '/c', HF_HOME: '/h' })).cacheFolder, '/c');
  assert.equal((await read({ HF_ENDPOINT: 'https://hub.example/mirror/' })).endpoint, 'https://hub.example/mirror');
  for (const [text, offline] of [
    ['1', true],
    ['TRUE', true],
    ['0', false],
    ['', false],
  ] as const) {
    assert.equal((await read({ HF_HUB_OFFLINE: text })).offline, offline);
  }
  assert.equal((await read({}, true)).offline, true);
  // Without a network nobody is asked, and nobody is told who asks.
  const unusable = { HF_ENDPOINT: 'hub.example', HF_TOKEN: 'no token' };
  for (const { endpoint, token } of [await read(unusable, true), await read({ ...unusable, HF_HUB_OFFLINE: '1' })]) {
    assert.deepEqual([endpoint, token], ['https://huggingface.co', undefined]);
  }
  for (const HF_ENDPOINT of ['hub.example', 'ftp://hub.example', 'https://me:secret@hub.example']) {
    await assert.rejects(
      read({ HF_ENDPOINT }),
      (error: GraftError) => error.code === 'usage' && !error.message.includes('secret'),
    );
  }
});

test('the token is HF_TOKEN, else what is stored in HF_TOKEN_PATH, in HF_HOME, in the cache of the home', async t => {
  const { home, read, store } = await setUp(t);
  assert.equal(homedir(), home);
  const tokenOf = async (env: Record<string, string>) => (await read(env)).token;
  assert.equal(await tokenOf({}), undefined);
  store(join(home, '.cache/huggingface/token'), 'hf_home');
  assert.equal(await tokenOf({}), 'hf_home');
  const XDG_CACHE_HOME = join(home, 'xdg');
  assert.equal(await tokenOf({ XDG_CACHE_HOME }), undefined);
  store(join(home, 'xdg/huggingface/token'), 'hf_xdg');
  assert.equal(await tokenOf({ XDG_CACHE_HOME }), 'hf_xdg');
  const HF_HOME = join(home, 'hf');
  assert.equal(await tokenOf({ XDG_CACHE_HOME, HF_HOME }), undefined);
  store(join(home, 'hf/token'), '  hf_stored\r\n');
  assert.equal(await tokenOf({ XDG_CACHE_HOME, HF_HOME }), 'hf_stored');
  assert.equal(await tokenOf({ HF_HOME: '~/hf' }), 'hf_stored');
  const HF_TOKEN_PATH = store(join(home, 'other'), 'hf_other\n');
  assert.equal(await tokenOf({ HF_HOME, HF_TOKEN_PATH }), 'hf_other');
  assert.equal(await tokenOf({ HF_HOME, HF_TOKEN_PATH: join(home, 'nothing') }), undefined);
  assert.equal(await tokenOf({ HF_HOME, HF_TOKEN_PATH, HF_TOKEN: 'hf_set\n' }), 'hf_set');
  assert.equal(await tokenOf({ HF_HOME, HF_TOKEN: ' ' }), 'hf_stored');
  for (const HF_HUB_DISABLE_IMPLICIT_TOKEN of ['1', 'yes']) {
    assert.equal(await tokenOf({ HF_HOME, HF_HUB_DISABLE_IMPLICIT_TOKEN }), undefined);
    assert.equal(await tokenOf({ HF_TOKEN: 'hf_set', HF_HUB_DISABLE_IMPLICIT_TOKEN }), undefined);
  }
  assert.equal(await tokenOf({ HF_HOME, HF_HUB_DISABLE_IMPLICIT_TOKEN: '0' }), 'hf_stored');
});

test('what is no token is refused with where it is, and never repeated', async t => {
  const { home, read, store } = await setUp(t);
  const HF_TOKEN_PATH = store(join(home, 'token'), 'hunter2 hf_secret');
  for (const [env, message] of [
    [{ HF_TOKEN: 'hunter2' }, /^HF_TOKEN is no token of the Hub/],
    [{ HF_TOKEN_PATH }, /token holds no token of the Hub/],
    [{ HF_TOKEN_PATH: home }, /is a folder, and a file was wanted/],
  ] as const) {
    await assert.rejects(read(env), (error: GraftError) => {
      assert.match(error.message, message);
      assert.equal(error.code, 'HF_TOKEN_PATH' in env && env.HF_TOKEN_PATH === home ? 'no-access' : 'usage');
      assert.doesNotMatch(inspect(error), /hunter2|hf_secret/);
      return true;
    });
  }
});

test('a stored token opens a private repository, and goes to the Hub alone', async t => {
  const { home, read, store } = await setUp(t);
  const hub = await startHub(t);
  hub.push('me/mine', { 'model.safetensors': 'weights' }, 'private');
  const env = { HF_ENDPOINT: hub.url, HF_HOME: home, NO_PROXY: '*' };
  const wanted = { ...parseRepo('model', 'me/mine'), path: 'model.safetensors', maxBytes: 100 };
  const fetch = async () => drain(fetchHubFile(await read(env), wanted, 'file'));
  await assert.rejects(fetch(), (error: GraftError) => /hf auth login/.test(error.hint!));
  store(join(home, 'token'), HUB_TOKEN);
  assert.equal((await fetch()).sha256?.length, 64);
  const before = hub.requests.findIndex(({ authorization }) => authorization !== undefined);
  for (const { part, authorization } of hub.requests.slice(before)) {
    assert.equal(authorization, part === 'cdn' ? undefined : `Bearer ${HUB_TOKEN}`);
  }
});
