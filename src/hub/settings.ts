// How the user has set up the Hugging Face Hub: the environment variables that its own tools read.
import { GraftError } from '../base/errors.ts';
import { type HubProxies, readProxies } from './proxies.ts';
import { readToken } from './token.ts';

/** Where the Hub is and how to talk to it. */
export interface HubSettings {
  /** URL without a final slash. HF_ENDPOINT; default: https://huggingface.co. */
  readonly endpoint: string;
  /** `readToken()`: goes into the requests and nowhere else. */
  readonly token: string | undefined;
  /** `readProxies()`. */
  readonly proxies: HubProxies;
  /** `hubCacheFolder()`. */
  readonly cacheFolder: string;
  /** `isOffline()`. */
  readonly offline: boolean;
  /** Longest silence of the other side, in milliseconds. */
  readonly patience: number;
  /** Wait before the second attempt, in milliseconds; it doubles with each one. */
  readonly firstWait: number;
}

const DEFAULT_ENDPOINT = 'https://huggingface.co';
/** What counts as yes, as in Python's huggingface_hub. */
const isYes = (value: string | undefined): boolean => /^(1|on|yes|true)$/i.test(value ?? '');

/** The cache that all programs share: HF_HUB_CACHE, else hub in HF_HOME, else ~/.cache/huggingface/hub. */
export async function hubCacheFolder(): Promise<string> {
  const { getHFHubCachePath } = await import('@huggingface/hub');
  return getHFHubCachePath();
}

/** Whether nothing may be fetched, from anywhere: asked for, or HF_HUB_OFFLINE. */
export const isOffline = (asked = false): boolean => asked || isYes(process.env.HF_HUB_OFFLINE);

/**
 * Reads the settings. Where nothing may be fetched, what only a request would need is not looked at.
 * @param asked forbids fetching, whatever the environment says.
 * @throws GraftError `usage` when a variable has a value that cannot be used, `no-access` for a stored token that is not readable.
 */
export async function readHubSettings(asked = false): Promise<HubSettings> {
  const { HF_ENDPOINT, HF_HUB_DISABLE_IMPLICIT_TOKEN } = process.env;
  const offline = isOffline(asked);
  return {
    endpoint: offline ? DEFAULT_ENDPOINT : checkEndpoint(HF_ENDPOINT || DEFAULT_ENDPOINT),
    // Of the Hub graft only reads, and for that the variable forbids any token, HF_TOKEN as well.
    token: offline || isYes(HF_HUB_DISABLE_IMPLICIT_TOKEN) ? undefined : await readToken(),
    proxies: readProxies(),
    cacheFolder: await hubCacheFolder(),
    offline,
    patience: 30_000,
    firstWait: 500,
  };
}

/** The message does not repeat the value, which may hold a password. */
function checkEndpoint(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url && /^https?:$/.test(url.protocol) && !url.username && !url.password && !url.search && !url.hash) {
    return url.href.replace(/\/+$/, '');
  }
  throw new GraftError(
    'usage',
    'HF_ENDPOINT is not the address of a Hub.',
    `Set it to a URL without user and password, such as ${DEFAULT_ENDPOINT}, or remove it.`,
  );
}
