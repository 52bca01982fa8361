// What val says of runs, of their files and of other people's, and of photos that are none of the classes.
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import sharp from 'sharp';
import type { GraftError } from '../../src/base/errors.ts';
import type { VerbEvent } from '../../src/base/events.ts';
import { loadLiteRt } from '../../src/engine/litert.ts';
import {
  finish,
  type PredictResult,
  predict,
  type TrainResult,
  train,
  type ValOptions,
  type ValResult,
  val as valOnAll,
} from '../../src/index.ts';
import { attachFiles, readAttachedFiles } from '../../src/tflite/associated-files.ts';
import type { TfliteModel } from '../../src/tflite/model.ts';
import { outputKind, plainOutside } from '../../src/tflite/plain-outside.ts';
import { readTflite } from '../../src/tflite/read.ts';
import { writeTflite } from '../../src/tflite/write.ts';
import { drawSmallDataset } from '../support/graft.ts';

let set: Awaited<ReturnType<typeof drawSmallDataset>>;
let run: TrainResult;
/** What is said of the run's own file. */
let own: ValResult;
before(async () => {
  set = await drawSmallDataset(40);
  run = await finish(train({ data: set.data, project: at('runs'), imgsz: 64, fineTuneEpochs: 0, name: 'leaves' }));
  own = await finish(val({ model: tflite(), data: set.data }));
});
after(() => set.remove());

/** One thread: starting another takes longer than forty photos. */
const val = (options: ValOptions) => valOnAll({ workers: 1, ...options });
const at = (...path: string[]) => join(set.folder, ...path);
const tflite = () => join(run.run, 'model.tflite');
const notesOf = (events: readonly VerbEvent<unknown>[]) =>
  events.flatMap(event => (event.type === 'note' || event.type === 'warning' ? [event.message] : [])).join('\n');

/** Runs a verb; gives its result and its notes. */
async function told<R>(verb: AsyncGenerator<VerbEvent<R>>): Promise<{ result: R; notes: string }> {
  const events: VerbEvent<R>[] = [];
  const result = await finish(verb, event => events.push(event));
  return { result, notes: notesOf(events) };
}

/** The run's file as somebody else would have written it. */
function writeForeign(
  name: string,
  change: (model: TfliteModel) => TfliteModel = model => model,
  labels = true,
): string {
  const bytes = readFileSync(tflite());
  const model = readTflite(bytes);
  const file = at(name);
  const written = writeTflite(change({ ...model, metadata: model.metadata.filter(entry => entry.name !== 'graft') }));
  const attached = [...readAttachedFiles(bytes)].map(([name, data]) => ({ name, data }));
  writeFileSync(file, labels ? attachFiles(written, attached) : written);
  return file;
}

const withoutSoftmax = (model: TfliteModel): TfliteModel => {
  const last = model.operators.at(-1)!;
  assert.equal(last.op, 'SOFTMAX');
  return {
    ...model,
    operators: model.operators.slice(0, -1),
    outputs: [last.inputs[0]!],
    signature: undefined,
  } as unknown as TfliteModel;
};

test('all figures of a run, with a warning that it has seen these photos; the file says the same', async () => {
  const { result, notes } = await told(val({ model: run.run, data: set.data, predictions: at('said.csv') }));
  const trained = Object.values(run.counts.train!).reduce((sum, count) => sum + count, 0);
  assert.match(notes, new RegExp(`was trained on ${trained} of these 40 photos`));
  const { probability, rejection, interval, accuracy, precision, size } = result;
  assert.ok(interval.low < accuracy && accuracy <= interval.high);
  assert.ok(probability!.log_loss > 0 && probability!.curves[0]!.roc!.area > 0.8);
  assert.equal(rejection!.below, run.reject.below);
  assert.deepEqual([precision, size], ['float32', readFileSync(join(run.run, 'model.onnx')).length]);
  const file = await told(val({ model: tflite(), data: set.data }));
  assert.match(file.notes, /was trained on/, 'its run folder is around it');
  assert.deepEqual(file.result.confusion, result.confusion);
  assert.ok(Math.abs(file.result.probability!.log_loss - probability!.log_loss) < 1e-4);
  cpSync(tflite(), at('alone.tflite'));
  assert.doesNotMatch((await told(val({ model: at('alone.tflite'), data: set.data }))).notes, /was trained on/);
  const [head, ...lines] = readFileSync(at('said.csv'), 'utf8').trim().split('\n');
  assert.equal(head, 'path,class,predicted,healthy,unhealthy');
  assert.equal(lines.length, 40);
  const right = lines.filter(line => line.split(',')[1] === line.split(',')[2]).length;
  assert.equal(right / 40, accuracy);
});

