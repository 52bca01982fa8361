// A finished run, opened again: the trained network with its photos, so that more files can be made of it.
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { loadManifest, type Manifest } from '../dataset/manifest.ts';
import { float32 } from '../tensor/tensor.ts';
import { loadTrained } from '../train/checkpoint.ts';
import type { HeadWeights } from '../train/head.ts';
import type { BackboneCard } from '../zoo/card.ts';
import { findCard } from '../zoo/cards.ts';
import type { LinearHead } from '../zoo/graphs.ts';
import { loadWeights } from '../zoo/load-weights.ts';
import type { Parameters } from '../zoo/parameters.ts';
import { cacheFolder } from './cache-folder.ts';
import type { Provenance } from './provenance.ts';
import { readModel } from './read-model.ts';
import { runFiles } from './run-folder.ts';
import { hashDataset } from './train-dataset.ts';

/** The trained network as it can be built again. */
export interface TrainedNetwork {
  /** With the input size of the run. */
  readonly card: BackboneCard;
  readonly parameters: Parameters;
  readonly head: LinearHead;
  readonly provenance: Provenance;
}

/** The head in the shape that graphs take: weights [classes, features] and biases [classes]. */
export function linearHead({ weight, bias }: HeadWeights): LinearHead {
  const classes = bias.length;
  return { weight: float32([classes, weight.length / classes], weight), bias: float32([classes], bias) };
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
  const { weights: file, photos } = await readArgs(folder);
  const { validation, isTuned } = await readMetrics(folder);
  const card = { ...findCard(provenance.backbone), preprocess: provenance.preprocess };
  const manifest = await loadManifest(join(folder, runFiles.manifest));
  if (hashDataset(manifest) !== provenance.dataset) {
    throw new GraftError(
      'bad-run',
      `${join(folder, runFiles.manifest)} does not list the photos that the model was trained on.`,
      'Train anew, or put the manifest of the run back.',
    );
  }
  const weights = yield* loadWeights(card, cacheFolder(), file);
  if (weights.sha256 !== provenance.weights) {
    throw new GraftError(
      'bad-run',
      `The run started from weights with the sha256 ${provenance.weights}, and ${file ?? card.name} has ${weights.sha256}.`,
      'Put the weights file of the run back.',
    );
  }
  const identity = { dataset: provenance.dataset, weights: provenance.weights, classes: provenance.classes };
  const { head, tuned } = await loadTrained(join(folder, runFiles.weights), identity, isTuned);
  return {
    folder,
    card,
    parameters: new Map([...weights.parameters, ...tuned]),
    head: linearHead(head),
    provenance: { ...provenance, ...(validation && { validation }) },
    manifest,
    data: resolve(data ?? photos),
    onnx,
  };
}

/** What metrics.json says: whether there was fine-tuning, and what was measured (undefined where an older version wrote it). */
async function readMetrics(folder: string): Promise<{ isTuned: boolean; validation: Provenance['validation'] }> {
  const metrics = (await readJson(join(folder, runFiles.metrics))) as {
    readonly fine_tuning?: unknown;
    readonly chosen_on?: { readonly accuracy?: unknown };
    readonly validation?: { readonly images?: unknown };
  } | null;
  const accuracy = metrics?.chosen_on?.accuracy;
  const images = metrics?.validation?.images;
  return {
    isTuned: Boolean(metrics?.fine_tuning),
    validation: typeof accuracy === 'number' && typeof images === 'number' ? { accuracy, images } : undefined,
  };
}

/** What args.json says of the run's files. */
async function readArgs(folder: string): Promise<{ weights?: string; photos: string }> {
  const file = join(folder, runFiles.args);
  const args = (await readJson(file)) as { readonly settings?: { data?: unknown; weights?: unknown } } | null;
  const settings = args?.settings;
  if (typeof settings?.data !== 'string') {
    throw new GraftError('bad-run', `${file} does not say where the photos are.`, 'Train anew with this version.');
  }
  return { photos: settings.data, ...(typeof settings.weights === 'string' && { weights: settings.weights }) };
}

/** The value in a JSON file; null when it holds none. */
async function readJson(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch(error => {
    throw explainSystemError(error, file);
  });
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
