// Training in blocks of 4, 8 and 16 channels, as other processors have them: the gradients of whole networks are those
// of the plain graph. The kernels are emulated; test/engine/block-channels.test.ts runs those of this machine.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gradientOf } from '../../src/autodiff/split-parameters.ts';
import { makeRng } from '../../src/base/rng.ts';
import { openSession } from '../../src/engine/session.ts';
import type { Graph } from '../../src/onnx/graph.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, type Tensor } from '../../src/tensor/tensor.ts';
import { buildTrainingGraph, buildTrainingGraphs } from '../../src/train/training-graph.ts';
import type { Backbone } from '../../src/zoo/backbone.ts';
import { findCard } from '../../src/zoo/cards.ts';
import { buildTrainedGraph, featureWidth, trainedParameters } from '../../src/zoo/graphs.ts';
import { openDefaultBackbone } from '../support/default-backbone.ts';
import { emulateBlocks } from '../support/emulate-blocks.ts';
import { randomBackbone } from '../support/random-weights.ts';

const BATCH = 5;
const SIZE = 64;
const CLASSES = 3;

async function run(graph: Graph, inputs: Record<string, Tensor>): Promise<Record<string, Tensor>> {
  const session = await openSession(writeOnnx(graph), { threads: 2 });
  const outputs = await session.run(inputs);
  await session.close();
  return outputs;
}

const rng = makeRng(7, 'blocks');
const random = (shape: readonly number[], size: number, scale: number, offset = 0) =>
  float32(
    shape,
    Float32Array.from({ length: size }, () => offset + scale * rng.normal()),
  );
const data = {
  image: {
    dtype: 'uint8',
    shape: [BATCH, SIZE, SIZE, 3],
    data: Uint8Array.from({ length: BATCH * SIZE * SIZE * 3 }, () => rng.int(256)),
  },
  targets: float32(
    [BATCH, CLASSES],
    Float32Array.from({ length: BATCH * CLASSES }, (_, i) => Number(i % CLASSES === Math.floor(i / CLASSES) % CLASSES)),
  ),
  shares: float32([BATCH], new Float32Array(BATCH).fill(1 / BATCH)),
} as const;

/** The furthest that two tensors are apart, in parts of the largest number of the second. */
function difference(a: Tensor, b: Tensor): number {
  const [x, y] = [a.data as Float32Array, b.data as Float32Array];
  const largest = y.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return x.reduce((most, value, i) => Math.max(most, Math.abs(value - y[i]!)), 0) / (largest || 1);
}

/** Asserts that training in each of the block sizes computes what training without blocks does. */
async function compare(title: string, backbone: Backbone, channelBlocks: readonly number[]): Promise<void> {
  const names = trainedParameters(backbone, 0);
  const width = featureWidth(backbone);
  const head = {
    weight: random([CLASSES, width], CLASSES * width, 0.05),
    bias: random([CLASSES], CLASSES, 0.1),
    mean: random([width], width, 0.1),
    inverse: random([width], width, 0.1, 1),
  };
  const model = buildTrainedGraph(backbone, head, 0, false);
  const values = Object.fromEntries(names.map(name => [name, model.constants.get(name)!]));
  const common = { model, parameters: names, batch: BATCH, loss: { labelSmoothing: 0.1 } };
  const plain = await run(buildTrainingGraph({ ...common, channelBlock: undefined }), { ...data, ...values });
  const convolutions = model.nodes.filter(({ op }) => op === 'Conv').length;
  for (const channelBlock of channelBlocks) {
    test(`${title}, blocks of ${channelBlock} channels: loss and gradients of the plain graph`, async () => {
      const graphs = buildTrainingGraphs({ ...common, channelBlock });
      const left = graphs.step.nodes.filter(({ op }) => op === 'Conv' || op === 'ConvTranspose').length;
      const blocked = graphs.step.nodes.filter(({ op }) => op === 'nchwc.Conv').length;
      assert.deepEqual(
        { left, many: blocked > 2 * convolutions },
        { left: 0, many: true },
        'all convolutions are blocked',
      );
      const prepared = await run(emulateBlocks(graphs.prologue), values);
      const step = await run(emulateBlocks(graphs.step), { ...data, ...prepared });
      const slopes = Object.fromEntries(graphs.prepared.map(({ name }) => [gradientOf(name), step[gradientOf(name)]!]));
      const pulled = await run(emulateBlocks(graphs.pullback), { ...values, ...slopes });
      assert.ok(difference(step.loss!, plain.loss!) < 1e-4);
      for (const name of names) {
        const off = difference(pulled[gradientOf(name)]!, plain[gradientOf(name)]!);
        // A value beside a kink may fall on its other side: half a percent, not an order of elements.
        assert.ok(off < 5e-3, `${name}: ${off}`);
      }
    });
  }
}

const sized = (name: string) => {
  const card = findCard(name);
  return randomBackbone({ ...card, preprocess: { ...card.preprocess, size: SIZE } }, 3);
};
await compare('MobileNetV3-Small', await openDefaultBackbone(SIZE), [4, 8, 16]);
await compare('MobileNetV4-Conv-Small, with dense convolutions', await sized('mobilenet_v4_conv_small'), [8, 16]);
await compare('ResNet-18', await sized('resnet18'), [16]);