test("somebody else's files say what graft's own file says: as probabilities or logits, with labels or without", async () => {
  const like = ({ result }: { result: ValResult }) => {
    assert.deepEqual(result.confusion, own.confusion);
    assert.ok(Math.abs(result.probability!.log_loss - own.probability!.log_loss) < 1e-5);
    assert.equal(result.rejection, null, 'it has no threshold');
  };
  const plain = await told(val({ model: writeForeign('other.tflite'), data: set.data }));
  like(plain);
  assert.match(plain.notes, /other\.tflite was not made by graft; its pixels: as its metadata says/);
  const logits = await told(val({ model: writeForeign('logits.tflite', withoutSoftmax), data: set.data }));
  like(logits);
  assert.match(logits.notes, /no softmax: one is added/);
  const nameless = await told(val({ model: writeForeign('nameless.tflite', m => m, false), data: set.data }));
  like(nameless);
  assert.match(nameless.notes, /taken for healthy, unhealthy, in this order/);

  writeFileSync(at('labels.txt'), '0  unhealthy\n1  healthy\n');
  const swapped = await told(val({ model: at('nameless.tflite'), data: set.data, labels: at('labels.txt') }));
  assert.ok(Math.abs(swapped.result.accuracy - (1 - own.accuracy)) < 1e-12, 'the labels that were named count');
  const said = await finish(predict({ model: at('nameless.tflite'), files: [join(set.data, 'healthy')] }));
  assert.ok(said.predictions.every(({ label }) => label === '0' || label === '1'));
});

test('pixels as the file says, or as the user does; nobody says is an error', async () => {
  const dumb = (model: TfliteModel) => ({ ...model, metadata: [] });
  const model = writeForeign('dumb.tflite', dumb);
  const labels = at('two.txt');
  writeFileSync(labels, 'healthy\nunhealthy\n');
  await assert.rejects(finish(val({ model, data: set.data, labels })), {
    code: 'usage',
    message: /dumb\.tflite does not say how its pixels are scaled/,
  });
  const signed = await finish(val({ model, data: set.data, labels, pixels: 'signed' }));
  assert.deepEqual(signed.confusion, own.confusion);
  const other = await finish(val({ model, data: set.data, labels, pixels: 'bytes' }));
  assert.notDeepEqual(other.probability!.log_loss, signed.probability!.log_loss);
  await assert.rejects(finish(val({ model: tflite(), data: set.data, pixels: 'unit' })), { code: 'usage' });
});

test('an outside of int8, or another scale, becomes pixels and probabilities', async () => {
  const shape = [1, 2, 2, 3];
  const quantization = { scale: [1 / 128], zeroPoint: [-128], axis: 0 };
  const mean = { op: 'MEAN', version: 1, inputs: [1, 2], outputs: [3], options: { keep_dims: false } };
  const axes = { name: 'axes', type: 'INT32', shape: [2], data: new Uint8Array(Int32Array.of(1, 2).buffer) };
  const model = {
    description: '',
    tensors: [
      { name: 'image', type: 'INT8', shape, quantization },
      { name: 'float', type: 'FLOAT32', shape },
      axes,
      { name: 'mean', type: 'FLOAT32', shape: [1, 3] },
      { name: 'out', type: 'INT8', shape: [1, 3], quantization: { scale: [1 / 64], zeroPoint: [-64], axis: 0 } },
    ],
    operators: [
      { op: 'DEQUANTIZE', version: 2, inputs: [0], outputs: [1], options: {} },
      mean,
      { op: 'QUANTIZE', version: 1, inputs: [3], outputs: [4], options: {} },
    ],
    inputs: [0],
    outputs: [4],
    metadata: [],
  } as unknown as TfliteModel;
  const pixels = Uint8Array.of(0, 64, 200, 0, 64, 200, 0, 64, 200, 0, 64, 200);
  const softmax = (logits: readonly number[]) => {
    const weights = logits.map(Math.exp);
    return weights.map(weight => weight / weights.reduce((sum, value) => sum + value, 0));
  };
  const ask = async (changed: TfliteModel, input: Uint8Array | Float32Array) => {
    const loaded = await loadLiteRt(writeTflite(changed));
    const [answer] = await loaded.run([input]);
    loaded.close();
    return Array.from(answer!);
  };
  const near = (found: number[], wanted: number[], tolerance: number) =>
    found.forEach((value, i) => {
      assert.ok(Math.abs(value - wanted[i]!) < tolerance, `${found} for ${wanted}`);
    });
  near(await ask(plainOutside(model, undefined), pixels), softmax([0, 64 / 128, 200 / 128]), 0.01);
  // Made for other numbers than pixels: 0..1 less ImageNet's mean, by its deviation.
  const imagenet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };
  const wide = model.tensors.map((tensor, i) =>
    i === 0 ? { ...tensor, quantization: { scale: [0.02], zeroPoint: [-10], axis: 0 } } : tensor,
  );
  wide[4] = { ...wide[4]!, quantization: { scale: [1 / 32], zeroPoint: [0], axis: 0 } };
  const signedPixels = Float32Array.from(pixels, pixel => (pixel - 127.5) / 127.5);
  const normalised = [0, 64, 200].map((pixel, c) => (pixel / 255 - imagenet.mean[c]!) / imagenet.std[c]!);
  near(await ask(plainOutside({ ...model, tensors: wide }, imagenet), signedPixels), softmax(normalised), 0.02);

  const float = {
    ...model,
    tensors: [{ name: 'image', type: 'FLOAT32', shape }, axes, { name: 'mean', type: 'FLOAT32', shape: [1, 3] }],
    operators: [{ ...mean, inputs: [0, 1], outputs: [2] }],
    outputs: [2],
  } as unknown as TfliteModel;
  near(await ask(plainOutside(float, imagenet), signedPixels), softmax(normalised), 1e-5);
});

