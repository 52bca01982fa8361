// Evidence adds up to the logits, stage by stage and place by place, and is what Grad-CAM finds by gradients.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differentiate } from '../../src/autodiff/differentiate.ts';
import { makeRng } from '../../src/base/rng.ts';
import { openSession } from '../../src/engine/session.ts';
import { graphBuilder } from '../../src/onnx/builder.ts';
import { emptyGraph, startEmitter } from '../../src/onnx/emitter.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import type { Backbone } from '../../src/zoo/backbone.ts';
import { findCard } from '../../src/zoo/cards.ts';
import { buildEvidenceGraph } from '../../src/zoo/evidence-graph.ts';
import { buildClassifierGraph, centreHead, featureWidth } from '../../src/zoo/graphs.ts';
import { randomBackbone } from '../support/random-weights.ts';
import { assertClose } from '../support/reference.ts';
import { noise } from '../support/two-runtimes.ts';
import { withSize } from '../support/with-size.ts';

const CLASSES = 3;

function headFor(backbone: Backbone) {
  const width = featureWidth(backbone);
  const rng = makeRng(1, 'head');
  return { weight: noise(rng, [CLASSES, width], 4 / Math.sqrt(width)), bias: float32([CLASSES], [0.5, -0.25, 1]) };
}

function picture(size: number): Uint8Array {
  const words = new Uint32Array(Math.ceil((2 * size * size * 3) / 4));
  makeRng(3, 'picture').fill(words);
  return new Uint8Array(words.buffer).subarray(0, 2 * size * size * 3);
}

async function runGraph(graph: Parameters<typeof writeOnnx>[0], size: number, data = picture(size)) {
  const session = await openSession(writeOnnx(graph), { threads: 2 });
  const said = await session.run({ image: { dtype: 'uint8', shape: [2, size, size, 3], data } });
  await session.close();
  return said;
}

/** What the classifier says, and what the maps add up to. */
async function check(backbone: Backbone, sides: readonly number[]): Promise<void> {
  const head = headFor(backbone);
  const { size } = backbone.preprocess;
  const { graph, maps } = buildEvidenceGraph(backbone, head);
  assert.deepEqual(
    maps.map(({ side }) => side),
    sides,
  );
  const said = await runGraph(graph, size);
  const { probabilities } = await runGraph(buildClassifierGraph(backbone, head, 'uint8'), size);
  assertClose(said.probabilities!.data as Float32Array, probabilities!.data as Float32Array, 1e-5, 'probabilities');
  const mean = head.bias.data.reduce((sum, value) => sum + value / CLASSES, 0);
  const sums = Float32Array.from({ length: 2 * CLASSES }, (_, i) => head.bias.data[i % CLASSES]! - mean);
  for (const { output, side } of maps) {
    const { data, shape } = said[output]!;
    assert.deepEqual(shape, [2, CLASSES, side, side]);
    (data as Float32Array).forEach((value, i) => {
      sums[Math.floor(i / side ** 2)]! += value / side ** 2;
    });
  }
  assertClose(sums, said.logits!.data as Float32Array, 1e-4, backbone.name);
}

test('the means of the maps add up to the logits, in several families', async () => {
  for (const [name, size, sides] of [
    ['mobilenet_v3_small', 224, [14, 7]],
    ['mobilenet_v2_050', 96, [14, 12, 6, 3]],
    ['resnet18', 64, [14, 8, 4, 2]],
    // Sides of 65, 33, 17, 9 and 5, which share no cells with 14.
    ['efficientnet_lite0', 130, [14, 9, 5]],
  ] as const) {
    await check(withSize(await randomBackbone(findCard(name)!, 1), size), sides);
  }
});

