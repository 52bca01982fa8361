// Networks with nodes that cannot be trained or exported are refused before anything is computed, with all of them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GraftError } from '../../src/base/errors.ts';
import { graphBuilder } from '../../src/onnx/builder.ts';
import { checkNetwork } from '../../src/project/check-network.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import type { Backbone } from '../../src/zoo/backbone.ts';
import { openDefaultBackbone } from '../support/default-backbone.ts';

/** Two stages: a Sign in the first, and in the second a ConvTranspose, which no file for robots has here. */
function makeBackbone(): Backbone {
  const g = graphBuilder('odd');
  const image = g.input({ name: 'image', dtype: 'float32', shape: ['N', 3, 'H', 'W'] });
  const sign = g.node('Sign', 'net.sign', [image], {});
  const first = g.node('Mul', 'net.first', [sign, image], {});
  const weight = g.constant('net.weight', float32([3, 2, 2, 2], new Float32Array(24).fill(0.1)));
  const last = g.node('ConvTranspose', 'net.up', [first, weight], {
    kernel_shape: [2, 2],
    strides: [2, 2],
    pads: [0, 0, 0, 0],
    dilations: [1, 1],
    group: 1,
    output_padding: [0, 0],
  });
  return {
    name: 'odd',
    title: 'odd.onnx',
    preprocess: { size: 8, fit: 'squash', kernel: 'linear', mean: [0, 0, 0], std: [1, 1, 1] },
    graph: g.build([{ name: last, dtype: 'float32', shape: ['N', 2, 'h', 'w'] }]),
    stages: [first, last].map(value => ({ value, pooled: true })),
    weights: { file: 'odd.onnx', sha256: '' },
  };
}

const refusal = (trainFrom: number | undefined): string => {
  try {
    checkNetwork(makeBackbone(), trainFrom);
  } catch (error) {
    assert.ok(error instanceof GraftError && error.code === 'unsupported-op');
    return error.message;
  }
  throw new Error('It was taken.');
};

test('every node is named, with the reason, at once', () => {
  const message = refusal(0);
  assert.match(
    message,
    /^odd\.onnx has nodes that cannot be used\.\n {2}Not to be trained:\n {2}Sign net\.sign: it has no gradient/,
  );
  assert.match(message, /\n {2}ConvTranspose net\.up: it has no gradient/);
  assert.match(message, /\n {2}Not to be exported to \.tflite:\n {2}.*Sign net\.sign: /);
});

test('what stays frozen needs no gradient', () => {
  assert.doesNotMatch(refusal(1), /Sign net\.sign: it has no gradient/);
  assert.doesNotMatch(refusal(undefined), /has no gradient/);
});

test('the default backbone passes', async () => {
  const backbone = await openDefaultBackbone();
  checkNetwork(backbone, 0);
});
