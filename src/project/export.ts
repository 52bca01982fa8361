// graft export: the files that can be made of a finished run, each measured by running it, and one recommended.
import { constants } from 'node:fs';
import { access, mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import type { Steps, VerbEvent } from '../base/events.ts';
import { writeJson, writeWhole } from '../base/files.ts';
import type { CameraChoice } from '../image/camera.ts';
import { robotLabels } from '../tflite/robot-labels.ts';
import { calibrate, calibrationPhotos } from './calibrate.ts';
import { startClassifiers } from './classify-files.ts';
import { defaultWorkers } from './defaults.ts';
import { buildOnnx } from './onnx-file.ts';
import { pickName } from './pick-name.ts';
import { boundsOf, labelledFiles, mayLose, objectionTo, type ProofFigures, prove } from './proof.ts';
import type { ModelFile } from './read-model.ts';
import { dropUnfinishedOf, runFiles } from './run-folder.ts';
import { checkRanges } from './setting-ranges.ts';
import {
  buildTflite,
  type FileKind,
  fileName,
  type InputType,
  inputTypes,
  labelsText,
  needsCalibration,
  type Precision,
  precisions,
  type Signature,
  type Signing,
  signatures,
} from './tflite-file.ts';
import { findChanged, requireUnchanged } from './train-dataset.ts';
import { openTrainedRun, type TrainedRun } from './trained-run.ts';

/** File formats. */
export const formats = ['tflite', 'onnx'] as const;
export type Format = (typeof formats)[number];

/** Options of `exportRun`. */
export interface ExportOptions extends Signing {
  /** A finished run. */
  readonly run: string;
  /** Default: tflite. */
  readonly format?: Format;
  /** Precisions that are wanted; one that does not pass is an error. Default: all that pass. */
  readonly precision?: readonly Precision[];
  /** Default: classifier. */
  readonly signature?: Signature;
  /** Default: float32. */
  readonly input?: InputType;
  /** Accuracy that dynamic and int8 files may lose, in points of 100. Default: 1. */
  readonly maxDrop?: number;
  /** Where the photos are now. Default: where they were when the run was trained. */
  readonly data?: string;
  /** Folder of the files. Default: the run's. */
  readonly output?: string;
  /** Threads. Default: the machine's cores, at most 8. */
  readonly workers?: number;
}

/** One file of an export. */
export interface ExportedFile extends ProofFigures {
  readonly file: string;
  readonly format: Format;
  readonly precision: Precision;
  readonly signature: Signature;
  readonly input: InputType;
  readonly bytes: number;
  /** Why it was not written; null when it was. */
  readonly refused: string | null;
}

/** Result of `exportRun`. */
export interface ExportRunResult {
  readonly run: string;
  readonly folder: string;
  /** Accuracy of the trained model on the same photos. */
  readonly accuracy: number;
  readonly images: number;
  /** What the photos were seen through. */
  readonly camera: CameraChoice;
  readonly max_drop: number;
  readonly files: readonly ExportedFile[];
  /**
   * The fastest file that passed, a dynamic one only where there is no other; of those within a tenth of its time the
   * smallest. null when none passed.
   */
  readonly recommended: string | null;
  /** Labels that were written beside the files. */
  readonly labels: readonly string[];
}

/** Most characters of a text for the metadata. */
const MAX_TEXT = 10_000;
const DEFAULT_MAX_DROP = 1;
/** Times that differ by less than this part are the same: the machine's noise. */
const SAME_TIME = 0.1;

/**
 * Exports a finished run: builds the files, runs each on the validation photos beside the trained model, writes those that
 * pass, with the table exports.json and the labels.
 * @throws GraftError `proof-failed` when a precision that was asked for does not pass, or none does.
 */
export async function* exportRun(options: ExportOptions): AsyncGenerator<VerbEvent<ExportRunResult>> {
  checkRanges(options);
  const format = pickName('format', options.format ?? 'tflite', formats);
  const signature = pickName('signature', options.signature ?? 'classifier', signatures);
  const input = pickName('input', options.input ?? 'float32', inputTypes);
  const wanted = options.precision && [
    ...new Set(options.precision.map(name => pickName('precision', name, precisions))),
  ];
  const { author, license, description, modelVersion } = options;
  const forTflite = [options.signature, options.input, author, license, description, modelVersion];
  if (format === 'onnx' && (wanted?.some(name => name !== 'float32') || forTflite.some(value => value !== undefined))) {
    throw new GraftError(
      'usage',
      'An ONNX file is written in float32, as a classifier of uint8 pixels, without the metadata of TFLite.',
      'Leave out --precision, --signature, --input and what is for the metadata, or use --format tflite.',
    );
  }
  if (options.maxDrop !== undefined && wanted && !wanted.some(mayLose)) {
    throw new GraftError(
      'usage',
      'A float32 or float16 file may lose nothing, so that there is nothing for --max-drop to allow.',
      'Leave out --max-drop, or ask for dynamic or int8.',
    );
  }
  for (const [name, text] of Object.entries({ author, license, description, modelVersion })) {
    if (text === undefined || text.length <= MAX_TEXT) continue;
    throw new GraftError('usage', `The ${name} has ${text.length} characters.`, `Use at most ${MAX_TEXT}.`);
  }
  const workers = options.workers ?? defaultWorkers();
  const folder = options.output ?? options.run;
  await requireWritable(folder);
  const maxDrop = (options.maxDrop ?? DEFAULT_MAX_DROP) / 100;
  const run = yield* openTrainedRun(options.run, options.data);
  const validation = run.manifest.photos.filter(photo => photo.split === 'validation');
  yield* requireUnchanged(validation, { data: run.data, workers });
  const kinds = (format === 'onnx' ? (['float32'] as const) : (wanted ?? precisions)).map(
    (precision): FileKind => ({ precision, signature, input: format === 'onnx' ? 'uint8' : input }),
  );
  const labels = labelFiles(run, signature);
  if (kinds.some(needsCalibration)) yield* warnOfChanges(run, workers);
  const isInt8 = kinds.some(({ precision }) => precision === 'int8');
  const calibration = kinds.some(needsCalibration) ? yield* calibrate(run, isInt8, workers) : undefined;
  const built = kinds.map((kind): Built => {
    if (format === 'onnx') return { kind, name: runFiles.onnx, runtime: 'onnx', bytes: buildOnnx(run) };
    return { kind, name: fileName(kind), runtime: 'tflite', bytes: buildTflite(run, kind, calibration, options) };
  });
  const result = yield* measure(run, built, folder, maxDrop, workers, Object.keys(labels));
  await writeFiles(result, built, labels);
  const refused = result.files.filter(file => file.refused !== null);
  if (refused.length > 0 && (wanted !== undefined || refused.length === built.length)) {
    throw new GraftError(
      'proof-failed',
      refused.map(({ file, refused }) => `${file} was not written: ${refused}.`).join('\n'),
      maxDropHint(refused),
    );
  }
  yield { type: 'result', result };
}

/** A file before it is proven. */
interface Built extends ModelFile {
  readonly kind: FileKind;
  readonly name: string;
}

/** Calibration looks at the training photos as they are now: says so where they are not what they were. */
async function* warnOfChanges(run: TrainedRun, workers: number): Steps<void> {
  const used = new Set(calibrationPhotos(run).map(({ file }) => file));
  const photos = run.manifest.photos.filter(photo => used.has(resolve(run.data, photo.path)));
  const changed = yield* findChanged(photos, { data: run.data, workers });
  if (changed.length === 0) return;
  const message =
    `${changed.length} of the ${photos.length} training photos for calibration are not what they were when the run was started ` +
    `(${changed[0]}): dynamic and int8 files will not be the same as before.`;
  yield { type: 'warning', message };
}

/** Throws `no-access` when nothing can be written into the folder, or into the one that it would be made in. */
async function requireWritable(folder: string): Promise<void> {
  for (let place = resolve(folder); ; place = dirname(place)) {
    try {
      return await access(place, constants.W_OK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || place === dirname(place)) {
        throw explainSystemError(error, place);
      }
    }
  }
}

function maxDropHint(refused: readonly ExportedFile[]): string {
  return refused.every(({ precision }) => mayLose(precision))
    ? 'Use another precision, or allow more with --max-drop.'
    : 'Please report this with the run; the file is not safe to use.';
}

async function* measure(
  run: TrainedRun,
  built: readonly Built[],
  folder: string,
  maxDrop: number,
  workers: number,
  labels: readonly string[],
): Steps<ExportRunResult> {
  const photos = labelledFiles(run.manifest, 'validation', run.data);
  const { camera = 'none' } = run.provenance;
  const classifiers = startClassifiers(Math.min(workers, photos.length), ['onnx', 'tflite']);
  try {
    const { validation, figures } = yield* prove(run, run.onnx, built, photos, classifiers, camera);
    const files = built.map(({ kind, name, runtime, bytes }, i): ExportedFile => {
      const bounds = boundsOf(kind.precision, maxDrop);
      const refused = objectionTo(figures[i]!, bounds, validation.accuracy) ?? null;
      return { file: name, format: runtime, ...kind, bytes: bytes.length, ...figures[i]!, refused };
    });
    return {
      run: run.folder,
      folder,
      accuracy: validation.accuracy,
      images: photos.length,
      camera,
      max_drop: 100 * maxDrop,
      files,
      recommended: recommend(files),
      labels,
    };
  } finally {
    await classifiers.close();
  }
}

function recommend(files: readonly ExportedFile[]): string | null {
  const sound = files.filter(file => file.refused === null);
  // Runtimes of before 2024 have other kernels for dynamic files, ten times slower: LiteRT's time says nothing of a robot's.
  const steady = sound.filter(file => file.precision !== 'dynamic');
  const passed = steady.length > 0 ? steady : sound;
  const fastest = Math.min(...passed.map(file => file.latency_ms.median));
  const quick = passed.filter(file => file.latency_ms.median <= fastest * (1 + SAME_TIME));
  return quick.sort((a, b) => a.bytes - b.bytes)[0]?.file ?? null;
}

/** Names and texts of the labels beside the files. */
function labelFiles({ provenance }: TrainedRun, signature: Signature): Record<string, string> {
  const { classes } = provenance;
  const plain = { [runFiles.labels]: labelsText(classes) };
  return signature === 'detector' ? { ...plain, [runFiles.robotLabels]: robotLabels(classes) } : plain;
}

async function writeFiles(
  { run, folder, files, ...figures }: ExportRunResult,
  built: readonly Built[],
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  await mkdir(folder, { recursive: true }).catch(error => {
    throw explainSystemError(error, folder);
  });
  await dropUnfinishedOf(
    folder,
    built.map(({ name }) => name),
  );
  for (const [i, { name, bytes }] of built.entries()) {
    const path = join(folder, name);
    if (files[i]!.refused === null) await writeWhole(path, bytes);
    // A file of an earlier export that does not pass now must not stay; what training has proven does.
    else if (resolve(folder) !== resolve(run) || (name !== runFiles.tflite && name !== runFiles.onnx)) {
      await rm(path, { force: true }).catch(error => {
        throw explainSystemError(error, path);
      });
    }
  }
  for (const [name, text] of Object.entries(labels)) await writeWhole(join(folder, name), text);
  const table = join(folder, runFiles.exports);
  const earlier = (await readTable(table)).filter(entry => !files.some(({ file }) => file === entry.file));
  const { accuracy, images, camera } = figures;
  await writeJson(table, { trained_model: { accuracy, images, camera }, files: [...earlier, ...files] });
}

/** The files of an exports.json; none when there is no such file, or it holds something else. */
async function readTable(path: string): Promise<readonly ExportedFile[]> {
  try {
    const table = JSON.parse(await readFile(path, 'utf8')) as {
      readonly files?: readonly (ExportedFile | null)[];
    } | null;
    return Array.isArray(table?.files) ? table.files.filter(entry => typeof entry?.file === 'string') : [];
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw explainSystemError(error, path);
  }
}
