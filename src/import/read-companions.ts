// Reads what files beside a model say of its pixels: Hugging Face's preprocessor_config.json and timm's config.json.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import type { Preprocess } from '../image/preprocess.ts';
import {
  type Fields,
  isMissing,
  parseFields,
  readDeviations,
  readNumber,
  readObject,
  readSide,
  readTriple,
  type Triple,
  wrongField,
} from '../zoo/config-fields.ts';
import { pretrainedFields, readTimmPixels } from '../zoo/hub-config.ts';
import type { PixelEvidence } from './find-preprocess.ts';

/** Largest file that is read. */
const MAX_BYTES = 2 ** 20;

/** What a file beside a model says. */
export interface Companion extends PixelEvidence {
  /** Height and width of the input, in pixels; undefined where it does not say. */
  readonly size?: number;
  readonly kernel?: Preprocess['kernel'];
}

/** Resampling by Pillow's number, which Hugging Face writes, and by timm's word. */
const kernels: Readonly<Record<string, Preprocess['kernel']>> = {
  1: 'lanczos3',
  2: 'linear',
  3: 'cubic',
  bilinear: 'linear',
  bicubic: 'cubic',
};

/**
 * What the files in `folder` say; undefined when there are none, or they say nothing of mean and deviation.
 * @throws GraftError `bad-model` for a file that is damaged or has a value that cannot be used.
 */
export async function readCompanions(folder: string): Promise<Companion | undefined> {
  return (
    (await readCompanion(join(folder, 'preprocessor_config.json'), ofPreprocessor)) ??
    (await readCompanion(join(folder, 'config.json'), ofTimm))
  );
}

/** x = (pixel * rescale_factor - image_mean) / image_std, each of which may be switched off. */
function ofPreprocessor(fields: Fields, where: string): Companion | undefined {
  const rescale = readNumber(fields.rescale_factor, 'rescale_factor', where) ?? 1 / 255;
  const factor = 255 * (fields.do_rescale === false ? 1 : rescale);
  if (!(factor > 0 && Number.isFinite(factor))) {
    throw wrongField('rescale_factor', fields.rescale_factor, 'a number above 0', where);
  }
  const [imageMean, imageStd] = [
    readTriple(fields.image_mean, 'image_mean', where),
    readDeviations(fields.image_std, 'image_std', where),
  ];
  const size = readPreprocessorSize(fields, where);
  const isNormalised = fields.do_normalize !== false;
  const mean = isNormalised ? imageMean : ([0, 0, 0] as const);
  const std = isNormalised ? imageStd : ([1, 1, 1] as const);
  if (!mean || !std) return undefined;
  const scale = ([red, green, blue]: Triple): Triple => [red / factor, green / factor, blue / factor];
  return {
    mean: scale(mean),
    std: scale(std),
    source: 'as preprocessor_config.json beside it says',
    ...withKernel(fields.resample),
    ...(size !== undefined && { size }),
  };
}

/** What is cropped to, else what is resized to: a number, {height, width} of a square, or {shortest_edge}. */
function readPreprocessorSize(fields: Fields, where: string): number | undefined {
  const isCropped = fields.do_center_crop !== false && !isMissing(fields.crop_size);
  const [key, value] = isCropped ? ['crop_size', fields.crop_size] : ['size', fields.size];
  if (isMissing(value)) return undefined;
  if (typeof value === 'number') return readSide(value, key, where);
  const { height, width, shortest_edge: edge } = readObject(value, key, where);
  if (height !== width) throw wrongField(key, value, 'a square', where);
  return readSide(height ?? edge, key, where);
}

function ofTimm(config: Fields, where: string): Companion | undefined {
  const { mean, std, size } = readTimmPixels(config, where);
  if (!mean || !std) return undefined;
  return {
    mean,
    std,
    source: 'as config.json beside it says',
    ...withKernel(pretrainedFields(config, where).interpolation),
    ...(size !== undefined && { size }),
  };
}

const withKernel = (value: unknown) => {
  const key = String(value);
  return Object.hasOwn(kernels, key) ? { kernel: kernels[key]! } : {};
};

/** What `read` finds in a JSON file; undefined when there is none. */
async function readCompanion(
  file: string,
  read: (fields: Fields, where: string) => Companion | undefined,
): Promise<Companion | undefined> {
  let text: string;
  try {
    const { size } = await stat(file);
    if (size > MAX_BYTES) {
      throw new GraftError(
        'bad-model',
        `${file} has ${size} bytes, and up to ${MAX_BYTES} are read.`,
        'Move the model into a folder of its own.',
      );
    }
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw explainSystemError(error, file);
  }
  return read(parseFields(text, file), file);
}
