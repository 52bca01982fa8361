// Photos of several kinds: accuracy of the head alone and after fine-tuning, with default settings or others.
//
//   node --import tsx bench/datasets.bench.ts FOLDER... [--weights WEIGHTS.gguf] [--seeds 0,1,2] [--settings='--freeze 3']
//
// Each folder holds one folder per class; bench/datasets makes some. --settings may be given more than once; '' are the
// defaults. Prints a table and writes bench/results/datasets.json.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { TrainResult } from '../src/index.ts';
import { emptyCache } from './support/empty-cache.ts';
import { describeMachine, saveResults } from './support/save-results.ts';
import { deviation, mean, numbers, round } from './support/statistics.ts';
import { timeGraft } from './support/time-process.ts';

const { values, positionals: folders } = parseArgs({
  allowPositionals: true,
  options: {
    weights: { type: 'string' },
    seeds: { type: 'string', default: '0,1,2' },
    settings: { type: 'string', multiple: true, default: [''] },
  },
});
if (folders.length === 0) throw new Error('Usage: datasets.bench.ts FOLDER...');
const work = mkdtempSync(join(tmpdir(), 'graft-datasets-'));
const rows: Record<string, unknown>[] = [];
for (const folder of folders) {
  for (const settings of values.settings) {
    const runs: { result: TrainResult; seconds: number }[] = [];
    for (const seed of numbers(values.seeds)) {
      const cache = join(work, 'cache');
      const words = ['train', resolve(folder), '--seed', String(seed), '--project', work, '--json'];
      const more = [...settings.split(' ').filter(Boolean), ...(values.weights ? ['--weights', values.weights] : [])];
      const { seconds, stdout } = await timeGraft([...words, ...more], { GRAFT_CACHE: cache });
      runs.push({ result: JSON.parse(stdout) as TrainResult, seconds });
      emptyCache(cache);
    }
    const { counts, classes } = runs[0]!.result;
    const tunings = runs.map(({ result: { fine_tuning, seconds } }) => {
      if (!fine_tuning) throw new Error('The settings turn fine-tuning off, and it is what is measured.');
      const { head, best, best_epoch, epochs } = fine_tuning;
      // Of one run: both saw the same split.
      const gain = best.accuracy - head.accuracy;
      return { head, best, best_epoch, epochs, gain, headSeconds: seconds.total - seconds.fine_tuning! };
    });
    type Tuning = (typeof tunings)[number];
    const over = (value: (tuning: Tuning) => number, decimals: number) => round(mean(tunings.map(value)), decimals);
    const row = {
      dataset: basename(folder),
      ...(settings && { settings }),
      photos: Object.values(counts)
        .flatMap(split => Object.values(split))
        .reduce((sum, count) => sum + count, 0),
      classes: classes.length,
      head_accuracy: over(({ head }) => head.accuracy, 4),
      head_loss: over(({ head }) => head.loss, 3),
      tuned_accuracy: over(({ best }) => best.accuracy, 4),
      tuned_loss: over(({ best }) => best.loss, 3),
      gain: over(({ gain }) => gain, 4),
      ...(runs.length > 1 && { gain_deviation: round(deviation(tunings.map(({ gain }) => gain)), 4) }),
      best_epoch: over(({ best_epoch }) => best_epoch, 1),
      epochs: over(({ epochs }) => epochs, 1),
      head_seconds: over(({ headSeconds }) => headSeconds, 1),
      seconds: round(mean(runs.map(({ seconds }) => seconds)), 1),
      seeds: runs.length,
    };
    rows.push(row);
    console.error(JSON.stringify(row));
  }
}
rmSync(work, { recursive: true });
console.table(rows);
saveResults('datasets', { machine: describeMachine(), rows });
