// Programs of others that run .tflite files, each in a page of its own in the browser.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import sharp from 'sharp';
import type { Picture } from './litert.ts';
import { serveSite } from './serve.ts';

/** The clients by name: their package, and the page that runs it. docs/dependencies.md says why these. */
const clients = {
  'MediaPipe 1.1.0': { folder: '@mediapipe/tasks-vision', page: 'mediapipe.html' },
  'MediaPipe 0.10.7': { folder: 'mediapipe-tasks-vision-2023', page: 'mediapipe.html' },
  'TensorFlow Lite of 2022': { folder: '@tensorflow/tfjs-tflite', page: 'tflite.html' },
} as const;

export type ClientName = keyof typeof clients;
export const clientNames = Object.keys(clients) as ClientName[];

/** A class as a classifier reports it. */
export interface Category {
  readonly index: number;
  readonly name: string;
  readonly score: number;
}

/** What a detector reports: top, left, bottom and right in pixels of the photo. */
export interface Detection {
  readonly name: string;
  readonly score: number;
  readonly box: readonly number[];
}

/** What the plain interpreter gives. */
export interface Interpreted {
  /** In the interpreter's order. */
  readonly outputs: readonly { readonly name: string; readonly tensorIndex: number }[];
  /** For every photo the stored numbers of each output. */
  readonly answers: readonly (readonly (readonly number[])[])[];
}

/** An open page. Each method takes the name of a model, and throws with the client's words when it refuses it. */
export interface Client {
  /** All classes of every photo, best first. */
  classify(model: string): Promise<Category[][]>;
  /** All boxes in every photo, best first. */
  detect(model: string): Promise<Detection[][]>;
  /** Only in TensorFlow Lite, whose interpreter does not need the metadata. */
  interpret(model: string): Promise<Interpreted>;
  /** The lines that the client has printed. */
  readonly printed: readonly string[];
  close(): Promise<void>;
}

/**
 * Opens a client.
 * @param models by name.
 * @param pictures that every model is asked about.
 */
export async function openClient(
  browser: Browser,
  name: ClientName,
  models: ReadonlyMap<string, Uint8Array>,
  pictures: readonly Picture[],
): Promise<Client> {
  const { folder, page: html } = clients[name];
  const files = new Map<string, Uint8Array>([['/page.html', readFileSync(new URL(html, import.meta.url))]]);
  for (const [model, bytes] of models) files.set(`/${model}`, bytes);
  for (const [i, { pixels, size }] of pictures.entries()) {
    const image = sharp(pixels, { raw: { width: size, height: size, channels: 3 } });
    files.set(`/${i}.png`, await image.png().toBuffer());
  }
  const client = fileURLToPath(new URL(`../../node_modules/${folder}`, import.meta.url));
  const site = await serveSite({ files, folders: { client } });
  const page = await browser.newPage();
  const printed: string[] = [];
  page.on('console', message => printed.push(message.text()));
  await page.goto(`${site.url}/page.html`);
  const photos = JSON.stringify(pictures.map((_, i) => `/${i}.png`));
  const call = <T>(what: string, model: string) => page.evaluate<T>(`${what}('/${model}', ${photos})`);
  return {
    classify: model => call('classify', model),
    detect: model => call('detect', model),
    interpret: model => call('interpret', model),
    printed,
    async close() {
      await page.close();
      site.close();
    },
  };
}
