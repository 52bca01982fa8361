// Opens anybody's model file as a backbone: ONNX or TFLite, told by the content; what is neither gets a sentence that helps.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { findExternalFile } from '../onnx/external-data.ts';
import { tfliteSchema } from '../tflite/schema.ts';
import { type ImportedBackbone, type ImportOptions, makeBackbone } from './make-backbone.ts';
import { readOnnxClassifier } from './onnx-backbone.ts';
import { readCompanions } from './read-companions.ts';
import { type ModelFormat, sniffModel } from './sniff-model.ts';
import { readTfliteClassifier } from './tflite-backbone.ts';

/** Largest file that is read into memory. */
const MAX_BYTES = 2 ** 31 - 1;

/** What may be said of a model file. */
export interface OpenOptions extends ImportOptions {
  /** Folder with `preprocessor_config.json` or timm's `config.json` of the model. Default: the model's own. */
  readonly companions?: string | undefined;
}

/**
 * Opens a model file as a backbone: reads the classifier in it, leaves out its head and finds its stages and preprocessing.
 * `preprocessor_config.json` and timm's `config.json` of the model are read when they are there.
 * @throws GraftError `not-found`, `no-access`; `bad-model` for damaged files and other formats; `unsupported-op` for networks
 * that are not made of what graft trains; `usage` when nothing says how pixels are scaled.
 */
export async function openModelFile(path: string, options: OpenOptions = {}): Promise<ImportedBackbone> {
  const bytes = await readBytes(path);
  const folder = dirname(path);
  const companion = saysAll(options) ? undefined : await readCompanions(options.companions ?? folder);
  const sizes = { asked: options.size, usual: companion?.size };
  const format = formatOf(path, bytes);
  const found = withPath(path, () =>
    format === 'tflite' ? readTfliteClassifier(bytes) : readOnnxClassifier(bytes, folder, sizes),
  );
  const { licence, externalFiles = [], ...classifier } = found;
  const hash = createHash('sha256').update(bytes);
  for (const location of externalFiles) {
    const file = withPath(path, () => findExternalFile(location, folder, 'a tensor').path);
    for await (const chunk of createReadStream(file)) hash.update(chunk as Uint8Array);
  }
  const weights = { file: path, sha256: hash.digest('hex'), ...(licence && { licence }) };
  return makeBackbone({ ...classifier, weights }, companion, options);
}

/** Whether nothing is left that a file beside the model could say. */
const saysAll = ({ preprocess, pixels, mean, size }: OpenOptions): boolean =>
  preprocess !== undefined || (size !== undefined && (pixels !== undefined || mean !== undefined));

/** The format of a file; throws `bad-model` with what it seems to be when it is of none that is read. */
function formatOf(path: string, bytes: Uint8Array): 'onnx' | 'tflite' {
  if (Buffer.from(bytes.subarray(4, 8)).toString('latin1') === tfliteSchema.identifier) return 'tflite';
  const { format, kind, hint } = sniffModel(bytes, '.onnx or .tflite');
  // A few writers begin an ONNX file with another field than the one by which it is told.
  if (format === 'onnx' || (format === 'unknown' && path.endsWith('.onnx'))) return 'onnx';
  const sentence = kind === 'empty' ? 'it is empty' : `it seems to be ${kind}`;
  throw new GraftError('bad-model', `${path} is no .onnx or .tflite model: ${sentence}.`, advice[format] ?? hint);
}

const torchAdvice =
  'Export it once where it runs: torch.onnx.export(model.eval(), torch.zeros(1, 3, 224, 224), "model.onnx"), and name that file. graft does not open pickles: they run programs.';

/** What to do with files of other formats. */
const advice: Readonly<Partial<Record<ModelFormat, string>>> = {
  pickle: torchAdvice,
  zip: `Of a PyTorch file (.pt, .pth): ${torchAdvice} Of a Keras file (.keras): model.export("model.onnx", format="onnx"), or convert it with tf.lite.TFLiteConverter.from_keras_model(model).`,
  hdf5: 'Open it in Keras once and export it: model.export("model.onnx", format="onnx"), or tf.lite.TFLiteConverter.from_keras_model(model).convert() for a .tflite file.',
  gguf: 'That is weights without a network: name a backbone of the zoo with --model, and this file with --weights.',
  safetensors:
    'That is weights without a network: name a backbone of the zoo with --model, and this file with --weights.',
};

/** The same with the file's name in front of what went wrong. */
function withPath<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof GraftError) || error.message.startsWith(path)) throw error;
    throw new GraftError(error.code, `${path}: ${error.message}`, error.hint, error);
  }
}

async function readBytes(path: string): Promise<Uint8Array> {
  try {
    const found = await stat(path);
    if (found.isDirectory()) throw await explainFolder(path);
    if (!found.isFile()) throw new GraftError('bad-model', `${path} is no file.`, 'Name a .onnx or .tflite file.');
    if (found.size > MAX_BYTES) {
      throw new GraftError(
        'bad-model',
        `${path} has ${found.size} bytes, more than the ${MAX_BYTES} that are read.`,
        'Name a smaller model, or save its weights as external data.',
      );
    }
    const { buffer, byteOffset, byteLength } = await readFile(path);
    return new Uint8Array(buffer, byteOffset, byteLength);
  } catch (error) {
    throw explainSystemError(error, path);
  }
}

/** The error for a folder. */
async function explainFolder(path: string): Promise<GraftError> {
  const isSavedModel = await stat(join(path, 'saved_model.pb')).then(
    () => true,
    () => false,
  );
  return isSavedModel
    ? new GraftError(
        'bad-model',
        `${path} is a SavedModel of TensorFlow.`,
        'Convert it once: tf.lite.TFLiteConverter.from_saved_model(folder).convert(), or tf2onnx, and name the .tflite or .onnx file.',
      )
    : new GraftError('bad-model', `${path} is a folder, and a model file was wanted.`, 'Name a .onnx or .tflite file.');
}
