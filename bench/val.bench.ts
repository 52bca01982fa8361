// graft val beside PyTorch's evaluation loop: the same network, weights and photos, two threads each, process by process in turns;
// and its memory on the photos and on four times as many.
//
//   node --import tsx bench/val.bench.ts RUN PHOTOS [--rounds 5]
import { linkSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { scanFolder } from '../src/dataset/scan-folder.ts';
import type { ValResult } from '../src/index.ts';
import { openTrainedRun } from '../src/project/trained-run.ts';
import { drain } from './support/drain.ts';
import { writePeerNetwork } from './support/peer-network.ts';
import { saveResults } from './support/save-results.ts';
import { median, round } from './support/statistics.ts';
import { timeGraft, timeProcess } from './support/time-process.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '5' } },
});
const [name, photos] = positionals as [string, string];
if (!name || !photos) throw new Error('Usage: val.bench.ts RUN PHOTOS');
const work = mkdtempSync(join(tmpdir(), 'graft-val-'));
const run = await drain(openTrainedRun(name));
const scan = await drain(scanFolder(resolve(photos), {}));
const { classes, preprocess } = run.provenance;
const job = {
  network: writePeerNetwork(run.backbone, join(work, 'network'), run.head.weight),
  bias: [...run.head.bias.data],
  size: preprocess.size,
  threads: 2,
  photos: scan.photos.map(photo => [join(scan.root, photo.path), classes.indexOf(photo.class)]),
};

/** The peer's settings: how many processes of its own decode photos. */
const settings = [0, 2];

/**
 * The peer. Its threads sleep while they wait (OMP_WAIT_POLICY): where they spin, as they do by default, another busy process makes it
 * ten times as slow.
 */
async function peer(loaders: number) {
  const file = join(work, 'job.json');
  writeFileSync(file, JSON.stringify({ ...job, loaders }));
  const env = { OMP_WAIT_POLICY: 'passive' };
  const { seconds, megabytes, stdout } = await timeProcess('/usr/bin/python3', ['bench/val.py', file], env);
  return { whole: seconds, megabytes, ...(JSON.parse(stdout) as { seconds: number; accuracy: number }) };
}

async function graft(folder: string, cache: string) {
  const words = ['val', resolve(name), folder, '--workers', '2', '--json'];
  const { seconds, megabytes, stdout } = await timeGraft(words, { GRAFT_CACHE: cache });
  return { whole: seconds, megabytes, accuracy: (JSON.parse(stdout) as ValResult).accuracy };
}

const rounds: Record<string, number>[] = [];
let accuracies = { graft: 0, peer: 0 };
for (let i = 0; i < Number(values.rounds); i++) {
  // The first look at the photos checks each of them; the second one knows them.
  const cache = join(work, `cache-${i}`);
  const [first, again] = [await graft(photos, cache), await graft(photos, cache)];
  const peers: Awaited<ReturnType<typeof peer>>[] = [];
  for (const loaders of settings) peers.push(await peer(loaders));
  accuracies = { graft: first.accuracy, peer: peers[0]!.accuracy };
  const best = peers.reduce((a, b) => (a.whole < b.whole ? a : b));
  rounds.push({
    graft_first: first.whole,
    graft_again: again.whole,
    graft_megabytes: first.megabytes,
    ...Object.fromEntries(settings.map((loaders, k) => [`peer_${loaders}_loaders`, peers[k]!.whole])),
    peer: best.whole,
    peer_loop: best.seconds,
    peer_megabytes: best.megabytes,
    ratio_first: best.whole / first.whole,
    ratio_again: best.whole / again.whole,
    ratio_loop: best.seconds / again.whole,
  });
  console.log(JSON.stringify(rounds.at(-1)));
}
const summary = Object.fromEntries(
  Object.keys(rounds[0]!).map(key => [key, round(median(rounds.map(row => row[key]!)), 2)]),
);

// Memory: the same photos four times, each copy re-encoded, so that none is left out as a copy.
const four = join(work, 'four');
for (const label of readdirSync(photos)) {
  mkdirSync(join(four, label), { recursive: true });
  for (const file of readdirSync(join(photos, label))) {
    linkSync(await reencode(join(photos, label, file), 0), join(four, label, `0-${file}`));
    for (let copy = 1; copy < 4; copy++) {
      linkSync(await reencode(join(photos, label, file), copy), join(four, label, `${copy}-${file}`));
    }
  }
}
async function reencode(file: string, copy: number): Promise<string> {
  const out = join(work, 'copy.jpg');
  rmSync(out, { force: true });
  await sharp(file)
    .jpeg({ quality: 90 + copy })
    .toFile(out);
  return out;
}
const memory = [];
for (const folder of [photos, four]) {
  const { megabytes, whole } = await graft(folder, join(work, 'memory'));
  memory.push({
    photos: folder === four ? 4 * scan.photos.length : scan.photos.length,
    megabytes,
    seconds: round(whole, 1),
  });
}
console.log(JSON.stringify({ photos: scan.photos.length, accuracies, ...summary }));
console.table(memory);
rmSync(work, { recursive: true });
saveResults('val', { photos: scan.photos.length, accuracies, summary, memory });
