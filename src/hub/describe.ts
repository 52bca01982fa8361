// What the Hub says of a repository and of its files, before any of them is fetched.
import { GraftError } from '../base/errors.ts';
import { isCommit } from './repo.ts';
import { type HubCall, makeHubFetch } from './request.ts';

/** A version of a repository. */
export interface HubRevision {
  readonly commit: string;
  /** Of all its files, with slashes. */
  readonly paths: readonly string[];
}

/** A file of a repository. */
export interface HubPath {
  readonly size: number;
  /** In hexadecimal digits. */
  readonly hash: string;
  /** Large files are known by their sha256, small ones by git's hash: sha1 of `blob <size>\0` and the content. */
  readonly algorithm: 'sha256' | 'git';
}

/** Longest description that is read: a repository with 10,000 files takes 1 MB. */
const MAX_ANSWER_BYTES = 8 * 2 ** 20;

/** The commit that a branch or tag is now, and its files. */
export async function describeRevision(call: HubCall, revision: string): Promise<HubRevision> {
  const { modelInfo } = await import('@huggingface/hub');
  const { endpoint: hubUrl } = call.settings;
  const fetch = makeHubFetch(call, MAX_ANSWER_BYTES);
  const additionalFields = ['sha', 'filePaths'] as const;
  const answer: { sha?: unknown; filePaths?: unknown } = await understand(call, () =>
    modelInfo({ name: call.repo.name, revision, hubUrl, fetch, additionalFields: [...additionalFields] }),
  );
  const { sha, filePaths } = answer;
  if (typeof sha !== 'string' || !isCommit(sha) || !Array.isArray(filePaths)) throw misunderstood(call);
  return { commit: sha, paths: filePaths.filter(path => typeof path === 'string') };
}

/** The file `path` of a commit; undefined when there is none. */
export async function describePath(call: HubCall, commit: string, path: string): Promise<HubPath | undefined> {
  const { pathsInfo } = await import('@huggingface/hub');
  const { endpoint: hubUrl } = call.settings;
  const fetch = makeHubFetch(call, MAX_ANSWER_BYTES);
  const infos = await understand(call, () =>
    pathsInfo({ repo: call.repo, paths: [path], revision: commit, hubUrl, fetch }),
  );
  const info = infos.find(candidate => candidate.path === path && candidate.type === 'file');
  if (!info) return undefined;
  const { size, oid, lfs } = info;
  const hash = lfs ? lfs.oid : oid;
  const isHash = typeof hash === 'string' && (lfs ? /^[0-9a-f]{64}$/ : /^[0-9a-f]{40}$/).test(hash);
  if (!Number.isSafeInteger(size) || size < 0 || !isHash) throw misunderstood(call);
  return { size, hash, algorithm: lfs ? 'sha256' : 'git' };
}

/** The library takes answers apart without looking at them, and fails in ways of its own where they are other than it thinks. */
async function understand<T>(call: HubCall, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    call.signal.throwIfAborted();
    throw error instanceof GraftError ? error : misunderstood(call, error);
  }
}

function misunderstood({ settings, repo }: HubCall, cause?: unknown): GraftError {
  return new GraftError(
    'offline',
    `${settings.endpoint} does not answer as the Hub does, asked for ${repo.name}.`,
    'Check HF_ENDPOINT; a proxy or a login page may be in between.',
    cause,
  );
}
