// Draws photos that are of no class: what a camera also sees, and what no photo should be taken for.
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { makeRng, type Rng } from '../../src/base/rng.ts';
import { paintBackground } from '../../src/demo/backgrounds.ts';
import { drawLeafPhoto } from '../../src/demo/draw-leaf-photo.ts';
import { sample, textures } from '../../src/demo/textures.ts';

const colour = (rng: Rng): number[] => [0, 1, 2].map(() => rng.int(256));

function encode(side: number, pixelOf: (x: number, y: number) => readonly number[]): Promise<Uint8Array> {
  const pixels = Uint8ClampedArray.from({ length: side * side * 3 }, () => 0);
  for (let i = 0; i < side * side; i++) pixels.set(pixelOf(i % side, Math.floor(i / side)), 3 * i);
  return sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
    .jpeg()
    .toBuffer();
}

/** Kinds of photos, from what is farthest from any class to a leaf of another plant. */
export const noneKinds = {
  /** One colour that fades into another, as with the lens cap on or against the sun. */
  blank: (rng, side) => {
    const [from, to] = [colour(rng), rng.chance(0.5) ? colour(rng) : undefined];
    return encode(side, x => from.map((value, c) => value + ((to?.[c] ?? value) - value) * (x / side)));
  },
  noise: (rng, side) => {
    const grey = rng.chance(0.5);
    return encode(side, () => (grey ? Array(3).fill(rng.int(256)) : colour(rng)));
  },
  texture: (rng, side) => {
    const tile = rng.pick(Object.values(textures()));
    const [from, to, step] = [colour(rng), colour(rng), rng.uniform(0.2, 1.5)];
    return encode(side, (x, y) => {
      const amount = sample(tile, x * step, y * step);
      return from.map((value, c) => value + (to[c]! - value) * amount);
    });
  },
  /** Flat things on a flat ground. */
  shapes: (rng, side) => {
    const paint = () => `rgb(${colour(rng).join()})`;
    const at = () => rng.int(side);
    const things = Array.from({ length: 1 + rng.int(6) }, () =>
      rng.pick([
        `<rect x="${at()}" y="${at()}" width="${at()}" height="${at()}" fill="${paint()}"/>`,
        `<circle cx="${at()}" cy="${at()}" r="${at() / 3}" fill="${paint()}"/>`,
        `<path d="M${at()} ${at()}L${at()} ${at()}" stroke="${paint()}" stroke-width="${1 + at() / 8}"/>`,
      ]),
    );
    const ground = `<rect width="${side}" height="${side}" fill="${paint()}"/>`;
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${side}" height="${side}">${ground}${things.join('')}</svg>`;
    return sharp(Buffer.from(svg)).jpeg().toBuffer();
  },
  /** Soil, grass, wood, stone ... without a leaf in front of it. */
  ground: (rng, side) => {
    const { rgb } = paintBackground(rng, side, side).canvas;
    return encode(side, (x, y) => [0, 1, 2].map(c => 255 * rgb[3 * (y * side + x) + c]!));
  },
  leaf: (rng, side) =>
    drawLeafPhoto({ seed: rng.int(1_000_000), index: 0, healthy: rng.chance(0.5), size: Math.max(64, side) }),
} as const satisfies Record<string, (rng: Rng, side: number) => Promise<Uint8Array>>;

/** Name of a kind. */
export type NoneKind = keyof typeof noneKinds;

/** Draws `count` photos of each kind as folder/KIND/0.jpg ..., `side` pixels wide and high. The same every time. */
export async function drawNonePhotos(folder: string, count: number, side = 224): Promise<void> {
  for (const [kind, draw] of Object.entries(noneKinds)) {
    await mkdir(join(folder, kind), { recursive: true });
    for (let i = 0; i < count; i++) {
      await writeFile(join(folder, kind, `${i}.jpg`), await draw(makeRng(i, 'none', kind), side));
    }
  }
}
