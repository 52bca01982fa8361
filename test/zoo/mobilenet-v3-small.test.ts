// The backbone against torchvision's: same weights, same pixels, same numbers.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { openSession } from '../../src/engine/session.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { buildFeatureGraph } from '../../src/zoo/graphs.ts';
import { openDefaultBackbone } from '../support/default-backbone.ts';
import { largestDifference, readReference } from '../support/reference.ts';

interface Reference {
  weightsSha256: string;
  inputs: { n: number; pixelsSha256: string; pooledStages: number[][] }[];
}

const reference = readReference<Reference>('mobilenet-v3-small.json');
const backbone = await openDefaultBackbone();
const { size } = backbone.preprocess;

function makePixels(n: number): Uint8Array {
  const pixels = new Uint8Array(size * size * 3);
  for (let y = 0, i = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      for (let c = 0; c < 3; c++) pixels[i++] = (x * 7 + y * 13 + c * 29 + ((x * y) % 31) * 5 + n * 17) % 256;
    }
  }
  return pixels;
}

test('features equal torchvision to 1e-4, stage by stage', async () => {
  assert.equal(backbone.weights.sha256, reference.weightsSha256);
  const session = await openSession(writeOnnx(buildFeatureGraph(backbone)), { threads: 2 });
  for (const { n, pixelsSha256, pooledStages } of reference.inputs) {
    const pixels = makePixels(n);
    assert.equal(createHash('sha256').update(pixels).digest('hex'), pixelsSha256);
    const image = { dtype: 'uint8', shape: [1, size, size, 3], data: pixels } as const;
    const features = (await session.run({ image })).features!.data as Float32Array;
    const difference = largestDifference(features, pooledStages.flat());
    assert.ok(difference <= 1e-4, `largest difference ${difference}`);
  }
  await session.close();
});
