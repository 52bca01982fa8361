// How well photos of none of the classes are told from the others: by the largest probability, and by how far their features lie
// from those of the training photos. Area under the ROC curve: 0.5 is guessing, 1 is all.
//
//   node --import tsx bench/outliers.bench.ts PHOTOS WEIGHTS.gguf [--runs FOLDER]
import { mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Manifest } from '../src/dataset/manifest.ts';
import { openSession } from '../src/engine/session.ts';
import { rocCurve } from '../src/evaluate/curves.ts';
import { decodePhoto } from '../src/image/decode.ts';
import { writeOnnx } from '../src/onnx/write.ts';
import { openTrainedRun, type TrainedRun } from '../src/project/trained-run.ts';
import { buildClassifierGraph, featureWidth } from '../src/zoo/graphs.ts';
import { drain } from './support/drain.ts';
import { trainHeldOut } from './support/held-out-run.ts';
import { writeNonePhotos } from './support/none-photos.ts';
import { saveResults } from './support/save-results.ts';
import { round } from './support/statistics.ts';

const { values, positionals } = parseArgs({ allowPositionals: true, options: { runs: { type: 'string' } } });
const [photos, weights] = positionals as [string, string];
if (!photos || !weights) throw new Error('Usage: outliers.bench.ts PHOTOS WEIGHTS.gguf');
const work = mkdtempSync(join(tmpdir(), 'graft-outliers-'));
const runs = values.runs ?? join(work, 'runs');
const words = ['--fine-tune-epochs', '0'];
const drawn = await writeNonePhotos(join(work, 'none'), 25);

interface Seen {
  readonly features: Float32Array;
  readonly largest: number;
}

async function lookAt({ backbone, head }: TrainedRun, files: readonly string[]): Promise<Seen[]> {
  const graph = buildClassifierGraph(backbone, head, 'uint8');
  const features = { name: 'features', dtype: 'float32', shape: ['N', featureWidth(backbone)] } as const;
  const session = await openSession(writeOnnx({ ...graph, outputs: [...graph.outputs, features] }), { threads: 2 });
  const { size } = backbone.preprocess;
  const seen: Seen[] = [];
  for (const file of files) {
    const data = await decodePhoto(await readFile(file), backbone.preprocess);
    const said = await session.run({ image: { dtype: 'uint8', shape: [1, size, size, 3], data } });
    const largest = (said.probabilities!.data as Float32Array).reduce((most, p) => Math.max(most, p), 0);
    seen.push({ features: said.features!.data as Float32Array, largest });
  }
  await session.close();
  return seen;
}

/** Mean and inverse variance of each feature. */
function measure(rows: readonly Seen[]) {
  const width = rows[0]!.features.length;
  const mean = new Float64Array(width);
  for (const { features } of rows)
    features.forEach((value, j) => {
      mean[j]! += value / rows.length;
    });
  const variance = new Float64Array(width);
  for (const { features } of rows) {
    features.forEach((value, j) => {
      variance[j]! += (value - mean[j]!) ** 2 / rows.length;
    });
  }
  const floor = (1e-3 * variance.reduce((sum, value) => sum + value, 0)) / width;
  return { mean, inverse: variance.map(value => 1 / (value + floor)) };
}

type Space = ReturnType<typeof measure>;

const distance = (a: ArrayLike<number>, b: ArrayLike<number>, { inverse }: Space) =>
  inverse.reduce((sum, weight, j) => sum + weight * (a[j]! - b[j]!) ** 2, 0);

/** To the mean of the training photos, every feature in its deviations; to the fifth nearest training photo, in the same. */
const scores = (train: readonly Seen[], space: Space) => ({
  'largest probability': ({ largest }: Seen) => largest,
  'distance to the mean': ({ features }: Seen) => -distance(features, space.mean, space),
  'fifth nearest photo': ({ features }: Seen) =>
    -train.map(other => distance(features, other.features, space)).sort((a, b) => a - b)[4]!,
});

const rows: Record<string, string | number>[] = [];

function compare(what: string, train: readonly Seen[], known: readonly Seen[], none: readonly Seen[]): void {
  const row: Record<string, string | number> = { 'photos of none of the classes': what };
  for (const [name, score] of Object.entries(scores(train, measure(train)))) {
    const all = [...known, ...none].map(score);
    row[name] = round(rocCurve(all, i => i < known.length)!.area, 3);
  }
  rows.push(row);
  console.log(JSON.stringify(row));
}

const filesOf = (manifest: Manifest, data: string, split: string, name?: string) =>
  manifest.photos
    .filter(photo => photo.split === split && (name === undefined || photo.class === name))
    .map(({ path }) => resolve(data, path));

const all = await trainHeldOut(photos, { seed: 0, runs, weights, words });
const run = await drain(openTrainedRun(all.run));
const parts = async (of: typeof all, network: TrainedRun) => ({
  train: await lookAt(network, filesOf(of.manifest, of.data, 'train')),
  known: await lookAt(network, filesOf(of.manifest, of.data, 'test')),
});
const { train, known } = await parts(all, run);
for (const [kind, files] of Object.entries(drawn)) compare(kind, train, known, await lookAt(run, files));
for (const leaveOut of all.manifest.classes) {
  const without = await trainHeldOut(photos, { seed: 0, runs, weights, words, leaveOut });
  const network = await drain(openTrainedRun(without.run));
  const own = await parts(without, network);
  const strangers = await lookAt(network, filesOf(all.manifest, all.data, 'test', leaveOut));
  compare(leaveOut, own.train, own.known, strangers);
}
rmSync(work, { recursive: true });
saveResults('outliers', rows);
