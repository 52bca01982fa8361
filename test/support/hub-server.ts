// A small Hugging Face Hub on this computer: repositories, revisions, large files on a server of their own, and faults to order.
// It speaks what the Hub's own libraries ask for to read a repository (@huggingface/hub, and Python's huggingface_hub).
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

/** Parts of the Hub: descriptions, addresses of files (and small files), large files. */
export type HubPart = 'api' | 'resolve' | 'cdn';

/** Something that goes wrong. */
export interface HubFault {
  readonly on: HubPart;
  /** How often. Default: always. */
  times?: number;
  /** Refuse with this status, these headers and this body. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Cut the connection after so many bytes of the body. */
  readonly cutAfter?: number;
  /** End the body so many bytes early, as if it were whole. */
  readonly shortBy?: number;
  /** Change a byte of the body. */
  readonly garble?: boolean;
  /** Wait so many milliseconds before each 16 KB. */
  readonly pause?: number;
  /** Send all, whatever range was asked for. */
  readonly ignoreRange?: boolean;
}

/** A request that came, and the bytes of a file that were sent for it. */
export interface HubRequest {
  readonly part: HubPart;
  readonly method: string;
  readonly url: string;
  readonly authorization: string | undefined;
  readonly range: string | undefined;
  /** Bytes of its answer's body. */
  sent: number;
}

/** Who may read a repository: everybody, nobody without a token, or nobody whom its owner did not let in. */
export type HubAccess = 'open' | 'private' | 'gated';

/** The server. */
export interface HubServer {
  /** For HF_ENDPOINT. */
  readonly url: string;
  readonly requests: HubRequest[];
  readonly faults: HubFault[];
  /** Makes a commit on `main` with just these files, of a repository like `owner/name` or `datasets/owner/name`; returns it. */
  push(repo: string, files: Readonly<Record<string, string | Uint8Array>>, access?: HubAccess): string;
}

interface HubFile {
  readonly content: Buffer;
  /** sha256 of a large file. */
  readonly lfs: string | undefined;
  /** git's hash of what git keeps: the file, or the pointer to it. */
  readonly oid: string;
  readonly pointerSize: number;
}

interface Repo {
  readonly access: HubAccess;
  readonly commits: Map<string, Map<string, HubFile>>;
  head: string;
}

/** The token that opens private and gated repositories, and one of an account that was not let in. */
export const HUB_TOKEN = 'hf_GraftTestToken';
export const OTHER_TOKEN = 'hf_SomebodyElse';

/** Kept outside of git, as the Hub's .gitattributes has it. */
const LARGE = /\.(safetensors|bin|onnx|onnx_data|gguf|parquet|zip)$/;

