// The library checks what it is given as the command line does, and takes an earlier run's split.
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { loadManifest, type ManifestPhoto } from '../../src/dataset/manifest.ts';
import { finish, type GraftError, type TrainOptions, train } from '../../src/index.ts';
import { drawSmallDataset } from '../support/graft.ts';

let set: Awaited<ReturnType<typeof drawSmallDataset>>;
before(async () => {
  set = await drawSmallDataset(40);
});
after(() => set.remove());

const refused: readonly [Partial<TrainOptions>, RegExp][] = [
  [{ batch: 0 }, /batch is 0/],
  [{ epochs: 0 }, /epochs is 0/],
  [{ workers: 0 }, /workers is 0/],
  [{ lr: Number.NaN }, /lr is NaN/],
  [{ seed: 1.5 }, /seed is 1\.5/],
  [{ imgsz: 100 }, /multiple of 32/],
  [{ views: 0, rotation: 30 }, /rotation is set, but there are no augmented views/],
  [{ existOk: true }, /run has no name/],
  [{ manifest: 'm.json', val: 0.2 }, /the manifest says/],
];

for (const [options, message] of refused) {
  test(`refused: ${JSON.stringify(options)}`, async () => {
    await assert.rejects(finish(train({ data: 'nowhere', ...options })), (error: unknown) => {
      assert.equal((error as GraftError).code, 'usage');
      assert.match(`${(error as GraftError).message} ${(error as GraftError).hint}`, message);
      return true;
    });
  });
}

test('a manifest repeats the split, and photos that have gone are left out by name', async () => {
  const project = join(set.folder, 'runs');
  const first = await finish(train({ data: set.data, project, epochs: 3, fineTuneEpochs: 0, seed: 4, name: 'first' }));
  const manifest = join(first.run, 'manifest.json');
  const second = await finish(
    train({ data: set.data, project, epochs: 3, fineTuneEpochs: 0, seed: 9, manifest, name: 'second' }),
  );
  assert.deepEqual(
    (await loadManifest(join(second.run, 'manifest.json'))).photos,
    (await loadManifest(manifest)).photos,
  );
  const whole = await loadManifest(manifest);
  const without = async (name: string, keep: (photo: ManifestPhoto) => boolean) => {
    const file = join(set.folder, name);
    writeFileSync(file, JSON.stringify({ ...whole, photos: whole.photos.filter(keep) }));
    return finish(train({ data: set.data, project, epochs: 3, fineTuneEpochs: 0, manifest: file }));
  };
  await assert.rejects(
    without('no-validation.json', photo => photo.split === 'train'),
    { code: 'too-few-photos', message: /has no validation photo/ },
  );
  await assert.rejects(
    without('no-sick.json', photo => photo.split !== 'train' || photo.class === 'healthy'),
    { code: 'too-few-photos', message: /has no train photo of the class "unhealthy"/ },
  );
  const [gone, changed] = (await loadManifest(manifest)).photos.filter(photo => photo.split === 'train');
  rmSync(join(set.data, gone!.path));
  writeFileSync(join(set.data, changed!.path), 'something else');
  const warnings: string[] = [];
  // A size that no other test has: what is in the cache is not read again.
  const third = await finish(
    train({ data: set.data, project, epochs: 3, fineTuneEpochs: 0, imgsz: 160, manifest, name: 'third' }),
    event => {
      if (event.type === 'warning') warnings.push(event.message);
    },
  );
  assert.equal(third.excluded, 2);
  assert.ok(
    warnings.some(text => text.includes(gone!.path) && text.includes('does not exist')),
    warnings.join('\n'),
  );
  assert.ok(
    warnings.some(text => text.includes(changed!.path) && text.includes('changed')),
    warnings.join('\n'),
  );
});
