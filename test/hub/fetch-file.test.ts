// Files from the Hub: where they are kept, what goes wrong on the way, and that no byte is fetched twice.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { GraftError } from '../../src/base/errors.ts';
import { makeRng } from '../../src/base/rng.ts';
import { fetchHubFile } from '../../src/hub/fetch-file.ts';
import { parseRepo } from '../../src/hub/repo.ts';
import type { HubSettings } from '../../src/hub/settings.ts';
import { HUB_TOKEN, type HubAccess, type HubServer, OTHER_TOKEN, startHub } from '../support/hub-server.ts';
import { drain, readReference, temporaryFolder } from '../support/reference.ts';

const REPO = 'timm/some_net.a1_in1k';
const WEIGHTS = 'model.safetensors';

/** Bytes of which no part is like another. */
const rng = makeRng(1, 'hub');
const bytes = Uint8Array.from({ length: 1_000_000 }, () => rng.int(256));

interface Set {
  readonly hub: HubServer;
  readonly settings: HubSettings;
  readonly commit: string;
  readonly fetch: (path?: string, revision?: string, more?: Partial<HubSettings>) => ReturnType<typeof fetchFile>;
  /** Ranges that storage was asked for. */
  readonly ranges: () => (string | undefined)[];
}

function fetchFile(settings: HubSettings, path: string, revision: string, maxBytes = 2 ** 30) {
  return drain(fetchHubFile(settings, { ...parseRepo('model', `${REPO}@${revision}`), path, maxBytes }, 'file'));
}

async function setUp(t: TestContext, access: HubAccess = 'open'): Promise<Set> {
  const hub = await startHub(t);
  const commit = hub.push(REPO, { [WEIGHTS]: bytes, 'config.json': '{"a": 1}' }, access);
  const settings = {
    endpoint: hub.url,
    token: undefined,
    proxies: { http: '', https: '', none: '' },
    cacheFolder: join(await temporaryFolder(t), 'hub'),
    offline: false,
    patience: 400,
    firstWait: 1,
  };
  return {
    hub,
    settings,
    commit,
    fetch: (path = WEIGHTS, revision = 'main', more = {}) => fetchFile({ ...settings, ...more }, path, revision),
    ranges: () => hub.requests.filter(({ part }) => part === 'cdn').map(({ range }) => range),
  };
}

function refusal(code: string, message: RegExp, hint: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof GraftError, String((error as Error).stack));
    assert.deepEqual(
      [error.code, message.test(error.message), hint.test(error.hint ?? '')],
      [code, true, true],
      `${error.code}: ${error.message} | ${error.hint}`,
    );
    return true;
  };
}

const blobs = ({ cacheFolder }: HubSettings) =>
  readdirSync(join(cacheFolder, 'models--timm--some_net.a1_in1k', 'blobs'));

test('the cache is the one that Python leaves: the same blobs, links and references', async t => {
  const reference = readReference<{
    repo: string;
    commit: string;
    files: Record<string, string>;
    entries: Record<string, { link?: string; text?: string; sha256?: string }>;
  }>('hub-cache.json');
  const { hub, settings } = await setUp(t);
  const files = Object.entries(reference.files).map(([path, hex]) => [path, Buffer.from(hex, 'hex')] as const);
  const commit = hub.push(reference.repo, Object.fromEntries(files));
  for (const [path, content] of files) {
    const found = await fetchFile(settings, path, 'main');
    assert.deepEqual(readFileSync(found.file), content);
    assert.equal(found.commit, commit);
  }
  const root = dirname(settings.cacheFolder);
  const entries: typeof reference.entries = {};
  for (const entry of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    const path = join(root, entry);
    const name = entry.replaceAll(commit, reference.commit);
    if (lstatSync(path).isSymbolicLink()) entries[name] = { link: readlinkSync(path) };
    else if (lstatSync(path).isDirectory()) continue;
    else if (entry.includes('/refs/'))
      entries[name] = { text: readFileSync(path, 'utf8').replace(commit, reference.commit) };
    else entries[name] = { sha256: createHash('sha256').update(readFileSync(path)).digest('hex') };
  }
  assert.deepEqual(entries, reference.entries);
});

