// The export at the end of training: model.onnx and model.tflite, and the proof that the latter says the same.
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { writeWhole } from '../base/files.ts';
import type { Metrics } from '../evaluate/metrics.ts';
import type { Classifiers } from './classify-files.ts';
import { buildOnnx } from './onnx-file.ts';
import { boundsOf, type LabelledFile, objectionTo, type ProofFigures, prove } from './proof.ts';
import { runFiles } from './run-folder.ts';
import { buildTflite, labelsText, plainFile } from './tflite-file.ts';
import type { TrainedNetwork } from './trained-run.ts';

/** What is exported and what it is proven on. */
export interface ExportJob {
  readonly folder: string;
  readonly network: TrainedNetwork;
  /** Validation photos. */
  readonly photos: readonly LabelledFile[];
  /** Threads for the proof, which have not been given models yet. */
  readonly classifiers: Classifiers;
  /** Called when the files are written and the proof begins. */
  readonly onWritten: () => void;
}

/** What an export gives. */
export interface ExportResult {
  /** The trained model (model.onnx in ONNX Runtime) on the photos. */
  readonly validation: Metrics;
  readonly proof: ProofFigures;
  /** Bytes of model.tflite. */
  readonly size: number;
}

/**
 * Writes model.onnx and labels.txt, runs both models on the photos, and only then writes the TFLite file: as model.tflite
 * when it agrees, as model.tflite.rejected when it does not.
 * @throws GraftError `proof-failed` with the figures.
 */
export async function* exportModel(job: ExportJob): Steps<ExportResult> {
  const { folder, network } = job;
  const onnx = buildOnnx(network);
  const tflite = buildTflite(network, plainFile);
  const file = join(folder, runFiles.tflite);
  await rm(file, { force: true });
  await rm(`${file}.rejected`, { force: true });
  await writeWhole(join(folder, runFiles.onnx), onnx);
  await writeWhole(join(folder, runFiles.labels), labelsText(network.provenance.classes));
  job.onWritten();

  const files = [{ runtime: 'tflite', bytes: tflite }] as const;
  const { validation, figures } = yield* prove(network, onnx, files, job.photos, job.classifiers);
  const [proof] = figures as [ProofFigures];
  const objection = objectionTo(proof, boundsOf(plainFile.precision, 0), validation.accuracy);
  if (objection) {
    await writeWhole(`${file}.rejected`, tflite);
    throw new GraftError(
      'proof-failed',
      `${basename(file)}.rejected: LiteRT and the trained model disagree: ${objection}.`,
      'Please report this with the file; it is not safe to use.',
    );
  }
  await writeWhole(file, tflite);
  return { validation, proof, size: tflite.length };
}
