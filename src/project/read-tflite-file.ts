// Reads any .tflite file from disk, also another program's; what is none gets a sentence that says what it seems to be.
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { sniffModel } from '../import/sniff-model.ts';
import type { TfliteModel } from '../tflite/model.ts';
import { readTflite } from '../tflite/read.ts';
import { tfliteSchema } from '../tflite/schema.ts';
import { runFiles } from './run-folder.ts';

/** Largest file that is read into memory. */
const MAX_BYTES = 2 ** 31 - 1;

/** A model and its file. */
export interface TfliteFile {
  /** The file itself, where a run folder was named. */
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly model: TfliteModel;
}

/**
 * Reads a .tflite file, or the model.tflite of a run folder.
 * @throws GraftError `not-found`, `bad-run`, or `bad-model` with what the file seems to be.
 */
export async function readTfliteFile(path: string): Promise<TfliteFile> {
  const found = await stat(path).catch(error => {
    throw explainSystemError(error, path);
  });
  if (!found.isDirectory() && !found.isFile()) {
    throw new GraftError(
      'bad-model',
      `${path} is neither a file nor a folder.`,
      'Name a .tflite file or a run folder.',
    );
  }
  const file = found.isDirectory() ? join(path, runFiles.tflite) : path;
  const bytes = await readBytes(file, found.isDirectory() ? path : undefined);
  const identifier = Buffer.from(bytes.subarray(4, 8)).toString('latin1');
  if (identifier !== tfliteSchema.identifier) {
    const { kind, hint } = sniffModel(bytes);
    const sentence = kind === 'empty' ? 'it is empty' : `it seems to be ${kind}`;
    throw new GraftError('bad-model', `${file} is no .tflite model: ${sentence}.`, hint);
  }
  try {
    return { path: file, bytes, model: readTflite(bytes) };
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    throw new GraftError(error.code, `${file}: ${error.message}`, error.hint, error);
  }
}

/** The bytes of `file`; `folder` is the run folder that it was looked for in, if any. */
async function readBytes(file: string, folder: string | undefined): Promise<Uint8Array> {
  try {
    const { size } = await stat(file);
    if (size > MAX_BYTES) {
      throw new GraftError(
        'bad-model',
        `${file} has ${size} bytes, more than the ${MAX_BYTES} that are read.`,
        'Name a smaller model.',
      );
    }
    const { buffer, byteOffset, byteLength } = await readFile(file);
    return new Uint8Array(buffer, byteOffset, byteLength);
  } catch (error) {
    if (folder === undefined || (error as NodeJS.ErrnoException).code !== 'ENOENT') {
      throw explainSystemError(error, file);
    }
    throw new GraftError(
      'bad-run',
      `${folder} has no ${runFiles.tflite}.`,
      'Name a folder that graft train finished, or a .tflite file.',
    );
  }
}
