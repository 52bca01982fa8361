// `--model auto`: tries the backbones that are in the cache on the user's photos and takes the best that is fast and small
// enough.
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { makeRng } from '../base/rng.ts';
import type { Manifest } from '../dataset/manifest.ts';
import { loadLiteRt } from '../engine/litert.ts';
import { measureLatency } from '../engine/litert-latency.ts';
import { float32 } from '../tensor/tensor.ts';
import { lowerToTflite } from '../tflite/lower.ts';
import { writeTflite } from '../tflite/write.ts';
import type { Backbone } from '../zoo/backbone.ts';
import { findCachedWeights } from '../zoo/cached.ts';
import { cards } from '../zoo/cards.ts';
import { buildClassifierGraph, featureWidth } from '../zoo/graphs.ts';
import { checkNetwork } from './check-network.ts';
import { type FittedSettings, fitSettings } from './fit-settings.ts';
import { AUTO, type ModelLimits } from './model-limits.ts';
import { openBackbone } from './open-backbone.ts';
import type { TrainSettings } from './train-options.ts';
import { openFeatures, trainOnFeatures } from './train-phase-one.ts';

/** A backbone that was looked at. */
export interface Candidate {
  readonly name: string;
  /** Median milliseconds of one photo in LiteRT here, on one thread. */
  readonly latency_ms: number;
  /** Megabytes of the float32 .tflite file. */
  readonly megabytes: number;
  /** Of a linear head on the validation photos, 0..1; null where the backbone is too slow or too large. */
  readonly accuracy: number | null;
  readonly chosen: boolean;
}

/** A choice: the backbone, and all that were looked at, the best first. */
export interface ModelChoice {
  readonly model: string;
  readonly candidates: readonly Candidate[];
  /** Names of the zoo whose weights are not in the cache. */
  readonly missing: readonly string[];
}

/** Opens the backbone that the settings name, after choosing it where they ask for that. */
export async function* openChosen<S extends TrainSettings>(
  settings: S,
  manifest: Manifest,
  cacheFolder: string,
): Steps<{ readonly settings: S & FittedSettings; readonly choice: ModelChoice | null }> {
  const choice = settings.model === AUTO ? yield* chooseModel(settings, manifest, cacheFolder) : null;
  const wanted = choice ? { ...settings, model: choice.model } : settings;
  const { model, backbone } = yield* openBackbone(wanted, cacheFolder);
  const fitted = fitSettings({ ...wanted, model }, backbone);
  checkNetwork(backbone, fitted.fineTune.epochs > 0 ? fitted.freeze : undefined);
  return { settings: fitted, choice };
}

/**
 * Measures every cached backbone of the zoo: the time and the size of its file, and, where it keeps the limits, a linear
 * head on its features of the photos as they are. Takes the fastest of those that are within one standard error of the best
 * accuracy (the one-standard-error rule of Breiman et al. 1984).
 * @throws GraftError `usage` with the table when none keeps the limits, `offline` when nothing is cached.
 */
async function* chooseModel(settings: TrainSettings, manifest: Manifest, cacheFolder: string): Steps<ModelChoice> {
  const { limits } = settings;
  const measured: Omit<Candidate, 'chosen'>[] = [];
  const missing: string[] = [];
  for (const card of cards) {
    if ((await findCachedWeights(card, cacheFolder)) === undefined) {
      missing.push(card.name);
      continue;
    }
    const { backbone } = yield* openBackbone({ ...settings, model: card.name }, cacheFolder);
    const cost = await measureCost(backbone, manifest.classes.length);
    const accuracy = objectionTo(cost, limits) ? null : yield* probe(settings, backbone, manifest, cacheFolder);
    measured.push({ name: card.name, ...cost, accuracy });
    const figures = `${cost.latency_ms.toFixed(1)} ms, ${cost.megabytes.toFixed(1)} MB`;
    const told =
      accuracy === null ? objectionTo(cost, limits)! : `${(100 * accuracy).toFixed(1)} % right with a linear head`;
    yield { type: 'note', message: `${card.name}: ${figures}: ${told}` };
  }
  if (measured.length === 0) {
    throw new GraftError(
      'offline',
      'No backbone is in the cache that could be tried.',
      'Train once with --model mobilenet_v3_small or another name (graft models lists them) while connected.',
    );
  }
  const photos = manifest.photos.filter(({ split }) => split === 'validation').length;
  const model = pick(measured, photos);
  if (!model) {
    const rows = measured.map(({ name, ...cost }) => `\n  ${name}: ${objectionTo(cost, limits)}`);
    throw new GraftError(
      'usage',
      `No cached backbone keeps the limits:${rows.join('')}`,
      `Allow more (--max-latency, --max-size), or use a smaller --imgsz.`,
    );
  }
  const candidates = measured
    .map(candidate => ({ ...candidate, chosen: candidate.name === model }))
    .sort((a, b) => (b.accuracy ?? -1) - (a.accuracy ?? -1) || a.latency_ms - b.latency_ms);
  return { model, candidates, missing };
}

type Cost = Pick<Candidate, 'latency_ms' | 'megabytes'>;

/** Why a backbone does not keep the limits. */
function objectionTo({ latency_ms, megabytes }: Cost, { maxLatency, maxSize }: ModelLimits): string | undefined {
  if (maxLatency !== undefined && latency_ms > maxLatency) {
    return `${latency_ms.toFixed(1)} ms a photo here, and ${maxLatency} ms are allowed`;
  }
  if (maxSize !== undefined && megabytes > maxSize) {
    return `${megabytes.toFixed(1)} MB, and ${maxSize} MB are allowed`;
  }
  return undefined;
}

/** Name of the fastest candidate within one standard error of the best accuracy on so many photos. */
export function pick(candidates: readonly Omit<Candidate, 'chosen'>[], photos: number): string | undefined {
  const fitting = candidates.filter(({ accuracy }) => accuracy !== null);
  const best = Math.max(...fitting.map(({ accuracy }) => accuracy!));
  const error = Math.sqrt((best * (1 - best)) / photos);
  const good = fitting.filter(({ accuracy }) => accuracy! >= best - error);
  return good.sort((a, b) => a.latency_ms - b.latency_ms)[0]?.name;
}

/** Time and size of the classifier's file, whose head holds nothing yet. */
async function measureCost(backbone: Backbone, classes: number): Promise<Cost> {
  const width = featureWidth(backbone);
  const rng = makeRng(0, 'head');
  const weight = float32(
    [classes, width],
    Float32Array.from({ length: classes * width }, () => 0.01 * rng.normal()),
  );
  const head = { weight, bias: float32([classes], new Float32Array(classes)) };
  const bytes = writeTflite(lowerToTflite(buildClassifierGraph(backbone, head, 'signed')));
  const model = await loadLiteRt(bytes);
  try {
    const { median } = await measureLatency(model);
    return { latency_ms: median, megabytes: bytes.length / 1e6 };
  } finally {
    model.close();
  }
}

/** Accuracy on the validation photos of a head on the features of the photos as they are. */
async function* probe(
  settings: TrainSettings,
  backbone: Backbone,
  manifest: Manifest,
  cacheFolder: string,
): Steps<number> {
  const fitted = fitSettings({ ...settings, views: 0, freeze: 0, cutViews: 0 }, backbone);
  const features = yield* openFeatures(fitted, manifest, cacheFolder);
  try {
    const { epochs, bestEpoch } = yield* trainOnFeatures(fitted, features);
    return epochs[bestEpoch - 1]!.validationAccuracy;
  } finally {
    await features.cache.close();
  }
}
