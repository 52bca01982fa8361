// Google's own client in a browser: MediaPipe's ImageClassifier takes the exported files and says what LiteRT says.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { argMax } from '../src/evaluate/metrics.ts';
import { decodePhoto } from '../src/image/decode.ts';
import { finish, train } from '../src/index.ts';
import { attachFiles, readAttachedFiles } from '../src/tflite/associated-files.ts';
import { encodeMetadata, METADATA_ENTRY } from '../src/tflite/metadata.ts';
import { readTflite } from '../src/tflite/read.ts';
import { writeTflite } from '../src/tflite/write.ts';
import { drawSmallDataset } from '../test/support/graft.ts';
import { launchChromium } from './support/chromium.ts';
import { classifyInBrowser, classifyInLiteRt, type Picture, releases } from './support/mediapipe.ts';

/** Letters and a space that only come back when the names are read from the file as UTF-8. */
const SICK = 'leaf blight 葉';
const SIZE = 224;

/** The exported files by name, and how far a score may be from LiteRT's. */
const cases: { readonly name: string; readonly file: () => Uint8Array; readonly tolerance: number }[] = [
  { name: 'float32', file: () => describe(exported), tolerance: 1e-5 },
];

let set: Awaited<ReturnType<typeof drawSmallDataset>>;
let browser: Browser;
let exported: Uint8Array;
let labels: string;
let pictures: Picture[];

before(async () => {
  browser = await launchChromium();
  set = await drawSmallDataset(40);
  renameSync(join(set.data, 'unhealthy'), join(set.data, SICK));
  const { run } = await finish(
    train({ data: set.data, project: join(set.folder, 'runs'), epochs: 10, fineTuneEpochs: 0, imgsz: SIZE }),
  );
  exported = readFileSync(join(run, 'model.tflite'));
  labels = readFileSync(join(run, 'labels.txt'), 'utf8');
  const photos = readdirSync(set.data, { recursive: true, encoding: 'utf8' }).filter(name => /\.\w+$/.test(name));
  pictures = await Promise.all(
    photos.map(async name => {
      const pixels = await decodePhoto(readFileSync(join(set.data, name)), {
        size: SIZE,
        fit: 'squash',
        kernel: 'cubic',
      });
      return { pixels, size: SIZE };
    }),
  );
});
after(async () => {
  await browser?.close();
  await set?.remove();
});

/** The file without metadata and attached files. */
function strip(file: Uint8Array): Uint8Array {
  const model = readTflite(file);
  return writeTflite({ ...model, metadata: model.metadata.filter(({ name }) => name !== METADATA_ENTRY) });
}

/** The file with what a stranger needs to use it: how pixels are scaled, and the names of the classes. */
function describe(file: Uint8Array): Uint8Array {
  const data = encodeMetadata({
    name: 'Leaves',
    description: 'Healthy and sick leaves.',
    version: '1',
    author: '',
    license: '',
    inputs: [
      {
        name: 'image',
        description: 'A photo, squashed to the size of the input.',
        colorSpace: 'rgb',
        mean: [127.5],
        std: [127.5],
        min: [-1],
        max: [1],
      },
    ],
    outputs: [
      {
        name: 'probability',
        description: 'One per class.',
        content: 'feature',
        min: [0],
        max: [1],
        labels: 'labels.txt',
      },
    ],
  });
  const model = readTflite(strip(file));
  const described = writeTflite({ ...model, metadata: [...model.metadata, { name: METADATA_ENTRY, data }] });
  return attachFiles(described, [{ name: 'labels.txt', data: new TextEncoder().encode(labels) }]);
}

for (const release of Object.keys(releases) as (keyof typeof releases)[]) {
  for (const { name, file, tolerance } of cases) {
    test(`MediaPipe ${release}, ${name}: the class and the scores of LiteRT on every photo`, async () => {
      const model = file();
      const names = new TextDecoder().decode(readAttachedFiles(model).get('labels.txt')).trimEnd().split('\n');
      assert.deepEqual(names, ['healthy', SICK]);
      const wanted = await classifyInLiteRt(model, pictures);
      const found = await classifyInBrowser(browser, release, model, pictures);
      assert.deepEqual(
        found.map(categories => categories[0]!.categoryName),
        wanted.map(scores => names[argMax(scores)]),
      );
      assert.deepEqual(new Set(found.map(categories => categories[0]!.categoryName)), new Set(names));
      for (const [i, categories] of found.entries()) {
        assert.equal(categories.length, names.length);
        for (const { index, categoryName, score } of categories) {
          assert.equal(categoryName, names[index]);
          const distance = Math.abs(score - wanted[i]![index]!);
          assert.ok(distance <= tolerance, `photo ${i}, ${categoryName}: ${score} is ${distance} away`);
        }
      }
    });
  }

  test(`MediaPipe ${release} refuses the same file without metadata`, async () => {
    await assert.rejects(classifyInBrowser(browser, release, strip(exported), pictures.slice(0, 1)), {
      message: /Input tensor has type float32: it requires specifying NormalizationOptions metadata/,
    });
  });
}
