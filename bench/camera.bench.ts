// What training for a robot's camera is worth: accuracy on the validation photos as they are and as the camera sees them, of
// models that were trained with and without --camera greyscale.
//
//   node --import tsx bench/camera.bench.ts PHOTOS WEIGHTS.gguf [--seeds 0,1,2,3,4] [--fine-tune-seeds 0]
//
// The head alone over the seeds, and both phases over the others; a seed decides the split and the training. Prints a table and
// writes bench/results/camera.json.
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadManifest } from '../src/dataset/manifest.ts';
import type { TrainResult, ValResult } from '../src/index.ts';
import { describeMachine, saveResults } from './support/save-results.ts';
import { mean, numbers, round } from './support/statistics.ts';
import { timeGraft } from './support/time-process.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '0,1,2,3,4' },
    'fine-tune-seeds': { type: 'string', default: '0' },
  },
});
const [photos, weights] = positionals;
if (!photos || !weights) throw new Error('Usage: camera.bench.ts PHOTOS WEIGHTS.gguf');
const work = mkdtempSync(join(tmpdir(), 'graft-camera-'));
const env = { GRAFT_CACHE: join(work, 'cache') };
const cameras = ['none', 'greyscale'] as const;

async function graft<R>(...words: readonly string[]): Promise<R> {
  return JSON.parse((await timeGraft([...words, '--json'], env)).stdout) as R;
}

/** The validation photos of a run in a folder of their own. */
async function copyValidation(run: string): Promise<string> {
  const folder = join(work, `${basename(run)}-validation`);
  const { photos: all } = await loadManifest(join(run, 'manifest.json'));
  for (const photo of all.filter(({ split }) => split === 'validation')) {
    mkdirSync(join(folder, photo.class), { recursive: true });
    cpSync(join(photos!, photo.path), join(folder, photo.class, `${photo.sha256}.jpg`));
  }
  return folder;
}

const rows: Record<string, unknown>[] = [];
for (const [phases, seeds, settings] of [
  ['head alone', values.seeds, ['--fine-tune-epochs', '0']],
  ['both phases', values['fine-tune-seeds'], []],
] as const) {
  for (const trained of cameras) {
    const accuracies = { none: [] as number[], greyscale: [] as number[] };
    const seconds: number[] = [];
    for (const seed of numbers(seeds)) {
      const words = ['--camera', trained, '--seed', String(seed), '--project', work, '--weights', weights, ...settings];
      const result = await graft<TrainResult>('train', photos, ...words);
      seconds.push(result.seconds.total);
      const validation = await copyValidation(result.run);
      for (const seen of cameras) {
        const { accuracy } = await graft<ValResult>('val', result.run, validation, '--camera', seen);
        accuracies[seen].push(accuracy);
      }
    }
    if (seconds.length === 0) continue;
    rows.push({
      phases,
      trained_with: trained,
      photos_as_they_are: round(mean(accuracies.none), 4),
      camera_frames: round(mean(accuracies.greyscale), 4),
      seconds: round(mean(seconds), 1),
      seeds: seconds.length,
    });
    console.log(JSON.stringify(rows.at(-1)));
  }
}
rmSync(work, { recursive: true });
console.table(rows);
saveResults('camera', { machine: describeMachine(), rows });
