// A file of a repository: from the cache, else fetched into it.
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { type Steps, watch } from '../base/events.ts';
import { type CachedFile, findCached, linkSnapshot, repoFolder, writeRef } from './cache.ts';
import { describePath, describeRevision } from './describe.ts';
import { fetchBlob } from './fetch-blob.ts';
import { type HubRepo, isCommit } from './repo.ts';
import type { HubCall } from './request.ts';
import type { HubSettings } from './settings.ts';

/** A file that is wanted. */
export interface WantedFile {
  readonly repo: HubRepo;
  /** A branch, a tag or a commit. */
  readonly revision: string;
  /** Inside the repository, with slashes. */
  readonly path: string;
  /** A larger file is refused before it is fetched. */
  readonly maxBytes: number;
}

/**
 * A file of a repository. One that is cached is taken without asking the Hub: name a commit where it has to be the newest.
 * @param stage name of the progress.
 * @throws GraftError `offline`, `no-access`, `not-found`, `bad-weights` for what is too large or arrived damaged.
 */
export async function* fetchHubFile(settings: HubSettings, wanted: WantedFile, stage: string): Steps<CachedFile> {
  const { repo, revision, path, maxBytes } = wanted;
  const { cacheFolder } = settings;
  const cached = await findCached(cacheFolder, repo, revision, path);
  if (cached) return cached;
  if (settings.offline) {
    throw new GraftError(
      'offline',
      `${path} of ${repo.name} is not in the cache (${repoFolder(cacheFolder, repo)}), and nothing may be fetched.`,
      'Run the same command once without --offline and HF_HUB_OFFLINE.',
    );
  }
  const stop = new AbortController();
  const call: HubCall = { settings, repo, signal: stop.signal };
  try {
    const commit = isCommit(revision) ? revision : (await describeRevision(call, revision)).commit;
    const info = await describePath(call, commit, path);
    if (!info) {
      throw new GraftError(
        'not-found',
        `${repo.name} has no file ${path} at ${revision}.`,
        'Look at its files on its page on the Hub.',
      );
    }
    if (info.size > maxBytes) {
      throw new GraftError(
        'bad-weights',
        `${path} of ${repo.name} has ${info.size} bytes, and up to ${maxBytes} are read.`,
        'Use a smaller model.',
      );
    }
    const blob = join(repoFolder(cacheFolder, repo), 'blobs', info.hash);
    if (!(await isThere(blob))) {
      let received = 0;
      const work = fetchBlob(call, { ...info, commit, path, blob }, bytes => {
        received = bytes;
      });
      yield* watch(work, () => ({ type: 'progress', stage, done: received, total: info.size, unit: 'bytes' }));
    }
    const file = await linkSnapshot(cacheFolder, repo, commit, path, blob);
    await writeRef(cacheFolder, repo, revision, commit);
    return { file, commit, sha256: info.algorithm === 'sha256' ? info.hash : undefined };
  } catch (error) {
    throw explainSystemError(error, repoFolder(cacheFolder, repo));
  } finally {
    stop.abort();
  }
}

async function isThere(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
