// Files from the Hub through a proxy: what goes through it, what does not, and what is said when it does not let through.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inspect } from 'node:util';
import type { GraftError } from '../../src/base/errors.ts';
import { fetchHubFile } from '../../src/hub/fetch-file.ts';
import { readProxies } from '../../src/hub/proxies.ts';
import { parseRepo } from '../../src/hub/repo.ts';
import type { HubSettings } from '../../src/hub/settings.ts';
import { HUB_TOKEN, type HubServer, setVariables, startHub } from '../support/hub-server.ts';
import { CERTIFICATE, startProxy } from '../support/proxy-server.ts';
import { drain, temporaryFolder } from '../support/reference.ts';

const REPO = 'timm/some_net';
const WEIGHTS = 'model.safetensors';
const LOGIN = 'pupil:s3cret@school';
const bytes = Uint8Array.from({ length: 400_000 }, (_, i) => (i * i) >> 7);
const none = { http: '', https: '', none: '' };

async function setUp(t: TestContext) {
  const hub = await startHub(t);
  hub.push(REPO, { [WEIGHTS]: bytes, 'config.json': '{}' });
  const settings: HubSettings = {
    endpoint: hub.url,
    token: undefined,
    proxies: none,
    cacheFolder: join(await temporaryFolder(t), 'hub'),
    offline: false,
    patience: 2000,
    firstWait: 1,
  };
  const fetch = (more: Partial<HubSettings>) =>
    drain(
      fetchHubFile({ ...settings, ...more }, { ...parseRepo('model', REPO), path: WEIGHTS, maxBytes: 2 ** 30 }, 'file'),
    );
  return { hub, settings, fetch };
}

const portOf = ({ url }: HubServer) => Number(new URL(url).port);
const withLogin = (port: number) => `http://${LOGIN.replace(/@/, '%40')}@127.0.0.1:${port}`;

function refusal(message: RegExp, hint: RegExp) {
  return (error: GraftError) => {
    assert.equal(error.code, 'offline', error.stack);
    assert.match(error.message, message);
    assert.match(error.hint!, hint);
    assert.doesNotMatch(inspect(error, { depth: 9 }), /s3cret|c2NyZXQ|pupil:/);
    return true;
  };
}

test('a Hub that only the proxy reaches is reached through it; storage gets no token, a cut connection goes on', async t => {
  const { hub, fetch } = await setUp(t);
  const proxy = await startProxy(t, { login: LOGIN, ports: { 'hub.example:80': portOf(hub) } });
  hub.faults.push({ on: 'cdn', times: 1, cutAfter: 200_000, pause: 5 });
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => warnings.push(warning);
  process.on('warning', onWarning);
  const proxies = { ...none, http: withLogin(proxy.port) };
  const { file } = await fetch({ endpoint: 'http://hub.example', token: HUB_TOKEN, proxies });
  process.off('warning', onWarning);
  assert.deepEqual(new Uint8Array(readFileSync(file)), bytes);
  const storage = proxy.tunnels.filter(target => target !== 'hub.example:80');
  assert.ok(proxy.tunnels.includes('hub.example:80') && storage.length >= 1, `${proxy.tunnels}`);
  assert.match(storage[0]!, /^localhost:\d+$/);
  assert.deepEqual(proxy.others, []);
  const ofStorage = hub.requests.filter(({ part }) => part === 'cdn');
  assert.match(ofStorage.at(-1)!.range ?? '', /^bytes=\d{5,}-$/);
  for (const { part, authorization } of hub.requests) {
    assert.equal(authorization, part === 'cdn' ? undefined : `Bearer ${HUB_TOKEN}`);
  }
  assert.deepEqual(warnings, [], 'nothing is said on the console');
});

test('hosts in NO_PROXY are reached without the proxy; * is every host', async t => {
  for (const [except, through] of [
    ['127.0.0.1', /^localhost:\d+$/],
    ['.example, localhost', /^127\.0\.0\.1:\d+$/],
    ['*', undefined],
  ] as const) {
    const { fetch } = await setUp(t);
    const proxy = await startProxy(t);
    // Without http:// before it, as it is often written.
    await fetch({ proxies: { http: `127.0.0.1:${proxy.port}`, https: '', none: except } });
    assert.ok(
      proxy.tunnels.every(target => through?.test(target)),
      `${except}: ${proxy.tunnels}`,
    );
    assert.equal(proxy.tunnels.length > 0, through !== undefined, except);
  }
});

