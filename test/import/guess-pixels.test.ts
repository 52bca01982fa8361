// The guess from the first BatchNormalization, on a network whose preprocessing is known: torchvision's MobileNetV3-Small.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { GraftError } from '../../src/base/errors.ts';
import { makeRng } from '../../src/base/rng.ts';
import { type PixelsName, pixelScales } from '../../src/import/find-preprocess.ts';
import { guessPixels } from '../../src/import/guess-pixels.ts';
import { makeBackbone } from '../../src/import/make-backbone.ts';
import type { Graph } from '../../src/onnx/graph.ts';
import type { Tensor } from '../../src/tensor/tensor.ts';
import { openDefaultBackbone } from '../support/default-backbone.ts';
import { noise } from '../support/two-runtimes.ts';

let graph: Graph;
before(async () => {
  ({ graph } = await openDefaultBackbone());
});

const firstConv = () => graph.nodes.find(node => node.op === 'Conv')!;
const firstNorm = () => graph.nodes.find(node => node.op === 'BatchNormalization')!;

/**
 * The same network for other pixels y = (u - mean) / std than (u - m) / s: weights * std / s per input channel, and what the
 * norm has seen less by weights * (mean - m) / s, summed.
 */
function rewritten(name: PixelsName): Graph {
  const from = pixelScales.imagenet;
  const to = pixelScales[name];
  const colour = (c: number) => (name === 'caffe' ? 2 - c : c);
  const weight = graph.constants.get(firstConv().inputs[1]!) as Tensor<'float32'>;
  const mean = graph.constants.get(firstNorm().inputs[3]!) as Tensor<'float32'>;
  const area = weight.shape[2]! * weight.shape[3]!;
  const means = mean.data.slice();
  const data = weight.data.map((_, i) => {
    const [out, c, place] = [Math.floor(i / (3 * area)), Math.floor(i / area) % 3, i % area];
    const original = weight.data[(3 * out + colour(c)) * area + place]!;
    means[out]! -= (original * (to.mean[c]! - from.mean[colour(c)]!)) / from.std[colour(c)]!;
    return (original * to.std[c]!) / from.std[colour(c)]!;
  });
  const constants = new Map(graph.constants)
    .set(firstConv().inputs[1]!, { ...weight, data })
    .set(firstNorm().inputs[3]!, { ...mean, data: means });
  return { ...graph, constants };
}

test('the network as it is wants the pixels of ImageNet; rewritten for others, those', () => {
  assert.equal(guessPixels(graph), 'imagenet');
  for (const name of Object.keys(pixelScales) as PixelsName[]) assert.equal(guessPixels(rewritten(name)), name);
});

test('weights that were never trained tell nothing', () => {
  const weight = graph.constants.get(firstConv().inputs[1]!)!;
  const random = new Map(graph.constants).set(firstConv().inputs[1]!, noise(makeRng(1, 'weights'), weight.shape, 1e-3));
  assert.equal(guessPixels({ ...graph, constants: random }), undefined);
});

test('the guess is in the hint of the error, and nothing is done by it', () => {
  const weights = { file: 'network.onnx', sha256: '' };
  assert.throws(
    () => makeBackbone({ graph: rewritten('signed'), evidence: [], weights }, undefined, { size: 64 }),
    (error: unknown) =>
      error instanceof GraftError &&
      error.code === 'usage' &&
      /first BatchNorm was trained on pixels like signed/.test(error.hint!),
  );
});