test('what the numbers of an output are is told by the operators that make them', () => {
  const made = (...operators: [op: string, inputs: number[], output: number][]) =>
    outputKind({
      operators: operators.map(([op, inputs, output]) => ({ op, inputs, outputs: [output] })),
      outputs: [operators.at(-1)![2]],
    } as unknown as TfliteModel);
  assert.equal(made(['FULLY_CONNECTED', [0], 1]), 'logits');
  assert.equal(made(['SOFTMAX', [0], 1], ['QUANTIZE', [1], 2], ['SQUEEZE', [2], 3]), 'softmax');
  assert.equal(made(['LOGISTIC', [0], 1], ['EXPAND_DIMS', [1, 9], 2]), 'sigmoid');
  assert.equal(made(['EXP', [0], 1], ['SUM', [1, 9], 2], ['DIV', [1, 2], 3]), 'softmax', 'written out');
  assert.equal(made(['EXP', [0], 1], ['SUM', [0, 9], 2], ['DIV', [1, 2], 3]), 'logits', 'a sum of others');
  assert.equal(made(['RELU', [0], 1], ['DIV', [1, 9], 2]), 'logits', 'by a constant');
});

test('int8 pixels of an unusual range are asked for; the user says what they are', async () => {
  const labels = at('both.txt');
  writeFileSync(labels, 'healthy\nunhealthy\n');
  // -1 to 1 stored with room for -1.2 to 1.2.
  const stored = (model: TfliteModel): TfliteModel => {
    const [input] = model.inputs;
    const float = model.tensors.length;
    const quantization = { scale: [2.4 / 255], zeroPoint: [0], axis: 0 };
    const moved = model.operators.map(operator => ({
      ...operator,
      inputs: operator.inputs.map(index => (index === input ? float : index)),
    }));
    return {
      ...model,
      metadata: [],
      signature: undefined,
      tensors: [
        ...model.tensors.map((tensor, i) =>
          i === input ? { ...tensor, type: 'INT8' as const, quantization } : tensor,
        ),
        { ...model.tensors[input!]!, name: 'float' },
      ],
      operators: [{ op: 'DEQUANTIZE', version: 2, inputs: [input], outputs: [float], options: {} }, ...moved],
    } as unknown as TfliteModel;
  };
  const model = writeForeign('stored.tflite', stored, false);
  await assert.rejects(finish(val({ model, data: set.data, labels })), {
    code: 'usage',
    message: /stored\.tflite does not say how its pixels are scaled/,
  });
  const { result } = await told(val({ model, data: set.data, labels, pixels: 'signed' }));
  assert.ok(Math.abs(result.probability!.log_loss - own.probability!.log_loss) < 0.05);
  assert.ok(Math.abs(result.accuracy - own.accuracy) <= 2 / 40);
});