test('an https Hub is reached through HTTPS_PROXY, and its certificate is checked', async t => {
  const { hub, settings, fetch } = await setUp(t);
  const proxy = await startProxy(t, { ports: { 'hub.example:443': portOf(hub) } });
  const endpoint = 'https://hub.example';
  const https = `http://127.0.0.1:${proxy.port}/`;
  await assert.rejects(
    fetch({ endpoint, proxies: { ...none, https } }),
    refusal(/shows a certificate that nobody known has signed \(DEPTH_ZERO_SELF_SIGNED_CERT\)/, /NODE_EXTRA_CA_CERTS/),
  );
  assert.deepEqual(proxy.tunnels, ['hub.example:443'], 'it is not asked again');
  assert.equal(hub.requests.length, 0);

  // The file of certificates is read when a process starts.
  const script = fileURLToPath(new URL('../support/fetch-hub-file.ts', import.meta.url));
  const child = spawn(process.execPath, ['--import', 'tsx', script, REPO, WEIGHTS], {
    env: {
      PATH: process.env.PATH,
      HF_ENDPOINT: endpoint,
      HF_HUB_CACHE: settings.cacheFolder,
      HF_HUB_DISABLE_IMPLICIT_TOKEN: '1',
      https_proxy: https,
      NODE_EXTRA_CA_CERTS: fileURLToPath(CERTIFICATE),
    },
    stdio: ['ignore', 'inherit', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', chunk => {
    said += chunk;
  });
  const [code] = await once(child, 'close');
  assert.deepEqual([code, said], [0, '']);
  assert.ok(
    proxy.tunnels.length > 1 && proxy.tunnels.every(target => target === 'hub.example:443'),
    `${proxy.tunnels}`,
  );
  const blobs = join(settings.cacheFolder, 'models--timm--some_net', 'blobs');
  assert.deepEqual(new Uint8Array(readFileSync(join(blobs, readdirSync(blobs)[0]!))), bytes);
});

test('a proxy that does not let through is named, without its password', async t => {
  const { hub, fetch } = await setUp(t);
  const at = (port: number) => new RegExp(`^The proxy http://127\\.0\\.0\\.1:${port} `);
  for (const protocol of ['http', 'https'] as const) {
    const endpoint = `${protocol}://hub.example`;
    const use = (http: string) => fetch({ endpoint, proxies: { ...none, [protocol]: http } });
    const strict = await startProxy(t, { login: LOGIN });
    await assert.rejects(
      use(`http://127.0.0.1:${strict.port}`),
      refusal(/wants a user and a password \(407\)\.$/, /http:\/\/user:password@host:port/),
    );
    await assert.rejects(use(`http://pupil:s3cret@127.0.0.1:${strict.port}`), (error: GraftError) => {
      assert.match(error.message, at(strict.port));
      return refusal(/and others than these \(407\)\.$/, /special characters/)(error);
    });
    const closed = await startProxy(t, { refuse: 403, login: LOGIN });
    await assert.rejects(use(withLogin(closed.port)), (error: GraftError) => {
      assert.match(error.message, at(closed.port));
      return refusal(/does not let graft through to the Hub \(403\)\.$/, /huggingface\.co and hf\.co/)(error);
    });
    const gone = createServer().listen(0, '127.0.0.1');
    await once(gone, 'listening');
    const { port } = gone.address() as AddressInfo;
    gone.close();
    await assert.rejects(use(withLogin(port)), (error: GraftError) => {
      assert.match(error.message, at(port));
      return refusal(/cannot be reached \(ECONNREFUSED\)\.$/, /Check HTTPS_PROXY.*NO_PROXY/)(error);
    });
  }
  assert.equal(hub.requests.length, 0);
});

test('what is no address of a proxy is refused before anything is asked, without repeating it', async t => {
  const { hub, fetch } = await setUp(t);
  for (const https of [
    'socks5://pupil:s3cret@127.0.0.1:1',
    'http://',
    'pupil:s3cret@',
    'http://pupil:s3cret%@127.0.0.1:1',
  ]) {
    await assert.rejects(fetch({ proxies: { ...none, https } }), (error: GraftError) => {
      assert.deepEqual(
        [error.code, error.message],
        ['usage', 'HTTPS_PROXY is not the address of a proxy that graft can use.'],
      );
      assert.doesNotMatch(inspect(error), /s3cret/);
      return true;
    });
  }
  assert.equal(hub.requests.length, 0);
});

test('the variables count in small letters and in large ones, and the small ones first', t => {
  const names = ['http_proxy', 'HTTP_PROXY', 'https_proxy', 'HTTPS_PROXY', 'no_proxy', 'NO_PROXY'];
  setVariables(t, Object.fromEntries(names.map(name => [name, undefined])));
  assert.deepEqual(readProxies(), none);
  Object.assign(process.env, { HTTP_PROXY: 'a:1', HTTPS_PROXY: ' b:2\n', NO_PROXY: 'c' });
  assert.deepEqual(readProxies(), { http: 'a:1', https: 'b:2', none: 'c' });
  Object.assign(process.env, { http_proxy: 'd:4', https_proxy: '', no_proxy: 'e, f' });
  assert.deepEqual(readProxies(), { http: 'd:4', https: '', none: 'e, f' });
});
