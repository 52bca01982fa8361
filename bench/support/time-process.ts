// Runs a program and measures it from outside: wall clock, and the peak of its and its children's resident memory (Linux).
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The project's folder. */
export const root = fileURLToPath(new URL('../..', import.meta.url));

/** A finished program. */
export interface Timed {
  /** From start to end. */
  readonly seconds: number;
  /** Peak resident memory of the program and all below it, in MiB, looked at every 50 ms. */
  readonly megabytes: number;
  readonly stdout: string;
}

/**
 * Runs `program` in the project's folder. Throws when its status is not 0.
 * @param look is called every 50 ms, and once at the end, with the seconds since the start.
 */
export function timeProcess(
  program: string,
  words: readonly string[],
  env: Record<string, string> = {},
  look?: (seconds: number) => void,
): Promise<Timed> {
  const start = performance.now();
  const child = spawn(program, words, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
    cwd: root,
  });
  let [stdout, peak] = ['', 0];
  child.stdout.on('data', chunk => {
    stdout += chunk;
  });
  const seconds = () => (performance.now() - start) / 1000;
  const watch = setInterval(() => {
    peak = Math.max(peak, residentMegabytes(child.pid!));
    look?.(seconds());
  }, 50);
  return new Promise((resolve, reject) => {
    child.on('close', status => {
      clearInterval(watch);
      look?.(seconds());
      if (status !== 0) reject(new Error(`${program} ${words.join(' ')} ended with ${status}`));
      else resolve({ seconds: seconds(), megabytes: Math.round(peak), stdout });
    });
  });
}

/** Runs the built `graft` with --json in mind. */
export function timeGraft(
  words: readonly string[],
  env: Record<string, string> = {},
  look?: (seconds: number) => void,
): Promise<Timed> {
  return timeProcess(process.execPath, ['bin/graft.js', ...words], env, look);
}

function residentMegabytes(ancestor: number): number {
  const children = new Map<number, number[]>();
  const resident = new Map<number, number>();
  for (const name of readdirSync('/proc').filter(entry => /^\d+$/.test(entry))) {
    try {
      const status = readFileSync(`/proc/${name}/status`, 'utf8');
      const parent = Number(/PPid:\s+(\d+)/.exec(status)![1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
      resident.set(Number(name), Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
    } catch {
      // The process ended meanwhile.
    }
  }
  const sum = (id: number): number =>
    (resident.get(id) ?? 0) + (children.get(id) ?? []).reduce((total, child) => total + sum(child), 0);
  return sum(ancestor);
}
