// Extraction on real photos with the real backbone: the same numbers whatever the threads, and nothing computed twice.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { drawLeafPhoto } from '../../src/demo/draw-leaf-photo.ts';
import { defaultAugmentation } from '../../src/image/augment.ts';
import type { PhotoView } from '../../src/image/render-photo-view.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { type ExtractPhoto, extractViews, viewKey } from '../../src/train/extract.ts';
import { openFeatureCache } from '../../src/train/feature-cache.ts';
import { buildFeatureGraph, featureWidth } from '../../src/zoo/graphs.ts';
import { openDefaultBackbone } from '../support/default-backbone.ts';
import { drain, temporaryFolder } from '../support/reference.ts';

const backbone = await openDefaultBackbone();
const { preprocess } = backbone;
const width = featureWidth(backbone);
/** Plain and augmented, each as it is and as the camera sees it. */
const views: readonly PhotoView[] = [
  { number: 0, camera: 'none' },
  { number: 1, camera: 'none' },
  { number: 0, camera: 'greyscale' },
  { number: 1, camera: 'greyscale' },
];

test('features do not depend on the number of threads; a photo that is none is named', async t => {
  const folder = await temporaryFolder(t);
  const makeGraph = () => writeOnnx(buildFeatureGraph(backbone));
  const photos = await Promise.all(
    [0, 1, 2, 3, 4].map(async index => {
      const file = join(folder, `${index}.jpg`);
      const bytes = await drawLeafPhoto({ seed: 1, index, healthy: index % 2 === 0, size: 96 });
      writeFileSync(file, bytes);
      return { file, sha256: createHash('sha256').update(bytes).digest('hex'), views };
    }),
  );
  const broken = join(folder, 'broken.jpg');
  writeFileSync(broken, 'no photo');
  const brokenHash = createHash('sha256').update('no photo').digest('hex');
  const extract = async (name: string, workers: number, list: ExtractPhoto[]) => {
    const cache = await openFeatureCache(join(folder, name), width);
    const common = { stage: 'features', outputs: ['features'], cache: cache.records, makeGraph };
    const options = { ...common, preprocess, augmentation: defaultAugmentation, workers };
    const result = await drain(extractViews({ ...options, photos: list }));
    const rows = photos.flatMap(({ sha256 }) =>
      views.map(view => {
        const out = new Float32Array(width);
        cache.read(viewKey(sha256, view, preprocess, defaultAugmentation), out, 0);
        return out;
      }),
    );
    await cache.close();
    return { result, rows };
  };
  const odd = [
    { file: broken, sha256: brokenHash, views: [views[0]!] },
    { file: photos[0]!.file, sha256: 'of what it was before', views: [views[0]!] },
  ];
  const alone = await extract('one', 1, [...photos, ...odd]);
  assert.equal(alone.result.computed, 20);
  assert.deepEqual(alone.result.failed.map(({ reason }) => reason).sort(), [
    'The photo cannot be decoded: it is no image.',
    'it has changed since it was scanned',
  ]);
  const together = await extract('three', 3, photos);
  assert.deepEqual(together.rows, alone.rows);
  const different = new Set(alone.rows.map(row => row.slice(0, 8).join()));
  assert.equal(different.size, 20, 'no two views are the same');
  const again = await extract('three', 2, photos);
  assert.deepEqual(again.result, { computed: 0, cached: 20, failed: [] });
});
