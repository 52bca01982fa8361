// What pixels a network wants: every way of saying it gives the features that the whole network computes on pixels so scaled.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraftError } from '../../src/base/errors.ts';
import { makeRng } from '../../src/base/rng.ts';
import { openSession } from '../../src/engine/session.ts';
import {
  findPixels,
  type PixelScale,
  type PixelsName,
  pixelScales,
  pixelsOfQuantised,
} from '../../src/import/find-preprocess.ts';
import { type ImportOptions, makeBackbone } from '../../src/import/make-backbone.ts';
import { stripInput } from '../../src/import/strip-input.ts';
import type { Graph, ValueInfo } from '../../src/onnx/graph.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, type Tensor } from '../../src/tensor/tensor.ts';
import { buildFeatureGraph } from '../../src/zoo/graphs.ts';
import { largestDifference, largestNumber } from '../support/reference.ts';
import { type Layers, network } from './networks.ts';

const SIZE = 16;
const rng = makeRng(3, 'pixels');
const pixels = Uint8Array.from({ length: SIZE * SIZE * 3 }, () => rng.int(256));
const [mean, std] = [pixelScales.imagenet.mean, pixelScales.imagenet.std];

/** The layers behind a normalisation, which end with means. */
function body(n: Layers, image: string): Record<string, readonly number[]> {
  n.flatten('end', n.pooled('pool', n.block('b', n.block('a', image, [3, 8], { stride: 2 }), [8, 6])));
  return { end: [6] };
}

const perChannel = (n: Layers, name: string, values: readonly number[], shape = [1, 3, 1, 1]) =>
  n.graph.constant(name, float32(shape, values));
const step = (n: Layers, op: 'Add' | 'Div' | 'Mul' | 'Sub', name: string, value: string, constant: string) =>
  n.graph.node(op, name, [value, constant], {});
const nhwc: ValueInfo = { name: 'pixels', dtype: 'float32', shape: ['N', SIZE, SIZE, 3] };

/** Networks that normalise their input themselves, and what their input is made of. */
const normalised: Readonly<Record<string, { readonly graph: Graph; readonly scale: PixelScale }>> = {
  'bytes: / 255, - mean, / deviation': {
    scale: pixelScales.bytes,
    graph: network((n, image) => {
      const unit = step(n, 'Div', 'unit', image, n.graph.scalar('255', 255));
      const centred = step(n, 'Sub', 'centred', unit, perChannel(n, 'mean', mean));
      return body(n, step(n, 'Div', 'scaled', centred, perChannel(n, 'std', std, [3, 1, 1])));
    }),
  },
  'bytes, NHWC: * 1 / 127.5, - 1, and a Transpose': {
    scale: pixelScales.bytes,
    graph: network((n, image) => {
      const scaled = step(n, 'Mul', 'scaled', image, n.graph.scalar('factor', 1 / 127.5));
      const signed = step(n, 'Add', 'signed', scaled, perChannel(n, 'minus.one', [-1, -1, -1], [3]));
      return body(n, n.graph.node('Transpose', 'nchw', [signed], { perm: [0, 3, 1, 2] }));
    }, nhwc),
  },
  'bytes less a mean': {
    scale: pixelScales.bytes,
    graph: network((n, image) =>
      body(
        n,
        step(
          n,
          'Sub',
          'centred',
          image,
          perChannel(
            n,
            'mean',
            mean.map(value => 255 * value),
          ),
        ),
      ),
    ),
  },
  'unit: - mean, / deviation': {
    scale: pixelScales.unit,
    graph: network(
      (n, image) => {
        const centred = step(n, 'Sub', 'centred', image, perChannel(n, 'mean', mean));
        return body(n, step(n, 'Div', 'image', centred, perChannel(n, 'std', std)));
      },
      { name: 'photo', dtype: 'float32', shape: ['N', 3, SIZE, SIZE] },
    ),
  },
  'unit: * 2 - 1': {
    scale: pixelScales.unit,
    graph: network((n, image) => {
      const twice = n.graph.node('Mul', 'twice', [n.graph.scalar('two', 2), image], {});
      return body(n, step(n, 'Sub', 'signed', twice, n.graph.scalar('one', 1)));
    }),
  },
};

/** What the whole network says of the pixels, scaled as its input wants them. */
async function runWhole(graph: Graph, scale: PixelScale, isBgr = false): Promise<Float32Array> {
  const { name, shape } = graph.inputs[0]!;
  const isLast = shape[3] === 3;
  const values = new Float32Array(pixels.length);
  for (let i = 0; i < SIZE * SIZE; i++) {
    for (let c = 0; c < 3; c++) {
      const pixel = pixels[3 * i + (isBgr ? 2 - c : c)]!;
      values[isLast ? 3 * i + c : c * SIZE * SIZE + i] = (pixel / 255 - scale.mean[c]!) / scale.std[c]!;
    }
  }
  const session = await openSession(writeOnnx(graph));
  const results = await session.run({ [name]: float32(isLast ? [1, SIZE, SIZE, 3] : [1, 3, SIZE, SIZE], values) });
  await session.close();
  return results[graph.outputs[0]!.name]!.data as Float32Array;
}

