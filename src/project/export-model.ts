// Export: the trained network as model.onnx and model.tflite, and the proof that the latter says the same.
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { writeWhole } from '../base/files.ts';
import { type Agreement, compareProbabilities, MAX_DIFFERENCE, MIN_MARGIN } from '../evaluate/agreement.ts';
import { argMax, type Metrics, measurePredictions } from '../evaluate/metrics.ts';
import { writeOnnx } from '../onnx/write.ts';
import { float32 } from '../tensor/tensor.ts';
import { lowerToTflite } from '../tflite/lower.ts';
import { writeTflite } from '../tflite/write.ts';
import type { TrainedHead } from '../train/head.ts';
import type { BackboneCard } from '../zoo/card.ts';
import { buildClassifierGraph } from '../zoo/graphs.ts';
import type { Parameters } from '../zoo/parameters.ts';
import { type Classifiers, classifyWith, measureModel } from './classify-files.ts';
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
  /** Threads for the proof, which have not been given models yet. */
  readonly classifiers: Classifiers;
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
 * Writes model.onnx and labels.txt, runs both models on the photos, and only then writes the TFLite file: as model.tflite
 * when it agrees, as model.tflite.rejected when it does not.
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

  const modelSays: Float32Array[] = [];
  const fileSays: Float32Array[] = [];
  const models = [
    { runtime: 'onnx', bytes: onnx },
    { runtime: 'tflite', bytes: tflite },
  ] as const;
  const files = photos.map(({ file }) => file);
  let done = 0;
  yield { type: 'progress', stage: 'proof', done, total: photos.length, unit: 'photos' };
  job.classifiers.equip({ models, preprocess, classes: classes.length });
  for await (const outcome of classifyWith(job.classifiers, files)) {
    if ('reason' in outcome) throw new GraftError('bad-photo', outcome.reason, outcome.hint);
    [modelSays[outcome.index], fileSays[outcome.index]] = outcome.probabilities as [Float32Array, Float32Array];
    yield { type: 'progress', stage: 'proof', done: ++done, total: photos.length, unit: 'photos' };
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
      latency_ms: await measureModel(job.classifiers, 1),
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

function explain({ disagreements, images, max_difference }: Agreement, file: string): string {
  return (
    `${basename(file)}: LiteRT and the trained model disagree: the top class differs on ${disagreements.length} of ${images} photos ` +
    `with a margin over ${100 * MIN_MARGIN} %, and the largest difference of a probability is ${max_difference.toExponential(1)} ` +
    `(${MAX_DIFFERENCE} is allowed).`
  );
}
