// MediaPipe's ImageClassifier in a page of its own, and what LiteRT says to the same pixels.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import sharp from 'sharp';
import { loadLiteRt } from '../../src/engine/litert.ts';
import { readTflite } from '../../src/tflite/read.ts';
import { serveSite } from './serve.ts';

/** Releases by name: the newest, and one of 2023, whose TFLite is as old as the last tflite-runtime on PyPI. */
export const releases = { '1.1.0': '@mediapipe/tasks-vision', '0.10.7': 'mediapipe-tasks-vision-2023' } as const;

/** A photo of exactly the model's size, so that nobody resizes it: size * size * 3 bytes of RGB. */
export interface Picture {
  readonly pixels: Uint8Array;
  readonly size: number;
}

/** A class as MediaPipe reports it. */
export interface Category {
  readonly index: number;
  readonly categoryName: string;
  readonly score: number;
}

/**
 * All classes of every picture, best first.
 * @throws Error with MediaPipe's words when it refuses the model.
 */
export async function classifyInBrowser(
  browser: Browser,
  release: keyof typeof releases,
  model: Uint8Array,
  pictures: readonly Picture[],
): Promise<Category[][]> {
  const files = new Map<string, Uint8Array>([
    ['/classify.html', readFileSync(new URL('classify.html', import.meta.url))],
    ['/model.tflite', model],
  ]);
  for (const [i, { pixels, size }] of pictures.entries()) {
    files.set(
      `/${i}.png`,
      await sharp(pixels, { raw: { width: size, height: size, channels: 3 } })
        .png()
        .toBuffer(),
    );
  }
  const folder = fileURLToPath(new URL(`../../node_modules/${releases[release]}`, import.meta.url));
  const site = await serveSite({ files, folders: { mediapipe: folder } });
  const page = await browser.newPage();
  try {
    await page.goto(`${site.url}/classify.html`);
    const photos = pictures.map((_, i) => `/${i}.png`);
    return await page.evaluate<Category[][]>(`classify('/model.tflite', ${JSON.stringify(photos)})`);
  } finally {
    await page.close();
    site.close();
  }
}

/** The probabilities of every picture in LiteRT. Inputs are (x - 127.5) / 127.5 or bytes, outputs floats or scaled bytes. */
export async function classifyInLiteRt(model: Uint8Array, pictures: readonly Picture[]): Promise<number[][]> {
  const loaded = await loadLiteRt(model);
  const { tensors, outputs } = readTflite(model);
  const { scale = [1], zeroPoint = [0] } = tensors[outputs[0]!]!.quantization ?? {};
  const bytes = loaded.inputs[0]!.dtype === 'uint8';
  try {
    const answers: number[][] = [];
    for (const { pixels } of pictures) {
      const input = bytes ? pixels : Float32Array.from(pixels, value => (value - 127.5) / 127.5);
      const [values] = await loaded.run([input]);
      answers.push(Array.from(values!, value => scale[0]! * (value - zeroPoint[0]!)));
    }
    return answers;
  } finally {
    loaded.close();
  }
}
