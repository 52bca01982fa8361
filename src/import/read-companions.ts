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
import { pretrainedFields, readTimmPixels, timmKernels } from '../zoo/hub-config.ts';
import type { PixelEvidence } from './find-preprocess.ts';

/** Largest file that is read. */
const MAX_BYTES = 2 ** 20;

/** What a file beside a model says. */
export interface Companion {
  readonly pixels?: PixelEvidence;
  /** Height and width of the input, in pixels; undefined where it does not say. */
  readonly size?: number;
  readonly kernel?: Preprocess['kernel'];
}

/** Resampling by Pillow's number, which Hugging Face writes, and by timm's word. */
const kernels: Readonly<Record<string, Preprocess['kernel']>> = {
  1: 'lanczos3',
  2: 'linear',
  3: 'cubic',
  ...timmKernels,
};

/** A kind of file. */
interface CompanionKind {
  readonly name: string;
  /** Whether every file of the name is of the kind: one that is damaged is refused. */
  readonly isOwnName: boolean;
  /** Keys that tell the kind. */
  readonly keys: readonly string[];
  read(fields: Fields, where: string): Companion;
}

const kinds: readonly CompanionKind[] = [
  {
    name: 'preprocessor_config.json',
    isOwnName: true,
    keys: [
      'image_mean',
      'image_std',
      'do_normalize',
      'do_rescale',
      'do_resize',
      'rescale_factor',
      'size',
      'crop_size',
      'resample',
      'image_processor_type',
      'feature_extractor_type',
    ],
    read: ofPreprocessor,
  },
  { name: 'config.json', isOwnName: false, keys: ['architecture', 'pretrained_cfg', 'input_size'], read: ofTimm },
];

/**
 * What the files in `folder` say: the first that has mean and deviation, else the first that has a size. Files that are not
 * Hugging Face's and timm's by their keys are passed over; undefined when there are no others.
 * @throws GraftError `bad-model` for a file that is damaged or has a value that cannot be used.
 */
export async function readCompanions(folder: string): Promise<Companion | undefined> {
  const found: Companion[] = [];
  for (const kind of kinds) {
    const file = join(folder, kind.name);
    const fields = await readFields(file, kind.isOwnName);
    if (fields && kind.keys.some(key => Object.hasOwn(fields, key))) found.push(kind.read(fields, file));
  }
  return found.find(({ pixels }) => pixels) ?? found.find(({ size }) => size !== undefined);
}

/** x = (pixel * rescale_factor - image_mean) / image_std, each of which may be switched off. */
function ofPreprocessor(fields: Fields, where: string): Companion {
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
  const scale = ([red, green, blue]: Triple): Triple => [red / factor, green / factor, blue / factor];
  return {
    ...(mean &&
      std && { pixels: { mean: scale(mean), std: scale(std), source: 'as preprocessor_config.json beside it says' } }),
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

function ofTimm(config: Fields, where: string): Companion {
  const { mean, std, size } = readTimmPixels(config, where);
  return {
    ...(mean && std && { pixels: { mean, std, source: 'as config.json beside it says' } }),
    ...withKernel(pretrainedFields(config, where).interpolation),
    ...(size !== undefined && { size }),
  };
}

const withKernel = (value: unknown) => {
  const key = String(value);
  return Object.hasOwn(kernels, key) ? { kernel: kernels[key]! } : {};
};

/** The object in a JSON file; undefined when there is none. What is wrong is an error where it is `strict`. */
async function readFields(file: string, strict: boolean): Promise<Fields | undefined> {
  try {
    const found = await stat(file);
    if (!strict && (!found.isFile() || found.size > MAX_BYTES)) return undefined;
    if (found.size > MAX_BYTES) {
      throw new GraftError(
        'bad-model',
        `${file} has ${found.size} bytes, and up to ${MAX_BYTES} are read.`,
        'Move the model into a folder of its own.',
      );
    }
    return parseFields(await readFile(file, 'utf8'), file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    if (!strict && error instanceof GraftError) return undefined;
    throw explainSystemError(error, file);
  }
}
