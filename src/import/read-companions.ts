// Reads what files beside a model say of its pixels: Hugging Face's preprocessor_config.json and timm's config.json.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { explainSystemError } from '../base/errors.ts';
import type { Preprocess } from '../image/preprocess.ts';
import type { PixelEvidence } from './find-preprocess.ts';
import type { Channels } from './strip-input.ts';

/** Largest file that is read. */
const MAX_BYTES = 2 ** 20;

/** What a file beside a model says. */
export interface Companion extends PixelEvidence {
  /** Height and width of the input, in pixels; undefined where it does not say. */
  readonly size?: number;
  readonly kernel?: Preprocess['kernel'];
}

type Fields = Readonly<Record<string, unknown>>;

/** Resampling by Pillow's number, which Hugging Face writes, and by timm's word. */
const kernels: Readonly<Record<string, Preprocess['kernel']>> = {
  1: 'lanczos3',
  2: 'linear',
  3: 'cubic',
  bilinear: 'linear',
  bicubic: 'cubic',
};

/** What the files in `folder` say; undefined when there are none, or they say nothing of pixels. */
export async function readCompanions(folder: string): Promise<Companion | undefined> {
  const preprocessor = await readFields(join(folder, 'preprocessor_config.json'));
  const found = preprocessor && ofPreprocessor(preprocessor);
  if (found) return found;
  const config = await readFields(join(folder, 'config.json'));
  return config && ofTimm(config);
}

/** x = (pixel * rescale_factor - image_mean) / image_std, each of which may be switched off. */
function ofPreprocessor(fields: Fields): Companion | undefined {
  const isNormalised = fields.do_normalize !== false;
  const [mean, std] = [threeOf(fields.image_mean), threeOf(fields.image_std)];
  if (isNormalised && !(mean && std)) return undefined;
  const factor = fields.do_rescale === false ? 1 : (numberOf(fields.rescale_factor) ?? 1 / 255);
  if (factor <= 0) return undefined;
  const perUnit = (values: Channels): Channels => values.map(value => value / (255 * factor)) as unknown as Channels;
  const size = sizeOf(fields.crop_size) ?? sizeOf(fields.size);
  return {
    mean: perUnit(isNormalised ? mean! : [0, 0, 0]),
    std: perUnit(isNormalised ? std! : [1, 1, 1]),
    source: 'as preprocessor_config.json beside it says',
    ...withKernel(fields.resample),
    ...(size !== undefined && { size }),
  };
}

/** timm's file has the fields in `pretrained_cfg`, older ones at the top. */
function ofTimm(config: Fields): Companion | undefined {
  const fields = isFields(config.pretrained_cfg) ? config.pretrained_cfg : config;
  const [mean, std] = [threeOf(fields.mean), threeOf(fields.std)];
  if (!mean || !std) return undefined;
  const [, height, width] = Array.isArray(fields.input_size) ? (fields.input_size as unknown[]) : [];
  const size = height === width ? numberOf(height) : undefined;
  return {
    mean,
    std,
    source: 'as config.json beside it says',
    ...withKernel(fields.interpolation),
    ...(size !== undefined && { size }),
  };
}

const withKernel = (value: unknown) => {
  const key = String(value);
  return Object.hasOwn(kernels, key) ? { kernel: kernels[key]! } : {};
};

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const numberOf = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isFinite(value) ? value : undefined;

/** Three numbers, or one for all. */
function threeOf(value: unknown): Channels | undefined {
  const list = Array.isArray(value) ? (value as unknown[]) : [value, value, value];
  const numbers = list.map(numberOf);
  if (numbers.length === 1) return threeOf(numbers[0]);
  return numbers.length === 3 && numbers.every(number => number !== undefined)
    ? (numbers as unknown as Channels)
    : undefined;
}

/** A number, {height, width} of a square, or {shortest_edge}. */
function sizeOf(value: unknown): number | undefined {
  if (!isFields(value)) return numberOf(value);
  if (value.height !== undefined && value.height === value.width) return numberOf(value.height);
  return numberOf(value.shortest_edge);
}

/** The fields of a JSON file; undefined when there is none, or it holds something else. */
async function readFields(file: string): Promise<Fields | undefined> {
  try {
    if ((await stat(file)).size > MAX_BYTES) return undefined;
    const value: unknown = JSON.parse(await readFile(file, 'utf8'));
    return isFields(value) ? value : undefined;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw explainSystemError(error, file);
  }
}
