// Peak memory of graft train on a set of photos and on four times as many (re-encoded copies, so that each is new).
//
//   node --import tsx bench/memory.bench.ts PHOTOS [WEIGHTS.gguf]
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import type { TrainResult } from '../src/index.ts';
import { root, timeGraft } from './support/time-process.ts';

const [photos, weights] = process.argv.slice(2);
if (!photos) throw new Error('Usage: memory.bench.ts PHOTOS [WEIGHTS.gguf]');
const work = mkdtempSync(join(tmpdir(), 'graft-memory-'));
const four = join(work, 'four');
for (const name of readdirSync(photos)) {
  mkdirSync(join(four, name), { recursive: true });
  for (const file of readdirSync(join(photos, name))) {
    for (let copy = 0; copy < 4; copy++) {
      await sharp(join(photos, name, file))
        .jpeg({ quality: 90 + copy })
        .toFile(join(four, name, `${copy}-${file}.jpg`));
    }
  }
}
const rows: { photos: number; megabytes: number; seconds: number }[] = [];
for (const folder of [photos, four]) {
  const words = ['train', folder, '--project', work, '--json', ...(weights ? ['--weights', weights] : [])];
  const { megabytes, seconds, stdout } = await timeGraft(words, { GRAFT_CACHE: join(work, 'cache') });
  const { counts } = JSON.parse(stdout) as TrainResult;
  const total = Object.values(counts).flatMap(split => Object.values(split));
  rows.push({ photos: total.reduce((sum, n) => sum + n, 0), megabytes, seconds: Number(seconds.toFixed(1)) });
}
rmSync(work, { recursive: true });
console.table(rows);
mkdirSync(join(root, 'bench/results'), { recursive: true });
writeFileSync(join(root, 'bench/results/memory.json'), `${JSON.stringify(rows, null, 2)}\n`);
