// What an imported backbone is worth: accuracy of a linear head on its features over seeds, and, of a .tflite file, how far the
// network that was made of it is from what LiteRT makes of the file.
//
//   node --import tsx bench/import-probe.bench.ts FILE PHOTOS [--pixels imagenet] [--seeds 0,1,2] [--compare 60]
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeRng } from '../src/base/rng.ts';
import { loadLiteRt } from '../src/engine/litert.ts';
import { openSession, type Session } from '../src/engine/session.ts';
import { decodePhoto } from '../src/image/decode.ts';
import type { PixelsName } from '../src/import/find-preprocess.ts';
import { openModelFile } from '../src/import/open-model.ts';
import { writeOnnx } from '../src/onnx/write.ts';
import { float32, sizeOf, type Tensor } from '../src/tensor/tensor.ts';
import { exposeTensors } from '../src/tflite/expose.ts';
import type { TfliteModel } from '../src/tflite/model.ts';
import { raiseTflite } from '../src/tflite/raise.ts';
import { readTflite } from '../src/tflite/read.ts';
import { writeTflite } from '../src/tflite/write.ts';
import { makeFeatureSet } from '../src/train/feature-set.ts';
import { defaultHeadOptions, trainHead } from '../src/train/head.ts';
import { buildFeatureGraph, featureWidth } from '../src/zoo/graphs.ts';
import { saveResults } from './support/save-results.ts';
import { deviation, mean, numbers, round } from './support/statistics.ts';

/** Share of the photos of each class that the head is not trained on. */
const HELD_OUT = 0.15;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    pixels: { type: 'string' },
    seeds: { type: 'string', default: '0,1,2,3,4' },
    compare: { type: 'string', default: '60' },
  },
});
const [file, folder] = positionals;
if (!file || !folder) throw new Error('Usage: import-probe.bench.ts FILE PHOTOS [--pixels NAME] [--seeds 0,1,2]');
const backbone = await openModelFile(file, { pixels: values.pixels as PixelsName | undefined });
for (const note of backbone.notes) console.log(note);

const classes = readdirSync(folder).sort();
const photos = classes.flatMap((name, label) =>
  readdirSync(join(folder, name)).map(photo => ({ path: join(folder, name, photo), label })),
);
const decode = (path: string) => decodePhoto(readFileSync(path), backbone.preprocess);
const run = async (session: Session, image: Tensor, output: string) =>
  (await session.run({ [session.inputNames[0]!]: image }))[output]!.data as Float32Array;

async function extract(): Promise<Float32Array[]> {
  const session = await openSession(writeOnnx(buildFeatureGraph(backbone)));
  const { size } = backbone.preprocess;
  const features: Float32Array[] = [];
  for (const { path } of photos) {
    const image: Tensor = { dtype: 'uint8', shape: [1, size, size, 3], data: await decode(path) };
    features.push(await run(session, image, 'features'));
  }
  await session.close();
  return features;
}

/** Validation accuracy of a head that is trained on the rest. */
async function probe(features: readonly Float32Array[], seed: number): Promise<number> {
  const rng = makeRng(seed, 'split');
  const parts = { train: [] as number[], validation: [] as number[] };
  for (const label of classes.keys()) {
    const own = photos.flatMap((photo, i) => (photo.label === label ? [i] : []));
    rng.shuffle(own);
    const held = Math.round(HELD_OUT * own.length);
    parts.validation.push(...own.slice(0, held));
    parts.train.push(...own.slice(held));
  }
  const width = featureWidth(backbone);
  const set = (indexes: readonly number[]) =>
    makeFeatureSet(
      width,
      indexes.map(i => photos[i]!.label),
      1,
      (photo, _, out, offset) => {
        out.set(features[indexes[photo]!]!, offset);
      },
    );
  const training = trainHead(set(parts.train), set(parts.validation), classes.length, { ...defaultHeadOptions, seed });
  let step = await training.next();
  while (!step.done) step = await training.next();
  return step.value.epochs[step.value.bestEpoch - 1]!.validationAccuracy;
}

