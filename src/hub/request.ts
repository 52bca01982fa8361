// One request to the Hub, until it is answered: waits, tries again, and says in sentences what cannot be had and why.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Response as HttpResponse } from 'undici';
import { GraftError } from '../base/errors.ts';
import { findProxyError, openDispatcher } from './proxies.ts';
import type { HubRepo } from './repo.ts';
import type { HubSettings } from './settings.ts';

/** What a request needs beside its address. */
export interface HubCall {
  readonly settings: HubSettings;
  readonly repo: HubRepo;
  /** Ends the request and its waits. */
  readonly signal: AbortSignal;
}

/** A request; its method is GET where it has none. */
export interface HubRequest {
  readonly url: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** An answer of the Hub; `chunks` are its body, and fail where the other side falls silent. */
export interface HubAnswer {
  readonly status: number;
  readonly headers: HttpResponse['headers'];
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Attempts without a byte of the body before it is given up; without a network they come to the same end sooner. */
const MAX_ATTEMPTS = 5;
const MAX_ATTEMPTS_UNREACHABLE = 2;
/** Attempts in all: each that got some of the body counts as a new start. */
const MAX_CONNECTIONS = 200;
/** Longest wait that the Hub may ask for, in milliseconds; its limits count in windows of 5 minutes. */
const MAX_WAIT = 60_000;
/** Most bytes of the body of a refusal that are read, and of the Hub's words that are shown. */
const MAX_REFUSAL_BYTES = 65_536;
const MAX_WORDS = 300;

/** Codes of an address that leads nowhere: no network, or a wrong HF_ENDPOINT. */
const UNREACHABLE = new Set(['ENOTFOUND', 'EAI_AGAIN', 'ECONNREFUSED', 'ENETUNREACH', 'EHOSTUNREACH']);

/** Codes of a certificate that nobody whom Node trusts has signed. */
const UNTRUSTED = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/**
 * Asks until `take` has the whole answer; it returns undefined where the body ended too early.
 * @param makeRequest called for every attempt, so that it may ask for what is still missing.
 * @throws GraftError `usage` for a proxy's address that is none, `no-access` (401, 403), `not-found` (404), `offline` (anything that may pass), and what `take` throws.
 */
export async function askHub<T>(
  call: HubCall,
  makeRequest: () => HubRequest,
  take: (answer: HubAnswer) => Promise<T | undefined>,
): Promise<T> {
  const { settings, signal } = call;
  // Not with Node's own fetch, which knows no proxies.
  const { fetch } = await import('undici');
  const dispatcher = await openDispatcher(settings.proxies);
  let failures = 0;
  for (let connection = 1; ; connection++) {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(), settings.patience);
    let lost = false;
    let gotBytes = false;
    let limit = MAX_ATTEMPTS;
    let wait = settings.firstWait * 2 ** failures;
    let error: GraftError;
    try {
      const { url, method = 'GET', body, headers } = makeRequest();
      const response = await fetch(url, {
        method,
        dispatcher,
        ...(body !== undefined && { body }),
        headers: { ...(settings.token && { Authorization: `Bearer ${settings.token}` }), ...headers },
        signal: AbortSignal.any([signal, silence.signal]),
      }).catch(cause => {
        lost = true;
        throw cause;
      });
      const chunks = readChunks(response, () => {
        gotBytes = true;
        timer.refresh();
      });
      if (response.ok) {
        const tracked = trackLoss(chunks, () => {
          lost = true;
        });
        const taken = await take({ status: response.status, headers: response.headers, chunks: tracked });
        if (taken !== undefined) return taken;
        error = explainLoss(call, undefined, false);
      } else {
        const words = await readWords(response, chunks);
        gotBytes = false;
        error = explainRefusal(call, response, words);
        if (error.code !== 'offline') throw error;
        wait = Math.max(wait, retryAfter(response.headers));
      }
    } catch (cause) {
      signal.throwIfAborted();
      if (!lost) throw cause;
      const ofProxy = findProxyError(cause);
      error = ofProxy ?? explainLoss(call, cause, silence.signal.aborted);
      if (ofProxy ? ofProxy.cause : UNREACHABLE.has(codeOf(cause))) limit = MAX_ATTEMPTS_UNREACHABLE;
      else if (ofProxy || UNTRUSTED.has(codeOf(cause))) limit = 1;
    } finally {
      clearTimeout(timer);
    }
    failures = gotBytes ? 1 : failures + 1;
    if (failures >= limit || connection >= MAX_CONNECTIONS) throw error;
    await sleep(Math.min(wait, MAX_WAIT), undefined, { signal });
  }
}

/** The function `fetch` as the Hub's own library takes it, for answers of up to `maxBytes`, which it reads whole. */
export function makeHubFetch(call: HubCall, maxBytes: number): typeof fetch {
  return (input, init) =>
    askHub(
      call,
      () => ({
        url: String(input),
        headers: Object.fromEntries(new Headers(init?.headers)),
        ...(init?.method && { method: init.method }),
        // The library sends text.
        ...(typeof init?.body === 'string' && { body: init.body }),
      }),
      async ({ status, headers, chunks }) => {
        const body = await readWhole(chunks, maxBytes);
        if (body) return new Response(body, { status, headers: Object.fromEntries(headers) });
        throw new GraftError(
          'offline',
          `${hubName(call)} answers with more than ${maxBytes} bytes about ${call.repo.name}.`,
          'Use a smaller repository.',
        );
      },
    );
}

/** The bytes of a body; undefined when there are more than `maxBytes`. */
async function readWhole(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): Promise<Buffer<ArrayBuffer> | undefined> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    size += chunk.length;
    if (size > maxBytes) return undefined;
    parts.push(chunk);
  }
  return Buffer.concat(parts);
}

