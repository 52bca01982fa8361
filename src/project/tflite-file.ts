// The .tflite files that can be made of a trained network: built, quantised and described.
import { attachFiles } from '../tflite/associated-files.ts';
import type { ChannelRanges } from '../tflite/channel-ranges.ts';
import { equalise } from '../tflite/equalise.ts';
import { expandHardSwish } from '../tflite/expand-hard-swish.ts';
import { lowerToTflite } from '../tflite/lower.ts';
import { encodeMetadata, METADATA_ENTRY, type ModelMetadata, type TensorMetadata } from '../tflite/metadata.ts';
import type { TfliteModel } from '../tflite/model.ts';
import { giveUint8, takeUint8 } from '../tflite/outer-types.ts';
import { quantiseInt8 } from '../tflite/quantise-int8.ts';
import { halveWeights, quantiseWeights } from '../tflite/shrink-weights.ts';
import { writeTflite } from '../tflite/write.ts';
import type { Backbone } from '../zoo/backbone.ts';
import { buildDetectorGraph, detectorOutputs } from '../zoo/detector-graph.ts';
import { buildClassifierGraph } from '../zoo/graphs.ts';
import { PROVENANCE_KEY } from './provenance.ts';
import type { TrainedNetwork } from './trained-run.ts';

/** How the numbers of a file are stored, from the largest file to the smallest. */
export const precisions = ['float32', 'float16', 'dynamic', 'int8'] as const;
export type Precision = (typeof precisions)[number];

/** What a file answers: the probability of every class, or boxes, classes, scores and count as detectors do. */
export const signatures = ['classifier', 'detector'] as const;
export type Signature = (typeof signatures)[number];

/** What a file is fed: float32 (x - 127.5) / 127.5, or pixels. */
export const inputTypes = ['float32', 'uint8'] as const;
export type InputType = (typeof inputTypes)[number];

/** Which file. */
export interface FileKind {
  readonly precision: Precision;
  readonly signature: Signature;
  readonly input: InputType;
}

/** What the user says of the model; the rest of its metadata is known. */
export interface Signing {
  readonly author?: string | undefined;
  /** Default: that of the backbone's weights, with their origin. */
  readonly license?: string | undefined;
  /** Default: the classes and the accuracy. */
  readonly description?: string | undefined;
  /** Default: the version of graft that trained it. */
  readonly modelVersion?: string | undefined;
}

/** The file of every run: what its training is proven with. */
export const plainFile: FileKind = { precision: 'float32', signature: 'classifier', input: 'float32' };

/** model.tflite, model-int8.tflite, detector-float16-uint8.tflite ... */
export function fileName({ precision, signature, input }: FileKind): string {
  const parts = [
    signature === 'classifier' ? 'model' : 'detector',
    ...(precision === 'float32' ? [] : [precision]),
    ...(input === 'float32' ? [] : [input]),
  ];
  return `${parts.join('-')}.tflite`;
}

/** True when the kind needs ranges from calibration. */
export const needsCalibration = ({ precision }: FileKind): boolean => precision === 'dynamic' || precision === 'int8';

/** What calibration finds out of a network. */
export interface Calibration {
  /** Ranges of the values of `lowerClassifier`, by name. */
  readonly ranges: ReadonlyMap<string, ChannelRanges>;
  /** By how much the logits of the int8 classifier are too small on average, per class. Default: not at all. */
  readonly logitShift?: Float32Array;
}

/** Name of the logits in every graph. */
export const LOGITS = 'logits';

/** The classifier before it is a file; in float32, its values are those that calibration looks at. */
export function lowerClassifier(
  network: TrainedNetwork,
  precision: Precision = 'float32',
  calibration?: Calibration,
): TfliteModel {
  return lower(network, { precision, signature: 'classifier' }, calibration);
}

/**
 * The bytes of a file: equal networks and calibrations give equal bytes.
 * @param calibration for the kinds that need it.
 */
export function buildTflite(
  network: TrainedNetwork,
  kind: FileKind,
  calibration?: Calibration,
  signing: Signing = {},
): Uint8Array {
  const { backbone, provenance } = network;
  const inside = lower(network, kind, calibration);
  const fed = kind.input === 'uint8' ? takeUint8(inside) : inside;
  // A whole 8-bit file also answers in 8 bits, as others of its kind do; a detector's four outputs are always float32.
  const model = givesUint8(kind) ? giveUint8(fed) : fed;
  const bytes = writeTflite({
    ...model,
    description: `${backbone.title}: ${listClasses(provenance.classes)}`,
    metadata: [
      { name: METADATA_ENTRY, data: encodeMetadata(describe(network, kind, signing)) },
      { name: PROVENANCE_KEY, data: new TextEncoder().encode(JSON.stringify(provenance)) },
    ],
  });
  return attachFiles(bytes, [{ name: LABELS, data: new TextEncoder().encode(labelsText(provenance.classes)) }]);
}

