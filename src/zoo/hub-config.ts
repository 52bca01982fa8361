// What a model repository says of its network, in config.json and preprocessor_config.json, checked type by type.
import { GraftError } from '../base/errors.ts';
import type { BackboneCard } from './card.ts';

/** How a network wants its pixels, as far as a repository says it. */
export interface HubPixels {
  /** Side of the input. */
  readonly size?: number;
  /** Of values from 0 to 1: the network reads (x / 255 - mean) / std. */
  readonly mean?: readonly [number, number, number];
  readonly std?: readonly [number, number, number];
}

/** config.json of timm, in its new form or the flat one of old. */
export interface TimmConfig extends HubPixels {
  /** timm's name without the recipe; undefined where another library made the file. */
  readonly architecture: string | undefined;
  readonly numFeatures: number | undefined;
  readonly firstConv: string | undefined;
  readonly classifier: string | undefined;
  /** Names of what was changed in the architecture. */
  readonly changes: readonly string[];
}

type Json = Readonly<Record<string, unknown>>;

/** Sides that are taken, in pixels. */
const MIN_SIZE = 16;
const MAX_SIZE = 2048;

/** What a model may be made with that does not change its parameters or what is computed from them. */
const harmless = new Set(['num_classes', 'drop_rate', 'drop_path_rate', 'pretrained', 'global_pool']);

/** Reads config.json. `where` names it in errors. */
export function readTimmConfig(text: string, where: string): TimmConfig {
  const config = parse(text, where);
  const said = config.pretrained_cfg === undefined ? config : object(config.pretrained_cfg, 'pretrained_cfg', where);
  const args = config.model_args === undefined ? {} : object(config.model_args, 'model_args', where);
  return {
    architecture: name(config.architecture, 'architecture', where),
    numFeatures: number(config.num_features, 'num_features', where),
    firstConv: name(said.first_conv, 'first_conv', where),
    classifier: name(said.classifier, 'classifier', where),
    changes: Object.keys(args).filter(key => !harmless.has(key)),
    ...given({
      size: readInputSize(said.input_size, where),
      mean: triple(said.mean, 'mean', where),
      std: deviations(triple(said.std, 'std', where), where),
    }),
  };
}

/**
 * Reads preprocessor_config.json of transformers: pixels are multiplied by rescale_factor (default 1 / 255) before mean and
 * deviation.
 */
export function readPreprocessor(text: string, where: string): HubPixels {
  const config = parse(text, where);
  const factor =
    255 * (config.do_rescale === false ? 1 : (number(config.rescale_factor, 'rescale_factor', where) ?? 1 / 255));
  if (!(factor > 0)) throw wrong('rescale_factor', config.rescale_factor, 'a number above 0', where);
  const isNormalised = config.do_normalize !== false;
  const mean = isNormalised ? triple(config.image_mean, 'image_mean', where) : ([0, 0, 0] as const);
  const std = isNormalised ? deviations(triple(config.image_std, 'image_std', where), where) : ([1, 1, 1] as const);
  const scale = (values: readonly [number, number, number]) =>
    values.map(value => value / factor) as unknown as [number, number, number];
  const size = config.crop_size ?? config.size;
  return given({
    size: size === undefined ? undefined : readSize(size, where),
    mean: mean && scale(mean),
    std: std && scale(std),
  });
}

/**
 * Compares a config with the card of its architecture. Parameters are checked one by one when the network is built; what their
 * shapes do not tell is checked here.
 * @throws GraftError `bad-model`.
 */
