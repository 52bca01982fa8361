// The Hub's cache on this machine, in the layout that all of its tools share, so that what one fetched another finds:
// models--owner--name/ with blobs/<hash>, snapshots/<commit>/<path> as links to them, and refs/<revision> naming a commit.
import { copyFile, mkdir, readdir, readFile, realpath, stat, symlink } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { writeWhole } from '../base/files.ts';
import { type HubRepo, isCommit, isRepoName } from './repo.ts';

/** A file of a repository as it lies in the cache. */
export interface CachedFile {
  readonly file: string;
  readonly commit: string;
  /** sha256 that the Hub states, which is the name of the blob; undefined for small files, which are kept in git. */
  readonly sha256: string | undefined;
}

/** The folder of a repository in the cache. */
export function repoFolder(cacheFolder: string, { type, name }: HubRepo): string {
  return join(cacheFolder, `${type}s--${name.replace('/', '--')}`);
}

/** The folder of a commit, with the repository's files at their paths. */
export function snapshotFolder(cacheFolder: string, repo: HubRepo, commit: string): string {
  return join(repoFolder(cacheFolder, repo), 'snapshots', commit);
}

/** The commit that `revision` was when it was last asked for. */
export async function cachedCommit(cacheFolder: string, repo: HubRepo, revision: string): Promise<string | undefined> {
  if (isCommit(revision)) return revision;
  const text = await readFile(join(repoFolder(cacheFolder, repo), 'refs', revision), 'utf8').catch(() => '');
  return isCommit(text.trim()) ? text.trim() : undefined;
}

/** The file `path` of a repository, if it is there. */
export async function findCached(
  cacheFolder: string,
  repo: HubRepo,
  revision: string,
  path: string,
): Promise<CachedFile | undefined> {
  const commit = await cachedCommit(cacheFolder, repo, revision);
  if (commit === undefined) return undefined;
  const file = join(snapshotFolder(cacheFolder, repo, commit), path);
  const isFile = await stat(file).then(
    found => found.isFile(),
    () => false,
  );
  if (!isFile) return undefined;
  const blob = basename(await realpath(file));
  return { file, commit, sha256: /^[0-9a-f]{64}$/.test(blob) ? blob : undefined };
}

/** Puts a blob into the snapshot of a commit; a copy where the system has no links for us (Windows). */
export async function linkSnapshot(
  cacheFolder: string,
  repo: HubRepo,
  commit: string,
  path: string,
  blob: string,
): Promise<string> {
  const file = join(snapshotFolder(cacheFolder, repo, commit), path);
  await mkdir(dirname(file), { recursive: true });
  await symlink(relative(dirname(file), blob), file).catch(async (error: NodeJS.ErrnoException) => {
    // Another process may have made it meanwhile.
    if (error.code !== 'EEXIST') await copyFile(blob, file);
  });
  return file;
}

/** Notes which commit a branch or tag is. */
export async function writeRef(cacheFolder: string, repo: HubRepo, revision: string, commit: string): Promise<void> {
  if (isCommit(revision)) return;
  if ((await cachedCommit(cacheFolder, repo, revision)) === commit) return;
  await writeWhole(join(repoFolder(cacheFolder, repo), 'refs', revision), commit);
}

/** The repositories of one kind in the cache, whatever is there of them, by name. */
export async function listRepos(cacheFolder: string, type: HubRepo['type']): Promise<HubRepo[]> {
  const start = `${type}s--`;
  const folders = (await readdir(cacheFolder).catch(() => [])).filter(name => name.startsWith(start)).sort();
  const names = folders.map(folder => folder.slice(start.length).replace('--', '/'));
  // Anybody may have put other folders there.
  return names.filter(isRepoName).map(name => ({ type, name }));
}
