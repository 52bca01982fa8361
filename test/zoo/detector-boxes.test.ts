// How well boxes fit: heads are trained on drawn scenes, and find a leaf in others, whose place is known.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSession } from '../../src/engine/session.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { buildDetectorGraph } from '../../src/zoo/detector-graph.ts';
import type { LinearHead } from '../../src/zoo/graphs.ts';
import { openDefaultBackbone } from '../support/default-backbone.ts';
import { type Leaves, sceneOf, trainLeafHead } from '../support/leaf-head.ts';
import { type Box, centreDistance, overlap, SCENE_SIZE } from '../support/leaf-scene.ts';

const backbone = await openDefaultBackbone();
const shape = [1, SCENE_SIZE, SCENE_SIZE, 3] as const;
const FRAME: Box = [0, 0, 1, 1];

interface Fit {
  /** Share of scenes whose best class is right. */
  readonly accuracy: number;
  /** Means over all scenes: intersection over union with the leaf, distance of the centres, and the same of the frame. */
  readonly overlap: number;
  readonly distance: number;
  readonly frameOverlap: number;
  readonly frameDistance: number;
  /** Share of boxes whose centre is within the leaf's box. */
  readonly inside: number;
}

/** The row of class 1 in scenes with `leaves`, the first of which is the one to find. */
async function measure(head: LinearHead, leaves: Leaves, scenes: number): Promise<Fit> {
  const session = await openSession(writeOnnx(buildDetectorGraph(backbone, head, 'uint8')), { threads: 2 });
  const sums = { accuracy: 0, overlap: 0, distance: 0, frameOverlap: 0, frameDistance: 0, inside: 0 };
  for (let i = 0; i < scenes; i++) {
    const { pixels, boxes } = sceneOf(9000 + i, leaves);
    const [truth] = boxes as readonly [Box];
    const found = await session.run({ image: { dtype: 'uint8', shape, data: pixels } });
    const row = [...(found.classes!.data as Float32Array)].indexOf(1);
    const box = [...(found.boxes!.data as Float32Array)].slice(4 * row, 4 * row + 4) as unknown as Box;
    const [y, x] = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
    sums.accuracy += row === 0 ? 1 : 0;
    sums.overlap += overlap(box, truth);
    sums.distance += centreDistance(box, truth);
    sums.frameOverlap += overlap(FRAME, truth);
    sums.frameDistance += centreDistance(FRAME, truth);
    sums.inside += y > truth[0] && y < truth[2] && x > truth[1] && x < truth[3] ? 1 : 0;
  }
  await session.close();
  return Object.fromEntries(Object.entries(sums).map(([name, sum]) => [name, sum / scenes])) as unknown as Fit;
}

interface Bounds {
  readonly overlap: number;
  readonly distance: number;
  readonly inside: number;
}

/** The bounds leave room below what was measured when they were set; the frame's figures are those of no box at all. */
function check(fit: Fit, bounds: Bounds): void {
  const text = JSON.stringify(fit);
  assert.ok(fit.overlap >= bounds.overlap && fit.overlap >= 1.5 * fit.frameOverlap, text);
  assert.ok(fit.distance <= bounds.distance && fit.distance <= 0.75 * fit.frameDistance, text);
  assert.ok(fit.inside >= bounds.inside, text);
}

test('a head that tells leaves from none boxes the leaf', async () => {
  const head = await trainLeafHead(backbone, [[], ['sick']], 40);
  const fit = await measure(head, ['sick'], 20);
  // Measured: overlap 0.69, distance 0.035, inside 1; the frame: 0.17 and 0.228.
  check(fit, { overlap: 0.6, distance: 0.06, inside: 0.95 });
  assert.ok(fit.accuracy >= 0.9, JSON.stringify(fit));
});

test('a head that tells sick leaves from healthy ones boxes the sick one, alone and beside a healthy one', async () => {
  const head = await trainLeafHead(backbone, [['healthy'], ['sick']], 80);
  const alone = await measure(head, ['sick'], 20);
  // Measured: overlap 0.60, distance 0.056, inside 1; the frame: 0.17 and 0.228.
  check(alone, { overlap: 0.5, distance: 0.09, inside: 0.9 });
  assert.ok(alone.accuracy >= 0.8, JSON.stringify(alone));
  // Measured: overlap 0.45, distance 0.123, inside 0.90; the frame: 0.20 and 0.239.
  check(await measure(head, ['sick', 'healthy'], 20), { overlap: 0.35, distance: 0.17, inside: 0.75 });
});
