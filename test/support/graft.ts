// Runs the built command line as a user does: a process of its own, its streams and its exit status.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drawLeafDataset } from '../../src/demo/draw-leaf-dataset.ts';
import { drain } from './reference.ts';

const bin = fileURLToPath(new URL('../../bin/graft.js', import.meta.url));

/** What a finished process left. */
export interface Finished {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Settings of a call. */
export interface CallOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Sees the process when it has started. */
  readonly start?: (child: ChildProcess) => void;
  /** Sees the process and everything it writes to standard error so far. */
  readonly watch?: (child: ChildProcess, stderr: string) => void;
}

/** Runs `graft` with the given words. */
export function graft(words: readonly string[], options: CallOptions = {}): Promise<Finished> {
  const child = spawn(process.execPath, [bin, ...words], {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  options.start?.(child);
  let [stdout, stderr] = ['', ''];
  child.stdout!.on('data', chunk => {
    stdout += chunk;
  });
  child.stderr!.on('data', chunk => {
    stderr += chunk;
    options.watch?.(child, stderr);
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', status => resolve({ status, stdout, stderr }));
  });
}

/** A folder with a small set of drawn leaves in `leaves/`; `remove` takes it away. */
export async function drawSmallDataset(
  photos: number,
): Promise<{ folder: string; data: string; remove: () => Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'graft-leaves-'));
  const data = join(folder, 'leaves');
  await drain(drawLeafDataset(data, { photos, seed: 5, size: 128, workers: 2 }));
  return { folder, data, remove: () => rm(folder, { recursive: true, force: true }) };
}
