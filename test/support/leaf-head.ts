// Heads that tell drawn scenes of leaves from each other, for what is measured against where the leaves are.
import { openSession } from '../../src/engine/session.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import { makeFeatureSet } from '../../src/train/feature-set.ts';
import { defaultHeadOptions, trainHead } from '../../src/train/head.ts';
import type { Backbone } from '../../src/zoo/backbone.ts';
import { buildFeatureGraph, featureWidth, type LinearHead } from '../../src/zoo/graphs.ts';
import { drawLeafScene, SCENE_SIZE } from './leaf-scene.ts';
import { drain } from './reference.ts';

export type Leaves = Parameters<typeof drawLeafScene>[1];

const drawn = new Map<string, ReturnType<typeof drawLeafScene>>();

/** Drawn once, since drawing is most of the time that this takes. */
export function sceneOf(seed: number, leaves: Leaves): ReturnType<typeof drawLeafScene> {
  const key = `${seed} ${leaves}`;
  const scene = drawn.get(key) ?? drawLeafScene(seed, leaves);
  drawn.set(key, scene);
  return scene;
}

/** A head that tells scenes with `kinds[0]` from scenes with `kinds[1]`. */
export async function trainLeafHead(
  backbone: Backbone,
  kinds: readonly [Leaves, Leaves],
  photos: number,
): Promise<LinearHead> {
  const width = featureWidth(backbone);
  const shape = [1, SCENE_SIZE, SCENE_SIZE, 3] as const;
  const session = await openSession(writeOnnx(buildFeatureGraph(backbone)), { threads: 2 });
  const rows: Float32Array[] = [];
  for (let i = 0; i < photos; i++) {
    const { pixels } = sceneOf(1000 + i, kinds[(i % 2) as 0 | 1]);
    rows.push((await session.run({ image: { dtype: 'uint8', shape, data: pixels } })).features!.data as Float32Array);
  }
  await session.close();
  const split = Math.floor(0.8 * photos);
  const part = (from: number, to: number) =>
    makeFeatureSet(
      width,
      Array.from({ length: to - from }, (_, i) => (from + i) % 2),
      1,
      (photo, _, out, offset) => out.set(rows[from + photo]!, offset),
    );
  const { weight, bias } = await drain(trainHead(part(0, split), part(split, photos), 2, defaultHeadOptions));
  return { weight: float32([2, width], weight), bias: float32([2], bias) };
}
