// Phase one beside the guide's recipe in PyTorch: same photos, split, weights and machine, one after the other.
//
//   node --import tsx bench/phase-one.bench.ts PHOTOS WEIGHTS.gguf [--seeds 0,1,2,3,4] [--peer-seeds 0]
//
// graft runs as a user runs it (bin/graft.js), without fine-tuning, from an empty feature cache and then again; the peer is bench/guide-recipe.py
// with ten epochs. Prints a table and writes bench/results/phase-one.json.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { TrainResult } from '../src/index.ts';
import { describeMachine, saveResults } from './support/save-results.ts';
import { mean, numbers } from './support/statistics.ts';
import { type Timed, timeGraft, timeProcess } from './support/time-process.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seeds: { type: 'string', default: '0,1,2,3,4' }, 'peer-seeds': { type: 'string', default: '0' } },
});
const [photos, weights] = positionals;
if (!photos || !weights) throw new Error('Usage: phase-one.bench.ts PHOTOS WEIGHTS.gguf');

const work = mkdtempSync(join(tmpdir(), 'graft-bench-'));
const train = (seed: number, cache: string) =>
  timeGraft(
    [
      ...['train', photos, '--fine-tune-epochs', '0', '--seed', String(seed)],
      ...['--weights', weights, '--project', work, '--json'],
    ],
    { GRAFT_CACHE: cache },
  );

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
  const peer = await timeProcess('/usr/bin/python3', [
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
    peer_accuracy_best: mean(peers.map(({ best }) => best)),
    times_faster: mean(peers.map(({ seconds }) => seconds)) / mean(results.map(({ cold }) => cold.seconds)),
    times_faster_warm: mean(peers.map(({ seconds }) => seconds)) / mean(results.map(({ warm }) => warm.seconds)),
  }),
};
console.log(summary);
saveResults('phase-one', { machine: describeMachine(), summary, rows });
rmSync(work, { recursive: true });
