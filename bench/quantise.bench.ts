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
import { calibrationPhotos, observe } from '../src/project/calibrate.ts';
import { classifyFiles } from '../src/project/classify-files.ts';
import { defaultWorkers } from '../src/project/defaults.ts';
import { type LabelledFile, labelledFiles } from '../src/project/proof.ts';
import type { ModelFile } from '../src/project/read-model.ts';
import { LOGITS, lowerClassifier } from '../src/project/tflite-file.ts';
import type { TrainedRun } from '../src/project/trained-run.ts';
import { summariseChannels } from '../src/tflite/channel-ranges.ts';
import { exposeTensors } from '../src/tflite/expose.ts';
import type { TfliteModel } from '../src/tflite/model.ts';
import { writeTflite } from '../src/tflite/write.ts';
import { drain } from './support/drain.ts';
import { openFinishedRun } from './support/finished-run.ts';
import { type Variant, variants } from './support/quantise-variants.ts';
import { describeMachine, saveResults } from './support/save-results.ts';
import { mean, numbers, round } from './support/statistics.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { seeds: { type: 'string', default: '0,1,2' }, runs: { type: 'string' } },
});
const [photos, weights] = positionals;
if (!photos) throw new Error('Usage: quantise.bench.ts PHOTOS [WEIGHTS.gguf]');

/** What the models give for each of the photos. */
async function classify(
  run: TrainedRun,
  models: readonly ModelFile[],
  photos: readonly LabelledFile[],
): Promise<Float32Array[][]> {
  const { preprocess, camera = 'none', classes } = run.provenance;
  const given: Float32Array[][] = models.map(() => []);
  const setup = { models, preprocess, camera, classes: classes.length };
  const files = photos.map(({ file }) => file);
  for await (const outcome of classifyFiles(setup, files, defaultWorkers())) {
    if ('reason' in outcome) throw new Error(outcome.reason);
    outcome.probabilities.forEach((probabilities, model) => {
      given[model]![outcome.index] = probabilities;
    });
  }
  return given;
}

/** Without the stamp of the oldest runtime: graft makes no hybrid depthwise convolution, and does not know its release. */
const fileOf = (model: TfliteModel): ModelFile => ({
  runtime: 'tflite',
  bytes: writeTflite(model, { stampRuntime: false }),
});

/**
 * The files of all variants.
 * @param looked every photo that one of the calibrations looks at; it is read once for all of them.
 */
async function buildFiles(run: TrainedRun, looked: readonly LabelledFile[]): Promise<ModelFile[]> {
  const seen = await drain(observe(run, looked, defaultWorkers()));
  const placeOf = new Map(looked.map(({ file }, place) => [file, place]));
  const placesOf = ({ photos }: Variant) => calibrationPhotos(run, photos).map(({ file }) => placeOf.get(file)!);
  const { head } = run;
  const build = (variant: Variant, shift?: readonly number[]): TfliteModel => {
    const places = placesOf(variant);
    const ranges = [...seen].map(([name, photos]) => {
      const perPhoto = places.map(place => photos[place]!);
      const range = summariseChannels(perPhoto, variant.covered);
      return [name, variant.correctsBiases === false ? { ...range, mean: range.mean.map(() => 0) } : range] as const;
    });
    const bias = { ...head.bias, data: head.bias.data.map((value, c) => value + (shift?.[c] ?? 0)) };
    const model = lowerClassifier({ ...run, head: { ...head, bias } });
    return variant.build(model, new Map(ranges), run.backbone.stages.at(-1)!.value);
  };
  const all = Object.values(variants);
  const corrected = all.filter(({ correctsLogits }) => correctsLogits);
  const logitsOf = (model: TfliteModel) => fileOf(exposeTensors(model, [LOGITS]));
  const models = [lowerClassifier(run), ...corrected.map(variant => build(variant))];
  const [wanted, ...found] = await classify(run, models.map(logitsOf), looked);
  return all.map(variant => {
    const logits = found[corrected.indexOf(variant)];
    if (!logits) return fileOf(build(variant));
    const places = placesOf(variant);
    const shift = Array.from(head.bias.data, (_, c) =>
      mean(places.map(place => wanted![place]![c]! - logits[place]![c]!)),
    );
    return fileOf(build(variant, shift));
  });
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
  const wanted = Object.values(variants).flatMap(variant => calibrationPhotos(run, variant.photos));
  const looked = [...new Map(wanted.map(photo => [photo.file, photo])).values()];
  const others = train.filter(({ file }) => !looked.some(photo => photo.file === file));
  if (others.length === 0)
    throw new Error('The calibrations look at every training photo: give more than 300 of them.');
  const files = await buildFiles(run, looked);
  const trainedModel: ModelFile = { runtime: 'onnx', bytes: run.onnx };
  const [trained, ...answers] = (await classify(run, [trainedModel, ...files], [...validation, ...others])) as [
    Float32Array[],
    ...Float32Array[][],
  ];
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
      bytes: files[i]!.bytes.length,
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

const short = (value: number) => Number(value.toPrecision(3));
const rows = Object.keys(variants).map((file, i) => {
  const all = measured.map(({ files }) => files[i]!);
  const parts = all.flatMap(({ validation, train }) => [validation, train]);
  return {
    file,
    accuracy_points: round(100 * mean(all.map(({ accuracyDifference }) => accuracyDifference)), 2),
    agreement_validation: round(mean(all.map(({ validation }) => validation.agreement)), 4),
    agreement_train: round(mean(all.map(({ train }) => train.agreement)), 4),
    difference_validation: short(mean(all.map(({ validation }) => validation.meanDifference))),
    difference_train: short(mean(all.map(({ train }) => train.meanDifference))),
    largest_difference: short(Math.max(...parts.map(({ largestDifference }) => largestDifference))),
    kilobytes: round(mean(all.map(({ bytes }) => bytes)) / 1000, 0),
  };
});
console.table(rows);
const details = measured.map(({ accuracy, photos, files }, i) => ({
  seed: numbers(values.seeds)[i],
  accuracy: round(accuracy, 4),
  photos,
  files: files.map(({ name, accuracyDifference, validation, train }) => ({
    file: name,
    accuracy_points: round(100 * accuracyDifference, 2),
    agreement_validation: round(validation.agreement, 4),
    agreement_train: round(train.agreement, 4),
    difference_validation: short(validation.meanDifference),
    difference_train: short(train.meanDifference),
    largest_difference: short(Math.max(validation.largestDifference, train.largestDifference)),
  })),
}));
saveResults('quantise', { machine: describeMachine(), rows, details });
