// Proxies between this computer and the Hub, as the environment names them: the connections through them, and sentences about
// a proxy that does not let them through.
import type { Dispatcher, Pool } from 'undici';
import { GraftError } from '../base/errors.ts';

/** What the variables say, unchecked; empty where one is not set. The addresses may hold passwords. */
export interface HubProxies {
  /** HTTP_PROXY: for all addresses without a proxy of their own. */
  readonly http: string;
  /** HTTPS_PROXY: for addresses with https. */
  readonly https: string;
  /** NO_PROXY: hosts that are reached without one, with commas between them; `*` is all of them. */
  readonly none: string;
}

/** Reads the variables, in small letters or, where these are not set, in large ones. */
export function readProxies(): HubProxies {
  const read = (name: string) => (process.env[name.toLowerCase()] ?? process.env[name] ?? '').trim();
  return { http: read('HTTP_PROXY'), https: read('HTTPS_PROXY'), none: read('NO_PROXY') };
}

/** Connections are kept open for the next request, so that there is one dispatcher for each setting. */
const dispatchers = new Map<string, Dispatcher>();

/**
 * What undici's `fetch` makes its connections with: through a proxy by a tunnel (CONNECT), for http as for https.
 * @throws GraftError `usage` for an address that is none.
 */
export async function openDispatcher(proxies: HubProxies): Promise<Dispatcher> {
  const key = JSON.stringify(proxies);
  const known = dispatchers.get(key) ?? (await makeDispatcher(proxies));
  dispatchers.set(key, known);
  return known;
}

async function makeDispatcher({ http, https, none }: HubProxies): Promise<Dispatcher> {
  const { Agent, EnvHttpProxyAgent, Pool } = await import('undici');
  const [httpProxy, httpsProxy] = [checkProxy('HTTP_PROXY', http), checkProxy('HTTPS_PROXY', https)];
  if (!httpProxy && !httpsProxy) return new Agent();
  const clientFactory = (proxy: URL, options: object) => nameProxy(new Pool(proxy.origin, options), proxy);
  const options = { httpProxy, httpsProxy, noProxy: none, clientFactory };
  return withoutWarnings(() => new EnvHttpProxyAgent(options));
}

/** undici 6 calls this class experimental on the console; the version of undici is pinned. */
function withoutWarnings<T>(make: () => T): T {
  const { emitWarning } = process;
  process.emitWarning = () => {};
  try {
    return make();
  } finally {
    process.emitWarning = emitWarning;
  }
}

/** The address, with http where it has no protocol. The message does not repeat it: it may hold a password. */
function checkProxy(name: string, text: string): string {
  if (text === '') return '';
  const address = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = URL.canParse(address) ? new URL(address) : undefined;
  const isUsable = url && /^https?:$/.test(url.protocol) && isDecodable(url.username) && isDecodable(url.password);
  if (isUsable) return url.href;
  throw new GraftError(
    'usage',
    `${name} is not the address of a proxy that graft can use.`,
    'Set it to an address with http or https, such as http://proxy.example:3128 or http://user:password@proxy.example:3128 with special characters as %40, or remove it.',
  );
}

function isDecodable(text: string): boolean {
  try {
    decodeURIComponent(text);
    return true;
  } catch {
    return false;
  }
}

/** Connections to a proxy whose failures name it, and never its password. */
function nameProxy(pool: Pool, proxy: URL): Pool {
  const connect = pool.connect.bind(pool);
  const connectNamed = async (options: Dispatcher.ConnectOptions): Promise<Dispatcher.ConnectData> => {
    const answer = await connect(options).catch(cause => {
      throw explainUnreachable(proxy.origin, cause);
    });
    if (answer.statusCode === 200) return answer;
    answer.socket.on('error', () => {}).destroy();
    throw explainRefused(proxy, answer.statusCode);
  };
  return Object.assign(pool, { connect: connectNamed });
}

function explainUnreachable(name: string, cause: unknown): GraftError {
  const { code } = cause as NodeJS.ErrnoException;
  return new GraftError(
    'offline',
    `The proxy ${name} cannot be reached${code ? ` (${code})` : ''}.`,
    'Check HTTPS_PROXY and HTTP_PROXY, or name the Hub in NO_PROXY where no proxy is needed, and run the same command again.',
    cause,
  );
}

/** A refusal has no cause: asking again would get the same answer. */
function explainRefused({ origin, username }: URL, status: number): GraftError {
  const login = username
    ? 'Check the user and the password in HTTPS_PROXY and HTTP_PROXY; special characters are written as %40.'
    : 'Put the user and the password into HTTPS_PROXY and HTTP_PROXY: http://user:password@host:port.';
  return new GraftError(
    'offline',
    status === 407
      ? `The proxy ${origin} wants a user and a password${username ? ', and others than these' : ''} (407).`
      : `The proxy ${origin} does not let graft through to the Hub (${status}).`,
    status === 407
      ? login
      : 'Ask those who run it to let huggingface.co and hf.co through, or fetch the model on another network once.',
  );
}

/** The error of a proxy that is behind an error of `fetch`. */
export function findProxyError(error: unknown): GraftError | undefined {
  const { cause } = (error ?? {}) as { cause?: unknown };
  return cause instanceof GraftError ? cause : undefined;
}
