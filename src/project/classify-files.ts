// Classifies files from disk: decoded ahead of the model, a few at a time, so that memory does not grow with their number.
import { readFile } from 'node:fs/promises';
import { aheadOf } from '../base/ahead.ts';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { decodePhoto } from '../image/decode.ts';
import type { OpenModel } from './open-model.ts';

/** One file's outcome: probabilities per class, or why it could not be read. */
export type Classified =
  | { readonly index: number; readonly probabilities: Float32Array }
  | { readonly index: number; readonly error: GraftError };

/** Classifies `files` in order. */
export async function* classifyFiles(
  model: OpenModel,
  files: readonly string[],
  workers: number,
): AsyncGenerator<Classified> {
  const decoded = aheadOf(files, workers + model.batch, file => decodeFile(file, model));
  for (let start = 0; start < files.length; start += model.batch) {
    const indices: number[] = [];
    const pixels: Uint8Array[] = [];
    for (let index = start; index < Math.min(files.length, start + model.batch); index++) {
      const photo = await decoded(index);
      if (photo instanceof GraftError) {
        yield { index, error: photo };
      } else {
        indices.push(index);
        pixels.push(photo);
      }
    }
    const results = pixels.length > 0 ? await model.classify(pixels) : [];
    for (const [i, probabilities] of results.entries()) yield { index: indices[i]!, probabilities };
  }
}

async function decodeFile(file: string, model: OpenModel): Promise<Uint8Array | GraftError> {
  try {
    return await decodePhoto(await readFile(file), model.preprocess);
  } catch (error) {
    const explained = explainSystemError(error, file);
    if (explained instanceof GraftError) return explained;
    return new GraftError('bad-photo', `${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
