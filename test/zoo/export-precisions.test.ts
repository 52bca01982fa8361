// The backbones of the zoo in every precision: the files load, XNNPACK takes them whole, and they say what ONNX Runtime says
// of the graph, on pictures that calibration has not seen.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeRng } from '../../src/base/rng.ts';
import { openSession } from '../../src/engine/session.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, sizeOf, type Tensor } from '../../src/tensor/tensor.ts';
import { channelExtremes, summariseChannels } from '../../src/tflite/channel-ranges.ts';
import { equalise } from '../../src/tflite/equalise.ts';
import { expandHardSwish } from '../../src/tflite/expand-hard-swish.ts';
import { lowerToTflite } from '../../src/tflite/lower.ts';
import type { TfliteModel } from '../../src/tflite/model.ts';
import { quantiseInt8 } from '../../src/tflite/quantise-int8.ts';
import { halveWeights, quantiseWeights } from '../../src/tflite/shrink-weights.ts';
import type { Backbone } from '../../src/zoo/backbone.ts';
import { cards } from '../../src/zoo/cards.ts';
import { buildClassifierGraph, featureWidth, type LinearHead } from '../../src/zoo/graphs.ts';
import { runInside, runModel } from '../support/measured-models.ts';
import { randomBackbone } from '../support/random-weights.ts';
import { largestDifference } from '../support/reference.ts';

const SIZE = 64;
const CLASSES = 5;
const CALIBRATED = 16;
const LOOKED_AT = 6;

/** Cards that only make the network of another one larger: EfficientNet-Lite1, which pads as TensorFlow does, and ResNet-18. */
const larger = new Set(['efficientnet_lite2', 'efficientnet_lite3', 'efficientnet_lite4', 'resnet50']);

/** Middle of the betas: `randomParameters` says what for. */
const SHIFT = 1;

/** Pictures of waves with more and more noise, in -1..1, channels last. */
function pictures(seed: number, count: number): Float32Array[] {
  return Array.from({ length: count }, (_, picture) => {
    const rng = makeRng(seed, 'pictures', picture);
    const noise = (picture % 4) / 6;
    const data = new Float32Array(SIZE * SIZE * 3);
    for (let channel = 0; channel < 3; channel++) {
      const [level, height] = [rng.uniform(-0.5, 0.5), rng.uniform(0.1, 0.4)];
      const waves = Array.from({ length: 5 }, () => {
        const [angle, pitch] = [rng.uniform(0, Math.PI), 2 ** rng.uniform(-5, 0)];
        return { x: pitch * Math.cos(angle), y: pitch * Math.sin(angle), phase: rng.uniform(0, 2 * Math.PI) };
      });
      for (let i = 0; i < SIZE * SIZE; i++) {
        const [x, y] = [i % SIZE, Math.floor(i / SIZE)];
        const sum = waves.reduce((total, wave) => total + Math.sin(wave.x * x + wave.y * y + wave.phase), 0);
        const value = level + ((1 - noise) * height * sum) / 2 + noise * rng.uniform(-1, 1);
        data[3 * i + channel] = Math.max(-1, Math.min(1, value));
      }
    }
    return data;
  });
}

/** What ONNX Runtime makes of each picture. */
async function runOnnx(graph: ReturnType<typeof withOutputs>, images: readonly Float32Array[], name: string) {
  const session = await openSession(writeOnnx(graph), { threads: 2 });
  const answers: Float32Array[] = [];
  for (const image of images) {
    const { [name]: answer } = await session.run({ image: float32([1, SIZE, SIZE, 3], image) });
    answers.push((answer as Tensor<'float32'>).data);
  }
  await session.close();
  return answers;
}

/** The classifier with its features and logits as outputs too. */
function withOutputs(backbone: Backbone, head: LinearHead, names: readonly ('features' | 'logits')[]) {
  const graph = buildClassifierGraph(backbone, head, 'signed');
  const width = { features: featureWidth(backbone), logits: CLASSES };
  const more = names.map(name => ({ name, dtype: 'float32', shape: ['N', width[name]] }) as const);
  return { ...graph, outputs: [...graph.outputs, ...more] };
}