/** The features of the imported network, as far as they are of its last stage. */
async function runImported(
  graph: Graph,
  options: ImportOptions,
  evidence: Parameters<typeof makeBackbone>[0]['evidence'] = [],
) {
  const weights = { file: 'network.onnx', sha256: '' };
  const backbone = makeBackbone({ graph, evidence, weights }, undefined, options);
  const session = await openSession(writeOnnx(buildFeatureGraph(backbone)));
  const image: Tensor = { dtype: 'uint8', shape: [1, SIZE, SIZE, 3], data: pixels };
  const features = (await session.run({ image })).features!.data as Float32Array;
  await session.close();
  return { backbone, features: features.slice(-6) };
}

const sizeFor = (graph: Graph) => (typeof graph.inputs[0]!.shape[2] === 'number' ? undefined : SIZE);

function assertNear(found: Float32Array, wanted: Float32Array, title: string): void {
  const difference = largestDifference(found, wanted);
  assert.ok(
    difference <= 2e-5 * Math.max(1, largestNumber(wanted)),
    `${title}: ${difference} of ${largestNumber(wanted)}`,
  );
}

test('a normalisation in the graph is taken out of it, and tells what pixels it is made for', async () => {
  for (const [title, { graph, scale }] of Object.entries(normalised)) {
    const { backbone, features } = await runImported(graph, { size: sizeFor(graph) });
    assertNear(features, await runWhole(graph, scale), title);
    assert.deepEqual(backbone.graph.nodes[0]!.op, 'Conv', title);
    assert.match(backbone.notes.at(-1)!, /as the first steps of the network tell/);
  }
});

test('what the user says comes before what the file says, and is told where they differ', async () => {
  const graph = network(body);
  const own = pixelsOfQuantised('UINT8', 1 / 127.5, 127)!;
  for (const pixelsName of ['imagenet', 'signed', 'unit', 'bytes'] as const satisfies readonly PixelsName[]) {
    const { backbone, features } = await runImported(graph, { pixels: pixelsName, size: SIZE }, [own]);
    assertNear(features, await runWhole(graph, pixelScales[pixelsName]), pixelsName);
    const contradiction = backbone.notes.at(-1);
    if (pixelsName === 'signed') assert.match(contradiction!, /Pixels are scaled signed, as you say/);
    else {
      const both = new RegExp(
        `wants other pixels, as its quantised input tells \\(mean 0\\.498.*${pixelsName}, as you say`,
      );
      assert.match(contradiction!, both);
    }
  }
});

test('a scale on top of a normalisation in the graph that no network is trained with is refused, with both', () => {
  const weights = { file: 'network.onnx', sha256: '' };
  const beside = { pixels: { mean, std, source: 'as config.json beside it says' } };
  const { graph } = normalised['bytes: / 255, - mean, / deviation']!;
  const odd = network((n, image) => body(n, step(n, 'Mul', 'odd', image, n.graph.scalar('factor', 40))));
  for (const pixelsName of ['imagenet', 'signed', 'unit'] as const) {
    assert.throws(
      () => makeBackbone({ graph, evidence: [], weights }, undefined, { pixels: pixelsName, size: SIZE }),
      (error: unknown) =>
        error instanceof GraftError &&
        error.code === 'usage' &&
        /scales its pixels itself \(its first steps multiply by .*as you say/.test(error.message) &&
        /--pixels bytes/.test(error.hint!),
      pixelsName,
    );
  }
  assert.throws(
    () => makeBackbone({ graph: odd, evidence: [], weights }, beside, { size: SIZE }),
    /as config\.json beside/,
  );
  // What the graph tells goes before files beside it; what fits together is taken.
  const { preprocess } = makeBackbone({ graph, evidence: [], weights }, beside, { size: SIZE });
  assert.deepEqual(
    preprocess.mean.map(value => Number(value.toFixed(4))),
    mean,
  );
  const lessMean = normalised['bytes less a mean']!.graph;
  assert.ok(makeBackbone({ graph: lessMean, evidence: [], weights }, undefined, { pixels: 'bytes', size: SIZE }));
});

test('caffe: blue first, in the weights of the first convolution', async () => {
  const plain = network(body);
  const { backbone, features } = await runImported(plain, { pixels: 'caffe', size: SIZE });
  assertNear(features, await runWhole(plain, pixelScales.caffe, true), 'caffe');
  assert.deepEqual(
    backbone.preprocess.mean.map(value => Math.round(255_000 * value)),
    [123_680, 116_779, 103_939],
  );
});

test('a mean and a deviation of your own', async () => {
  const plain = network(body);
  const own = { mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] } as const;
  const { features } = await runImported(plain, { ...own, size: SIZE });
  assertNear(features, await runWhole(plain, own), 'own');
});

