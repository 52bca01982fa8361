// The exported file of the real backbone: only ops that are needed, in versions that old runtimes know; and a failing proof.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import type { GraftError } from '../../src/base/errors.ts';
import { makeRng } from '../../src/base/rng.ts';
import { startPool } from '../../src/base/worker-pool.ts';
import type { Classifiers } from '../../src/project/classify-files.ts';
import { exportModel } from '../../src/project/export-model.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import { lowerToTflite } from '../../src/tflite/lower.ts';
import { readTflite } from '../../src/tflite/read.ts';
import { writeTflite } from '../../src/tflite/write.ts';
import { buildClassifierGraph, featureWidth } from '../../src/zoo/graphs.ts';
import { openDefaultBackbone } from '../support/default-backbone.ts';
import { provenanceOf } from '../support/random-classifier.ts';
import { drain, temporaryFolder } from '../support/reference.ts';

const backbone = await openDefaultBackbone();
const width = featureWidth(backbone);
const rng = makeRng(1, 'head');
const head = {
  weight: float32(
    [2, width],
    Float32Array.from({ length: 2 * width }, () => 0.01 * rng.normal()),
  ),
  bias: float32([2], [0.1, -0.1]),
};

/** Newest versions of each op that tflite-runtime 2.14, the last one on PyPI, accepts for float32. */
const acceptedVersions: Record<string, number> = {
  ADD: 5,
  CONCATENATION: 4,
  CONV_2D: 7,
  DEPTHWISE_CONV_2D: 7,
  FULLY_CONNECTED: 10,
  HARD_SWISH: 1,
  MEAN: 3,
  MUL: 7,
  PAD: 4,
  SOFTMAX: 3,
};

test('the file has no op that is not needed, and none that tflite-runtime 2.14 does not know', async () => {
  const model = readTflite(writeTflite(lowerToTflite(buildClassifierGraph(backbone, head, 'signed'))));
  const counts: Record<string, number> = {};
  for (const { op, version } of model.operators) {
    counts[op] = (counts[op] ?? 0) + 1;
    assert.ok(version <= (acceptedVersions[op] ?? 0), `${op} version ${version}`);
  }
  // From the table of MobileNetV3-Small: 11 blocks, 9 with squeeze-and-excitation, 6 with a skip, 4 + 1 strided convolutions
  // that pad one side more than the other.
  assert.deepEqual(counts, {
    ADD: 1 + 6, // normalisation, skips
    PAD: 1 + 4,
    CONV_2D: 1 + 10 + 11 + 2 * 9 + 1, // stem, expansions, projections, gates, last
    DEPTHWISE_CONV_2D: 11,
    HARD_SWISH: 1 + 2 * 8 + 1, // stem, two per block from the fourth on, last
    MEAN: 9 + 13, // gates, stages
    MUL: 9,
    CONCATENATION: 4, // 13 values, four at a time: 4 + 4 + 4 + 1, then those four
    FULLY_CONNECTED: 1,
    SOFTMAX: 1,
  });
});

test('a file that disagrees with the model is named .rejected, and the error says by how much', async t => {
  const folder = await temporaryFolder(t);
  const classifiers: Classifiers = startPool(new URL('../support/disagreeing-worker.ts', import.meta.url), 1);
  t.after(() => classifiers.close());
  const photos = [
    { file: 'a.jpg', label: 0 },
    { file: 'b.jpg', label: 1 },
  ];
  const network = { backbone, head, provenance: provenanceOf(backbone) };
  const job = { folder, network, photos, classifiers, onWritten: () => {} };
  await assert.rejects(drain(exportModel(job)), (error: unknown) => {
    assert.equal((error as GraftError).code, 'proof-failed');
    assert.match(
      (error as GraftError).message,
      /a probability differs by 8\.0e-1 .* \(0\.001 is allowed\), and the best class on 2 of 2 photos/,
    );
    return true;
  });
  assert.deepEqual(readdirSync(folder).sort(), ['labels.txt', 'model.onnx', 'model.tflite.rejected']);
});
