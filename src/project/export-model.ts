// Export: the trained network as model.onnx and model.tflite, and the proof that the latter says the same.
import { readFile, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { aheadOf } from '../base/ahead.ts';
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { writeWhole } from '../base/files.ts';
import { measureLatency, runLiteRt } from '../engine/litert-pool.ts';
import { openSession, type Session } from '../engine/session.ts';
import { type Agreement, compareProbabilities, MAX_DIFFERENCE, MIN_MARGIN } from '../evaluate/agreement.ts';
import { argMax, type Metrics, measurePredictions } from '../evaluate/metrics.ts';
import { decodePhoto } from '../image/decode.ts';
import { writeOnnx } from '../onnx/write.ts';
import { float32 } from '../tensor/tensor.ts';
import { lowerToTflite } from '../tflite/lower.ts';
import { writeTflite } from '../tflite/write.ts';
import type { TrainedHead } from '../train/head.ts';
import type { BackboneCard } from '../zoo/card.ts';
import { buildClassifierGraph } from '../zoo/graphs.ts';
import type { Parameters } from '../zoo/parameters.ts';
import { toSigned } from './open-model.ts';
import { PROVENANCE_KEY, type Provenance } from './provenance.ts';
import { runFiles } from './run-folder.ts';

/** What is exported and what it is proven on. */
export interface ExportJob {
  readonly folder: string;
  readonly card: BackboneCard;
  readonly parameters: Parameters;
  readonly head: Pick<TrainedHead, 'weight' | 'bias'>;
  readonly provenance: Provenance;
  /** Validation photos with their class index. */
  readonly photos: readonly { readonly file: string; readonly label: number }[];
  /** Photos decoded at a time, and processes that run LiteRT. */
  readonly workers: number;
  /** Called when the files are written and the proof begins. */
  readonly onWritten: () => void;
}

/** The proof's figures; accuracies and agreement in 0..1, latency in milliseconds with one thread. */
export interface ProofFigures {
  /** Accuracy of the file in LiteRT. */
  readonly accuracy: number;
  /** Largest absolute difference of a probability from the trained model's. */
  readonly max_difference: number;
  readonly top_class_agreement: number;
  readonly images: number;
  readonly latency_ms: { readonly median: number; readonly p95: number };
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
 * Writes model.onnx, labels.txt and model.tflite.unproven, runs both models on the photos, and gives the file its name:
 * model.tflite when it agrees, model.tflite.rejected when it does not.
 * @throws GraftError `proof-failed` with the figures.
 */
export async function* exportModel(job: ExportJob): Steps<ExportResult> {
  const { folder, provenance, photos } = job;
  const { classes, preprocess } = provenance;
  const card = { ...job.card, preprocess };
  const width = job.head.weight.length / classes.length;
  const head = {
    weight: float32([classes.length, width], job.head.weight),
    bias: float32([classes.length], job.head.bias),
  };
  const description = JSON.stringify(provenance);
  const onnx = writeOnnx(buildClassifierGraph(card, job.parameters, head, 'uint8', { [PROVENANCE_KEY]: description }));
  const lowered = lowerToTflite(buildClassifierGraph(card, job.parameters, head, 'signed'));
  const entry = { name: PROVENANCE_KEY, data: new TextEncoder().encode(description) };
  const tflite = writeTflite({
    ...lowered,
    description: `${card.title}: ${classes.join(', ')}`.slice(0, 1000),
    metadata: [...lowered.metadata, entry],
  });
  await rm(join(folder, runFiles.tflite), { force: true });
  await rm(join(folder, `${runFiles.tflite}.rejected`), { force: true });
  await writeWhole(join(folder, runFiles.onnx), onnx);
  await writeWhole(join(folder, runFiles.labels), `${classes.join('\n')}\n`);
  job.onWritten();

  const session = await openSession(onnx);
  const decoded = aheadOf(photos, job.workers, async ({ file }) => {
    return decodePhoto(await readFile(file), preprocess).catch((error: unknown) => error);
  });
  const modelSays: Float32Array[] = [];
  const fileSays: Float32Array[] = [];
  try {
    const runs = runLiteRt(
      tflite,
      photos.length,
      async i => {
        const pixels = await decoded(i);
        if (!(pixels instanceof Uint8Array)) throw pixels;
        modelSays[i] = await classifyPixels(session, pixels, preprocess.size);
        return toSigned(pixels);
      },
      { workers: job.workers },
    );
    yield { type: 'progress', stage: 'proof', done: 0, total: photos.length, unit: 'photos' };
    let done = 0;
    for await (const { index, outputs } of runs) {
      fileSays[index] = outputs[0] as Float32Array;
      yield { type: 'progress', stage: 'proof', done: ++done, total: photos.length, unit: 'photos' };
    }
  } finally {
    await session.close();
  }

  const truth = photos.map(({ label }) => label);
  const agreement = compareProbabilities(modelSays, fileSays);
  const result: ExportResult = {
    validation: measurePredictions(truth, modelSays.map(argMax), classes),
    proof: {
      accuracy: measurePredictions(truth, fileSays.map(argMax), classes).accuracy,
      max_difference: agreement.max_difference,
      top_class_agreement: agreement.top_class_agreement,
      images: agreement.images,
      latency_ms: await measureLatency(tflite),
    },
    size: tflite.length,
  };
  if (!agreement.passed) {
    const rejected = join(folder, `${runFiles.tflite}.rejected`);
    await writeWhole(rejected, tflite);
    throw new GraftError(
      'proof-failed',
      explain(agreement, rejected),
      'Please report this with the file; it is not safe to use.',
    );
  }
  await writeWhole(join(folder, runFiles.tflite), tflite);
  return result;
}

async function classifyPixels(session: Session, data: Uint8Array, size: number): Promise<Float32Array> {
  const image = { dtype: 'uint8', shape: [1, size, size, 3], data } as const;
  return (await session.run({ image })).probabilities!.data as Float32Array;
}

function explain({ disagreements, images, max_difference }: Agreement, file: string): string {
  return (
    `${basename(file)}: LiteRT and the trained model disagree: the top class differs on ${disagreements.length} of ${images} photos ` +
    `with a margin over ${100 * MIN_MARGIN} %, and the largest difference of a probability is ${max_difference.toExponential(1)} ` +
    `(${MAX_DIFFERENCE} is allowed).`
  );
}
