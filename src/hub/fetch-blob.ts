// The bytes of one file, fetched into the cache. A download that was cut off goes on where it was, in the next attempt or in
// the next process, and the file gets its name only when its hash is the one that the Hub states.
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { GraftError } from '../base/errors.ts';
import type { HubPath } from './describe.ts';
import { askHub, type HubAnswer, type HubCall, type HubRequest } from './request.ts';

/** A file that is wanted, as the Hub describes it. */
export interface WantedBlob extends HubPath {
  readonly commit: string;
  /** Inside the repository. */
  readonly path: string;
  /** Where it goes. */
  readonly blob: string;
}

/** Partial files that this process is writing, and how many it ever began: two of its downloads never share one. */
const beingWritten = new Set<string>();
let begun = 0;

/**
 * Fetches a file. Not by the library's own download: it begins anew where it was cut off, and compares no hashes.
 * @param onBytes called with the number of bytes that are there.
 * @throws GraftError `bad-weights` when other bytes arrive than the Hub states, and those of `askHub`.
 */
export async function fetchBlob(call: HubCall, wanted: WantedBlob, onBytes: (bytes: number) => void): Promise<void> {
  const { blob, size, path, commit } = wanted;
  const { settings, repo } = call;
  await mkdir(dirname(blob), { recursive: true });
  const partial = await claimPartial(blob);
  beingWritten.add(partial);
  let there = 0;
  try {
    const file = await open(partial, 'a');
    try {
      let hash = startHash(wanted);
      const clear = async () => {
        await file.truncate(0);
        there = 0;
        hash = startHash(wanted);
      };
      for await (const chunk of createReadStream(partial)) {
        hash.update(chunk);
        there += (chunk as Buffer).length;
      }
      if (there > size) await clear();
      onBytes(there);
      const url = `${settings.endpoint}/${repo.name}/resolve/${commit}/${path.split('/').map(encodeURIComponent).join('/')}`;
      // A compressed body has no ranges.
      const makeRequest = (): HubRequest => ({
        url,
        headers: { 'Accept-Encoding': 'identity', ...(there > 0 && { Range: `bytes=${there}-` }) },
      });
      const take = async (answer: HubAnswer) => {
        if (there > 0 && !isRange(answer, there)) await clear();
        for await (const chunk of answer.chunks) {
          if (there + chunk.length > size) throw damaged(call, wanted, `more than its ${size} bytes arrived`);
          await file.appendFile(chunk);
          hash.update(chunk);
          there += chunk.length;
          onBytes(there);
        }
        return there === size || undefined;
      };
      if (there < size) await askHub(call, makeRequest, take);
      const found = hash.digest('hex');
      if (found !== wanted.hash) {
        there = 0;
        throw damaged(call, wanted, `it has the hash ${found}, and the Hub states ${wanted.hash}`);
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, blob);
  } finally {
    beingWritten.delete(partial);
    // Of what is wrong or empty nothing can be made.
    if (there === 0) await rm(partial, { force: true });
  }
}

/** Whether an answer is the rest of the file from `start` on; a server that knows no ranges sends all of it. */
function isRange({ status, headers }: HubAnswer, start: number): boolean {
  return status === 206 && (headers.get('content-range') ?? '').startsWith(`bytes ${start}-`);
}

function startHash({ algorithm, size }: HubPath): Hash {
  return algorithm === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}

/**
 * The partial file of a blob, named after the computer and the process that writes it. What an ended process of this computer
 * left is taken over by renaming it, which only one of several can do; what a running one writes is left alone.
 */
async function claimPartial(blob: string): Promise<string> {
  const [folder, start, end] = [
    dirname(blob),
    `${basename(blob)}.${hostname().replace(/[^\w-]/g, '_')}-`,
    '.incomplete',
  ];
  const own = join(folder, `${start}${process.pid}-${begun++}${end}`);
  const left: { file: string; size: number }[] = [];
  for (const name of await readdir(folder)) {
    if (!name.startsWith(start) || !name.endsWith(end)) continue;
    const file = join(folder, name);
    const pid = Number.parseInt(name.slice(start.length), 10);
    if (pid === process.pid ? beingWritten.has(file) : isRunning(pid)) continue;
    const size = await stat(file).then(
      found => found.size,
      () => 0,
    );
    left.push({ file, size });
  }
  left.sort((a, b) => b.size - a.size);
  let isClaimed = false;
  for (const { file } of left) {
    if (isClaimed) await rm(file, { force: true });
    else {
      isClaimed = await rename(file, own).then(
        () => true,
        () => false,
      );
    }
  }
  return own;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function damaged({ repo, settings }: HubCall, { path }: WantedBlob, reason: string): GraftError {
  return new GraftError(
    'bad-weights',
    `${path} of ${repo.name} arrived damaged: ${reason}.`,
    `Run the same command again; if it stays so, ${settings.endpoint} or something in between serves another file.`,
  );
}