test('what Python fetched is found, offline and without a request', async t => {
  const reference = readReference<{
    commit: string;
    files: Record<string, string>;
    entries: Record<string, { link?: string; text?: string; sha256?: string }>;
  }>('hub-cache.json');
  const { hub, settings } = await setUp(t);
  const contents = Object.values(reference.files).map(hex => Buffer.from(hex, 'hex'));
  const root = dirname(settings.cacheFolder);
  for (const [name, { link, text, sha256 }] of Object.entries(reference.entries)) {
    mkdirSync(dirname(join(root, name)), { recursive: true });
    if (link) symlinkSync(link, join(root, name));
    else
      writeFileSync(
        join(root, name),
        text ?? contents.find(one => createHash('sha256').update(one).digest('hex') === sha256)!,
      );
  }
  for (const offline of [true, false]) {
    const found = await fetchFile({ ...settings, offline }, 'onnx/model.onnx', 'main');
    assert.deepEqual(readFileSync(found.file), Buffer.from(reference.files['onnx/model.onnx']!, 'hex'));
    assert.deepEqual([found.commit, found.sha256?.slice(0, 8)], [reference.commit, 'c8f5d034']);
  }
  assert.equal(hub.requests.length, 0);
});

test('a file is fetched once; its commit is pinned, and a new one takes only what has changed', async t => {
  const { hub, settings, commit, fetch } = await setUp(t);
  const first = await fetch();
  assert.deepEqual(new Uint8Array(readFileSync(first.file)), bytes);
  assert.deepEqual([first.commit, first.sha256], [commit, createHash('sha256').update(bytes).digest('hex')]);
  const before = hub.requests.length;
  assert.deepEqual(await fetch(), first);
  assert.equal(hub.requests.length, before);

  const next = hub.push(REPO, { [WEIGHTS]: bytes, 'config.json': '{"a": 2}' });
  assert.equal(readFileSync((await fetch('config.json', next)).file, 'utf8'), '{"a": 2}');
  assert.equal(readFileSync((await fetch('config.json', commit)).file, 'utf8'), '{"a": 1}');
  assert.notEqual((await fetch(WEIGHTS, next)).file, first.file);
  assert.equal(hub.requests.filter(({ part }) => part === 'cdn').length, 1, 'the same blob');
  assert.deepEqual(blobs(settings).length, 3);
});

test('a connection that is cut goes on where it was; so does one that falls silent, or ends too early', async t => {
  for (const fault of [{ cutAfter: 300_000 }, { shortBy: 300_000 }]) {
    const { hub, settings, fetch, ranges } = await setUp(t);
    hub.faults.push({ on: 'cdn', times: 3, ...fault });
    const { file } = await fetch();
    assert.deepEqual(new Uint8Array(readFileSync(file)), bytes);
    assert.ok(ranges().length >= 2);
    const starts = ranges().map(range => Number(/\d+/.exec(range ?? '0')![0]));
    assert.ok(
      starts.every((start, i) => i === 0 || start >= starts[i - 1]!),
      `${starts}`,
    );
    assert.ok(starts.at(-1)! >= 200_000, `${starts}`);
    assert.deepEqual(blobs(settings).length, 1, 'no partial file is left');
  }
  const { hub, fetch, ranges } = await setUp(t);
  hub.faults.push({ on: 'cdn', times: 1, pause: 1000 });
  assert.deepEqual(new Uint8Array(readFileSync((await fetch()).file)), bytes);
  assert.equal(ranges().length, 2);
});

test('a server that knows no ranges sends all of it again', async t => {
  const { hub, fetch, ranges } = await setUp(t);
  hub.faults.push({ on: 'cdn', times: 1, cutAfter: 300_000 }, { on: 'cdn', times: 1, ignoreRange: true });
  assert.deepEqual(new Uint8Array(readFileSync((await fetch()).file)), bytes);
  assert.match(ranges()[1] ?? '', /^bytes=\d+-$/);
});

test('a connection that is cut for ever ends with a sentence, and the next command goes on', async t => {
  const { hub, fetch, ranges } = await setUp(t);
  hub.faults.push({ on: 'cdn', times: 1, cutAfter: 300_000 }, { on: 'cdn', cutAfter: 0 });
  await assert.rejects(
    fetch(),
    refusal('offline', /cut the connection.*asked for timm\/some_net/, /what has arrived is kept/),
  );
  hub.faults.length = 0;
  const before = ranges().length;
  assert.deepEqual(new Uint8Array(readFileSync((await fetch()).file)), bytes);
  assert.match(ranges()[before] ?? '', /^bytes=\d{5,}-$/);
});

