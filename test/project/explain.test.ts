// Explanations of photos in threads, as the camera sees them too; and a network that has no places to tell of.
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeRng } from '../../src/base/rng.ts';
import { openSession } from '../../src/engine/session.ts';
import { cameraChoices } from '../../src/image/camera.ts';
import { readPhoto } from '../../src/image/read-photo.ts';
import { decodeSeen } from '../../src/image/render-photo-view.ts';
import { explain, finish, train } from '../../src/index.ts';
import { graphBuilder } from '../../src/onnx/builder.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { explainPhotos } from '../../src/project/explain-photos.ts';
import { float32, int64 } from '../../src/tensor/tensor.ts';
import { buildClassifierGraph } from '../../src/zoo/graphs.ts';
import { drawSmallDataset } from '../support/graft.ts';
import { makeClassifier } from '../support/random-classifier.ts';
import { assertClose, drain } from '../support/reference.ts';
import { noise } from '../support/two-runtimes.ts';

const SIZE = 64;
let set: Awaited<ReturnType<typeof drawSmallDataset>>;
before(async () => {
  set = await drawSmallDataset(24);
});
after(() => set.remove());
const photo = (name: string) => join(set.data, name);

test('photos are explained in their order, as the classifier sees them; what cannot be read is an answer', async () => {
  const network = await makeClassifier(SIZE);
  const { backbone, head } = network;
  const session = await openSession(writeOnnx(buildClassifierGraph(backbone, head, 'uint8')), { threads: 1 });
  const files = ['healthy/leaf-0001.jpg', 'gone.jpg', 'unhealthy/leaf-0001.jpg', 'healthy/leaf-0002.jpg'].map(photo);
  const taken: number[] = [];
  for (const camera of cameraChoices) {
    const questions = files.map(file => ({ file }));
    const answers = await drain(
      explainPhotos(network, questions, { camera, workers: 2 }, (explanation, index) => {
        taken.push(index);
        return { explanation, file: files[index] };
      }),
    );
    for (const [i, answer] of answers.entries()) {
      if ('reason' in answer) {
        assert.equal(i, 1);
        assert.match(answer.reason, /gone\.jpg/);
        continue;
      }
      assert.equal(answer.file, files[i]);
      const data = await decodeSeen(camera, await readPhoto(files[i]!), backbone.preprocess);
      const said = await session.run({ image: { dtype: 'uint8', shape: [1, SIZE, SIZE, 3], data } });
      const { probabilities, evidence, side } = answer.explanation;
      assertClose(probabilities, said.probabilities!.data as Float32Array, 1e-5, files[i]!);
      // Logits are means of the maps: their softmax is what is said.
      const means = [0, 1].map(
        k => evidence.subarray(k * side ** 2, (k + 1) * side ** 2).reduce((a, b) => a + b) / side ** 2,
      );
      const first = 1 / (1 + Math.exp(means[1]! - means[0]!));
      assert.ok(Math.abs(first - probabilities[0]!) < 1e-4, `${first}, ${probabilities[0]}`);
    }
  }
  assert.deepEqual(taken.sort(), [0, 0, 2, 2, 3, 3]);
  await session.close();
});

/** Somebody's network of 16 patches with two tokens beside them, which are no square. */
function oddTokens(): Uint8Array {
  const graph = graphBuilder('odd');
  const image = graph.input({ name: 'image', dtype: 'float32', shape: ['N', 3, 32, 32] });
  const conv = { kernel_shape: [8, 8], strides: [8, 8], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 } as const;
  const weight = graph.constant('w', noise(makeRng(2, 'patches'), [6, 3, 8, 8], 0.1));
  const patches = graph.node('Conv', 'patches', [image, weight], conv);
  const list = graph.node('Reshape', 'list', [patches, graph.constant('form', int64([3], [0, 6, 16]))], {});
  const tokens = graph.node('Transpose', 'tokens', [list], { perm: [0, 2, 1] });
  const mean = graph.node('ReduceMean', 'mean', [tokens], { axes: [1], keepdims: 1 });
  const twice = graph.node('Mul', 'twice', [mean, graph.scalar('two', 2)], {});
  const all = graph.node('Concat', 'all', [mean, twice, tokens], { axis: 1 });
  const relu = graph.node('Relu', 'relu', [all], {});
  const pooled = graph.node('ReduceMean', 'pooled', [relu], { axes: [1], keepdims: 0 });
  const head = graph.constant('head', float32([6, 5], noise(makeRng(3, 'head'), [6, 5], 1).data));
  const scores = graph.node('Softmax', 'scores', [graph.node('MatMul', 'logits', [pooled, head], {})], { axis: 1 });
  return writeOnnx(graph.build([{ name: scores, dtype: 'float32', shape: ['N', 5] }]));
}

test('a network that has no places gets a sentence, and no picture', async () => {
  const model = join(set.folder, 'odd.onnx');
  writeFileSync(model, oddTokens());
  const { run } = await finish(
    train({
      data: set.data,
      model,
      pixels: 'unit',
      project: join(set.folder, 'runs'),
      fineTuneEpochs: 0,
      epochs: 3,
      views: 0,
    }),
  );
  const output = join(set.folder, 'maps');
  await assert.rejects(finish(explain({ run, files: [photo('healthy/leaf-0001.jpg')], output })), {
    code: 'usage',
    message: /cannot say where it sees a class/,
  });
  assert.ok(!existsSync(join(output, 'leaf-0001-explained.png')));
});
