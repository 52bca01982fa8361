// Heads and stages of the well-known kinds of networks; ONNX Runtime on the whole network judges the features.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraftError } from '../../src/base/errors.ts';
import { makeRng } from '../../src/base/rng.ts';
import { openSession } from '../../src/engine/session.ts';
import { findHead } from '../../src/import/find-head.ts';
import { findStages } from '../../src/import/find-stages.ts';
import { makeBackbone } from '../../src/import/make-backbone.ts';
import type { Graph } from '../../src/onnx/graph.ts';
import { inferShapes } from '../../src/onnx/shapes.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, int64, sizeOf, type Tensor } from '../../src/tensor/tensor.ts';
import { buildFeatureGraph, featureWidth } from '../../src/zoo/graphs.ts';
import { stageShapes } from '../../src/zoo/stages.ts';
import { largestDifference, largestNumber } from '../support/reference.ts';
import { examples, type Layers, network } from './networks.ts';

const SIZE = 32;
const dims = { N: 1, H: SIZE, W: SIZE };

test('a backbone ends with its last value with positions, and its stages end with blocks', () => {
  for (const [title, { graph, stages, note }] of Object.entries(examples)) {
    const head = findHead(graph, dims);
    const found = findStages(head.graph, inferShapes(head.graph, dims));
    assert.deepEqual(
      found.stages.map(({ value }) => value),
      stages,
      title,
    );
    if (note) assert.match(head.note ?? '', note, title);
    else assert.equal(head.note, undefined, title);
  }
});

test('each stage reads the value of the one before and nothing else', () => {
  for (const [title, { graph }] of Object.entries(examples)) {
    const head = findHead(graph, dims);
    const { nodes, stages } = findStages(head.graph, inferShapes(head.graph, dims));
    const made = new Set(['image']);
    let readable = new Set(['image']);
    let at = 0;
    for (const node of nodes) {
      for (const input of node.inputs.filter(name => made.has(name))) {
        assert.ok(readable.has(input), `${title}: ${node.name} reads ${input} of an earlier stage`);
      }
      for (const output of node.outputs) {
        made.add(output);
        readable.add(output);
      }
      if (node.outputs[0] === stages[at]!.value) {
        readable = new Set([stages[at]!.value]);
        at++;
      }
    }
    assert.equal(at, stages.length);
  }
});

/** Means over positions of the values of a whole network, for one photo. */
async function meansOf(
  graph: (typeof examples)[string]['graph'],
  values: readonly string[],
  image: Tensor,
): Promise<Float32Array> {
  const shapes = inferShapes(graph, dims);
  const all = values.map(name => ({ name, dtype: 'float32' as const, shape: ['N', ...shapes.get(name)!.slice(1)] }));
  const session = await openSession(writeOnnx({ ...graph, outputs: all }));
  const results = await session.run({ image });
  await session.close();
  const means = values.flatMap(name => {
    const { shape, data } = results[name] as Tensor<'float32'>;
    const isImage = shape.length === 4;
    const channels = isImage ? shape[1]! : shape.at(-1)!;
    const positions = sizeOf(shape) / channels;
    const sums = new Array<number>(channels).fill(0);
    data.forEach((value, i) => {
      sums[isImage ? Math.floor(i / positions) : i % channels]! += value / positions;
    });
    return sums;
  });
  return Float32Array.from(means);
}

test('the features are the means of what the whole network computes', async () => {
  const rng = makeRng(3, 'pixels');
  const pixels = Uint8Array.from({ length: SIZE * SIZE * 3 }, () => rng.int(256));
  const [mean, std] = [
    [0.4, 0.5, 0.6],
    [0.2, 0.25, 0.3],
  ] as unknown as readonly [number, number, number][];
  const scaled = Float32Array.from({ length: 3 * SIZE * SIZE }, (_, i) => {
    const [channel, position] = [Math.floor(i / (SIZE * SIZE)), i % (SIZE * SIZE)];
    return (pixels[3 * position + channel]! / 255 - mean![channel]!) / std![channel]!;
  });
  for (const [title, { graph, stages }] of Object.entries(examples)) {
    const weights = { file: 'network.onnx', sha256: '' };
    const options = { mean: mean!, std: std!, size: SIZE };
    const backbone = makeBackbone({ graph, evidence: [], weights }, undefined, options);
    const wanted = await meansOf(graph, stages, float32([1, 3, SIZE, SIZE], scaled));
    const session = await openSession(writeOnnx(buildFeatureGraph(backbone)));
    const image: Tensor = { dtype: 'uint8', shape: [1, SIZE, SIZE, 3], data: pixels };
    const found = (await session.run({ image })).features!.data as Float32Array;
    await session.close();
    assert.equal(found.length, featureWidth(backbone));
    const difference = largestDifference(found, wanted);
    assert.ok(difference <= 1e-5 * largestNumber(wanted), `${title}: ${difference} of ${largestNumber(wanted)}`);
  }
});

