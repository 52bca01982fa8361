// What timm says of a network in config.json, and what a README says of its licence.
import { GraftError } from '../base/errors.ts';
import type { Preprocess } from '../image/preprocess.ts';
import type { BackboneCard } from './card.ts';
import {
  type Fields,
  isMissing,
  parseFields,
  readDeviations,
  readName,
  readNumber,
  readObject,
  readSide,
  readTriple,
  type Triple,
  wrongField,
} from './config-fields.ts';

/** How a network wants its pixels, as far as timm says it. */
export interface TimmPixels {
  /** Side of the input. */
  readonly size?: number;
  /** Of values from 0 to 1: the network reads (x / 255 - mean) / std. */
  readonly mean?: Triple;
  readonly std?: Triple;
}

/** config.json of timm, in its new form or the flat one of old. */
export interface TimmConfig extends TimmPixels {
  /** timm's name without the recipe; undefined where another library made the file. */
  readonly architecture: string | undefined;
  readonly numFeatures: number | undefined;
  readonly firstConv: string | undefined;
  readonly classifier: string | undefined;
  /** Whatever stands for the resampling: only weights that are used need one that can be done. */
  readonly interpolation: unknown;
  /** Names of what was changed in the architecture. */
  readonly changes: readonly string[];
}

/** What a model may be made with that does not change its parameters or what is computed from them. */
const harmless = new Set(['num_classes', 'drop_rate', 'drop_path_rate', 'pretrained', 'global_pool']);

/** Reads config.json. `where` names it in errors. */
export function readTimmConfig(text: string, where: string): TimmConfig {
  const config = parseFields(text, where);
  const said = pretrainedFields(config, where);
  const args = isMissing(config.model_args) ? {} : readObject(config.model_args, 'model_args', where);
  return {
    architecture: readName(config.architecture, 'architecture', where),
    numFeatures: readNumber(config.num_features, 'num_features', where),
    firstConv: readName(said.first_conv, 'first_conv', where),
    classifier: readName(said.classifier, 'classifier', where),
    interpolation: said.interpolation,
    changes: Object.keys(args).filter(key => !harmless.has(key)),
    ...readTimmPixels(config, where),
  };
}

/** What a config.json says of pixels. */
export function readTimmPixels(config: Fields, where: string): TimmPixels {
  const said = pretrainedFields(config, where);
  const size = readInputSize(said.input_size, where);
  const mean = readTriple(said.mean, 'mean', where);
  const std = readDeviations(said.std, 'std', where);
  return { ...(size && { size }), ...(mean && { mean }), ...(std && { std }) };
}

/** timm's words for the resampling that can be done. */
export const timmKernels: Readonly<Record<string, Preprocess['kernel']>> = {
  bilinear: 'linear',
  bicubic: 'cubic',
  lanczos: 'lanczos3',
};

/** The resampling that a config names; undefined where it names none. */
export function readKernel({ interpolation }: TimmConfig, where: string): Preprocess['kernel'] | undefined {
  if (isMissing(interpolation)) return undefined;
  if (typeof interpolation === 'string' && Object.hasOwn(timmKernels, interpolation)) return timmKernels[interpolation];
  throw wrongField('interpolation', interpolation, `one of ${Object.keys(timmKernels).join(', ')}`, where);
}

/** The fields about the weights: in `pretrained_cfg`, in files of old at the top. */
export function pretrainedFields(config: Fields, where: string): Fields {
  return isMissing(config.pretrained_cfg) ? config : readObject(config.pretrained_cfg, 'pretrained_cfg', where);
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

/** Longest line of front matter that is looked at, and longest name of a licence. */
const MAX_LINE = 500;
const MAX_LICENCE = 100;

/** The licence that the front matter of a README.md states; undefined where it states none. */
export function readLicence(readme: string): string | undefined {
  const front = /^\uFEFF?---\r?\n([\s\S]*?)\r?\n---/.exec(readme)?.[1] ?? '';
  const lines = front.split(/\r?\n/).filter(line => line.length <= MAX_LINE);
  const value = (key: string) => {
    const line = lines.find(one => one.startsWith(`${key}:`));
    return line === undefined ? undefined : readScalar(line.slice(key.length + 1));
  };
  const licence = value('license');
  // "other" is the Hub's word for a licence that has a name of its own.
  const text = licence === 'other' ? (value('license_name') ?? licence) : licence;
  return text && text.length <= MAX_LICENCE ? text : undefined;
}

/** A word or a sentence of YAML, in quotes or bare, without the comment behind it; undefined where there is none. */
function readScalar(text: string): string | undefined {
  const bare = text.trim();
  const quoted = /^(?:"([^"]*)"|'([^']*)')/.exec(bare);
  const value = quoted ? (quoted[1] ?? quoted[2]!) : bare.split('#', 1)[0]!;
  return value.trim() || undefined;
}

/** [3, height, width]. */
function readInputSize(value: unknown, where: string): number | undefined {
  if (isMissing(value)) return undefined;
  if (!Array.isArray(value) || value.length !== 3 || value[0] !== 3 || value[1] !== value[2]) {
    throw wrongField('input_size', value, '[3, side, side]', where);
  }
  return readSide(value[1], 'input_size', where);
}
