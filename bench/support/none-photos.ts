// Photos that are none of the classes of bean leaves: backgrounds without a leaf, leaves of another kind, noise, plain colours.
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';
import { makeRng } from '../../src/base/rng.ts';
import { paintBackground } from '../../src/demo/backgrounds.ts';
import { drawLeafPhoto } from '../../src/demo/draw-leaf-photo.ts';

/** Kinds of such photos. */
export const noneKinds = ['background', 'other leaf', 'noise', 'plain'] as const;

const SIZE = 320;

/** Writes `count` of each kind below `folder`; returns the files by kind. */
export async function writeNonePhotos(folder: string, count: number): Promise<Record<string, string[]>> {
  const files: Record<string, string[]> = {};
  for (const kind of noneKinds) {
    mkdirSync(join(folder, kind), { recursive: true });
    files[kind] = [];
    for (let i = 0; i < count; i++) {
      const file = join(folder, kind, `${i}.jpg`);
      await sharp(...(await draw(kind, i)))
        .jpeg({ quality: 90 })
        .toFile(file);
      files[kind].push(file);
    }
  }
  return files;
}

type Source = Parameters<typeof sharp>;

async function draw(kind: (typeof noneKinds)[number], i: number): Promise<Source> {
  const rng = makeRng(i, kind);
  const raw = { raw: { width: SIZE, height: SIZE, channels: 3 as const } };
  if (kind === 'other leaf')
    return [await drawLeafPhoto({ seed: 11, index: i, healthy: i % 2 === 0 })] as unknown as Source;
  if (kind === 'background') {
    const { canvas } = paintBackground(rng, SIZE, SIZE);
    return [Buffer.from(Uint8ClampedArray.from(canvas.rgb, value => 255 * value)), raw] as unknown as Source;
  }
  const colour = [rng.int(256), rng.int(256), rng.int(256)];
  const data = Buffer.alloc(SIZE * SIZE * 3);
  for (let p = 0; p < data.length; p++) data[p] = kind === 'plain' ? colour[p % 3]! : rng.int(256);
  return [data, raw] as unknown as Source;
}