test('what is no classifier gets a sentence that says what it is', async () => {
  const change = (name: string, edit: (model: TfliteModel) => TfliteModel) => writeForeign(name, edit);
  const cases: [string, RegExp][] = [
    [
      change('two.tflite', model => ({ ...model, outputs: [model.outputs[0]!, model.operators[0]!.outputs[0]!] })),
      /two\.tflite is no image classifier: it has 2 outputs/,
    ],
    [
      change('map.tflite', model => ({ ...model, outputs: [model.operators[2]!.outputs[0]!] })),
      /map\.tflite is no image classifier: it answers with a map \[1, \d+, \d+, \d+\]/,
    ],
    [
      change('direction.tflite', model => ({
        ...model,
        operators: model.operators.map(operator =>
          operator.op === 'SOFTMAX'
            ? { ...operator, op: 'OTHER', code: 11, name: 'L2_NORMALIZATION', options: undefined }
            : operator,
        ) as unknown as TfliteModel['operators'],
      })),
      /direction\.tflite is no image classifier: its numbers are features of length 1/,
    ],
  ];
  for (const [model, message] of cases) {
    await assert.rejects(finish(val({ model, data: set.data })), { code: 'bad-model', message });
  }
  writeFileSync(at('three.txt'), 'a\nb\nc\n');
  await assert.rejects(finish(val({ model: at('nameless.tflite'), data: set.data, labels: at('three.txt') })), {
    code: 'label-mismatch',
    message: /has 2 classes, and .*three\.txt names 3/,
  });
  await assert.rejects(
    finish(val({ model: tflite(), data: join(set.data, 'healthy') })),
    (error: GraftError) =>
      /holds 20 photos but no class folders/.test(error.message) && /graft predict/.test(error.hint!),
  );
  mkdirSync(at('odd/mould'), { recursive: true });
  cpSync(join(set.data, 'healthy/leaf-0001.jpg'), at('odd/mould/1.jpg'));
  await assert.rejects(finish(val({ model: tflite(), data: at('odd') })), /does not know "mould"/);
  mkdirSync(at('half/healthy'), { recursive: true });
  cpSync(join(set.data, 'healthy/leaf-0001.jpg'), at('half/healthy/1.jpg'));
  const whole = readFileSync(join(set.data, 'healthy/leaf-0002.jpg'));
  writeFileSync(at('half/healthy/cut.jpg'), whole.subarray(0, whole.length / 2));
  writeFileSync(at('half/healthy/tail.jpg'), whole.subarray(0, whole.length - 40));
  writeFileSync(at('half/healthy/words.jpg'), 'no photo');
  const half = await told(val({ model: at('alone.tflite'), data: at('half') }));
  assert.deepEqual(half.result.excluded.map(({ path }) => path).sort(), [
    'healthy/cut.jpg',
    'healthy/tail.jpg',
    'healthy/words.jpg',
  ]);
  assert.match(half.notes, /No photos of "unhealthy"/);
  assert.match(half.result.notes.join(' '), /1 photo is few/);
});

test('unknown: photos below the threshold, of the classes and of none of them', async () => {
  mkdirSync(at('none/deep'), { recursive: true });
  const size = { width: 64, height: 64, channels: 3 } as const;
  await sharp({ create: { ...size, background: '#808080' } })
    .jpeg()
    .toFile(at('none/grey.jpg'));
  await sharp({ create: { ...size, background: '#2040c0' } })
    .png()
    .toFile(at('none/deep/blue.png'));
  writeFileSync(at('none/readme.md'), 'no photo');
  const { rejection, images } = await finish(
    val({ model: run.run, data: set.data, none: at('none'), rejectBelow: 0.9 }),
  );
  assert.equal(images, 40);
  assert.equal(rejection!.none!.images, 2);
  const said: PredictResult = await finish(
    predict({ model: run.run, files: [join(set.data, 'healthy')], rejectBelow: 0.9 }),
  );
  const unknown = said.predictions.filter(({ known }) => !known);
  assert.ok(unknown.length > 0 && unknown.length < 20, `${unknown.length} of 20 are unknown`);
  for (const { label, known, best, probability } of said.predictions) {
    assert.equal(known, probability >= 0.9);
    assert.equal(label, known ? best : 'unknown');
  }
  const own = await finish(predict({ model: tflite(), files: [join(set.data, 'healthy')] }));
  assert.ok(own.predictions.every(({ known, probability }) => known === probability >= run.reject.below));
  const never = await finish(predict({ model: run.run, files: [join(set.data, 'healthy')], rejectBelow: 0 }));
  assert.ok(never.predictions.every(({ known }) => known));
  await assert.rejects(finish(val({ model: run.run, data: set.data, none: at('half/mould') })), { code: 'not-found' });
});

test('the calibrated head is in every file, and an older run has none', async () => {
  const metricsFile = join(run.run, 'metrics.json');
  const { calibration, reject, ...older } = JSON.parse(readFileSync(metricsFile, 'utf8'));
  assert.ok(calibration.temperature > 0 && reject.images === run.validation.images);
  const folder = at('older');
  cpSync(run.run, folder, { recursive: true });
  writeFileSync(join(folder, 'metrics.json'), JSON.stringify(older));
  const said = await finish(predict({ model: folder, files: [join(set.data, 'healthy')] }));
  assert.ok(said.predictions.every(({ known }) => known));
  for (const damaged of [{ temperature: 0 }, { temperature: 'hot' }]) {
    writeFileSync(metricsFile.replace(run.run, folder), JSON.stringify({ ...older, calibration: damaged }));
    await assert.rejects(finish(predict({ model: folder, files: [set.data] })), { code: 'bad-model' });
  }
  rmSync(folder, { recursive: true });
});
