// Whether probabilities mean what they say on photos that training has never seen, what the threshold is worth there, and what
// becomes of photos that are none of the classes: those of a class that was left out, and drawn ones.
//
//   node --import tsx bench/calibration.bench.ts PHOTOS WEIGHTS.gguf [--seeds 0,1,2,3,4] [--runs FOLDER] [--fine-tune]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Manifest } from '../src/dataset/manifest.ts';
import { applyTemperature, measureCalibration } from '../src/evaluate/calibration.ts';
import { rocCurve } from '../src/evaluate/curves.ts';
import { argMax } from '../src/evaluate/metrics.ts';
import type { Predictions } from '../src/evaluate/predictions.ts';
import { chooseThreshold, measureRejection } from '../src/evaluate/rejection.ts';
import { openClassifier } from '../src/project/open-classifier.ts';
import { predictPhotos } from '../src/project/predict-photos.ts';
import { drain } from './support/drain.ts';
import { trainHeldOut } from './support/held-out-run.ts';
import { writeNonePhotos } from './support/none-photos.ts';
import { saveResults } from './support/save-results.ts';
import { mean, numbers, round } from './support/statistics.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seeds: { type: 'string', default: '0,1,2,3,4' },
    runs: { type: 'string' },
    'fine-tune': { type: 'boolean', default: false },
  },
});
const [photos, weights] = positionals as [string, string];
if (!photos || !weights) throw new Error('Usage: calibration.bench.ts PHOTOS WEIGHTS.gguf');
const work = mkdtempSync(join(tmpdir(), 'graft-calibration-'));
const runs = values.runs ?? join(work, 'runs');
const words = values['fine-tune'] ? [] : ['--fine-tune-epochs', '0'];
const drawn = await writeNonePhotos(join(work, 'none'), 25);

/** What a run says of files. */
async function ask(run: string, files: readonly string[]): Promise<Float32Array[]> {
  const classifier = await openClassifier(run);
  const answers = await drain(predictPhotos(classifier, files, { camera: 'none', workers: 2, stage: 'ask' }));
  return answers as Float32Array[];
}

async function predictionsOf(run: string, manifest: Manifest, data: string, split: string): Promise<Predictions> {
  const own = manifest.photos.filter(photo => photo.split === split);
  return {
    classes: manifest.classes,
    truth: own.map(photo => manifest.classes.indexOf(photo.class)),
    probabilities: await ask(
      run,
      own.map(({ path }) => resolve(data, path)),
    ),
  };
}

const surest = (rows: readonly Float32Array[]) => rows.map(row => row[argMax(row)]!);

/** Probability that a photo of the classes is surer than one of none of them. */
const apart = (known: readonly Float32Array[], none: readonly Float32Array[]) =>
  rocCurve([...surest(known), ...surest(none)], i => i < known.length)!.area;

const rows: Record<string, number | string>[] = [];
const left: Record<string, number | string>[] = [];
for (const seed of numbers(values.seeds)) {
  const { run, manifest, data } = await trainHeldOut(photos, { seed, runs, weights, words });
  const { temperature } = (await openClassifier(run)).provenance as { temperature: number };
  const [validation, test] = [
    await predictionsOf(run, manifest, data, 'validation'),
    await predictionsOf(run, manifest, data, 'test'),
  ];
  const plain = { ...test, probabilities: test.probabilities.map(row => applyTemperature(row, 1 / temperature)) };
  const figures = (wanted: number, least = 0) => {
    const { below } = chooseThreshold(validation, wanted, least);
    return measureRejection(test, below);
  };
  const [strict, usual] = [figures(0.99), figures(0.95, 0.5)];
  const { below } = chooseThreshold(validation, 0.95, 0.5);
  const none = Object.fromEntries(
    await Promise.all(
      Object.entries(drawn).map(async ([kind, files]) => {
        const said = surest(await ask(run, files));
        return [`accepted ${kind}`, round(said.filter(p => p >= below).length / said.length, 3)] as const;
      }),
    ),
  );
  const everything = await ask(run, Object.values(drawn).flat());
  rows.push({
    seed,
    accuracy: round(
      test.truth.filter((label, i) => label === argMax(test.probabilities[i]!)).length / test.truth.length,
      4,
    ),
    temperature: round(temperature, 3),
    ece_before: round(measureCalibration(plain).ece, 4),
    ece_after: round(measureCalibration(test).ece, 4),
    precision_99: round(strict.precision!, 4),
    low_99: round(strict.interval!.low, 4),
    high_99: round(strict.interval!.high, 4),
    coverage_99: round(strict.accepted / strict.images, 3),
    precision_95: round(usual.precision!, 4),
    coverage_95: round(usual.accepted / usual.images, 3),
    ...none,
    drawn_apart: round(apart(test.probabilities, everything), 3),
  });
  console.log(JSON.stringify(rows.at(-1)));
}
// A class that the model has never seen, of the same plant and the same cameras: the hard case.
const { manifest } = await trainHeldOut(photos, { seed: 0, runs, weights, words });
for (const leaveOut of manifest.classes) {
  const without = await trainHeldOut(photos, { seed: 0, runs, weights, words, leaveOut });
  const known = await predictionsOf(without.run, without.manifest, without.data, 'test');
  const strangers = manifest.photos.filter(photo => photo.class === leaveOut && photo.split === 'test');
  const said = await ask(
    without.run,
    strangers.map(({ path }) => resolve(without.data, path)),
  );
  const validation = await predictionsOf(without.run, without.manifest, without.data, 'validation');
  const { below } = chooseThreshold(validation, 0.95, 0.5);
  left.push({
    left_out: leaveOut,
    accepted: round(surest(said).filter(p => p >= below).length / said.length, 3),
    known_accepted: round(surest(known.probabilities).filter(p => p >= below).length / known.truth.length, 3),
    apart: round(apart(known.probabilities, said), 3),
  });
  console.log(JSON.stringify(left.at(-1)));
}
const average = (name: string) => round(mean(rows.map(row => row[name] as number)), 4);
const summary = Object.fromEntries(
  Object.keys(rows[0]!)
    .slice(1)
    .map(name => [name, average(name)]),
);
console.log('mean', JSON.stringify(summary));
rmSync(work, { recursive: true });
saveResults(values['fine-tune'] ? 'calibration' : 'calibration-head', { rows, summary, left_out: left });
