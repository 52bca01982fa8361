// A finished run, opened again: the trained network with its photos, so that more files can be made of it.
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { loadManifest, type Manifest } from '../dataset/manifest.ts';
import { float32 } from '../tensor/tensor.ts';
import { loadTrained } from '../train/checkpoint.ts';
import type { HeadWeights } from '../train/head.ts';
import type { Backbone } from '../zoo/backbone.ts';
import type { LinearHead } from '../zoo/graphs.ts';
import { withParameters } from '../zoo/stages.ts';
import { cacheFolder } from './cache-folder.ts';
import { type Fields, fieldsOf, parseFields } from './fields.ts';
import { type BackboneChoice, openBackbone } from './open-backbone.ts';
import { isPixelsName } from './pixels-names.ts';
import { completeProvenance, type Provenance } from './provenance.ts';
import { readModel } from './read-model.ts';
import { runFiles } from './run-folder.ts';
import { hashDataset } from './train-dataset.ts';

/** The trained network as it can be built again. */
export interface TrainedNetwork {
  /** With the input size and the parameters of the run. */
  readonly backbone: Backbone;
  /** With the temperature in it. */
  readonly head: LinearHead;
  readonly provenance: Provenance;
}

/**
 * The head in the shape that graphs take: weights [classes, features] and biases [classes], divided by the temperature.
 * Logits are linear in both, so that every graph that is made of the head is calibrated and needs no operator for it.
 */
export function linearHead({ weight, bias }: HeadWeights, temperature = 1): LinearHead {
  const classes = bias.length;
  const divide = (values: Float32Array) => values.map(value => value / temperature);
  return {
    weight: float32([classes, weight.length / classes], divide(weight)),
    bias: float32([classes], divide(bias)),
  };
}

/** A finished run. */
export interface TrainedRun extends TrainedNetwork {
  readonly folder: string;
  readonly manifest: Manifest;
  /** Folder of the photos. */
  readonly data: string;
  /** The run's model.onnx. */
  readonly onnx: Uint8Array;
}

/**
 * Opens a finished run.
 * @param data where the photos are now. Default: where they were.
 * @throws GraftError `not-found`, `bad-run` or `bad-checkpoint`.
 */
export async function* openTrainedRun(folder: string, data?: string): Steps<TrainedRun> {
  const { runtime, bytes: onnx, provenance } = await readModel(folder);
  if (runtime !== 'onnx') {
    throw new GraftError('bad-run', `${folder} is no run folder.`, 'Name the folder that graft train made.');
  }
  const { photos, ...said } = await readArgs(folder);
  const { validation, isTuned } = await readMetrics(folder);
  const manifest = await loadManifest(join(folder, runFiles.manifest));
  if (hashDataset(manifest) !== provenance.dataset) {
    throw new GraftError(
      'bad-run',
      `${join(folder, runFiles.manifest)} does not list the photos that the model was trained on.`,
      'Train anew, or put the manifest of the run back.',
    );
  }
  const { preprocess } = provenance;
  const choice = { model: provenance.backbone, ...said, imgsz: preprocess.size, preprocess };
  const { backbone } = yield* openBackbone(choice, cacheFolder());
  const { sha256, file } = backbone.weights;
  if (sha256 !== provenance.weights) {
    throw new GraftError(
      'bad-run',
      `The run started from weights with the sha256 ${provenance.weights}, and ${file} has ${sha256}.`,
      'Put the file of the run back.',
    );
  }
  const identity = { dataset: provenance.dataset, weights: provenance.weights, classes: provenance.classes };
  const { head, tuned } = await loadTrained(join(folder, runFiles.weights), identity, isTuned);
  return {
    folder,
    backbone: tuneBackbone(folder, backbone, tuned),
    head: linearHead(head, provenance.temperature),
    provenance: completeProvenance(provenance, { ...provenance, validation }),
    manifest,
    data: resolve(data ?? photos),
    onnx,
  };
}

/** The backbone with what fine-tuning made of its parameters. */
function tuneBackbone(folder: string, backbone: Backbone, tuned: Parameters<typeof withParameters>[1]): Backbone {
  try {
    return withParameters(backbone, tuned);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new GraftError(
      'bad-checkpoint',
      `The weights in ${join(folder, runFiles.weights)} are not of this run: ${error.message}`,
      'Train anew.',
    );
  }
}

/** What metrics.json says: whether there was fine-tuning, and what was measured (undefined where an older version wrote it). */
async function readMetrics(folder: string): Promise<{ isTuned: boolean; validation: Provenance['validation'] }> {
  const metrics = await readFields(join(folder, runFiles.metrics));
  const { accuracy } = fieldsOf(metrics.chosen_on);
  const { images } = fieldsOf(metrics.validation);
  return {
    isTuned: Boolean(metrics.fine_tuning),
    validation: typeof accuracy === 'number' && typeof images === 'number' ? { accuracy, images } : undefined,
  };
}

/** What args.json says of the run's files. */
export async function readArgs(folder: string): Promise<{ photos: string } & Partial<BackboneChoice>> {
  const file = join(folder, runFiles.args);
  const { data, model, weights, pixels } = fieldsOf((await readFields(file)).settings);
  if (typeof data !== 'string') {
    throw new GraftError('bad-run', `${file} does not say where the photos are.`, 'Train anew with this version.');
  }
  return {
    photos: data,
    ...(typeof model === 'string' && { model }),
    ...(typeof weights === 'string' && { weights }),
    ...(isPixelsName(pixels) && { pixels }),
  };
}

async function readFields(file: string): Promise<Fields> {
  const text = await readFile(file, 'utf8').catch(error => {
    throw explainSystemError(error, file);
  });
  return parseFields(text);
}
