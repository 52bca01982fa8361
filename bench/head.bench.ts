// What the settings of the head are worth: validation accuracy of graft train without fine-tuning over
// seeds, one setting changed at a time.
//
//   node --import tsx bench/head.bench.ts PHOTOS [WEIGHTS.gguf] [seeds, default 10]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TrainResult } from '../src/index.ts';
import { saveResults } from './support/save-results.ts';
import { deviation, mean, round } from './support/statistics.ts';
import { timeGraft } from './support/time-process.ts';

const [photos, weights, seeds = '10'] = process.argv.slice(2);
if (!photos) throw new Error('Usage: head.bench.ts PHOTOS [WEIGHTS.gguf] [SEEDS]');
const variants = [
  '',
  '--views 0',
  '--views 1',
  '--views 7',
  '--views 3 --vertical-flip --rotation 30',
  '--dropout 0.2',
  '--weight-decay 0.3',
  '--label-smoothing 0',
  '--epochs 30',
  '--epochs 120 --patience 40',
];
const work = mkdtempSync(join(tmpdir(), 'graft-head-'));
const rows: Record<string, unknown>[] = [];
for (const variant of variants) {
  const accuracies: number[] = [];
  for (let seed = 0; seed < Number(seeds); seed++) {
    const words = [
      'train',
      photos,
      '--fine-tune-epochs',
      '0',
      ...variant.split(' ').filter(Boolean),
      '--seed',
      String(seed),
      '--project',
      work,
      '--json',
    ];
    const { stdout } = await timeGraft([...words, ...(weights ? ['--weights', weights] : [])], {
      GRAFT_CACHE: join(work, 'cache'),
    });
    accuracies.push((JSON.parse(stdout) as TrainResult).validation.accuracy);
  }
  rows.push({
    setting: variant || 'the defaults',
    accuracy: round(mean(accuracies), 4),
    deviation: round(deviation(accuracies), 4),
    seeds: accuracies.length,
  });
  console.log(JSON.stringify(rows.at(-1)));
}
rmSync(work, { recursive: true });
saveResults('head', rows);
