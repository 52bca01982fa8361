// Finished runs of graft train with default settings: what the benchmarks of export make files of.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { runFiles } from '../../src/project/run-folder.ts';
import { openTrainedRun, type TrainedRun } from '../../src/project/trained-run.ts';
import { drain } from './drain.ts';
import { timeGraft } from './time-process.ts';

/**
 * Opens the run `seed-S` in `folder`, and trains it first when it is not there.
 * @param weights file of the backbone. Default: from graft's cache, or fetched.
 */
export async function openFinishedRun(
  photos: string,
  seed: number,
  folder: string,
  weights?: string,
): Promise<TrainedRun> {
  const [data, name] = [resolve(photos), `seed-${seed}`];
  const run = resolve(folder, name);
  if (!existsSync(join(run, runFiles.metrics))) {
    const words = ['train', data, '--seed', String(seed), '--project', resolve(folder), '--name', name, '--json'];
    await timeGraft([...words, ...(weights ? ['--weights', resolve(weights)] : [])]);
  }
  return drain(openTrainedRun(run, data));
}
