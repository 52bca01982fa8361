// What training settles at its end: a temperature that every file has in it, and a threshold, which is no class of that name.
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { finish, type Prediction, predict, type TrainResult, train } from '../../src/index.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { classifyFiles } from '../../src/project/classify-files.ts';
import { parseProvenance } from '../../src/project/provenance.ts';
import type { ModelFile } from '../../src/project/read-model.ts';
import { buildTflite } from '../../src/project/tflite-file.ts';
import { openTrainedRun } from '../../src/project/trained-run.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import { buildClassifierGraph } from '../../src/zoo/graphs.ts';
import { drawSmallDataset, graft } from '../support/graft.ts';
import { drain } from '../support/reference.ts';

let set: Awaited<ReturnType<typeof drawSmallDataset>>;
let run: TrainResult;
const at = (...path: string[]) => join(set.folder, ...path);
const settings = () => ({ data: set.data, project: at('runs'), imgsz: 64, epochs: 20, fineTuneEpochs: 0 });

before(async () => {
  set = await drawSmallDataset(40);
  // A class may be called so.
  renameSync(join(set.data, 'unhealthy'), join(set.data, 'unknown'));
  run = await finish(train({ ...settings(), name: 'leaves' }));
});
after(() => set.remove());

/** What a model says of all photos; it never says that it does not know. */
async function ask(model: string): Promise<readonly Prediction[]> {
  const files = run.classes.map(name => join(set.data, name));
  return (await finish(predict({ model, files, rejectBelow: 0 }))).predictions;
}

test('logits divided by the temperature are in model.onnx, model.tflite and the detectors', async () => {
  const { temperature, ece_before, ece_after } = run.calibration;
  assert.ok(temperature > 0.05 && temperature < 20 && Math.abs(temperature - 1) > 0.05, `${temperature}`);
  assert.ok(ece_before >= 0 && ece_after >= 0);
  const trained = await drain(openTrainedRun(run.run));
  // The head as it was trained: the network's answers to it are divided here.
  const times = (values: Float32Array) => values.map(value => value * temperature);
  const { weight, bias } = trained.head;
  const plain = {
    weight: float32(weight.shape as [number, number], times(weight.data)),
    bias: float32(bias.shape as [number], times(bias.data)),
  };
  const detector = { precision: 'float32', signature: 'detector', input: 'float32' } as const;
  const models: Record<string, ModelFile> = {
    'at temperature 1': { runtime: 'onnx', bytes: writeOnnx(buildClassifierGraph(trained.backbone, plain, 'uint8')) },
    'model.onnx': { runtime: 'onnx', bytes: trained.onnx },
    'model.tflite': { runtime: 'tflite', bytes: readFileSync(join(run.run, 'model.tflite')) },
    'detector.tflite': { runtime: 'tflite', bytes: buildTflite(trained, detector) },
  };
  const setup = { models: Object.values(models), preprocess: trained.backbone.preprocess, camera: 'none' } as const;
  const files = run.classes.flatMap(name => [1, 2, 3, 4].map(i => join(set.data, name, `leaf-000${i}.jpg`)));
  let largest = 0;
  for await (const outcome of classifyFiles({ ...setup, classes: 2 }, files, 1)) {
    assert.ok('probabilities' in outcome);
    const [first, ...others] = outcome.probabilities as [Float32Array, ...Float32Array[]];
    const powers = Array.from(first, p => p ** (1 / temperature));
    const total = powers.reduce((sum, power) => sum + power, 0);
    powers.forEach((power, k) => {
      largest = Math.max(largest, Math.abs(power / total - first[k]!));
      others.forEach((row, i) => {
        const away = Math.abs(row[k]! - power / total);
        assert.ok(away < 1e-4, `${Object.keys(models)[i + 1]}, ${files[outcome.index]}: ${away}`);
      });
    });
  }
  assert.ok(largest > 1e-3, 'and they are others than without it');
});

