// What each step of quantisation is worth: the files that graft writes, and the same with a step left out or a constant
// changed, all in LiteRT beside the trained model.
//
//   node --import tsx bench/quantise.bench.ts PHOTOS [WEIGHTS.gguf] [--seeds 0,1,2] [--runs FOLDER]
//
// The networks are the runs seed-0, seed-1, ... in FOLDER, of graft train with default settings; those that are not there
// are trained. Accuracy is that on the validation photos; how much a file says the same as the trained model is measured
// there too, and on the training photos that no calibration has looked at, which are several times as many. Prints a table
// of means over the seeds and writes bench/results/quantise.json.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { argMax } from '../src/evaluate/metrics.ts';
import { CALIBRATION_PHOTOS, calibrationPhotos, observe } from '../src/project/calibrate.ts';
import { classifyFiles } from '../src/project/classify-files.ts';
import { defaultWorkers } from '../src/project/defaults.ts';
import { type LabelledFile, labelledFiles } from '../src/project/proof.ts';
import { lowerClassifier } from '../src/project/tflite-file.ts';
import type { TrainedRun } from '../src/project/trained-run.ts';
import { type ChannelRanges, summariseChannels } from '../src/tflite/channel-ranges.ts';
import { writeTflite } from '../src/tflite/write.ts';
import { lastStageValue } from '../src/zoo/mobilenet-v3.ts';
import { drain } from './support/drain.ts';
import { openFinishedRun } from './support/finished-run.ts';
import { type Calibrated, calibrationSizes, variants } from './support/quantise-variants.ts';
import { describeMachine, saveResults } from './support/save-results.ts';
import { mean, numbers, round } from './support/statistics.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seeds: { type: 'string', default: '0,1,2' }, runs: { type: 'string' } },
});
const [photos, weights] = positionals;
if (!photos) throw new Error('Usage: quantise.bench.ts PHOTOS [WEIGHTS.gguf]');

/** The run's network, with ranges from any of the calibrations; each photo is looked at once. */
async function calibrateOnce(run: TrainedRun, looked: readonly LabelledFile[]): Promise<Calibrated> {
  const seen = await drain(observe(run, looked, defaultWorkers()));
  const places = new Map(looked.map(({ file }, place) => [file, place]));
  const rangesOf = (count?: number, covered?: number): ReadonlyMap<string, ChannelRanges> => {
    const used = calibrationPhotos(run, count).map(({ file }) => places.get(file)!);
    const summarise = (all: readonly ChannelRanges[]) =>
      summariseChannels(
        used.map(place => all[place]!),
        covered,
      );
    return new Map([...seen].map(([name, all]) => [name, summarise(all)]));
  };
  return { model: lowerClassifier(run), last: lastStageValue(run.card.architecture), rangesOf };
}

/** What each model says of each photo, models first. */
async function classify(run: TrainedRun, files: readonly Uint8Array[], photos: readonly LabelledFile[]) {
  const { preprocess, camera = 'none', classes } = run.provenance;
  const models = [
    { runtime: 'onnx', bytes: run.onnx } as const,
    ...files.map(bytes => ({ runtime: 'tflite', bytes }) as const),
  ];
  const said: Float32Array[][] = models.map(() => []);
  const paths = photos.map(({ file }) => file);
  for await (const outcome of classifyFiles(
    { models, preprocess, camera, classes: classes.length },
    paths,
    defaultWorkers(),
  )) {
    if ('reason' in outcome) throw new Error(outcome.reason);
    outcome.probabilities.forEach((probabilities, model) => {
      said[model]![outcome.index] = probabilities;
    });
  }
  return said;
}

/** How much a file says the same as the trained model on some photos. */
function compare(trained: readonly Float32Array[], file: readonly Float32Array[]) {
  const tops = trained.map(argMax);
  return {
    /** Part of the photos with the same top class. */
    agreement: mean(file.map((answer, i) => Number(argMax(answer) === tops[i]))),
    /** Of the probability of the trained model's top class. */
    meanDifference: mean(file.map((answer, i) => Math.abs(answer[tops[i]!]! - trained[i]![tops[i]!]!))),
    /** Of any probability. */
    largestDifference: Math.max(
      ...file.flatMap((answer, i) => Array.from(answer, (value, k) => Math.abs(value - trained[i]![k]!))),
    ),
  };
}

/** Every file of one run, measured. */
async function measureRun(run: TrainedRun) {
  const validation = labelledFiles(run.manifest, 'validation', run.data);
  const train = labelledFiles(run.manifest, 'train', run.data);
  const wanted = [CALIBRATION_PHOTOS, ...calibrationSizes].flatMap(count => calibrationPhotos(run, count));
  const looked = [...new Map(wanted.map(photo => [photo.file, photo])).values()];
  const others = train.filter(({ file }) => !looked.some(photo => photo.file === file));
  const network = await calibrateOnce(run, looked);
  // Without the stamp of the oldest runtime: graft writes no hybrid depthwise convolutions and does not know theirs.
  const files = Object.values(variants).map(build => writeTflite(build(network), { stampRuntime: false }));
  const said = await classify(run, files, [...validation, ...others]);
  const [trained, ...answers] = said as [Float32Array[], ...Float32Array[][]];
  const count = validation.length;
  const accuracyOf = (all: readonly Float32Array[]) =>
    mean(validation.map(({ label }, i) => Number(argMax(all[i]!) === label)));
  return {
    accuracy: accuracyOf(trained),
    photos: { validation: count, train: others.length },
    files: Object.keys(variants).map((name, i) => ({
      name,
      accuracyDifference: accuracyOf(answers[i]!) - accuracyOf(trained),
      validation: compare(trained.slice(0, count), answers[i]!.slice(0, count)),
      train: compare(trained.slice(count), answers[i]!.slice(count)),
      bytes: files[i]!.length,
    })),
  };
}

const folder = values.runs ?? mkdtempSync(join(tmpdir(), 'graft-quantise-'));
const measured: Awaited<ReturnType<typeof measureRun>>[] = [];
for (const seed of numbers(values.seeds)) {
  const start = performance.now();
  measured.push(await measureRun(await openFinishedRun(photos, seed, folder, weights)));
  console.error(`seed ${seed}: ${((performance.now() - start) / 1000).toFixed(0)} s`);
}
if (!values.runs) rmSync(folder, { recursive: true });

const rows = Object.keys(variants).map((file, i) => {
  const all = measured.map(({ files }) => files[i]!);
  return {
    file,
    accuracy_points: round(100 * mean(all.map(({ accuracyDifference }) => accuracyDifference)), 2),
    agreement_validation: round(mean(all.map(({ validation }) => validation.agreement)), 4),
    agreement_train: round(mean(all.map(({ train }) => train.agreement)), 4),
    difference_validation: Number(mean(all.map(({ validation }) => validation.meanDifference)).toPrecision(3)),
    difference_train: Number(mean(all.map(({ train }) => train.meanDifference)).toPrecision(3)),
    largest_difference: Number(
      Math.max(
        ...all.flatMap(({ validation, train }) => [validation, train]).map(part => part.largestDifference),
      ).toPrecision(3),
    ),
    kilobytes: round(mean(all.map(({ bytes }) => bytes)) / 1000, 0),
  };
});
console.table(rows);
const details = measured.map((run, i) => ({ seed: numbers(values.seeds)[i], ...run }));
saveResults('quantise', { machine: describeMachine(), rows, details });
