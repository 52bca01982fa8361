// Reads a trained model from disk: a run folder (its model.onnx, for ONNX Runtime) or a .tflite file (for LiteRT).
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { PROVENANCE_KEY, type Provenance, parseProvenance } from './provenance.ts';
import { readTfliteFile } from './read-tflite-file.ts';
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
  const { calibration, reject } = parseObject(await read(runFiles.metrics)) as {
    readonly calibration?: { readonly temperature?: unknown };
    readonly reject?: unknown;
  };
  const { model } = parseObject(await read(runFiles.args));
  const { temperature } = calibration ?? {};
  const said = {
    ...(model as object | undefined),
    ...(temperature !== undefined && { temperature }),
    ...(reject !== undefined && { reject }),
  };
  const provenance = parseProvenance(JSON.stringify(said), join(folder, runFiles.args));
  return { runtime: 'onnx', bytes: await read(runFiles.onnx), provenance };
}

/** What is in a JSON file; nothing where it holds no object. */
function parseObject(file: Buffer): Readonly<Record<string, unknown>> {
  try {
    return (JSON.parse(file.toString('utf8')) ?? {}) as Record<string, unknown>;
  } catch {
    return {};
  }
}

async function readOwnTflite(path: string): Promise<TrainedModel> {
  const { bytes, model } = await readTfliteFile(path);
  const entry = model.metadata.find(({ name }) => name === PROVENANCE_KEY);
  if (!entry) {
    throw new GraftError(
      'bad-model',
      `${basename(path)} was not written by graft: it does not say which classes it knows and how it wants its photos.`,
      'Name a model.tflite that graft train made.',
    );
  }
  return { runtime: 'tflite', bytes, provenance: parseProvenance(new TextDecoder().decode(entry.data), path) };
}