test('other bytes than the Hub states are never kept', async t => {
  const { hub, settings, fetch } = await setUp(t);
  hub.faults.push({ on: 'cdn', times: 1, garble: true });
  await assert.rejects(
    fetch(),
    refusal('bad-weights', /arrived damaged: it has the hash \w{64}, and the Hub states/, /Run the same/),
  );
  assert.deepEqual(blobs(settings), []);
  hub.faults.push({ on: 'resolve', times: 1, garble: true });
  await assert.rejects(fetch('config.json'), refusal('bad-weights', /config\.json .* arrived damaged/, /Run the same/));
  assert.deepEqual(blobs(settings), []);
  assert.deepEqual(new Uint8Array(readFileSync((await fetch()).file)), bytes);
});

test('servers that are out of order or asked too often are asked again, not for ever', async t => {
  const { hub, fetch } = await setUp(t);
  const busy = { status: 429, headers: { 'Retry-After': '0' }, body: 'Rate limited' };
  hub.faults.push(
    { on: 'api', times: 2, status: 503 },
    { on: 'resolve', times: 2, ...busy },
    { on: 'cdn', times: 2, status: 500 },
  );
  assert.deepEqual(new Uint8Array(readFileSync((await fetch()).file)), bytes);
  hub.faults.push({ on: 'api', status: 503, body: '<html>Bad gateway</html>' });
  const before = hub.requests.length;
  await assert.rejects(
    fetch('config.json'),
    refusal('offline', /is out of order \(503\); it was asked 5 times/, /again later/),
  );
  assert.equal(hub.requests.length - before, 5);
  hub.faults.splice(0, 9, { on: 'api', ...busy });
  await assert.rejects(
    fetch('config.json'),
    refusal('offline', /too many requests from here \(429\): Rate limited/, /HF_TOKEN/),
  );
});

test('the wait is the one that the Hub asks for', async t => {
  const { hub, fetch } = await setUp(t);
  hub.faults.push({ on: 'api', times: 1, status: 429, headers: { 'Retry-After': '1' } });
  const start = performance.now();
  await fetch('config.json');
  assert.ok(performance.now() - start > 950);
});

test('gated, private and missing repositories, versions and files are told apart in the words of the Hub', async t => {
  const { fetch } = await setUp(t, 'gated');
  await assert.rejects(
    fetch(),
    refusal('no-access', /\(401\): Access to model .* is restricted/, /ask for access.*HF_TOKEN/),
  );
  const other = fetch(WEIGHTS, 'main', { token: OTHER_TOKEN });
  await assert.rejects(
    other,
    refusal('no-access', /\(403\): Access to model .* is restricted/, /A token was sent .*check/),
  );
  assert.ok((await fetch(WEIGHTS, 'main', { token: HUB_TOKEN })).sha256);

  const closed = await setUp(t, 'private');
  await assert.rejects(
    closed.fetch(),
    refusal('no-access', /\(401\): Invalid username or password/, /gated or private.*check its name/),
  );
  const missing = closed.fetch(WEIGHTS, 'main', { token: OTHER_TOKEN });
  await assert.rejects(
    missing,
    refusal('not-found', /has not a model timm\/some_net.*\(404\): Repository not found/, /Check the name/),
  );

  const open = await setUp(t);
  await assert.rejects(
    open.fetch(WEIGHTS, 'v2'),
    refusal('not-found', /has not that version of .*Invalid rev id: v2/, /follows @/),
  );
  await assert.rejects(
    open.fetch('model.onnx'),
    refusal('not-found', /has no file model\.onnx at main/, /on its page/),
  );
  const large = fetchFile(open.settings, WEIGHTS, 'main', 999_999);
  await assert.rejects(large, refusal('bad-weights', /has 1000000 bytes, and up to 999999 are read/, /smaller/));
  assert.equal(open.ranges().length, 0);
});

test('the token goes to the Hub and nowhere else: not to storage, not into messages, not onto the disk', async t => {
  const { hub, settings, fetch } = await setUp(t, 'private');
  const token = HUB_TOKEN;
  await fetch(WEIGHTS, 'main', { token });
  for (const { part, authorization } of hub.requests) {
    assert.equal(authorization, part === 'cdn' ? undefined : `Bearer ${token}`);
  }
  hub.faults.push({ on: 'api', status: 403, body: JSON.stringify({ error: `The token ${token} may not` }) });
  await assert.rejects(fetch('config.json', 'main', { token }), (error: GraftError) => {
    assert.equal(error.message, `The Hub (${hub.url}) does not give ${REPO} (403): The token ... may not.`);
    assert.ok(!JSON.stringify([error.hint, error.stack, error.cause]).includes(token));
    return true;
  });
  for (const entry of readdirSync(settings.cacheFolder, { recursive: true, encoding: 'utf8' })) {
    const path = join(settings.cacheFolder, entry);
    assert.ok(!entry.includes(token) && !(statSync(path).isFile() && readFileSync(path).includes(token)), entry);
  }
});

