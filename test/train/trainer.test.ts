// The trainer on real photos and the whole backbone: the same numbers whatever the threads, those of the plain graph, and a
// photo that changes meanwhile.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gradientOf } from '../../src/autodiff/split-parameters.ts';
import { makeRng } from '../../src/base/rng.ts';
import { drawLeafPhoto } from '../../src/demo/draw-leaf-photo.ts';
import { openSession } from '../../src/engine/session.ts';
import { defaultAugmentation, renderView, sampleView } from '../../src/image/augment.ts';
import { decodeFrame, FRAME, renderFrame, seeFrame } from '../../src/image/camera.ts';
import { decodePhoto } from '../../src/image/decode.ts';
import { readPhoto } from '../../src/image/read-photo.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import type { TrainSample } from '../../src/train/train-worker.ts';
import { openTrainer, type Trainer, type TrainerOptions, type TrainRow } from '../../src/train/trainer.ts';
import { buildTrainingGraph } from '../../src/train/training-graph.ts';
import { buildTrainedGraph, featureWidth, trainedParameters } from '../../src/zoo/graphs.ts';
import { openDefaultBackbone } from '../support/default-backbone.ts';
import { assertClose, largestNumber } from '../support/reference.ts';

const classes = 3;
const backbone = await openDefaultBackbone(64);
const { preprocess } = backbone;
const source = { kind: 'pixels', preprocess, augmentation: defaultAugmentation } as const;

let folder: string;
let samples: TrainSample[];
/** The whole network, and what is cheaper to build: the last stages alone are trained. */
let options: TrainerOptions;
let short: TrainerOptions;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'graft-trainer-'));
  samples = await Promise.all(
    Array.from({ length: 20 }, async (_, index) => {
      const file = join(folder, `${index}.jpg`);
      const bytes = await drawLeafPhoto({ seed: 1, index, healthy: index % 2 === 0, size: 96 });
      writeFileSync(file, bytes);
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      const camera = index % 4 === 3 ? 'greyscale' : 'none';
      return { file, sha256, place: undefined, camera, view: index % 3 === 0 ? null : [7, sha256, 1] };
    }),
  );
  // Pixels of two photos, of which one is a view and the camera sees the other.
  samples[4] = { ...samples[4]!, blend: { with: samples[3]!, part: 0.7 } };
  const width = featureWidth(backbone);
  const rng = makeRng(2, 'head');
  const draw = (shape: readonly number[], size: number, around: number) =>
    float32(
      shape,
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => around + size * rng.normal()),
    );
  const head = {
    weight: draw([classes, width], 0.02, 0),
    bias: draw([classes], 0.1, 0),
    mean: draw([width], 0.1, 0.2),
    inverse: draw([width], 0.1, 1),
  };
  const trainFrom = (stage: number) => ({
    model: buildTrainedGraph(backbone, head, stage, false),
    parameters: trainedParameters(backbone, stage),
  });
  options = {
    ...trainFrom(0),
    classes,
    source,
    loss: { labelSmoothing: 0.1, classWeights: Float64Array.of(0.5, 1, 2) },
    batch: samples.length,
    workers: 1,
    device: 'cpu',
    optimiser: { name: 'adamw', clipNorm: 5, averageDecay: 0.9 },
    rateOf: name => (name.startsWith('head') ? 1 : 0.5),
    decayOf: (_, shape) => (shape.length > 1 ? 0.05 : 0),
  };
  short = { ...options, ...trainFrom(9) };
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Rows of every photo in an order that belongs to the step; the last step has fewer. */
function drawRows(step: number): TrainRow[] {
  const order = makeRng(step, 'order').shuffle(samples.map((_, i) => i));
  return order.slice(0, step === 3 ? 11 : samples.length).map(i => {
    const target = new Float32Array(classes);
    target[i % classes]! += 0.75;
    target[(i + step) % classes]! += 0.25;
    return { sample: samples[i]!, target };
  });
}

async function withTrainer<R>(chosen: TrainerOptions, work: (trainer: Trainer) => Promise<R>): Promise<R> {
  const trainer = await openTrainer(chosen);
  try {
    return await work(trainer);
  } finally {
    await trainer.close();
  }
}

/** Three steps, as training takes them or with nothing rendered ahead; all that they give. */
const threeSteps = (workers: number, ahead: boolean) =>
  withTrainer({ ...short, workers }, async trainer => {
    const steps = [];
    for (const step of [1, 2, 3]) {
      steps.push(await trainer.step(drawRows(step), 0.01, ahead && step < 3 ? drawRows(step + 1) : undefined));
    }
    const logits = [await trainer.classify(samples, false), await trainer.classify(samples, true)];
    return { steps, logits, state: structuredClone(trainer.optimiser.state()) };
  });

test('steps and logits do not depend on the number of threads, nor on what was rendered ahead', async () => {
  const alone = await threeSteps(1, false);
  assert.ok(alone.steps.every(({ loss, norm }) => loss > 0 && norm > 0));
  assert.equal(alone.steps[2]!.logits.length, 11 * classes);
  assert.notDeepEqual(alone.logits[0], alone.logits[1], 'the average is not where the parameters are');
  for (const workers of [2, 3]) assert.deepEqual(await threeSteps(workers, true), alone, `${workers} threads`);
});

