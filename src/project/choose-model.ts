// `--model auto`: tries the backbones that are in the cache on the user's photos and takes the best that is fast and small
// enough.
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import type { Manifest } from '../dataset/manifest.ts';
import { loadLiteRt } from '../engine/litert.ts';
import { measureLatency } from '../engine/litert-latency.ts';
import { lowerToTflite } from '../tflite/lower.ts';
import { writeTflite } from '../tflite/write.ts';
import type { Backbone } from '../zoo/backbone.ts';
import { findCachedWeights } from '../zoo/cached.ts';
import { cards } from '../zoo/cards.ts';
import { buildClassifierGraph, emptyHead } from '../zoo/graphs.ts';
import { AUTO, type Candidate, type ModelChoice, type ModelLimits } from './auto-model.ts';
import { checkNetwork } from './check-network.ts';
import { type FittedSettings, fitSettings } from './fit-settings.ts';
import { openBackbone } from './open-backbone.ts';
import type { TrainSettings } from './train-options.ts';
import { openFeatures, trainOnFeatures } from './train-phase-one.ts';

/** Opens the backbone that the settings name, after choosing it where they ask for that. */
export async function* openChosen<S extends TrainSettings>(
  settings: S,
  manifest: Manifest,
  cacheFolder: string,
): Steps<{ readonly settings: S & FittedSettings; readonly choice: ModelChoice | undefined }> {
  const choice = settings.model === AUTO ? yield* chooseModel(settings, manifest, cacheFolder) : undefined;
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
  const measured: (Omit<Candidate, 'chosen'> & { readonly objection: string | undefined })[] = [];
  const missing: string[] = [];
  for (const card of cards) {
    if ((await findCachedWeights(card, cacheFolder)) === undefined) {
      missing.push(card.name);
      continue;
    }
    const { backbone } = yield* openBackbone({ ...settings, model: card.name }, cacheFolder);
    const cost = await measureCost(backbone, manifest.classes.length);
    const objection = objectionTo(cost, limits) ?? objectionToFreeze(settings, backbone);
    const accuracy = objection ? null : yield* probe(settings, backbone, manifest, cacheFolder);
    measured.push({ name: card.name, ...cost, accuracy, objection });
    const figures = `${cost.latency_ms.toFixed(1)} ms, ${cost.megabytes.toFixed(1)} MB`;
    const told = accuracy === null ? objection : `${(100 * accuracy).toFixed(1)} % right with a linear head`;
    yield { type: 'note', message: `${card.name}: ${figures}: ${told}` };
  }
  if (measured.length === 0) {
    throw new GraftError(
      'offline',
      'No backbone is in the cache that could be tried.',
      'Fetch some while connected: graft models --fetch mobilenet_v3_small,mobilenet_v3_large (graft models lists all).',
    );
  }
  const photos = manifest.photos.filter(({ split }) => split === 'validation').length;
  const model = pick(measured, photos);
  if (!model) {
    const rows = measured.map(({ name, objection }) => `\n  ${name}: ${objection}`);
    throw new GraftError(
      'usage',
      `No cached backbone keeps the limits:${rows.join('')}`,
      `Allow more (--max-latency, --max-size), or use a smaller --imgsz.`,
    );
  }
  const candidates = measured
    .map(({ objection: _, ...candidate }) => ({ ...candidate, chosen: candidate.name === model }))
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

/** The stages that are to stay frozen have to be there. */
function objectionToFreeze({ freeze }: TrainSettings, { stages }: Backbone): string | undefined {
  return freeze < stages.length ? undefined : `it has ${stages.length} stages, and ${freeze} are to stay frozen`;
}

/**
 * Name of the fastest candidate within one standard error of the best accuracy on so many photos. The error is that of two
 * photos right and two wrong more than were seen (Agresti and Coull 1998), since it is not 0 where all are right.
 */
export function pick(candidates: readonly Omit<Candidate, 'chosen'>[], photos: number): string | undefined {
  const fitting = candidates.filter(({ accuracy }) => accuracy !== null);
  const best = Math.max(...fitting.map(({ accuracy }) => accuracy!));
  const expected = (best * photos + 2) / (photos + 4);
  const error = Math.sqrt((expected * (1 - expected)) / photos);
  const good = fitting.filter(({ accuracy }) => accuracy! >= best - error);
  return good.sort((a, b) => a.latency_ms - b.latency_ms)[0]?.name;
}

/** Time and size of the classifier's file, whose head holds nothing yet. */
async function measureCost(backbone: Backbone, classes: number): Promise<Cost> {
  const bytes = writeTflite(lowerToTflite(buildClassifierGraph(backbone, emptyHead(backbone, classes), 'signed')));
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
