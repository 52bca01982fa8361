// hf:owner/name: a model repository on the Hugging Face Hub becomes a card of the zoo with that repository's weights, or a
// model file where the architecture is none of the zoo's.
import { readFile } from 'node:fs/promises';
import { GraftError } from '../base/errors.ts';
import type { Steps } from '../base/events.ts';
import { type CachedFile, cachedCommit, findCached, snapshotFolder, writeRef } from '../hub/cache.ts';
import { describeRevision } from '../hub/describe.ts';
import { fetchHubFile } from '../hub/fetch-file.ts';
import { type HubRepo, isCommit, isRepoName, parseRepo } from '../hub/repo.ts';
import { type HubSettings, readHubSettings } from '../hub/settings.ts';
import { addCached, CONFIG_FILE, isCachedBackbone, MAX_CONFIG_BYTES, ONNX_FILES, WEIGHTS_FILE } from './cached.ts';
import type { BackboneCard } from './card.ts';
import { cards, findTimmCard } from './cards.ts';
import { checkConfig, readKernel, readLicence, readTimmConfig, type TimmConfig } from './hub-config.ts';
import { MAX_WEIGHTS_BYTES } from './weights-file.ts';

/** What stands before the name of a repository. */
export const HUB_PREFIX = 'hf:';

/** What a repository holds. */
export type HubModel = {
  /** `hf:owner/name@commit`: the same files for ever. */
  readonly pinned: string;
  /** What the repository's README states; undefined where it states none. */
  readonly licence: string | undefined;
} & (
  | {
      readonly kind: 'card';
      /** With the repository's weights, which are cached, and its pixels: `loadWeights` takes it as it is. */
      readonly card: BackboneCard;
    }
  | {
      readonly kind: 'file';
      /** An .onnx file in the Hub's cache. */
      readonly file: string;
      /** Where the repository's own files are that say how it wants its pixels, if it has any. */
      readonly folder: string;
    }
);

/** What follows the name of a network in ONNX for a file with the weights: of transformers and optimum, and of PyTorch. */
const dataEnds = ['_data', '.data'] as const;
const PREPROCESSOR_FILE = 'preprocessor_config.json';
const README_FILE = 'README.md';
/** Largest README that is read. */
const MAX_README_BYTES = 2 ** 22;
/** Longest name for which another is suggested. */
const MAX_SUGGESTED = 300;

/** The repository and revision of `hf:owner/name[@revision]`. Throws GraftError `usage`. */
export function parseHubName(spec: string): { repo: HubRepo; revision: string } {
  return parseRepo('model', spec.slice(HUB_PREFIX.length));
}

/** Endings of files that may be named with a folder, as a repository is with its owner. */
const FILE = /\.(onnx|tflite|lite|pb|pt|pth|bin|safetensors|gguf|h5|keras|zip)$/i;

/**
 * What was perhaps meant by a name that is no backbone of the zoo and no file that is there: `hf:owner/name` for the name or
 * the address of a repository without that start; undefined where it looks like neither.
 */
