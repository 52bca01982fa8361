// Which views the camera sees: so many as the settings say, spread over photos and epochs, and none without a camera.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { headViews, trainingView, validationView } from '../../src/project/camera-views.ts';
import { resolveTrainOptions } from '../../src/project/train-options.ts';

const photos = Array.from({ length: 200 }, (_, i) => createHash('sha256').update(`photo ${i}`).digest('hex'));
const none = resolveTrainOptions({ data: 'leaves' });
const greyscale = resolveTrainOptions({ data: 'leaves', camera: 'greyscale' });

test('every other view of a photo is as the camera sees it, and about half of those of an epoch', () => {
  for (const epoch of [1, 2, 3, 20]) {
    const seen = photos.map(photo => trainingView(greyscale, photo, epoch).camera);
    const next = photos.map(photo => trainingView(greyscale, photo, epoch + 1).camera);
    assert.ok(seen.every((camera, i) => camera !== next[i]));
    const count = seen.filter(camera => camera === 'greyscale').length;
    assert.ok(count > 70 && count < 130, `${count} of 200 in epoch ${epoch}`);
  }
});

test('another share is kept over the epochs of each photo', () => {
  for (const cameraShare of [0, 0.25, 0.75, 1]) {
    for (const photo of photos.slice(0, 10)) {
      const views = Array.from({ length: 40 }, (_, i) => trainingView({ ...greyscale, cameraShare }, photo, i + 1));
      assert.equal(views.filter(({ camera }) => camera === 'greyscale').length, 40 * cameraShare);
    }
  }
});

test('the head sees plain photos both ways; without a camera, nothing is seen through one', () => {
  const views = headViews(greyscale, photos[0]!, 4);
  assert.deepEqual(views.slice(0, 2), [
    { number: 0, camera: 'none' },
    { number: 0, camera: 'greyscale' },
  ]);
  assert.deepEqual(
    views.slice(2).map(({ number }) => number),
    [1, 2, 3, 4],
  );
  assert.equal(views.slice(2).filter(({ camera }) => camera === 'greyscale').length, 2);
  assert.deepEqual(
    headViews(none, photos[0]!, 2),
    [0, 1, 2].map(number => ({ number, camera: 'none' })),
  );
  assert.deepEqual([greyscale, none].map(validationView), [
    { number: 0, camera: 'greyscale' },
    { number: 0, camera: 'none' },
  ]);
});