test('of many stages thirty are kept, with the last one of each resolution; of wide ones only those are pooled', () => {
  const deep = network((n, image) => {
    let value = n.block('stem', image, [3, 128], { stride: 2 });
    for (let i = 0; i < 40; i++)
      value = n.relu(`block.${i}`, n.add(`sum.${i}`, n.block(`inner.${i}`, value, [128, 128]), value));
    value = n.block('down', value, [128, 160], { stride: 2 });
    n.dense('end', n.flatten('flat', n.pooled('pool', n.block('last', value, [160, 160]))), [160, 10]);
    return { end: [10] };
  });
  const weights = { file: 'deep.onnx', sha256: '' };
  const backbone = makeBackbone({ graph: deep, evidence: [], weights }, undefined, { pixels: 'imagenet', size: SIZE });
  const shapes = stageShapes(backbone);
  assert.equal(backbone.stages.length, 30);
  const pooled = backbone.stages.filter(stage => stage.pooled).map(({ value }) => value.replace(/^net\./, ''));
  assert.deepEqual(pooled, ['block.39', 'last']);
  assert.deepEqual(shapes.at(-1), [160, 8, 8]);
});

test('a network without positions is refused', () => {
  const flat = network((n, image) => {
    n.dense('end', n.flatten('flat', n.pooled('pool', image)), [3, 10]);
    return { end: [10] };
  });
  const tiny = { ...flat, nodes: flat.nodes };
  assert.throws(
    () => findHead(tiny, dims),
    (error: unknown) =>
      error instanceof GraftError && error.code === 'unsupported-op' && /no value with positions/.test(error.message),
  );
});

test('segmenters, detectors and networks that make images are refused', () => {
  const deep = (n: Layers, image: string) =>
    n.block('b', n.block('a', image, [3, 8], { stride: 2 }), [8, 12], { stride: 2 });
  const reshaped = (n: Layers, name: string, value: string, shape: readonly number[]) =>
    n.graph.node('Reshape', name, [value, n.graph.constant(`${name}.shape`, int64([shape.length], shape))], {});
  const networks: Readonly<Record<string, readonly [Graph, RegExp]>> = {
    segmenter: [
      network((n, image) => {
        const scales = n.graph.constant('scales', float32([4], [1, 1, 2, 2]));
        n.graph.node('Resize', 'end', [n.conv('map', deep(n, image), [12, 5], { kernel: 1 }), '', scales], {
          mode: 'nearest',
          coordinate_transformation_mode: 'asymmetric',
          nearest_mode: 'floor',
        });
        return { end: [5, 16, 16] };
      }),
      /gives 256 positions, \[1, 5, 16, 16\], where its deepest layer has 64/,
    ],
    'super-resolution at one size': [
      network((n, image) => {
        n.conv('end', n.block('a', image, [3, 8]), [8, 3]);
        return { end: [3, 32, 32] };
      }),
      /gives 1024 positions/,
    ],
    'detector of one list': [
      network((n, image) => {
        reshaped(n, 'end', n.conv('map', deep(n, image), [12, 9], { kernel: 1 }), [0, 9, 64]);
        return { end: [9, 64] };
      }),
      /gives \[1, 9, 64\], which is neither one score per class/,
    ],
    'detector with anchors as an axis': [
      network((n, image) => {
        reshaped(n, 'end', n.conv('map', deep(n, image), [12, 10], { kernel: 1 }), [0, 2, 5, 8, 8]);
        return { end: [2, 5, 8, 8] };
      }),
      /gives \[1, 2, 5, 8, 8\]/,
    ],
    'detector of two maps': [
      network((n, image) => {
        const a = n.block('a', image, [3, 8], { stride: 2 });
        n.conv('boxes', n.block('b', a, [8, 8], { stride: 2 }), [8, 4]);
        n.conv('scores', n.block('c', a, [8, 8], { stride: 2 }), [8, 6]);
        return { boxes: [4, 8, 8], scores: [6, 8, 8] };
      }),
      /gives 2 outputs with positions/,
    ],
  };
  for (const [title, [graph, message]] of Object.entries(networks)) {
    const weights = { file: 'some.onnx', sha256: '' };
    assert.throws(
      () => makeBackbone({ graph, evidence: [], weights }, undefined, { pixels: 'unit', size: SIZE }),
      (error: unknown) => {
        assert.ok(error instanceof GraftError, String((error as Error).stack));
        assert.equal(error.code, 'unsupported-op', title);
        assert.match(error.message, message, title);
        assert.ok(error.message.startsWith('some.onnx: '), title);
        return true;
      },
    );
  }
});

test('thousands of outputs are refused', () => {
  const graph = network((n, image) => {
    n.relu('end', n.conv('a', image, [3, 4]));
    return { end: [4, 32, 32] };
  });
  const outputs = Array.from({ length: 19_000 }, () => graph.outputs[0]!);
  assert.throws(() => findHead({ ...graph, outputs }, dims), /has 19000 outputs, and up to 100 are looked at/);
});
