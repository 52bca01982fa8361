// Phase one beside the guide's recipe in PyTorch: same photos, split, weights and machine, one after the other.
//
//   node --import tsx bench/phase-one.bench.ts PHOTOS WEIGHTS.gguf [--seeds 0,1,2,3,4] [--peer-seeds 0]
//
// graft runs as a user runs it (bin/graft.js), from an empty feature cache and then again; the peer is bench/guide-recipe.py
// with ten epochs. Prints a table and writes bench/results/phase-one.json.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { TrainResult } from '../src/index.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seeds: { type: 'string', default: '0,1,2,3,4' }, 'peer-seeds': { type: 'string', default: '0' } },
});
const [photos, weights] = positionals;
if (!photos || !weights) throw new Error('Usage: phase-one.bench.ts PHOTOS WEIGHTS.gguf');
const numbers = (text: string) => text.split(',').filter(Boolean).map(Number);

interface Timed {
  readonly seconds: number;
  readonly megabytes: number;
  readonly stdout: string;
}

/** Runs a program; seconds from start to end, and the peak of the resident memory of it and its children, in MiB. */
function time(program: string, words: readonly string[], env: Record<string, string> = {}): Promise<Timed> {
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
  const watch = setInterval(() => {
    peak = Math.max(peak, residentMegabytes(child));
  }, 50);
  return new Promise((resolve, reject) => {
    child.on('close', status => {
      clearInterval(watch);
      if (status !== 0) reject(new Error(`${program} ${words.join(' ')} ended with ${status}`));
      else resolve({ seconds: (performance.now() - start) / 1000, megabytes: Math.round(peak), stdout });
    });
  });
}

function residentMegabytes({ pid }: ChildProcess): number {
  const parents = new Map<number, number[]>();
  const resident = new Map<number, number>();
  for (const name of readdirSync('/proc').filter(entry => /^\d+$/.test(entry))) {
    try {
      const status = readFileSync(`/proc/${name}/status`, 'utf8');
      const parent = Number(/PPid:\s+(\d+)/.exec(status)![1]);
      parents.set(parent, [...(parents.get(parent) ?? []), Number(name)]);
      resident.set(Number(name), Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
    } catch {
      // The process ended meanwhile.
    }
  }
  const sum = (id: number): number =>
    (resident.get(id) ?? 0) + (parents.get(id) ?? []).reduce((total, kid) => total + sum(kid), 0);
  return sum(pid!);
}

const work = mkdtempSync(join(tmpdir(), 'graft-bench-'));
const train = (seed: number, cache: string) =>
  time(
    process.execPath,
    ['bin/graft.js', 'train', photos, '--seed', String(seed), '--weights', weights, '--project', work, '--json'],
    { GRAFT_CACHE: cache },
  );
const mean = (list: readonly number[]) => list.reduce((sum, value) => sum + value, 0) / list.length;

const rows: Record<string, unknown>[] = [];
const results: { cold: Timed; warm: Timed; accuracy: number }[] = [];
for (const seed of numbers(values.seeds)) {
  const cache = join(work, `cache-${seed}`);
  const cold = await train(seed, cache);
  const warm = await train(seed, cache);
  const accuracy = (JSON.parse(cold.stdout) as TrainResult).validation.accuracy;
  results.push({ cold, warm, accuracy });
  rows.push({ who: 'graft, empty cache', seed, seconds: cold.seconds, accuracy, megabytes: cold.megabytes });
  rows.push({ who: 'graft, warm cache', seed, seconds: warm.seconds, accuracy, megabytes: warm.megabytes });
  rmSync(cache, { recursive: true });
}
const peers: { seconds: number; best: number; last: number }[] = [];
for (const [i, seed] of numbers(values['peer-seeds']).entries()) {
  const manifest = join((JSON.parse(results[i]!.cold.stdout) as TrainResult).run, 'manifest.json');
  const peer = await time('/usr/bin/python3', [
    ...['bench/guide-recipe.py', '--data', photos, '--manifest', manifest, '--weights', weights],
    ...['--epochs', '10', '--fine-tune-epochs', '0', '--seed', String(seed), '--channels-last'],
  ]);
  const { frozen } = JSON.parse(peer.stdout);
  peers.push({ seconds: peer.seconds, best: frozen.best, last: frozen.last });
  rows.push({
    who: 'PyTorch, the guide',
    seed,
    seconds: peer.seconds,
    accuracy: frozen.last,
    megabytes: peer.megabytes,
  });
}
console.table(rows.map(row => ({ ...row, seconds: Number((row.seconds as number).toFixed(1)) })));
const summary = {
  graft_accuracy: mean(results.map(({ accuracy }) => accuracy)),
  graft_seconds: mean(results.map(({ cold }) => cold.seconds)),
  graft_warm_seconds: mean(results.map(({ warm }) => warm.seconds)),
  ...(peers.length > 0 && {
    peer_seconds: mean(peers.map(({ seconds }) => seconds)),
    peer_accuracy_last: mean(peers.map(({ last }) => last)),
    times_faster: mean(peers.map(({ seconds }) => seconds)) / mean(results.map(({ cold }) => cold.seconds)),
    times_faster_warm: mean(peers.map(({ seconds }) => seconds)) / mean(results.map(({ warm }) => warm.seconds)),
  }),
};
console.log(summary);
mkdirSync(join(root, 'bench/results'), { recursive: true });
const machine = { cpu: cpus()[0]?.model.trim(), cores: cpus().length, node: process.versions.node };
writeFileSync(join(root, 'bench/results/phase-one.json'), `${JSON.stringify({ machine, summary, rows }, null, 2)}\n`);
rmSync(work, { recursive: true });
