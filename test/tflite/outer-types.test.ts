// Uint8 around a model: pixels in mean what (x - 127.5) / 127.5 means, and probabilities out are in steps of 1/256.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeRng } from '../../src/base/rng.ts';
import { signedPixels } from '../../src/project/signed-pixels.ts';
import { sizeOf } from '../../src/tensor/tensor.ts';
import { lowerToTflite } from '../../src/tflite/lower.ts';
import type { TfliteModel } from '../../src/tflite/model.ts';
import { giveUint8, takeUint8 } from '../../src/tflite/outer-types.ts';
import { leafImages, realClassifier, runModel } from '../support/measured-models.ts';
import { assertClose } from '../support/reference.ts';
import { IMAGE, smallNetworks } from '../support/small-networks.ts';
import { imageGraph, noise, opsOf } from '../support/two-runtimes.ts';

const size = sizeOf(IMAGE);
const rng = makeRng(8, 'pixels');
/** All bytes there are, and noise. */
const photos = [
  Uint8Array.from({ length: size }, (_, i) => i),
  ...Array.from({ length: 2 }, () => Uint8Array.from({ length: size }, () => rng.int(256))),
];

/** The image comes first through an addition, as in the zoo's networks, or through something else, or to two readers. */
const networks: Readonly<Record<string, { readonly model: TfliteModel; readonly added: readonly string[] }>> = {
  'an addition first': {
    model: lowerToTflite(
      imageGraph(IMAGE, (graph, image, random) => {
        const shift = graph.constant('shift', noise(random, [1, 3, 1, 1]));
        graph.node('Relu', 'end', [graph.node('Add', 'sum', [image, shift], {})], {});
        return { end: [...IMAGE] };
      }),
    ),
    added: ['DEQUANTIZE'],
  },
  'a convolution first': {
    model: lowerToTflite(smallNetworks['hard-swish between convolutions, one of them strided']!),
    added: ['DEQUANTIZE', 'ADD'],
  },
  'an addition that is not alone': {
    model: lowerToTflite(
      imageGraph(IMAGE, (graph, image, random) => {
        const shift = graph.constant('shift', noise(random, [1, 3, 1, 1]));
        const sum = graph.node('Add', 'sum', [image, shift], {});
        graph.node('Mul', 'end', [sum, image], {});
        return { end: [...IMAGE] };
      }),
    ),
    added: ['DEQUANTIZE', 'ADD'],
  },
  'the image added to itself': {
    model: lowerToTflite(
      imageGraph(IMAGE, (graph, image) => {
        graph.node('Add', 'end', [image, image], {});
        return { end: [...IMAGE] };
      }),
    ),
    added: ['DEQUANTIZE', 'ADD'],
  },
};

for (const [name, { model, added }] of Object.entries(networks)) {
  test(`pixels in, ${name}: the answers of the signed range`, async () => {
    const fed = takeUint8(model);
    assert.deepEqual(opsOf(fed), [...added, ...opsOf(model)]);
    assert.deepEqual(
      fed.inputs.map(index => [fed.tensors[index]!.name, fed.tensors[index]!.type, fed.tensors[index]!.shape]),
      [['image', 'UINT8', [1, ...IMAGE]]],
    );
    const wanted = await runModel(
      model,
      photos.map(photo => signedPixels(photo)),
    );
    const found = await runModel(fed, photos);
    assert.equal(found.isAccelerated, true);
    for (const [i, [values]] of found.answers.entries()) {
      assertClose(values!, wanted.answers[i]![0]!, 1e-5, `photo ${i}`);
    }
  });
}

test('pixels in, bytes out, of the real classifier: the same to half a step', async () => {
  const { model } = await realClassifier();
  const leaves = leafImages(3);
  const pixels = leaves.map(image => Uint8Array.from(image, value => Math.round(127.5 * value + 127.5)));
  const whole = giveUint8(takeUint8(model));
  assert.deepEqual(
    [...whole.inputs, ...whole.outputs].map(index => [whole.tensors[index]!.name, whole.tensors[index]!.type]),
    [
      ['image', 'UINT8'],
      ['probabilities', 'UINT8'],
    ],
  );
  assert.deepEqual(whole.signature?.inputs, [{ name: 'image', tensor: whole.inputs[0] }]);
  assert.deepEqual(whole.signature?.outputs, [{ name: 'probabilities', tensor: whole.outputs[0] }]);
  const wanted = await runModel(model, leaves);
  const found = await runModel(whole, pixels);
  found.answers.forEach(([bytes], i) => {
    wanted.answers[i]![0]!.forEach((probability, k) => {
      // 255 is the most there is.
      const apart = Math.abs(Math.min(256 * probability, 255) - bytes![k]!);
      assert.ok(apart <= 0.51, `${probability} is ${bytes![k]} of 256`);
    });
  });
});

test('bytes out: every probability from 0 to 1, to half a step', async () => {
  const count = 1001;
  const model: TfliteModel = {
    description: '',
    tensors: [
      { name: 'x', type: 'FLOAT32', shape: [1, count] },
      { name: 'y', type: 'FLOAT32', shape: [1, count] },
    ],
    operators: [{ op: 'RELU', version: 1, inputs: [0], outputs: [1], options: {} }],
    inputs: [0],
    outputs: [1],
    metadata: [],
  };
  const probabilities = Float32Array.from({ length: count }, (_, i) => i / (count - 1));
  const [[bytes]] = (await runModel(giveUint8(model), [probabilities])).answers as [[Uint8Array]];
  probabilities.forEach((probability, i) => {
    assert.ok(Math.abs(Math.min(256 * probability, 255) - bytes[i]!) <= 0.5001, `${probability} is ${bytes[i]} of 256`);
  });
});