/** What the file's own computation and the raised network's say of the same photos, every so many. */
async function compare(model: TfliteModel, count: number) {
  const { value } = backbone.stages.at(-1)!;
  // The graph's names are the first of the several that a converter gives a tensor.
  const inner = model.tensors.find(({ name, data }) => !data && `net.${name.split(';', 1)[0]}` === value);
  const whole = await loadLiteRt(writeTflite(model, { stampRuntime: false }));
  const inside = inner && (await loadLiteRt(writeTflite(exposeTensors(model, [inner.name]), { stampRuntime: false })));
  const graph = raiseTflite(model);
  const raised = await openSession(writeOnnx(graph));
  const features = await openSession(writeOnnx(buildFeatureGraph(backbone)));
  const { shape, type, quantization } = model.tensors[model.inputs[0]!]!;
  const { mean: average, std } = backbone.preprocess;
  const channels = inner ? inner.shape[3]! : 0;
  const step = Math.max(1, Math.floor(photos.length / count));
  const sampled = photos.filter((_, i) => i % step === 0);
  const correlations: number[] = [];
  let same = 0;
  for (const { path } of sampled) {
    const pixels = await decode(path);
    const scaled = Float32Array.from(pixels, (pixel, i) => (pixel / 255 - average[i % 3]!) / std[i % 3]!);
    const input = type === 'UINT8' ? pixels : scaled;
    const [own] = await whole.run([input]);
    // Quantised inputs stand for scale * (pixel - zero), of which the network's preprocessing is made.
    const real =
      quantization && type === 'UINT8'
        ? Float32Array.from(pixels, pixel => quantization.scale[0]! * (pixel - quantization.zeroPoint[0]!))
        : scaled;
    const found = await run(raised, float32(shape, real), graph.outputs[0]!.name);
    same += largestAt(own!) === largestAt(found) ? 1 : 0;
    if (!inside) continue;
    const [map] = await inside.run([input]);
    const pooled = new Float32Array(channels);
    map!.forEach((number, i) => {
      pooled[i % channels]! += number / (sizeOf(inner.shape) / channels);
    });
    const image: Tensor = { dtype: 'uint8', shape, data: pixels };
    correlations.push(correlation(pooled, (await run(features, image, 'features')).slice(-channels)));
  }
  return {
    photos: sampled.length,
    sameClass: round(same / sampled.length, 3),
    ...(inside && { correlation: round(mean(correlations), 4), lowest: round(Math.min(...correlations), 4) }),
  };
}

const largestAt = (numbers: ArrayLike<number>): number => {
  let best = 0;
  for (let i = 1; i < numbers.length; i++) if (numbers[i]! > numbers[best]!) best = i;
  return best;
};

function correlation(a: Float32Array, b: Float32Array): number {
  const [meanA, meanB] = [mean([...a]), mean([...b])];
  let [ab, aa, bb] = [0, 0, 0];
  a.forEach((value, i) => {
    ab += (value - meanA) * (b[i]! - meanB);
    aa += (value - meanA) ** 2;
    bb += (b[i]! - meanB) ** 2;
  });
  return ab / Math.sqrt(aa * bb);
}

const result: Record<string, unknown> = {
  file: backbone.title,
  stages: backbone.stages.length,
  features: featureWidth(backbone),
};
if (file.endsWith('.tflite')) {
  result.ofTheFile = await compare(readTflite(new Uint8Array(readFileSync(file))), Number(values.compare));
  console.log(JSON.stringify(result.ofTheFile));
}
const features = await extract();
const accuracies: number[] = [];
for (const seed of numbers(values.seeds)) accuracies.push(await probe(features, seed));
result.probe = {
  photos: photos.length,
  classes: classes.length,
  accuracy: round(mean(accuracies), 4),
  deviation: round(deviation(accuracies), 4),
  seeds: accuracies.length,
};
console.log(JSON.stringify(result));
saveResults('import-probe', result);
