// What LiteRT says to pictures: the answers that other programs are held to.
import { loadLiteRt } from '../../src/engine/litert.ts';
import { readTflite } from '../../src/tflite/read.ts';

/** A photo of exactly the model's size, so that nobody resizes it: size * size * 3 bytes of RGB. */
export interface Picture {
  readonly pixels: Uint8Array;
  readonly size: number;
}

/** For every picture the numbers of each output, as they are meant. Inputs are (x - 127.5) / 127.5 or bytes. */
export async function runInLiteRt(model: Uint8Array, pictures: readonly Picture[]): Promise<number[][][]> {
  const loaded = await loadLiteRt(model);
  const bytes = loaded.inputs[0]!.dtype === 'uint8';
  try {
    const answers: number[][][] = [];
    for (const { pixels } of pictures) {
      const input = bytes ? pixels : Float32Array.from(pixels, value => (value - 127.5) / 127.5);
      answers.push(unscale(model, await loaded.run([input])));
    }
    return answers;
  } finally {
    loaded.close();
  }
}

/** What the stored numbers of the outputs mean: scale * (stored - zero point) where they are quantised. */
export function unscale(model: Uint8Array, outputs: readonly ArrayLike<number>[]): number[][] {
  const { tensors, outputs: indexes } = readTflite(model);
  return outputs.map((values, i) => {
    const { scale = [1], zeroPoint = [0] } = tensors[indexes[i]!]!.quantization ?? {};
    return Array.from(values, value => scale[0]! * (value - zeroPoint[0]!));
  });
}
