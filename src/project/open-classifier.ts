// Anything that can be measured: a run folder, a .tflite file of graft, or somebody else's.
import { stat } from 'node:fs/promises';
import { explainSystemError, GraftError } from '../base/errors.ts';
import type { CameraChoice } from '../image/camera.ts';
import type { Preprocess } from '../image/preprocess.ts';
import { findPrecision } from '../tflite/precision.ts';
import { type ForeignOptions, openForeign } from './foreign-classifier.ts';
import { PROVENANCE_KEY, type Provenance } from './provenance.ts';
import { type ModelFile, readModel } from './read-model.ts';
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
 * @throws GraftError `not-found`, `bad-run`, `bad-model` for what is no classifier, `usage` where nothing says how pixels are
 * scaled or what is said does not go with a file of graft.
 */
export async function openClassifier(path: string, options: ForeignOptions = {}): Promise<Classifier> {
  if (!(await isForeign(path))) {
    const idle = (['labels', 'pixels'] as const).find(option => options[option] !== undefined);
    if (idle) {
      throw new GraftError('usage', `${idle} is set, but ${path} says that itself.`, `Leave --${idle} out.`);
    }
    const { provenance, ...file } = await readModel(path);
    const { classes, preprocess, camera = 'none' } = provenance;
    return {
      name: path,
      file,
      size: file.bytes.length,
      precision: file.runtime === 'onnx' ? 'float32' : findPrecision((await readTfliteFile(path)).model).name,
      classes,
      width: classes.length,
      preprocess,
      camera,
      provenance,
      notes: [],
    };
  }
  const file = await readTfliteFile(path);
  const { notes, classes, width, preprocess, runtime, bytes } = await openForeign(file, options);
  return {
    name: path,
    file: { runtime, bytes },
    size: file.bytes.length,
    precision: findPrecision(file.model).name,
    classes,
    width,
    preprocess,
    camera: 'none',
    provenance: null,
    notes,
  };
}

/**
 * Whether a path is a .tflite file that graft did not write. What is neither such a file nor graft's own is left to
 * `readModel`, which says what is wrong.
 */
export async function isForeign(path: string): Promise<boolean> {
  const found = await stat(path).catch(error => {
    throw explainSystemError(error, path);
  });
  if (found.isDirectory() || !path.endsWith('.tflite')) return false;
  const { model } = await readTfliteFile(path);
  return !model.metadata.some(({ name }) => name === PROVENANCE_KEY);
}
