// Draws scenes of a few small leaves, and says where each of them is.
import { makeRng, type Rng } from '../../src/base/rng.ts';
import { paintBackground } from '../../src/demo/backgrounds.ts';
import type { Canvas } from '../../src/demo/canvas.ts';
import { diseases, pickDisease } from '../../src/demo/diseases.ts';
import { makeLeafShape } from '../../src/demo/leaf-shape.ts';
import { type LeafLayer, layOver, makeLeafLook, paintLeaf } from '../../src/demo/paint-leaf.ts';

/** Top, left, bottom, right in 0..1. */
export type Box = readonly [number, number, number, number];

/** Edge of a scene in pixels. */
export const SCENE_SIZE = 224;

/** A scene with leaves that overlap little, each a third to two thirds of the frame long. The same seed, the same scene. */
export function drawLeafScene(
  seed: number,
  leaves: readonly ('healthy' | 'sick')[],
): { readonly pixels: Uint8Array; readonly boxes: readonly Box[] } {
  const rng = makeRng(seed, 'scene', leaves.length);
  const { canvas, surface } = paintBackground(rng, SCENE_SIZE, SCENE_SIZE);
  const boxes: Box[] = [];
  for (const kind of leaves) {
    const { layer, box } = placeLeaf(rng, canvas, boxes);
    boxes.push(box);
    if (kind === 'sick') {
      const severity = { strength: rng.uniform(0.6, 1), opacity: rng.uniform(0.82, 1) };
      diseases[pickDisease(rng)](rng, layer, severity);
    }
    layOver(canvas, layer, { shift: [3, 3], softness: 3, depth: surface ? 0.4 : 0 });
  }
  const pixels = Uint8ClampedArray.from(canvas.rgb, value => 255 * value);
  return { pixels: new Uint8Array(pixels.buffer), boxes };
}

function placeLeaf(rng: Rng, canvas: Canvas, taken: readonly Box[]): { layer: LeafLayer; box: Box } {
  for (;;) {
    const shape = makeLeafShape(rng);
    const length = SCENE_SIZE * rng.uniform(0.35, 0.7);
    const angle = rng.uniform(0, 2 * Math.PI);
    const middle = (length * (shape.reach - shape.back)) / 2;
    const pose = {
      x: SCENE_SIZE * rng.uniform(0.2, 0.8) - Math.cos(angle) * middle,
      y: SCENE_SIZE * rng.uniform(0.2, 0.8) - Math.sin(angle) * middle,
      angle,
      length,
      squash: rng.uniform(0.72, 1),
      bend: 0.1 * rng.normal(),
      stalk: 0.1,
    };
    const layer = paintLeaf(rng, canvas, shape, pose, makeLeafLook(rng));
    const box = layer && boxOf(layer);
    if (box && taken.every(other => overlap(other, box) < 0.03)) return { layer, box };
  }
}

function boxOf({ left, top, width, height, cover }: LeafLayer): Box {
  const rows = Array.from({ length: height }, (_, y) => y).filter(y =>
    cover.subarray(y * width, (y + 1) * width).some(part => part > 0.5),
  );
  const columns = Array.from({ length: width }, (_, x) => x).filter(x => rows.some(y => cover[y * width + x]! > 0.5));
  const edges = [top + rows[0]!, left + columns[0]!, top + rows.at(-1)! + 1, left + columns.at(-1)! + 1];
  return edges.map(edge => edge / SCENE_SIZE) as unknown as Box;
}

/** Intersection over union. */
export function overlap(a: Box, b: Box): number {
  const height = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const width = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  const both = Math.max(0, height) * Math.max(0, width);
  const area = (box: Box) => (box[2] - box[0]) * (box[3] - box[1]);
  return both / (area(a) + area(b) - both);
}

/** Distance of the centres, in parts of the frame. */
export function centreDistance(a: Box, b: Box): number {
  return Math.hypot(a[0] + a[2] - b[0] - b[2], a[1] + a[3] - b[1] - b[3]) / 2;
}