test('a class called unknown is another thing than a photo that is not known', async () => {
  const file = (await ask(run.run)).find(({ label, known }) => label === 'unknown' && known)!.file;
  const of = async (rejectBelow: number) =>
    (await finish(predict({ model: run.run, files: [file], rejectBelow }))).predictions[0]!;
  const [named, rejected] = [await of(0), await of(1)];
  assert.deepEqual([named.label, named.known, named.best], ['unknown', true, 'unknown']);
  assert.deepEqual([rejected.label, rejected.known, rejected.best], ['unknown', false, 'unknown']);
  assert.deepEqual(rejected.probabilities, named.probabilities);
  const printed = await graft(['predict', run.run, file, '--reject-below', '1']);
  assert.equal(printed.status, 0);
  assert.match(printed.stdout, /unknown \(unknown\?\)/);
  assert.doesNotMatch((await graft(['predict', run.run, file, '--reject-below', '0'])).stdout, /\?/);
});

test('the threshold is chosen on the validation photos, or is the one that is named, and stands in the file', async () => {
  const validation = (rule: TrainResult['reject'], all: readonly Prediction[]) => {
    const { photos } = JSON.parse(readFileSync(join(run.run, 'manifest.json'), 'utf8'));
    const own = all.filter(({ file }) =>
      photos.some(
        (photo: { path: string; split: string }) => photo.split === 'validation' && file.endsWith(photo.path),
      ),
    );
    const accepted = own.filter(({ probability }) => probability >= rule.below);
    const right = accepted.filter(({ file, best }) => file.includes(`/${best}/`)).length;
    return { images: own.length, coverage: accepted.length / own.length, precision: right / accepted.length };
  };
  const { images, coverage, precision, interval, below } = run.reject;
  assert.deepEqual({ images, coverage, precision }, validation(run.reject, await ask(run.run)));
  assert.ok(interval!.low < precision! && precision! <= interval!.high);
  const strict = await finish(train({ ...settings(), name: 'strict', wantedPrecision: 1 }));
  assert.ok(strict.reject.below > below && strict.reject.coverage <= coverage);
  assert.deepEqual(strict.calibration, run.calibration, 'the same network');
  const named = await finish(train({ ...settings(), name: 'named', rejectBelow: 0.75 }));
  assert.deepEqual([named.reject.below, named.reject.wanted], [0.75, null]);
  const { predictions } = await finish(
    predict({ model: join(named.run, 'model.tflite'), files: [join(set.data, 'healthy')] }),
  );
  assert.ok(predictions.every(({ known, probability }) => known === probability >= 0.75));
  for (const wrong of [{ rejectBelow: 1.5 }, { wantedPrecision: 0.3 }]) {
    await assert.rejects(finish(train({ ...settings(), ...wrong })), { code: 'usage' });
  }
});

test('a run that was cut off before its end settles on the same, to the byte', async () => {
  const folder = at('runs', 'cut-off');
  cpSync(run.run, folder, { recursive: true });
  const made = ['model.onnx', 'model.tflite', 'metrics.json', 'labels.txt'];
  for (const name of made) rmSync(join(folder, name));
  const resumed = await finish(train({ resume: folder }));
  assert.deepEqual([resumed.calibration, resumed.reject], [run.calibration, run.reject]);
  for (const name of ['model.onnx', 'model.tflite']) {
    assert.ok(readFileSync(join(folder, name)).equals(readFileSync(join(run.run, name))), name);
  }
  assert.ok(existsSync(join(folder, 'metrics.json')));
});

test('a description with a temperature or a threshold that cannot be is refused', () => {
  const sound = JSON.parse(readFileSync(join(run.run, 'args.json'), 'utf8')).model;
  const parse = (more: object) => parseProvenance(JSON.stringify({ ...sound, ...more }), 'x.tflite');
  assert.equal(parse({ temperature: 2, reject: run.reject }).temperature, 2);
  for (const wrong of [
    { temperature: 0 },
    { temperature: 1e9 },
    { temperature: '1' },
    { temperature: null },
    { reject: null },
    { reject: {} },
    { reject: { below: -0.1 } },
    { reject: { below: 2 } },
    { reject: { below: '0.5' } },
  ]) {
    assert.throws(() => parse(wrong), { code: 'bad-model' }, JSON.stringify(wrong));
  }
});
