// Models that are run in LiteRT with their inner values looked at, and the real classifier to do that with.

import { makeRng } from '../../src/base/rng.ts';
import { type LiteRtValues, loadLiteRt } from '../../src/engine/litert.ts';
import { signedPixels } from '../../src/project/signed-pixels.ts';
import { float32, sizeOf } from '../../src/tensor/tensor.ts';
import { type ChannelRanges, channelExtremes } from '../../src/tflite/channel-ranges.ts';
import { computedTensors, exposeTensors } from '../../src/tflite/expose.ts';
import { lowerToTflite } from '../../src/tflite/lower.ts';
import type { TfliteModel } from '../../src/tflite/model.ts';
import { writeTflite } from '../../src/tflite/write.ts';
import { buildClassifierGraph, featureWidth } from '../../src/zoo/graphs.ts';
import { openDefaultBackbone } from './default-backbone.ts';
import { drawLeafScene } from './leaf-scene.ts';

/** What the model says of each input, in real numbers or as they are stored, and whether XNNPACK took all of it. */
export async function runModel(
  model: TfliteModel,
  inputs: readonly LiteRtValues[],
): Promise<{ readonly answers: readonly LiteRtValues[][]; readonly isAccelerated: boolean }> {
  const loaded = await loadLiteRt(writeTflite(model));
  try {
    const answers: LiteRtValues[][] = [];
    for (const input of inputs) answers.push(await loaded.run([input]));
    return { answers, isAccelerated: loaded.isAccelerated };
  } finally {
    loaded.close();
  }
}

/** Every computed value of the model for each input, by name. */
export async function runInside(
  model: TfliteModel,
  inputs: readonly Float32Array[],
): Promise<ReadonlyMap<string, readonly Float32Array[]>> {
  const names = computedTensors(model);
  const { answers } = await runModel(exposeTensors(model, names), inputs);
  return new Map(names.map((name, i) => [name, answers.map(values => values[i] as Float32Array)]));
}

/** The extremes and means per channel of the input and of every value, over all of the inputs. */
export async function measureRanges(
  model: TfliteModel,
  inputs: readonly Float32Array[],
): Promise<Map<string, ChannelRanges>> {
  const values = new Map<string, readonly Float32Array[]>(await runInside(model, inputs));
  values.set(model.tensors[model.inputs[0]!]!.name, inputs);
  return new Map(
    [...values].map(([name, lists]) => {
      const channels = model.tensors.find(tensor => tensor.name === name)!.shape.at(-1)!;
      const all = new Float32Array(lists.reduce((sum, list) => sum + list.length, 0));
      lists.forEach((list, i) => {
        all.set(list, i * list.length);
      });
      return [name, channelExtremes(all, channels)];
    }),
  );
}

/** Uniform noise in -1..1, as pixels are. */
export function noiseImages(count: number, shape: readonly number[]): Float32Array[] {
  const rng = makeRng(11, 'images');
  return Array.from({ length: count }, () => Float32Array.from({ length: sizeOf(shape) }, () => rng.uniform(-1, 1)));
}

/** Drawn leaves as the classifier reads them. */
export const leafImages = (count: number): Float32Array[] =>
  Array.from({ length: count }, (_, i) => signedPixels(drawLeafScene(i, [i % 2 ? 'sick' : 'healthy']).pixels));

/** MobileNetV3-Small with its trained backbone and a random head of four classes, lowered; and its last backbone value. */
export async function realClassifier(): Promise<{ readonly model: TfliteModel; readonly last: string }> {
  const backbone = await openDefaultBackbone();
  const rng = makeRng(1, 'head');
  const width = featureWidth(backbone);
  const head = {
    weight: float32(
      [4, width],
      Float32Array.from({ length: 4 * width }, () => 0.1 * rng.normal()),
    ),
    bias: float32([4], [0.1, -0.1, 0, 0.2]),
  };
  const model = lowerToTflite(buildClassifierGraph(backbone, head, 'signed'));
  return { model, last: backbone.stages.at(-1)!.value };
}