/** Sets variables of the environment, or with undefined removes them, until the test ends. */
export function setVariables(
  test: Pick<TestContext, 'after'>,
  variables: Readonly<Record<string, string | undefined>>,
): void {
  const set = (values: typeof variables) => {
    for (const [name, value] of Object.entries(values)) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
  const before = Object.fromEntries(Object.keys(variables).map(name => [name, process.env[name]]));
  test.after(() => set(before));
  set(variables);
}

/** Starts a Hub that is gone when the test ends. */
export async function startHub(test: Pick<TestContext, 'after'>): Promise<HubServer> {
  // A proxy of whoever runs the tests does not lead to this computer.
  setVariables(test, { no_proxy: '127.0.0.1,localhost' });
  const repos = new Map<string, Repo>();
  const requests: HubRequest[] = [];
  const faults: HubFault[] = [];
  const listen = async (answer: (request: IncomingMessage, response: ServerResponse) => Promise<void>) => {
    const server: Server = createServer((request, response) => {
      answer(request, response).catch(error => response.destroy(error as Error));
    });
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    test.after(() => {
      server.closeAllConnections();
      server.close();
    });
    return (server.address() as AddressInfo).port;
  };

  /** Writes the request down, and the fault that meets it. */
  const meet = (part: HubPart, request: IncomingMessage): [HubRequest, HubFault | undefined] => {
    const { method = '', url = '', headers } = request;
    const seen = { part, method, url, authorization: headers.authorization, range: headers.range, sent: 0 };
    requests.push(seen);
    const fault = faults.find(({ on, times = 1 }) => on === part && times > 0);
    if (fault?.times !== undefined) fault.times--;
    return [seen, fault];
  };

  const cdnPort = await listen(async (request, response) => {
    const [seen, fault] = meet('cdn', request);
    // As storage services do: a signed address and a token besides are one too many.
    if (request.headers.authorization) return refuse(response, 400, {}, 'Only one auth mechanism allowed');
    const hash = request.url!.slice(1, 65);
    const file = [...repos.values()]
      .flatMap(({ commits }) => [...commits.values()].flatMap(files => [...files.values()]))
      .find(({ lfs }) => lfs === hash);
    if (!file) return refuse(response, 404, {}, 'NoSuchKey');
    await sendFile(request, response, file.content, { ETag: `"${hash}"` }, seen, fault);
  });

  const port = await listen(async (request, response) => {
    const { pathname } = new URL(request.url!, 'http://hub');
    const api = /^\/api\/(models|datasets)\/([^/]+\/[^/]+)\/(revision|paths-info)\/([^/]+)$/.exec(pathname);
    const resolve = /^\/(datasets\/)?([^/]+\/[^/]+)\/resolve\/([^/]+)\/(.+)$/.exec(pathname);
    const [seen, fault] = meet(resolve ? 'resolve' : 'api', request);
    if (fault?.status) return refuse(response, fault.status, fault.headers ?? {}, fault.body ?? '');
    if (fault?.pause) await sleep(fault.pause);
    const name = api ? `${api[1] === 'datasets' ? 'datasets/' : ''}${api[2]}` : `${resolve?.[1] ?? ''}${resolve?.[2]}`;
    const repo = repos.get(name);
    const token = request.headers.authorization?.replace('Bearer ', '');
    const isLetIn = token === HUB_TOKEN;
    if (!repo || (repo.access === 'private' && !isLetIn)) {
      const words = token ? 'Repository not found' : 'Invalid username or password.';
      return refuse(response, token ? 404 : 401, { 'X-Error-Code': 'RepoNotFound', 'X-Error-Message': words }, words);
    }
    const revision = decodeURIComponent((api ? api[4] : resolve![3])!);
    const commit = revision === 'main' || revision === 'HEAD' ? repo.head : revision;
    const files = repo.commits.get(commit);
    if (!files) {
      const words = `Invalid rev id: ${revision}`;
      return refuse(response, 404, { 'X-Error-Code': 'RevisionNotFound', 'X-Error-Message': words }, words);
    }
    if (api) {
      const answer =
        api[3] === 'revision' ? describeRepo(name, repo, commit, files) : describePaths(await readJson(request), files);
      const body = JSON.stringify(answer);
      response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8' }).end(body);
      return;
    }
    if (repo.access === 'gated' && !isLetIn) {
      const words = `Access to model ${name} is restricted. You must have access to it and be authenticated to access it.`;
      return refuse(response, token ? 403 : 401, { 'X-Error-Code': 'GatedRepo', 'X-Error-Message': words }, words);
    }
    const file = files.get(decodeURIComponent(resolve![4]!));
    const version = { 'X-Repo-Commit': commit };
    if (!file) {
      return refuse(
        response,
        404,
        { ...version, 'X-Error-Code': 'EntryNotFound', 'X-Error-Message': 'Entry not found' },
        'Entry not found',
      );
    }
    if (file.lfs === undefined) {
      return sendFile(request, response, file.content, { ...version, ETag: `"${file.oid}"` }, seen, fault);
    }
    const linked = { 'X-Linked-Size': String(file.content.length), 'X-Linked-ETag': `"${file.lfs}"` };
    response
      .writeHead(302, { ...version, ...linked, Location: `http://localhost:${cdnPort}/${file.lfs}?Signature=signed` })
      .end();
  });

  return {
    url: `http://127.0.0.1:${port}`,
    requests,
    faults,
    push(name, contents, access = 'open') {
      const files = new Map(Object.entries(contents).map(([path, content]) => [path, makeFile(path, content)]));
      const repo = repos.get(name) ?? { access, commits: new Map(), head: '' };
      const tree = [...files].map(([path, { oid }]) => `${oid} ${path}`).join('\n');
      const head = createHash('sha1').update(`${repo.head}\n${tree}`).digest('hex');
      repo.commits.set(head, files);
      repo.head = head;
      repos.set(name, repo);
      return head;
    },
  };
}

function makeFile(path: string, content: string | Uint8Array): HubFile {
  const bytes = Buffer.from(content);
  const lfs = LARGE.test(path) ? createHash('sha256').update(bytes).digest('hex') : undefined;
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${lfs}\nsize ${bytes.length}\n`;
  const kept = lfs ? Buffer.from(pointer) : bytes;
  const oid = createHash('sha1').update(`blob ${kept.length}\0`).update(kept).digest('hex');
  return { content: bytes, lfs, oid, pointerSize: pointer.length };
}

function describeRepo(id: string, { access }: Repo, sha: string, files: Map<string, HubFile>): unknown {
  return {
    _id: createHash('sha1').update(id).digest('hex').slice(0, 24),
    id,
    private: access === 'private',
    gated: access === 'gated' ? 'manual' : false,
    downloads: 0,
    likes: 0,
    lastModified: '2024-01-01T00:00:00.000Z',
    sha,
    siblings: [...files.keys()].map(rfilename => ({ rfilename })),
  };
}

function describePaths(asked: { paths: string[] }, files: Map<string, HubFile>): unknown {
  return asked.paths.flatMap(path => {
    const file = files.get(path);
    if (!file) return [];
    const { oid, lfs, content, pointerSize } = file;
    const size = content.length;
    return [{ type: 'file', path, oid, size, ...(lfs && { lfs: { oid: lfs, size, pointerSize } }) }];
  });
}

async function readJson(request: IncomingMessage): Promise<{ paths: string[] }> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return JSON.parse(Buffer.concat(parts).toString()) as { paths: string[] };
}

function refuse(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>>,
  body: string,
): void {
  response.writeHead(status, { 'Content-Type': 'text/plain; charset=utf-8', ...headers }).end(body);
}

/** Sends a file, or a range of it, as faulty as ordered. */
async function sendFile(
  request: IncomingMessage,
  response: ServerResponse,
  content: Buffer,
  headers: Readonly<Record<string, string>>,
  seen: HubRequest,
  fault: HubFault | undefined,
): Promise<void> {
  if (fault?.status) return refuse(response, fault.status, fault.headers ?? {}, fault.body ?? '');
  const range = fault?.ignoreRange ? null : /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
  const start = Number(range?.[1] ?? 0);
  const end = Math.min(content.length, range?.[2] ? Number(range[2]) + 1 : content.length) - (fault?.shortBy ?? 0);
  const of = {
    'Accept-Ranges': 'bytes',
    ...(range && { 'Content-Range': `bytes ${start}-${end - 1}/${content.length}` }),
  };
  response.writeHead(range ? 206 : 200, { ...headers, ...of, 'Content-Length': end - start });
  if (request.method === 'HEAD') {
    response.end();
    return;
  }
  const body = Buffer.from(content.subarray(start, end));
  if (fault?.garble) body[body.length >> 1]! ^= 1;
  const cut = fault?.cutAfter ?? body.length;
  for (let sent = 0; sent < cut && !response.destroyed; sent += 16_384) {
    if (fault?.pause) await sleep(fault.pause);
    const part = body.subarray(sent, Math.min(sent + 16_384, cut));
    await new Promise<void>(resolve => response.write(part, () => resolve()));
    seen.sent += part.length;
  }
  if (cut < body.length) response.destroy();
  else response.end();
}