test('without a network, offline, and behind a login page', async t => {
  const { hub, fetch, settings } = await setUp(t);
  const closed = createServer().listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const { port } = closed.address() as AddressInfo;
  closed.close();
  const nowhere = fetch(WEIGHTS, 'main', { endpoint: `http://127.0.0.1:${port}` });
  await assert.rejects(nowhere, refusal('offline', /cannot be reached \(ECONNREFUSED\)/, /Connect to the internet/));
  const offline = fetch(WEIGHTS, 'main', { offline: true });
  await assert.rejects(
    offline,
    refusal('offline', /is not in the cache .* nothing may be fetched/, /without --offline/),
  );
  assert.equal(hub.requests.length, 0);
  for (const body of ['<html>Please log in</html>', '[]', '{"sha": "../../x", "siblings": []}', 'null']) {
    hub.faults.splice(0, 1, { on: 'api', status: 200, body });
    await assert.rejects(fetch(), refusal('offline', /does not answer as the Hub does/, /HF_ENDPOINT.*login page/));
  }
  assert.throws(() => statSync(settings.cacheFolder), /ENOENT/);
});

test('names that would leave the cache are refused', () => {
  for (const name of [
    'a',
    'a/b/c',
    '../x',
    'a/..',
    'a/b--c',
    'a/b@',
    'a/b@../../x',
    'a/b@x//y',
    'a/b c',
    '/a/b',
    `a/${'b'.repeat(95)}`,
  ]) {
    assert.throws(() => parseRepo('model', name), refusal('usage', /is not the name of a/, /./), name);
  }
  assert.deepEqual(parseRepo('model', 'timm/a.b_c-1@refs/pr/2'), {
    repo: { type: 'model', name: 'timm/a.b_c-1' },
    revision: 'refs/pr/2',
  });
});

test('a process that is killed at any moment leaves what it had, and the next one fetches only the rest', async t => {
  const { hub, settings, ranges } = await setUp(t);
  hub.faults.push({ on: 'cdn', pause: 4 });
  const script = fileURLToPath(new URL('../support/fetch-hub-file.ts', import.meta.url));
  const start = () =>
    spawn(process.execPath, ['--import', 'tsx', script, REPO, WEIGHTS], {
      env: {
        ...process.env,
        HF_ENDPOINT: hub.url,
        HF_HUB_CACHE: settings.cacheFolder,
        HF_HUB_DISABLE_IMPLICIT_TOKEN: '1',
        HF_HUB_OFFLINE: '',
      },
      stdio: 'inherit',
    });
  const partial = () => {
    const names = blobs(settings);
    assert.equal(names.length, 1);
    return statSync(join(settings.cacheFolder, 'models--timm--some_net.a1_in1k', 'blobs', names[0]!)).size;
  };
  let there = 0;
  for (let kill = 0; kill < 4; kill++) {
    const child = start();
    const ended = once(child, 'exit');
    const [asked, until] = [ranges().length, there + 20_000 + rng.int(200_000)];
    const sent = () =>
      hub.requests
        .filter(({ part }) => part === 'cdn')
        .slice(asked)
        .reduce((sum, one) => sum + one.sent, there);
    while (sent() < until && child.exitCode === null) await sleep(1);
    child.kill('SIGKILL');
    await ended;
    // Nothing of what was written is asked for again.
    assert.equal(ranges()[asked], there > 0 ? `bytes=${there}-` : undefined);
    assert.ok(partial() >= there);
    there = partial();
  }
  assert.ok(there > 100_000 && there < bytes.length, `${there}`);
  const [code] = await once(start(), 'exit');
  assert.equal(code, 0);
  assert.equal(ranges().at(-1), `bytes=${there}-`);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  assert.deepEqual(blobs(settings), [sha256]);
  assert.deepEqual(
    new Uint8Array(readFileSync(join(settings.cacheFolder, 'models--timm--some_net.a1_in1k', 'blobs', sha256))),
    bytes,
  );
});

test('two that fetch the same file at once do not mix', async t => {
  const { hub, settings, fetch } = await setUp(t);
  hub.faults.push({ on: 'cdn', pause: 1 });
  const [a, b] = await Promise.all([fetch(), fetch()]);
  assert.deepEqual(a, b);
  assert.deepEqual(new Uint8Array(readFileSync(a.file)), bytes);
  assert.equal(blobs(settings).length, 1);
});