/** A head with random weights on standardised features, whose logits differ by about 1 from picture to picture. */
async function makeHead(backbone: Backbone, images: readonly Float32Array[]): Promise<LinearHead> {
  const width = featureWidth(backbone);
  const blank = {
    weight: float32([CLASSES, width], new Float32Array(CLASSES * width)),
    bias: float32([CLASSES], new Float32Array(CLASSES)),
  };
  const rows = await runOnnx(withOutputs(backbone, blank, ['features']), images, 'features');
  const mean = (of: (row: Float32Array) => number) => rows.reduce((sum, row) => sum + of(row) / rows.length, 0);
  const centre = Float64Array.from({ length: width }, (_, i) => mean(row => row[i]!));
  const spread = centre.map((middle, i) => Math.sqrt(mean(row => (row[i]! - middle) ** 2)) + 1e-3);
  const rng = makeRng(3, 'head');
  const weight = Float32Array.from(
    { length: CLASSES * width },
    (_, i) => rng.normal() / (Math.sqrt(width) * spread[i % width]!),
  );
  const bias = Float32Array.from({ length: CLASSES }, (_, k) =>
    centre.reduce((sum, middle, i) => sum - weight[k * width + i]! * middle, 0),
  );
  return { weight: float32([CLASSES, width], weight), bias: float32([CLASSES], bias) };
}

/** Ranges as calibration takes them: the extremes of each picture, then those of almost all pictures. */
async function calibrate(model: TfliteModel, images: readonly Float32Array[]) {
  const seen = await runInside(model, images);
  return new Map(
    [...seen].map(([name, values]) => {
      const channels = model.tensors.find(tensor => tensor.name === name)!.shape.at(-1)!;
      return [name, summariseChannels(values.map(value => channelExtremes(value, channels)))] as const;
    }),
  );
}

function correlation(a: readonly number[], b: readonly number[]): number {
  const centred = (values: readonly number[]) => {
    const middle = values.reduce((sum, value) => sum + value, 0) / values.length;
    return values.map(value => value - middle);
  };
  const [x, y] = [centred(a), centred(b)];
  const dot = (left: readonly number[], right: readonly number[]) =>
    left.reduce((sum, value, i) => sum + value * right[i]!, 0);
  return dot(x, y) / Math.sqrt(dot(x, x) * dot(y, y));
}

for (const card of cards.filter(({ name }) => !larger.has(name))) {
  test(`${card.name}: float32, float16, dynamic and int8 say what the graph says`, async () => {
    const sized = { ...card, preprocess: { ...card.preprocess, size: SIZE } };
    const backbone = await randomBackbone(sized, 7, SHIFT);
    const [known, unknown] = [pictures(1, CALIBRATED), pictures(2, LOOKED_AT)];
    const head = await makeHead(backbone, known);
    const graph = withOutputs(backbone, head, ['logits']);
    const wanted = await runOnnx(graph, unknown, 'logits');
    const spread = Math.sqrt(
      wanted.reduce((sum, row) => sum + row.reduce((all, value) => all + value ** 2, 0), 0) / (LOOKED_AT * CLASSES),
    );
    assert.ok(spread > 0.5 && spread < 3, `logits of ${spread} prove little`);
    const model = lowerToTflite(graph);
    const ranges = await calibrate(model, known);
    const files = {
      float32: model,
      float16: halveWeights(model),
      dynamic: quantiseWeights(model, ranges),
      int8: quantiseInt8(equalise(expandHardSwish(model, ranges)), backbone.stages.at(-1)!.value),
    };
    const probabilities = await runOnnx(graph, unknown, 'probabilities');
    for (const [precision, file] of Object.entries(files)) {
      const { answers, isAccelerated } = await runModel(file, unknown);
      assert.ok(isAccelerated, `${precision} is accelerated`);
      const found = answers.map(([, logits]) => logits as Float32Array);
      const apart = Math.max(...answers.map(([row], i) => largestDifference(row as Float32Array, probabilities[i]!)));
      if (precision === 'float32') assert.ok(apart < 1e-4, `float32: a probability is ${apart} apart`);
      if (precision === 'float16') assert.ok(apart < 5e-3, `float16: a probability is ${apart} apart`);
      const similar = correlation(
        found.flatMap(row => [...row]),
        wanted.flatMap(row => [...row]),
      );
      const least = precision === 'int8' ? 0.97 : 0.99;
      assert.ok(similar > least, `${precision}: correlation ${similar}`);
      const weights = file.tensors.filter(
        ({ name, data, shape }) => name !== 'head.weight' && data && sizeOf(shape) >= 8192,
      );
      const types = new Set(weights.map(({ type }) => type));
      if (precision === 'float16') assert.deepEqual([...types], ['FLOAT16']);
      if (precision === 'int8') assert.deepEqual([...types], ['INT8']);
    }
  });
}
