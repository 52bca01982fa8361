// The backbone that a user names: of the zoo, on the Hugging Face Hub, or in a model file.
import { stat } from 'node:fs/promises';
import { explainSystemError, GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import type { Preprocess } from '../image/preprocess.ts';
import type { PixelOptions } from '../import/find-preprocess.ts';
import { openModelFile } from '../import/open-model.ts';
import type { Backbone, WeightsOrigin } from '../zoo/backbone.ts';
import { buildBackbone } from '../zoo/build-backbone.ts';
import type { BackboneCard } from '../zoo/card.ts';
import { findCard } from '../zoo/cards.ts';
import { HUB_PREFIX, parseHubName, resolveHubModel, suggestHub } from '../zoo/hub.ts';
import { loadWeights } from '../zoo/load-weights.ts';
import { recogniseVariant } from '../zoo/rename-parameters.ts';

/** What says which backbone; `TrainOptions` describes each. */
export interface BackboneChoice extends Pick<PixelOptions, 'pixels'> {
  readonly model: string;
  readonly weights?: string | undefined;
  readonly offline?: boolean | undefined;
  readonly imgsz?: number | undefined;
  /** That of the run that the backbone is opened for again; what is found now does not matter then. */
  readonly preprocess?: Preprocess | undefined;
}

/** Whether a model's name is one of the Hub's. */
export const isHubModel = (model: string): boolean => model.startsWith(HUB_PREFIX);

/** How files of models end, those too that are refused with a word of what to do. */
const MODEL_SUFFIX = /\.(onnx|tflite|lite|pt|pth|bin|pkl|h5|hdf5|keras|pb|gguf|safetensors|ckpt|zip)$/i;

/** Whether a model's name is the path of a file. */
export const isModelFile = (model: string): boolean =>
  !isHubModel(model) && (/[\\/]/.test(model) || MODEL_SUFFIX.test(model));

/**
 * Looks whether a model's name can be one, before anything that takes time.
 * @throws GraftError `not-found`, `no-access` for a file, `usage` for a name on the Hub.
 */
export async function checkModelName(model: string): Promise<void> {
  if (isHubModel(model)) parseHubName(model);
  if (!isModelFile(model)) return;
  await stat(model).catch(error => {
    const hub = suggestHub(model);
    const known = explainSystemError(error, model);
    if (!(known instanceof GraftError) || hub === undefined) throw known;
    throw new GraftError(known.code, known.message, `Of a model on the Hugging Face Hub, say --model ${hub}.`, error);
  });
}

/** A backbone, and the name that stands for this very one from now on: of a repository it has the commit. */
export interface OpenedBackbone {
  readonly backbone: Backbone;
  readonly model: string;
}

/**
 * Opens a backbone with its weights, fetching what is not there yet.
 * @param cacheFolder graft's cache.
 * @throws GraftError `usage`, `offline`, `bad-weights`, `bad-model`, `unsupported-op`, `not-found`.
 */
export async function* openBackbone(choice: BackboneChoice, cacheFolder: string): Steps<OpenedBackbone> {
  const { model, offline } = choice;
  if (isModelFile(model)) return { model, backbone: yield* openFile(model, choice) };
  if (!isHubModel(model)) {
    const card = findCard(model);
    const { backbone, commit } = yield* openCard(card, choice, cacheFolder);
    return { model: commit === undefined ? model : `${card.name}@${commit}`, backbone };
  }
  const found = yield* resolveHubModel(model, cacheFolder, offline);
  if (found.kind === 'card') {
    requireNoPixels(choice, found.card.title);
    const { backbone } = yield* openCard(found.card, choice, cacheFolder);
    return { model: found.pinned, backbone };
  }
  const backbone = yield* openFile(found.file, choice, found.folder);
  const { repo, revision } = parseHubName(found.pinned);
  const weights: WeightsOrigin = {
    ...backbone.weights,
    ...(found.licence !== undefined && { licence: found.licence }),
    origin: `${repo.name} on the Hugging Face Hub, commit ${revision}.`,
  };
  return {
    model: found.pinned,
    backbone: { ...backbone, name: repo.name.replace('/', '_'), title: repo.name, weights },
  };
}

/** Networks of the zoo say themselves how they want their pixels. */
export function requireNoPixels({ model, pixels }: BackboneChoice, title: string): void {
  if (pixels === undefined) return;
  throw new GraftError(
    'usage',
    `pixels is set, but the model ${model} is ${title}, which says itself how it wants its pixels.`,
    'Leave --pixels out.',
  );
}

/** A card's network with its own weights, or with others from a file. */
async function* openCard(
  card: BackboneCard,
  { weights, offline, imgsz, preprocess }: BackboneChoice,
  cacheFolder: string,
): Steps<{ readonly backbone: Backbone; readonly commit: string | undefined }> {
  const { parameters, file, sha256, commit } = yield* loadWeights(card, cacheFolder, { file: weights, offline });
  const { licence, origin } = card.weights;
  if (weights !== undefined) {
    const { architecture, naming, epsilon, padding } = recogniseVariant(card, parameters);
    const message = `The weights are read as ${naming} trains ${architecture}: epsilon ${epsilon}, ${padding} padding.`;
    yield { type: 'note', message };
  }
  // The card's licence and origin are not those of a file that the user brought.
  const said = weights === undefined ? { licence, origin } : {};
  const asked = preprocess ?? { ...card.preprocess, ...(imgsz !== undefined && { size: imgsz }) };
  const backbone = buildBackbone({ ...card, preprocess: asked }, { parameters, origin: { file, sha256, ...said } });
  return { backbone, commit: weights === undefined ? commit : undefined };
}

/** The network of somebody's classifier; `companions` as `openModelFile` has it. */
async function* openFile(
  file: string,
  { imgsz, pixels, preprocess }: BackboneChoice,
  companions?: string,
): Steps<Backbone> {
  const { notes, ...backbone } = await openModelFile(file, { size: imgsz, pixels, preprocess, companions });
  for (const message of notes) yield { type: 'note', message };
  return backbone;
}
