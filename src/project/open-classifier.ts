// Anything that can be measured: a run folder, a .tflite file of graft, or somebody else's.
import { stat } from 'node:fs/promises';
import { explainSystemError, GraftError } from '../base/errors.ts';
import type { CameraChoice } from '../image/camera.ts';
import type { Preprocess } from '../image/preprocess.ts';
import { findPrecision } from '../tflite/precision.ts';
import { type ForeignOptions, openForeign } from './foreign-classifier.ts';
import type { Provenance } from './provenance.ts';
import { type ModelFile, readModel, readProvenance } from './read-model.ts';
import { readTfliteFile } from './read-tflite-file.ts';

/** A classifier, ready for photos. */
export interface Classifier {
  /** As the user named it. */
  readonly name: string;
  readonly file: ModelFile;
  /** Of the file on disk. */
  readonly size: number;
  /** How its numbers are stored; ONNX files have float32. */
  readonly precision: string;
  /** undefined for somebody else's file that names none. */
  readonly classes: readonly string[] | undefined;
  readonly width: number;
  readonly preprocess: Preprocess;
  /** The camera that it was trained for. */
  readonly camera: CameraChoice;
  /** null for somebody else's file. */
  readonly provenance: Provenance | null;
  /** Sentences for the user. */
  readonly notes: readonly string[];
}

/**
 * Opens a run folder or a .tflite file.
 * @param options for somebody else's file; `requireUse` says where they are for nothing.
 * @throws GraftError `not-found`, `bad-run`, `bad-model` for what is no classifier, `usage` where nothing says how pixels are
 * scaled.
 */
export async function openClassifier(path: string, options: ForeignOptions = {}): Promise<Classifier> {
  const found = await stat(path).catch(error => {
    throw explainSystemError(error, path);
  });
  // What is neither a run folder nor such a file is left to `readModel`, which says what is wrong.
  if (found.isDirectory() || !path.endsWith('.tflite')) {
    const { provenance, ...file } = await readModel(path);
    return ownClassifier(path, file, provenance, 'float32');
  }
  const file = await readTfliteFile(path);
  const { bytes } = file;
  const precision = findPrecision(file.model).name;
  const provenance = readProvenance(file);
  if (provenance) return ownClassifier(path, { runtime: 'tflite', bytes }, provenance, precision);
  const { runtime, bytes: plain, ...foreign } = await openForeign(file, options);
  return {
    name: path,
    file: { runtime, bytes: plain },
    size: bytes.length,
    precision,
    camera: 'none',
    provenance: null,
    ...foreign,
  };
}

function ownClassifier(name: string, file: ModelFile, provenance: Provenance, precision: string): Classifier {
  const { classes, preprocess, camera = 'none' } = provenance;
  const size = file.bytes.length;
  return { name, file, size, precision, classes, width: classes.length, preprocess, camera, provenance, notes: [] };
}

/** @throws GraftError `usage` for options of somebody else's models where all of the models are graft's own. */
export function requireUse(models: readonly Classifier[], options: ForeignOptions): void {
  const idle = (['labels', 'pixels'] as const).find(option => options[option] !== undefined);
  if (!idle || models.some(({ provenance }) => !provenance)) return;
  const [first, ...others] = models;
  const who = others.length === 0 ? `${first?.name} says that itself` : 'all of the models say that themselves';
  throw new GraftError('usage', `${idle} is set, but ${who}.`, `Leave --${idle} out.`);
}
