// Peak memory of graft train on a set of photos and on four times as many (re-encoded copies, so that each is new), without
// fine-tuning and with an epoch of it.
//
//   node --import tsx bench/memory.bench.ts PHOTOS [WEIGHTS.gguf]
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import type { TrainResult } from '../src/index.ts';
import { emptyCache } from './support/empty-cache.ts';
import { saveResults } from './support/save-results.ts';
import { round } from './support/statistics.ts';
import { timeGraft } from './support/time-process.ts';

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
const rows: { photos: number; fine_tune_epochs: number; megabytes: number; seconds: number }[] = [];
// An epoch of fine-tuning takes as much memory as twenty.
for (const epochs of [0, 1]) {
  for (const folder of [photos, four]) {
    const words = ['train', folder, '--fine-tune-epochs', String(epochs), '--project', work, '--json'];
    const cache = join(work, 'cache');
    const { megabytes, seconds, stdout } = await timeGraft([...words, ...(weights ? ['--weights', weights] : [])], {
      GRAFT_CACHE: cache,
    });
    const { counts } = JSON.parse(stdout) as TrainResult;
    const total = Object.values(counts).flatMap(split => Object.values(split));
    const sum = total.reduce((all, n) => all + n, 0);
    rows.push({ photos: sum, fine_tune_epochs: epochs, megabytes, seconds: round(seconds, 1) });
    emptyCache(cache);
  }
}
rmSync(work, { recursive: true });
console.table(rows);
saveResults('memory', rows);