async function* readChunks(response: HttpResponse, onChunk: () => void): AsyncGenerator<Uint8Array> {
  if (!response.body) return;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    onChunk();
    yield chunk;
  }
}

/** Tells errors of the connection from those of whoever reads the chunks, which never come through here. */
async function* trackLoss(chunks: AsyncIterable<Uint8Array>, onLoss: () => void): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    onLoss();
    throw error;
  }
}

/** The system's or the HTTP client's code for an error of `fetch`, which has it in its cause. */
const codeOf = (error: unknown): string => (error as { cause?: { code?: string } } | undefined)?.cause?.code ?? '';

const hubName = ({ settings }: HubCall): string => `The Hub (${settings.endpoint})`;

function explainLoss(call: HubCall, error: unknown, silent: boolean): GraftError {
  const code = codeOf(error);
  if (UNTRUSTED.has(code)) {
    return new GraftError(
      'offline',
      `${hubName(call)} shows a certificate that nobody known has signed (${code}), asked for ${call.repo.name}.`,
      'A proxy that reads along shows its own: ask those who run it for its certificate, and set NODE_EXTRA_CA_CERTS to that file.',
      error,
    );
  }
  const seconds = call.settings.patience / 1000;
  const happened = silent
    ? `said nothing for ${seconds} s`
    : UNREACHABLE.has(code)
      ? `cannot be reached (${code})`
      : `cut the connection${code ? ` (${code})` : ''}`;
  return new GraftError(
    'offline',
    `${hubName(call)} ${happened}, asked for ${call.repo.name}.`,
    UNREACHABLE.has(code)
      ? 'Connect to the internet once, or check HF_ENDPOINT, and run the same command again.'
      : 'Run the same command again: what has arrived is kept.',
    error,
  );
}

/** Seconds or a date, in milliseconds from now; 0 where the Hub does not say. */
function retryAfter(headers: HttpResponse['headers']): number {
  const text = headers.get('retry-after') ?? '';
  const wait = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return wait > 0 ? wait : 0;
}

/** What the Hub says of a refusal: in a header, in JSON, or as text. Pages of proxies are left out. */
async function readWords(response: HttpResponse, chunks: AsyncIterable<Uint8Array>): Promise<string> {
  const header = response.headers.get('x-error-message');
  const body = await readWhole(chunks, MAX_REFUSAL_BYTES).catch(() => undefined);
  let text = header ?? body?.toString() ?? '';
  try {
    const { error, message } = JSON.parse(text) as { error?: unknown; message?: unknown };
    text = String(error ?? message ?? '');
  } catch {
    if (/^\s*</.test(text)) text = '';
  }
  return text.replace(/\s+/g, ' ').trim().slice(0, MAX_WORDS).replace(/\.$/, '');
}

const NO_TOKEN =
  'If it is gated or private, ask for access on its page and set HF_TOKEN to a token of your account, or run hf auth login; else check its name.';
const WITH_TOKEN =
  'A token was sent (HF_TOKEN, or what hf auth login stored): check that it is valid and that its account was given access on the page of the repository.';

/** What an answer that is no success means; its code is `offline` where another attempt may help. */
function explainRefusal(call: HubCall, { status, headers }: HttpResponse, words: string): GraftError {
  const { settings, repo } = call;
  const kind = headers.get('x-error-code') ?? '';
  // A server could send our own words back.
  const said = settings.token ? words.replaceAll(settings.token, '...') : words;
  const because = said ? `: ${said}` : '';
  if (status === 401 || status === 403) {
    const hint = settings.token ? WITH_TOKEN : NO_TOKEN;
    return new GraftError('no-access', `${hubName(call)} does not give ${repo.name} (${status})${because}.`, hint);
  }
  if (status === 404 || status === 410) {
    const missing =
      kind === 'RevisionNotFound' ? 'that version of' : kind === 'EntryNotFound' ? 'that file of' : `a ${repo.type}`;
    const hint = 'Check the name, and what follows @, on the page of the repository.';
    return new GraftError('not-found', `${hubName(call)} has not ${missing} ${repo.name} (${status})${because}.`, hint);
  }
  if (status === 429) {
    return new GraftError(
      'offline',
      `${hubName(call)} has had too many requests from here (429)${because}.`,
      settings.token
        ? 'Wait five minutes and run the same command again: what has arrived is kept.'
        : 'Wait five minutes and run the same command again, or set HF_TOKEN: accounts may ask more often.',
    );
  }
  if (status >= 500) {
    return new GraftError(
      'offline',
      `${hubName(call)} is out of order (${status})${because}; it was asked ${MAX_ATTEMPTS} times.`,
      'Run the same command again later: what has arrived is kept.',
    );
  }
  return new GraftError(
    'not-found',
    `${hubName(call)} does not answer for ${repo.name} (${status})${because}.`,
    'Check HF_ENDPOINT and the name of the repository.',
  );
}