test('tokens: the square of them is a map, a class token and a network without places have none', async () => {
  for (const extra of [0, 1]) {
    const graph = graphBuilder('tokens');
    const image = graph.input({ name: 'image', dtype: 'float32', shape: ['N', 3, 'H', 'W'] });
    const weight = graph.constant('w', noise(makeRng(2, 'patches'), [6, 3, 8, 8], 0.1));
    const conv = { kernel_shape: [8, 8], strides: [8, 8], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 } as const;
    const patches = graph.node('Conv', 'patches', [image, weight], conv);
    const whole = (name: string, values: number[]) =>
      graph.constant(name, { dtype: 'int64', shape: [values.length], data: BigInt64Array.from(values, BigInt) });
    const list = graph.node('Reshape', 'list', [patches, whole('form', [0, 6, 16])], {});
    let tokens = graph.node('Transpose', 'tokens', [list], { perm: [0, 2, 1] });
    if (extra > 0) {
      const mean = graph.node('ReduceMean', 'class', [tokens], { axes: [1], keepdims: 1 });
      const own = graph.node('Mul', 'class.own', [mean, graph.scalar('three', 3)], {});
      tokens = graph.node('Concat', 'all', [own, tokens], { axis: 1 });
    }
    const preprocess = {
      size: 32,
      fit: 'squash',
      kernel: 'linear',
      mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5],
    } as const;
    const backbone: Backbone = {
      name: 'tokens',
      title: 'tokens',
      preprocess,
      graph: graph.build([{ name: tokens, dtype: 'float32', shape: ['N', 16 + extra, 6] }]),
      stages: [{ value: tokens, pooled: true }],
      weights: { file: '', sha256: '' },
    };
    const head = headFor(backbone);
    const { graph: evidence, maps } = buildEvidenceGraph(backbone, head);
    assert.deepEqual(maps, [{ output: 'evidence.4', side: 4 }]);
    if (extra === 0) {
      await check(backbone, [4]);
      continue;
    }
    // The mean is over 17 tokens: what the class token adds to it is missing in the map.
    const outputs = [...evidence.outputs, { name: tokens, dtype: 'float32', shape: ['N', 17, 6] } as const];
    const said = await runGraph({ ...evidence, outputs }, 32);
    const values = said[tokens]!.data as Float32Array;
    const centred = centreHead(head);
    const missing = Float32Array.from({ length: 2 * CLASSES }, (_, i) => {
      const [photo, k] = [Math.floor(i / CLASSES), i % CLASSES];
      const own = values.subarray(photo * 17 * 6, photo * 17 * 6 + 6);
      const row = centred.weight.data.subarray(k * 6, k * 6 + 6);
      return centred.bias.data[k]! + own.reduce((sum, value, c) => sum + (value * row[c]!) / 17, 0);
    });
    const logits = said.logits!.data as Float32Array;
    const map = said['evidence.4']!.data as Float32Array;
    const sums = missing.map((rest, i) => map.subarray(16 * i, 16 * i + 16).reduce((sum, v) => sum + v / 16, rest));
    assertClose(sums, logits, 1e-4, 'with a class token');
  }
  const graph = graphBuilder('placeless');
  const image = graph.input({ name: 'image', dtype: 'float32', shape: ['N', 3, 'H', 'W'] });
  const mean = graph.node('ReduceMean', 'mean', [image], { axes: [2, 3], keepdims: 0 });
  const placeless: Backbone = {
    name: 'placeless',
    title: 'placeless',
    preprocess: { size: 32, fit: 'squash', kernel: 'linear', mean: [0, 0, 0], std: [1, 1, 1] },
    graph: graph.build([{ name: mean, dtype: 'float32', shape: ['N', 3] }]),
    stages: [{ value: mean, pooled: true }],
    weights: { file: '', sha256: '' },
  };
  assert.deepEqual(buildEvidenceGraph(placeless, headFor(placeless)).maps, []);
});

test('on the last stage it is Grad-CAM, whose weights come from gradients', async () => {
  const backbone = withSize(await randomBackbone(findCard('resnet18')!, 1), 64);
  const last = backbone.stages.length - 1;
  const only = { ...backbone, stages: backbone.stages.map((stage, i) => ({ ...stage, pooled: i === last })) };
  const head = headFor(only);
  const { graph, maps } = buildEvidenceGraph(only, head);
  const withActivations = {
    ...graph,
    outputs: [...graph.outputs, { name: only.stages[last]!.value, dtype: 'float32', shape: ['N', 512, 2, 2] } as const],
  };
  const said = await runGraph(withActivations, 64);
  const activations = said[only.stages[last]!.value]!.data as Float32Array;

  // The logit of class 1 as a function of the activations, and its gradient.
  const g = startEmitter(emptyGraph('logit'));
  const x = g.input({ name: 'x', dtype: 'float32', shape: [2, 512, 2, 2] });
  const pooled = g.emit('ReduceMean', [x], { axes: [2, 3], keepdims: 0 });
  const mean = Float32Array.from(
    { length: 512 },
    (_, c) => (head.weight.data[c]! + head.weight.data[512 + c]! + head.weight.data[1024 + c]!) / 3,
  );
  const row = float32(
    [512, 1],
    head.weight.data.subarray(512, 1024).map((w, c) => w - mean[c]!),
  );
  const logit = g.reduceSum(g.emit('MatMul', [pooled, g.constant(row)], {}), [0, 1], 0);
  const [gradient] = differentiate(g, logit, [x]) as [string];
  const shaped = g.emit('Add', [gradient, g.emit('Mul', [x, g.constant(float32([], [0]))], {})], {});
  const session = await openSession(
    writeOnnx(g.build([{ name: shaped, dtype: 'float32', shape: [2, 512, 2, 2] }])),
    {},
  );
  const { [shaped]: found } = await session.run({ x: float32([2, 512, 2, 2], activations) });
  await session.close();
  const slopes = found!.data as Float32Array;
  const cells = 4;
  const gradCam = Float32Array.from({ length: 2 * cells }, (_, i) => {
    const [photo, cell] = [Math.floor(i / cells), i % cells];
    let sum = 0;
    for (let c = 0; c < 512; c++) {
      const at = (photo * 512 + c) * cells;
      const alpha = (slopes[at]! + slopes[at + 1]! + slopes[at + 2]! + slopes[at + 3]!) / cells;
      sum += alpha * activations[at + cell]!;
    }
    return sum;
  });
  const map = said[maps[0]!.output]!.data as Float32Array;
  const ofClass = Float32Array.from(
    { length: 2 * cells },
    (_, i) => map[Math.floor(i / cells) * CLASSES * cells + cells + (i % cells)]! / cells,
  );
  assertClose(gradCam, ofClass, 1e-4, 'Grad-CAM');
});
