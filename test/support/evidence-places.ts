// How well evidence tells where leaves and their spots are: against the scenes that were drawn, and by hiding it.
import { makeRng } from '../../src/base/rng.ts';
import { openSession } from '../../src/engine/session.ts';
import { type Explanation, joinMaps, mapOf } from '../../src/evaluate/explanation.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import type { Backbone } from '../../src/zoo/backbone.ts';
import { buildEvidenceGraph } from '../../src/zoo/evidence-graph.ts';
import type { LinearHead } from '../../src/zoo/graphs.ts';
import { sceneOf } from './leaf-head.ts';
import { SCENE_SIZE } from './leaf-scene.ts';

/** Means over scenes, 0..1. */
export interface Places {
  /** Area under the ROC curve of the evidence, as what tells pixels of spots from the others. */
  readonly spots: number;
  /** Part of the evidence above its average in the leaf's box, which takes `box` of the picture. */
  readonly inLeaf: number;
  readonly box: number;
  /** Probability of "sick": of the scene, and with 8 of its 49 squares hidden, by evidence, by chance, and those with least. */
  readonly whole: number;
  readonly withoutMost: number;
  readonly withoutRandom: number;
  readonly withoutLeast: number;
}

const SQUARES = 7;
const HIDDEN = 8;
/** Difference of the three colours from the same leaf without spots from which on a pixel is one of a spot. */
const SPOT = 45;

/** Measures the evidence for class 1, which scenes with a sick leaf are of. `maxSide` as buildEvidenceGraph takes it. */
export async function measurePlaces(
  backbone: Backbone,
  head: LinearHead,
  scenes: number,
  maxSide?: number,
): Promise<Places> {
  const { graph, maps } = buildEvidenceGraph(backbone, head, maxSide);
  const session = await openSession(writeOnnx(graph), { threads: 2 });
  const shape = [1, SCENE_SIZE, SCENE_SIZE, 3] as const;
  const look = async (data: Uint8Array): Promise<Explanation> => {
    const said = await session.run({ image: { dtype: 'uint8', shape, data } });
    const read = (name: string) => said[name]!.data as Float32Array;
    const parts = maps.map(({ output, side }) => ({ side, values: read(output) }));
    return joinMaps(read('probabilities'), read('logits'), parts);
  };
  const areas: number[] = [];
  const sums = { inLeaf: 0, box: 0, whole: 0, withoutMost: 0, withoutRandom: 0, withoutLeast: 0 };
  for (let scene = 0; scene < scenes; scene++) {
    const { pixels, boxes } = sceneOf(9000 + scene, ['sick']);
    const bare = sceneOf(9000 + scene, ['healthy']).pixels;
    const explanation = await look(pixels);
    const at = sample(mapOf(explanation, 1), explanation.side);
    const [top, left, bottom, right] = boxes[0]!;

    const spots: number[] = [];
    const others: number[] = [];
    let mean = 0;
    for (let i = 0; i < SCENE_SIZE ** 2; i += 3) {
      const value = at((i % SCENE_SIZE) / SCENE_SIZE, Math.floor(i / SCENE_SIZE) / SCENE_SIZE);
      const difference = [0, 1, 2].reduce((sum, c) => sum + Math.abs(pixels[3 * i + c]! - bare[3 * i + c]!), 0);
      (difference > SPOT ? spots : others).push(value);
      mean += (3 * value) / SCENE_SIZE ** 2;
    }
    // Some diseases are too faint to be seen so.
    if (spots.length > 0) areas.push(rocArea(spots, others));
    let [inside, total] = [0, 0];
    for (let i = 0; i < SCENE_SIZE ** 2; i += 3) {
      const [x, y] = [(i % SCENE_SIZE) / SCENE_SIZE, Math.floor(i / SCENE_SIZE) / SCENE_SIZE];
      const weight = Math.max(0, at(x, y) - mean);
      total += weight;
      if (y > top && y < bottom && x > left && x < right) inside += weight;
    }
    sums.inLeaf += inside / total;
    sums.box += (bottom - top) * (right - left);

    const rng = makeRng(scene, 'hidden');
    const squares = Array.from({ length: SQUARES ** 2 }, (_, square) => square);
    const within = squares.map(square => {
      const place = (offset: number, i: number) => (i + offset) / SQUARES;
      const parts = [0.125, 0.375, 0.625, 0.875];
      const [column, line] = [square % SQUARES, Math.floor(square / SQUARES)];
      return parts.reduce((sum, u) => sum + parts.reduce((all, v) => all + at(place(u, column), place(v, line)), 0), 0);
    });
    const byEvidence = [...squares].sort((a, b) => within[b]! - within[a]!);
    rng.shuffle(squares);
    const hide = async (hidden: readonly number[]) => (await look(cover(pixels, hidden, backbone))).probabilities[1]!;
    sums.whole += explanation.probabilities[1]!;
    sums.withoutMost += await hide(byEvidence.slice(0, HIDDEN));
    sums.withoutRandom += await hide(squares.slice(0, HIDDEN));
    sums.withoutLeast += await hide(byEvidence.slice(-HIDDEN));
  }
  await session.close();
  const means = Object.entries(sums).map(([name, sum]) => [name, sum / scenes] as const);
  const spots = areas.reduce((sum, area) => sum + area / areas.length, 0);
  return { spots, ...Object.fromEntries(means) } as unknown as Places;
}

/** The value of a map at a place in 0..1, between the middles of four cells, as pictures show it. */
function sample(map: Float32Array, side: number): (x: number, y: number) => number {
  const along = (at: number) => {
    const place = Math.min(side - 1, Math.max(0, at * side - 0.5));
    const low = Math.min(Math.floor(place), side - 2);
    return { low, part: place - low };
  };
  return (x, y) => {
    const [across, down] = [along(x), along(y)];
    const row = (line: number) =>
      map[line * side + across.low]! * (1 - across.part) + map[line * side + across.low + 1]! * across.part;
    return row(down.low) * (1 - down.part) + row(down.low + 1) * down.part;
  };
}

/** Probability that a value of the first is above one of the second. */
function rocArea(first: readonly number[], second: readonly number[]): number {
  const all = [...first.map(value => ({ value, own: 1 })), ...second.map(value => ({ value, own: 0 }))];
  all.sort((a, b) => a.value - b.value);
  // Equal values share their mean rank.
  let ranks = 0;
  for (let i = 0; i < all.length; ) {
    let end = i;
    while (end < all.length && all[end]!.value === all[i]!.value) end++;
    for (let k = i; k < end; k++) ranks += all[k]!.own * ((i + end + 1) / 2);
    i = end;
  }
  return (ranks - (first.length * (first.length + 1)) / 2) / (first.length * second.length);
}

/** The picture with squares of it in the mean colour. */
function cover(pixels: Uint8Array, hidden: readonly number[], { preprocess: { mean } }: Backbone): Uint8Array {
  const out = pixels.slice();
  const colour = mean.map(part => Math.round(255 * part));
  const edge = SCENE_SIZE / SQUARES;
  for (let i = 0; i < SCENE_SIZE ** 2; i++) {
    const square = Math.floor(Math.floor(i / SCENE_SIZE) / edge) * SQUARES + Math.floor((i % SCENE_SIZE) / edge);
    if (hidden.includes(square)) out.set(colour, 3 * i);
  }
  return out;
}
