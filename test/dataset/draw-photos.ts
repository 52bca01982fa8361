// Real image files of every awkward kind, drawn by sharp, and folders made of them, for the tests of reading photos.
// Nothing is downloaded and nothing but noise is in the pictures.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';
import { deflateSync } from 'node:zlib';
import sharp from 'sharp';
import type { ProgressEvent, Steps } from '../../src/base/events.ts';
import { makeRng } from '../../src/base/rng.ts';

/** Noise of the given size as a sharp image; equal seeds give equal pixels. */
export function noise(seed: number, width = 24, height = 16, channels: 3 | 4 = 3) {
  const rng = makeRng(seed, 'noise');
  const pixels = Uint8Array.from({ length: width * height * channels }, () => rng.int(256));
  return sharp(pixels, { raw: { width, height, channels } });
}

/** A small JPEG; every seed is another file. */
export function photo(seed: number): Promise<Buffer> {
  return noise(seed).jpeg().toBuffer();
}

/** CRC-32 of PNG chunks (zlib.crc32 is not in every Node 20). */
function crc32(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

/** A PNG of one colour with the given header size; `rows` rows of pixels really follow. */
export function pngClaiming(width: number, height: number, rows: number): Buffer {
  const chunk = (type: string, data: Uint8Array) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const whole = Buffer.alloc(body.length + 8);
    whole.writeUInt32BE(data.length, 0);
    body.copy(whole, 4);
    whole.writeUInt32BE(crc32(body), body.length + 4);
    return whole;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header[8] = 8;
  header[9] = 2;
  return Buffer.concat([
    Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(new Uint8Array(rows * (1 + 3 * width)))),
    chunk('IEND', new Uint8Array(0)),
  ]);
}

/** Makes a temporary folder with these files, removed when the test ends. Keys are paths; `seed` numbers mean photos. */
export async function makeFolder(t: TestContext, files: Record<string, Uint8Array | string | number>): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'graft-dataset-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(root, dirname(path)), { recursive: true });
    await writeFile(join(root, path), typeof content === 'number' ? await photo(content) : content);
  }
  return root;
}

/** Runs steps to their end and keeps what they said. */
export async function run<R>(steps: Steps<R>): Promise<{ result: R; said: string[]; progress: ProgressEvent[] }> {
  const said: string[] = [];
  const progress: ProgressEvent[] = [];
  for (;;) {
    const step = await steps.next();
    if (step.done === true) return { result: step.value, said, progress };
    if (step.value.type === 'progress') progress.push(step.value);
    else if ('message' in step.value) said.push(`${step.value.type}: ${step.value.message}`);
  }
}
