// What fine-tuning reads: activations that do not fit into the cache are refused before anything is computed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest, ManifestPhoto } from '../../src/dataset/manifest.ts';
import { fitSettings } from '../../src/project/fit-settings.ts';
import { resolveTrainOptions } from '../../src/project/train-options.ts';
import { openSource, requireViews } from '../../src/project/train-source.ts';
import { viewKey } from '../../src/train/extract.ts';
import { openDefaultBackbone } from '../support/default-backbone.ts';

const photo = (sha256: string, split: ManifestPhoto['split']): ManifestPhoto => ({
  path: `a/${sha256}.jpg`,
  class: 'a',
  sha256,
  split,
  width: 100,
  height: 100,
  bytes: 1000,
});
const manifest: Manifest = {
  version: 1,
  classes: ['a', 'b'],
  photos: [
    ...Array.from({ length: 300 }, (_, i) => photo(`train-${i}`, 'train')),
    photo('validation', 'validation'),
    photo('test', 'test'),
  ],
  excluded: [],
  seed: 0,
  how: [],
};
const backbone = await openDefaultBackbone();

test('activations that take more room than there is are refused at once', async () => {
  const settings = fitSettings(resolveTrainOptions({ data: 'nowhere', freeze: 1, cutViews: 40 }), backbone);
  await assert.rejects(openSource(settings, manifest).next(), {
    code: 'usage',
    // 300 * 41 + 1 records of 16 channels of 112 x 112 and their 16 means, in float16
    message: 'With 40 cut-views the activations take 4.9 GB, and 4.3 GB may be cached.',
    hint: /fewer --cut-views \(0 renders .*\), or a larger --freeze/,
  });
});

test('views that others have taken the room of are missed before training', () => {
  const settings = fitSettings(resolveTrainOptions({ data: 'nowhere', freeze: 6, cutViews: 2 }), backbone);
  const lost = viewKey('train-7', { number: 2, camera: 'none' }, backbone.preprocess, settings.fineTuneAugmentation);
  const asked = new Set<string>();
  const locate = (key: string, without?: string) => {
    asked.add(key);
    return key === without ? undefined : { path: 'file', position: 0 };
  };
  requireViews({ locate }, manifest, settings);
  assert.equal(asked.size, 300 * 3 + 1);
  assert.throws(() => requireViews({ locate: key => locate(key, lost) }, manifest, settings), {
    code: 'usage',
    message: /is full of those of other trainings/,
  });
});
