// Reads a trained model from disk: a run folder (its model.onnx, for ONNX Runtime) or a .tflite file (for LiteRT).
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { readTflite } from '../tflite/read.ts';
import { PROVENANCE_KEY, type Provenance, parseProvenance } from './provenance.ts';
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
  if (path.endsWith('.tflite')) return readTfliteFile(path);
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
  await read(runFiles.metrics);
  const args = await read(runFiles.args);
  const provenance = parseProvenance(pickProvenance(args.toString('utf8')), join(folder, runFiles.args));
  return { runtime: 'onnx', bytes: await read(runFiles.onnx), provenance };
}

function pickProvenance(args: string): string {
  try {
    return JSON.stringify((JSON.parse(args) as { model?: unknown } | null)?.model ?? null);
  } catch {
    return 'null';
  }
}

async function readTfliteFile(path: string): Promise<TrainedModel> {
  const bytes = await readFile(path).catch(error => {
    throw explainSystemError(error, path);
  });
  const entry = readTflite(bytes).metadata.find(({ name }) => name === PROVENANCE_KEY);
  if (!entry) {
    throw new GraftError(
      'bad-model',
      `${basename(path)} was not written by graft: it does not say which classes it knows and how it wants its photos.`,
      'Name a model.tflite that graft train made.',
    );
  }
  return { runtime: 'tflite', bytes, provenance: parseProvenance(new TextDecoder().decode(entry.data), path) };
}