/** One class per line, as programs that read metadata want it. */
export const labelsText = (classes: readonly string[]): string => `${classes.join('\n')}\n`;

/** Name of the labels inside the file. */
const LABELS = 'labels.txt';

const givesUint8 = ({ precision, signature, input }: FileKind): boolean =>
  precision === 'int8' && input === 'uint8' && signature === 'classifier';

function lower(
  network: TrainedNetwork,
  { precision, signature }: Omit<FileKind, 'input'>,
  calibration: Calibration = { ranges: new Map() },
): TfliteModel {
  const { backbone } = network;
  const shift = precision === 'int8' ? calibration.logitShift : undefined;
  const bias = network.head.bias.data.map((value, c) => value + (shift?.[c] ?? 0));
  const head = { ...network.head, bias: { ...network.head.bias, data: bias } };
  const build = signature === 'classifier' ? buildClassifierGraph : buildDetectorGraph;
  const model = lowerToTflite(build(backbone, head, 'signed'));
  switch (precision) {
    case 'float32':
      return model;
    case 'float16':
      return halveWeights(model);
    case 'dynamic':
      return quantiseWeights(model, calibration.ranges);
    case 'int8':
      return quantiseInt8(equalise(expandHardSwish(model, calibration.ranges)), backbone.stages.at(-1)!.value);
  }
}

function describe({ backbone, provenance }: TrainedNetwork, kind: FileKind, signing: Signing): ModelMetadata {
  const { classes, graft, validation, reject } = provenance;
  const seen = provenance.camera ? `, as the camera ${provenance.camera} sees them` : '';
  const accuracy = validation
    ? ` The trained model names ${(100 * validation.accuracy).toFixed(1)} % of ${validation.images} validation photos rightly${seen}.`
    : '';
  const unknown = reject?.below
    ? ` A photo whose largest probability is below ${Number(reject.below.toFixed(4))} should be taken for none of them.`
    : '';
  const image: TensorMetadata = {
    name: 'image',
    description: `The whole picture, squashed to ${backbone.preprocess.size} x ${backbone.preprocess.size} pixels, RGB.`,
    colorSpace: 'rgb',
    ...(kind.input === 'float32' ? { mean: [127.5], std: [127.5], min: [-1], max: [1] } : { min: [0], max: [255] }),
  };
  return {
    name: `${backbone.title} for ${classes.length} classes`,
    description: signing.description ?? `Tells ${listClasses(classes)} apart.${accuracy}${unknown}`,
    version: signing.modelVersion ?? `graft ${graft}`,
    author: signing.author ?? '',
    license: signing.license ?? licenceOf(backbone),
    inputs: [image],
    ...(kind.signature === 'classifier' ? classifierOutputs : detectorOutputMetadata),
  };
}

/** Most characters of class names in a sentence. */
const MAX_LISTED = 1000;

/** The names with commas; of many, the first ones and how many more there are. */
function listClasses(classes: readonly string[]): string {
  const fits = (count: number) => classes.slice(0, count).join(', ').length <= MAX_LISTED;
  let count = classes.length;
  while (count > 0 && !fits(count)) count = Math.floor(count / 2);
  const listed = classes.slice(0, count);
  const more = classes.length - count;
  return more === 0 ? classes.join(', ') : `${listed.join(', ')} and ${more} more`;
}

/** The licence of the weights that training started from, where somebody says it. */
function licenceOf({ title, weights: { licence, origin, sha256 } }: Backbone): string {
  return licence && licence !== 'NOASSERTION'
    ? `Weights started from ${title} under ${licence}${origin ? `: ${origin}` : '.'}`
    : `Weights started from a file with the sha256 ${sha256}, under its own licence.`;
}

const classifierOutputs: Pick<ModelMetadata, 'outputs'> = {
  outputs: [
    {
      name: 'probability',
      description: 'Probability of each class.',
      content: 'feature',
      min: [0],
      max: [1],
      labels: LABELS,
    },
  ],
};

/** Meaning and content of the detector's outputs, in their order. */
const detectorMeanings: readonly Omit<TensorMetadata, 'name'>[] = [
  {
    description: 'Where the class is seen: top, left, bottom, right in 0..1.',
    content: 'boundingBox',
    itemAxes: [2, 2],
  },
  { description: 'Class of each box.', content: 'feature', itemAxes: [2, 2], valueLabels: LABELS },
  { description: 'Probability of each class.', content: 'feature', itemAxes: [2, 2], min: [0], max: [1] },
  { description: 'Number of rows that count.', content: 'feature' },
];

const detectorOutputMetadata: Pick<ModelMetadata, 'outputs' | 'outputGroup'> = {
  outputs: detectorOutputs.map(({ metadataName }, i) => ({ name: metadataName, ...detectorMeanings[i]! })),
  outputGroup: {
    name: 'detection_result',
    tensors: detectorOutputs.slice(0, 3).map(({ metadataName }) => metadataName),
  },
};