test('where nothing says it, the user is asked', () => {
  const { scale, shift } = stripInput(network(body));
  assert.throws(
    () => findPixels('network.onnx', { scale, shift }, {}, {}),
    (error: unknown) =>
      error instanceof GraftError &&
      error.code === 'usage' &&
      Object.keys(pixelScales).every(name => error.hint!.includes(name)) &&
      error.hint!.includes('exported from PyTorch? --pixels imagenet'),
  );
  const odd = { scale: [40, 40, 40], shift: [7, 7, 7] } as const;
  assert.throws(() => findPixels('network.onnx', odd, {}, {}), /does not say how its pixels are scaled/);
  assert.throws(() => findPixels('network.onnx', odd, {}, { mean }), /a name, or a mean with a deviation/);
  assert.throws(() => findPixels('network.onnx', odd, {}, { mean, std: [1, 0, 1] }), /no scale/);
});

test('what a quantised input tells', () => {
  const cases: readonly (readonly ['UINT8' | 'INT8', number, number, PixelsName | 'own' | undefined])[] = [
    ['UINT8', 1 / 127.5, 127, 'signed'],
    ['UINT8', 1 / 128, 128, 'signed'],
    ['UINT8', 1 / 255, 0, 'unit'],
    ['UINT8', 1, 0, 'bytes'],
    ['INT8', 1 / 127.5, -1, 'signed'],
    ['INT8', 1 / 255, -128, 'unit'],
    ['INT8', 1, -128, 'bytes'],
    // The range of numbers that were normalised by ImageNet's: a uint8 file is fed with pixels all the same.
    ['UINT8', 0.01866, 113, 'own'],
    ['INT8', 0.01866, -14, undefined],
  ];
  for (const [type, scale, zero, name] of cases) {
    const found = pixelsOfQuantised(type, scale, zero);
    if (name === undefined) assert.equal(found, undefined);
    else if (name === 'own')
      assert.ok(Math.abs(found!.mean[0] - 113 / 255) < 1e-9 && Math.abs(found!.std[0] - 0.2102) < 1e-3);
    else {
      assert.ok(Math.abs(found!.mean[0] - pixelScales[name].mean[0]) < 0.01, `${type} ${scale}`);
      assert.ok(Math.abs(found!.std[0] / pixelScales[name].std[0] - 1) < 0.01, `${type} ${scale}`);
    }
  }
});

test('inputs that are no colour images are refused', () => {
  const withInput = (shape: ValueInfo['shape']): Graph => ({
    ...network(body),
    inputs: [{ name: 'image', dtype: 'float32', shape }],
  });
  for (const shape of [
    ['N', 1, 28, 28],
    ['N', 784],
    ['N', 4, 32, 32],
  ] as const) {
    assert.throws(
      () => stripInput(withInput(shape)),
      (error: unknown) => error instanceof GraftError && error.code === 'unsupported-op',
    );
  }
  const two = network(body);
  assert.throws(() => stripInput({ ...two, inputs: [two.inputs[0]!, two.inputs[0]!] }), /has 2 inputs/);
  const weights = { file: 'wide.onnx', sha256: '' };
  assert.throws(
    () => makeBackbone({ graph: withInput(['N', 3, 16, 24]), evidence: [], weights }, undefined, { pixels: 'unit' }),
    /16 x 24 pixels, and squares are wanted/,
  );
  assert.throws(
    () =>
      makeBackbone({ graph: withInput(['N', 3, 16, 16]), evidence: [], weights }, undefined, {
        pixels: 'unit',
        size: 24,
      }),
    (error: unknown) =>
      error instanceof GraftError && error.code === 'usage' && /made for images of 16 x 16/.test(error.message),
  );
});

test('a factor of 0 hides a channel, and stays in the network', () => {
  const graph = network((n, image) => body(n, step(n, 'Mul', 'hidden', image, perChannel(n, 'mask', [1, 0, 1]))));
  const { scale, shift, graph: left } = stripInput(graph);
  assert.deepEqual(
    [scale, shift],
    [
      [1, 1, 1],
      [0, 0, 0],
    ],
  );
  assert.ok(left.nodes.some(({ op }) => op === 'Mul'));
});
