// Reads a trained model from disk: a run folder (its model.onnx, for ONNX Runtime) or a .tflite file (for LiteRT).
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { fieldsOf, parseFields } from './fields.ts';
import { PROVENANCE_KEY, type Provenance, parseProvenance } from './provenance.ts';
import { readTfliteFile, type TfliteFile } from './read-tflite-file.ts';
import { runFiles } from './run-folder.ts';

/** A model file and the runtime that it is for. */
export interface ModelFile {
  readonly runtime: 'onnx' | 'tflite';
  readonly bytes: Uint8Array;
}

/** A model that says which classes it knows and how it wants its photos. */
export interface TrainedModel extends ModelFile {
  readonly provenance: Provenance;
}

/**
 * Reads a run folder or a .tflite file that graft wrote.
 * @throws GraftError `not-found`, `bad-run` or `bad-model`.
 */
export async function readModel(path: string): Promise<TrainedModel> {
  const found = await stat(path).catch(error => {
    throw explainSystemError(error, path);
  });
  if (found.isDirectory()) return readRun(path);
  if (path.endsWith('.tflite')) return readOwnTflite(path);
  throw new GraftError(
    'bad-model',
    `${path} is neither a run folder nor a .tflite file.`,
    'Name the folder that graft train made, or its model.tflite.',
  );
}

async function readRun(folder: string): Promise<TrainedModel> {
  const read = (name: string) =>
    readFile(join(folder, name)).catch(error => {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw explainSystemError(error, join(folder, name));
      throw new GraftError(
        'bad-run',
        `${folder} is not a finished run: it has no ${name}.`,
        'Name a folder that graft train finished.',
      );
    });
  const readFields = async (name: string) => parseFields((await read(name)).toString('utf8'));
  const { calibration, reject } = await readFields(runFiles.metrics);
  const { model } = await readFields(runFiles.args);
  const { temperature } = fieldsOf(calibration);
  const said = {
    ...fieldsOf(model),
    ...(temperature !== undefined && { temperature }),
    ...(reject !== undefined && { reject }),
  };
  const provenance = parseProvenance(JSON.stringify(said), join(folder, runFiles.args));
  return { runtime: 'onnx', bytes: await read(runFiles.onnx), provenance };
}

/** What a .tflite file says of itself; undefined where graft did not write it. */
export function readProvenance({ path, model }: TfliteFile): Provenance | undefined {
  const entry = model.metadata.find(({ name }) => name === PROVENANCE_KEY);
  return entry && parseProvenance(new TextDecoder().decode(entry.data), path);
}

async function readOwnTflite(path: string): Promise<TrainedModel> {
  const file = await readTfliteFile(path);
  const provenance = readProvenance(file);
  if (!provenance) {
    throw new GraftError(
      'bad-model',
      `${basename(path)} was not written by graft: it does not say which classes it knows and how it wants its photos.`,
      'Name a model.tflite that graft train made.',
    );
  }
  return { runtime: 'tflite', bytes: file.bytes, provenance };
}