test('loss, logits and gradient are those of the plain graph of the whole batch', async () => {
  const { length } = samples;
  const { model, parameters, loss } = options;
  const plain = buildTrainingGraph({ model, parameters, batch: length, loss, channelBlock: undefined });
  const session = await openSession(writeOnnx(plain), { threads: 1 });
  const { size } = preprocess;
  const rows = drawRows(1);
  const data = new Uint8Array(length * size * size * 3);
  const targets = new Float32Array(length * classes);
  for (const [i, { sample, target }] of rows.entries()) {
    data.set(await render(sample), i * size * size * 3);
    targets.set(target, i * classes);
  }
  const wanted = await session.run({
    image: { dtype: 'uint8', shape: [length, size, size, 3], data },
    targets: float32([length, classes], targets),
    shares: float32([length], new Float32Array(length).fill(1 / length)),
    ...Object.fromEntries(parameters.map(name => [name, model.constants.get(name)!])),
  });
  await session.close();
  // A step of plain SGD without momentum so far, decay or clipping is the gradient times the rate.
  const descent: TrainerOptions = {
    ...options,
    workers: 2,
    optimiser: { name: 'sgd', clipNorm: Number.POSITIVE_INFINITY, averageDecay: 0 },
    rateOf: () => 1,
    decayOf: () => 0,
  };
  await withTrainer(descent, async trainer => {
    const before = trainer.optimiser.state().parameter!.slice();
    const logits = await trainer.classify(
      rows.map(({ sample }) => sample),
      false,
    );
    assertClose(logits, wanted.logits!.data as Float32Array, 1e-4, 'logits of the graph without gradients');
    const found = await trainer.step(rows, 1);
    assertClose([found.loss], wanted.loss!.data as Float32Array, 1e-5, 'loss');
    assertClose(found.logits, wanted.logits!.data as Float32Array, 1e-4, 'logits');
    const moment = trainer.optimiser.state().first!;
    let square = 0;
    for (const { name, start, shape } of trainer.spans) {
      const gradient = wanted[gradientOf(name)]!.data as Float32Array;
      const end = start + gradient.length;
      assert.deepEqual(model.constants.get(name)!.shape, shape);
      for (const value of gradient) square += value * value;
      // Small ones are sums of large ones.
      const tolerance = 1e-4 * Math.max(1, 0.1 / largestNumber(gradient));
      assertClose(moment.subarray(start, end), gradient, tolerance, `gradient of ${name}`);
    }
    assertClose([found.norm], [Math.sqrt(square)], 1e-4, 'norm');
    const after = trainer.optimiser.state().parameter!;
    assert.deepEqual(
      after,
      before.map((value, i) => value - moment[i]!),
    );
  });
});

/** What a sample shows, by the functions that phase one renders with. */
async function render({ file, camera = 'none', view, blend }: TrainSample): Promise<Uint8Array> {
  const { size } = preprocess;
  const own = new Uint8Array(size * size * 3);
  const draw = (width: number, height: number) => sampleView(defaultAugmentation, width, makeRng(0, ...view!), height);
  if (camera === 'none') {
    const photo = await decodePhoto(await readPhoto(file), preprocess);
    if (view === null) own.set(photo);
    else renderView(photo, size, draw(size, size), own);
  } else {
    const frame = await decodeFrame(await readPhoto(file));
    seeFrame(view === null ? frame : renderFrame(frame, draw(FRAME.width, FRAME.height)), size, own);
  }
  if (!blend) return own;
  const other = await render(blend.with);
  const mine = Math.round(blend.part * 256) / 256;
  return own.map((value, i) => Math.floor(value * mine + other[i]! * (1 - mine) + 0.5));
}

test('a photo that changed or went meanwhile is an error, also when it was to be rendered ahead', async () => {
  const [changed, gone] = ['changed.jpg', 'gone.jpg'].map(name => {
    const bytes = Buffer.from(name);
    writeFileSync(join(folder, name), bytes);
    return { ...samples[0]!, file: join(folder, name), sha256: createHash('sha256').update(bytes).digest('hex') };
  });
  writeFileSync(changed!.file, 'other bytes');
  rmSync(gone!.file);
  const target = Float32Array.of(1, 0, 0);
  const rowsOf = (sample: TrainSample) => [...drawRows(3), { sample, target }];
  await withTrainer({ ...short, workers: 2 }, async trainer => {
    const before = structuredClone(trainer.optimiser.state());
    await assert.rejects(trainer.step(rowsOf(changed!), 0.01), {
      code: 'bad-photo',
      message: `${changed!.file} has changed since training began.`,
    });
    await assert.rejects(trainer.classify([gone!], true), { code: 'not-found', message: /gone\.jpg does not exist/ });
    assert.deepEqual(trainer.optimiser.state(), before, 'no step was taken');
    await trainer.step(drawRows(1), 0.01, rowsOf(changed!));
    await assert.rejects(trainer.step(rowsOf(changed!), 0.01), { code: 'bad-photo' });
    const { norm } = await trainer.step(drawRows(2), 0.01);
    assert.ok(norm > 0, 'and training can go on');
  });
});