export function suggestHub(name: string): string | undefined {
  if (name.length > MAX_SUGGESTED) return undefined;
  const bare = name.replace(/^hf:/i, '');
  const address = /^(?:https?:\/\/)?(?:www\.)?(?:huggingface\.co|hf\.co)\/([^?#]+)/i.exec(bare)?.[1];
  const [owner = '', repo = '', page, branch] = (address ?? bare).split('/');
  const revision = address && branch && (page === 'tree' || page === 'blob') ? `@${branch}` : '';
  const [plain] = repo.split('@');
  if (!isRepoName(`${owner}/${plain}`) || (!address && page !== undefined) || (!address && FILE.test(repo)))
    return undefined;
  const suggested = `${HUB_PREFIX}${owner}/${repo}${revision}`;
  return suggested === name ? undefined : suggested;
}

/**
 * Finds out what `hf:owner/name[@revision]` is, and fetches what is missing of it. Where the newest version cannot be had,
 * the cached one is taken, with a warning.
 * @param cacheFolder graft's cache, for a word about what is in it.
 * @param offline fetch nothing. Default: as HF_HUB_OFFLINE says.
 * @throws GraftError `usage`, `offline`, `no-access`, `not-found`, `bad-model`, `unsupported-op` for an unknown architecture.
 */
export async function* resolveHubModel(spec: string, cacheFolder: string, offline = false): Steps<HubModel> {
  const { repo, revision } = parseHubName(spec);
  const settings = await readHubSettings(offline);
  try {
    return yield* findModel(settings, repo, revision);
  } catch (error) {
    throw await addCached(error, cacheFolder);
  }
}

/** One commit of a repository. */
interface Version {
  readonly settings: HubSettings;
  readonly repo: HubRepo;
  readonly commit: string;
  readonly has: (path: string) => Promise<boolean>;
}

/** The model of a revision: as the Hub has it now, else, with a warning, as the cache last knew it. */
async function* findModel(settings: HubSettings, repo: HubRepo, revision: string): Steps<HubModel> {
  const { cacheFolder } = settings;
  const cached = await openCached(settings, repo, revision);
  if (settings.offline) {
    if (cached && (await hasModel(cached.has))) return yield* describeModel(cached);
    throw new GraftError(
      'offline',
      `${repo.name} is not in the cache (${cacheFolder}), and nothing may be fetched.`,
      'Run the same command once without --offline and HF_HUB_OFFLINE.',
    );
  }
  const usable = cached && (await isCachedBackbone(cacheFolder, repo, cached.commit)) ? cached : undefined;
  if (usable && isCommit(revision)) return yield* describeModel(usable);
  try {
    const newest = await openNewest(settings, repo, revision);
    const model = yield* describeModel(newest);
    // Not before its files are there: until then the revision is the commit that is cached.
    await writeRef(cacheFolder, repo, revision, newest.commit);
    return model;
  } catch (error) {
    if (!(error instanceof GraftError && error.code === 'offline' && usable)) throw error;
    yield { type: 'warning', message: `${error.message} The cached version of ${repo.name} is used.` };
    return yield* describeModel(usable);
  }
}

/** What the cache has of a revision. */
async function openCached(settings: HubSettings, repo: HubRepo, revision: string): Promise<Version | undefined> {
  const { cacheFolder } = settings;
  const commit = await cachedCommit(cacheFolder, repo, revision);
  if (commit === undefined) return undefined;
  const has = async (path: string) => (await findCached(cacheFolder, repo, commit, path)) !== undefined;
  return { settings: { ...settings, offline: true }, repo, commit, has };
}

/** What the Hub has of a revision now. */
async function openNewest(settings: HubSettings, repo: HubRepo, revision: string): Promise<Version> {
  const stop = new AbortController();
  try {
    const { commit, paths } = await describeRevision({ settings, repo, signal: stop.signal }, revision);
    return { settings, repo, commit, has: async path => paths.includes(path) };
  } finally {
    stop.abort();
  }
}

async function hasModel(has: Version['has']): Promise<boolean> {
  if ((await has(CONFIG_FILE)) && (await has(WEIGHTS_FILE))) return true;
  return (await findOnnx(has)) !== undefined;
}

async function findOnnx(has: Version['has']): Promise<string | undefined> {
  for (const path of ONNX_FILES) if (await has(path)) return path;
  return undefined;
}

async function* describeModel(version: Version): Steps<HubModel> {
  const { repo, commit, has } = version;
  const where = (path: string) => `${path} of ${repo.name}`;
  const text = yield* readText(version, CONFIG_FILE, MAX_CONFIG_BYTES);
  const config = text === undefined ? undefined : readTimmConfig(text, where(CONFIG_FILE));
  const card = config?.architecture === undefined ? undefined : findTimmCard(config.architecture);
  const both = {
    pinned: `${HUB_PREFIX}${repo.name}@${commit}`,
    licence: readLicence((yield* readText(version, README_FILE, MAX_README_BYTES)) ?? ''),
  };
  if (config && card && (await has(WEIGHTS_FILE))) {
    checkConfig(config, card, where(CONFIG_FILE));
    const adapted = withRepository(card, config, version, both.licence);
    yield* fetchLarge(version, WEIGHTS_FILE);
    return { ...both, kind: 'card', card: adapted };
  }
  const path = await findOnnx(has);
  if (path === undefined) throw await explainUnknown(version, config);
  // The network last: where it is cached, all that belongs to it is.
  yield* readText(version, PREPROCESSOR_FILE, MAX_CONFIG_BYTES);
  for (const end of dataEnds) if (await has(path + end)) yield* fetchLarge(version, path + end);
  const { file } = yield* fetchLarge(version, path);
  return { ...both, kind: 'file', file, folder: snapshotFolder(version.settings.cacheFolder, repo, commit) };
}

function fetchLarge({ settings, repo, commit }: Version, path: string): Steps<CachedFile> {
  return fetchHubFile(settings, { repo, revision: commit, path, maxBytes: MAX_WEIGHTS_BYTES }, 'model');
}

/** A small file of a version as text; undefined when there is none. Too small for a bar of its own. */
async function* readText(
  { settings, repo, commit, has }: Version,
  path: string,
  maxBytes: number,
): Steps<string | undefined> {
  if (!(await has(path))) return undefined;
  const steps = fetchHubFile(settings, { repo, revision: commit, path, maxBytes }, path);
  for (;;) {
    const { done, value } = await steps.next();
    if (done) return readFile(value.file, 'utf8');
    if (value.type !== 'progress') yield value;
  }
}

function withRepository(
  card: BackboneCard,
  config: TimmConfig,
  { repo, commit }: Version,
  licence: string | undefined,
): BackboneCard {
  const { preprocess } = card;
  const { architecture, size, mean, std } = config;
  return {
    ...card,
    preprocess: {
      ...preprocess,
      size: size ?? preprocess.size,
      mean: mean ?? preprocess.mean,
      std: std ?? preprocess.std,
      kernel: readKernel(config, `${CONFIG_FILE} of ${repo.name}`) ?? preprocess.kernel,
    },
    weights: {
      from: { kind: 'hub', repo: repo.name, file: WEIGHTS_FILE, revision: commit },
      format: 'safetensors',
      // SPDX's word for what nobody states.
      licence: licence ?? 'NOASSERTION',
      origin: `${architecture} of ${repo.name} on the Hugging Face Hub, commit ${commit}.`,
    },
  };
}

/** Says what is there and what would be taken. */
async function explainUnknown({ repo, has }: Version, config: TimmConfig | undefined): Promise<GraftError> {
  const known = cards.flatMap(({ variants }) =>
    variants.filter(({ naming }) => naming === 'timm').map(({ architecture }) => architecture),
  );
  const architecture = config?.architecture;
  const isPickled = (await has('pytorch_model.bin')) && !(await has(WEIGHTS_FILE));
  if (architecture !== undefined && known.includes(architecture)) {
    return new GraftError(
      'bad-weights',
      `${repo.name} has no ${WEIGHTS_FILE}${isPickled ? ', only a Python pickle, and reading one runs whatever code its maker put into it' : ''}.`,
      'Use a repository with safetensors, or export the model to ONNX and name the file.',
    );
  }
  const found = architecture === undefined ? 'names no architecture of timm' : `is a ${architecture}`;
  return new GraftError(
    'unsupported-op',
    `${repo.name} ${found}, and has no ${ONNX_FILES.join(' or ')}.`,
    `Known architectures: ${known.join(', ')}. Of any other, name a repository or a file with an ONNX model.`,
  );
}