export function checkConfig(config: TimmConfig, card: BackboneCard, where: string): void {
  const fail = (found: string, wanted: string) => {
    throw new GraftError(
      'bad-model',
      `${where} describes a ${config.architecture} that graft does not know: ${found}, and ${card.title} ${wanted}.`,
      'Export the model to ONNX and name the file.',
    );
  };
  const { changes, numFeatures, firstConv, classifier } = config;
  if (changes.length > 0) fail(`it was made with ${changes.join(', ')}`, 'is made without');
  // timm counts the features before or behind the classifier's own layers, by its version.
  const widths = [card.stageWidths.at(-1)!, ...card.classifier.slice(0, -1).map(({ out }) => out)];
  if (numFeatures !== undefined && !widths.includes(numFeatures)) {
    fail(`it has ${numFeatures} features`, `has ${widths.join(' or ')}`);
  }
  const [stem, head] = card.architecture.family === 'resnet' ? ['conv1', 'fc'] : ['conv_stem', 'classifier'];
  if (firstConv !== undefined && firstConv !== stem)
    fail(`its first convolution is ${firstConv}`, `begins with ${stem}`);
  if (classifier !== undefined && classifier !== head) fail(`its classifier is ${classifier}`, `ends with ${head}`);
}

/** The licence that the front matter of a README.md states; undefined where it states none. */
export function readLicence(readme: string): string | undefined {
  const front = /^\uFEFF?---\r?\n([\s\S]*?)\r?\n---/.exec(readme)?.[1] ?? '';
  const value = (key: string) =>
    new RegExp(`^${key}:[ \\t]*["']?([^"'\\r\\n#]+?)["']?[ \\t]*(?:#.*)?$`, 'm').exec(front)?.[1];
  const licence = value('license');
  // "other" is the Hub's word for a licence that has a name of its own.
  const text = licence === 'other' ? (value('license_name') ?? licence) : licence;
  return text && text.length <= 100 ? text : undefined;
}

function parse(text: string, where: string): Json {
  try {
    return object(JSON.parse(text), 'the file', where);
  } catch (error) {
    if (error instanceof GraftError) throw error;
    const hint = 'Use another repository, or name a model file.';
    throw new GraftError('bad-model', `${where} is not JSON (${(error as Error).message}).`, hint);
  }
}

function object(value: unknown, key: string, where: string): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json;
  throw wrong(key, value, 'an object', where);
}

function number(value: unknown, key: string, where: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'number') return value;
  throw wrong(key, value, 'a number', where);
}

/** Lists are what networks with two classifiers have: none that graft knows. */
function name(value: unknown, key: string, where: string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string' && value.length <= 200) return value;
  throw wrong(key, value, 'a name', where);
}

function triple(value: unknown, key: string, where: string): [number, number, number] | undefined {
  if (value === undefined || value === null) return undefined;
  const isTriple = Array.isArray(value) && value.length === 3 && value.every(item => Number.isFinite(item));
  if (isTriple) return value as [number, number, number];
  throw wrong(key, value, 'three numbers, one per colour', where);
}

function deviations(std: [number, number, number] | undefined, where: string): [number, number, number] | undefined {
  if (std?.some(value => value <= 0)) throw wrong('std', std, 'three numbers above 0', where);
  return std;
}

/** [3, height, width]. */
function readInputSize(value: unknown, where: string): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || value.length !== 3 || value[0] !== 3 || value[1] !== value[2]) {
    throw wrong('input_size', value, '[3, side, side]', where);
  }
  return checkSide(value[1], where);
}

/** A number, or an object with height and width, or with the shortest edge. */
function readSize(value: unknown, where: string): number {
  if (typeof value === 'number') return checkSide(value, where);
  const { height, width, shortest_edge: edge } = object(value, 'size', where);
  if (height !== width) throw wrong('size', value, 'a square', where);
  return checkSide(height ?? edge, where);
}

function checkSide(side: unknown, where: string): number {
  if (Number.isInteger(side) && (side as number) >= MIN_SIZE && (side as number) <= MAX_SIZE) return side as number;
  throw wrong('input size', side, `${MIN_SIZE} to ${MAX_SIZE} pixels`, where);
}

/** Without the keys that have no value. */
function given(pixels: { [K in keyof HubPixels]: HubPixels[K] | undefined }): HubPixels {
  return Object.fromEntries(Object.entries(pixels).filter(([, value]) => value !== undefined)) as HubPixels;
}

function wrong(key: string, value: unknown, wanted: string, where: string): GraftError {
  return new GraftError(
    'bad-model',
    `${where} has ${String(JSON.stringify(value)).slice(0, 80)} for ${key}; ${wanted} is wanted.`,
    'Use another repository, or name a model file.',
  );
}
