// Reads graft's own description out of a model file: the size of the picture and how it is resampled.
import { GraftError } from '../base/errors.ts';
import type { Preprocess } from '../image/preprocess.ts';

/** Name of the description, in ONNX's metadata_props and among TFLite's metadata buffers. */
export const DESCRIPTION_KEY = 'graft';

/** What counts of it here: the scale of pixels is told by the input of the file, whose numbers are others than the network's. */
export type Description = Pick<Preprocess, 'size' | 'kernel'>;

/** Longest description that is read, in characters: names of a thousand classes fit. */
const MAX_LENGTH = 2 ** 20;
const MAX_SIDE = 4096;
const kernels: readonly unknown[] = ['linear', 'cubic', 'lanczos3'] satisfies readonly Preprocess['kernel'][];

/**
 * Reads a description; undefined where there is none, or somebody else's metadata has the name.
 * @throws GraftError `bad-model` for one that is damaged.
 */
export function readDescription(text: string | undefined): Description | undefined {
  if (text === undefined || text.length > MAX_LENGTH) return undefined;
  const value = parse(text) as { format?: unknown; preprocess?: Partial<Preprocess> } | undefined;
  if (value?.format !== 1) return undefined;
  const { size, kernel, fit } = value.preprocess ?? {};
  const isSound =
    Number.isInteger(size) && size! > 0 && size! <= MAX_SIDE && fit === 'squash' && kernels.includes(kernel);
  if (!isSound) {
    throw new GraftError(
      'bad-model',
      'The file has a description that this version of graft cannot read.',
      'Export it again with this version.',
    );
  }
  return { size: size!, kernel: kernel! };
}

function parse(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
