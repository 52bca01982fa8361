// Every backbone of the zoo gives features and can be trained: each parameter gets a gradient.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeRng } from '../../src/base/rng.ts';
import { openSession } from '../../src/engine/session.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, type Tensor } from '../../src/tensor/tensor.ts';
import { buildTrainingGraph } from '../../src/train/training-graph.ts';
import { cards } from '../../src/zoo/cards.ts';
import { buildFeatureGraph, buildTrainedGraph, featureWidth, trainedParameters } from '../../src/zoo/graphs.ts';
import { outlineNetwork } from '../../src/zoo/outline-network.ts';
import { randomBackbone } from '../support/random-weights.ts';

const SIZE = 64;
const CLASSES = 3;

const rng = makeRng(1, 'picture');
const image: Tensor<'uint8'> = {
  dtype: 'uint8',
  shape: [1, SIZE, SIZE, 3],
  data: Uint8Array.from({ length: SIZE * SIZE * 3 }, () => rng.int(256)),
};

for (const original of cards) {
  test(`${original.name} gives features, and all of its parameters learn`, async () => {
    const card = { ...original, preprocess: { ...original.preprocess, size: SIZE } };
    const backbone = await randomBackbone(card, 1);
    const width = featureWidth(backbone);
    const extractor = await openSession(writeOnnx(buildFeatureGraph(backbone)), { threads: 2 });
    const features = (await extractor.run({ image })).features!;
    await extractor.close();
    assert.deepEqual(features.shape, [1, width]);
    assert.ok((features.data as Float32Array).every(Number.isFinite), 'features are numbers');

    const constant = (shape: readonly number[], make: () => number) =>
      float32(
        shape,
        Array.from({ length: shape.reduce((a, b) => a * b) }, () => make()),
      );
    const head = {
      weight: constant([CLASSES, width], () => rng.uniform(-0.1, 0.1)),
      bias: constant([CLASSES], () => 0),
      mean: constant([width], () => 0),
      inverse: constant([width], () => 0.5),
    };
    const parameters = trainedParameters(backbone, 0);
    const learned = outlineNetwork(card).parameters.filter(({ name }) => !/\.running_(mean|var)$/.test(name));
    assert.deepEqual(parameters.toSorted(), ['head.weight', 'head.bias', ...learned.map(({ name }) => name)].sort());
    const model = buildTrainedGraph(backbone, head, 0, false);
    const loss = { labelSmoothing: 0.1 };
    const graph = buildTrainingGraph({ model, parameters, batch: 1, loss, channelBlock: undefined });
    const session = await openSession(writeOnnx(graph), { threads: 2 });
    const found = await session.run({
      image,
      targets: float32([1, CLASSES], [0, 1, 0]),
      shares: float32([1], [1]),
      ...Object.fromEntries(parameters.map(name => [name, model.constants.get(name)!])),
    });
    await session.close();
    const gradients = parameters.map(name => ({ name, data: found[`gradient.${name}`]!.data as Float32Array }));
    const failing = gradients.filter(({ data }) => !data.every(Number.isFinite) || data.every(slope => slope === 0));
    assert.deepEqual(
      failing.map(({ name }) => name),
      [],
      'parameters that do not learn',
    );
  });
}
