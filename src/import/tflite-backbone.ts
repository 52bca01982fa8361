// A classifier out of a .tflite file, with what the file says of its pixels: graft's own files, TFLite Metadata, quantisation.
import { decodeMetadata, METADATA_ENTRY, type ModelMetadata } from '../tflite/metadata.ts';
import type { TfliteModel } from '../tflite/model.ts';
import { raiseTflite } from '../tflite/raise.ts';
import { readTflite } from '../tflite/read.ts';
import { type PixelEvidence, pixelScales, pixelsOfQuantised } from './find-preprocess.ts';
import type { Classifier } from './make-backbone.ts';
import { DESCRIPTION_KEY, type Description, readDescription } from './read-description.ts';
import type { Channels } from './strip-input.ts';

/**
 * The classifier in the bytes of a .tflite file.
 * @throws GraftError `bad-model` for damaged files, `unsupported-op` with every operator that has no place in a graph.
 */
export function readTfliteClassifier(bytes: Uint8Array): Classifier {
  const model = readTflite(bytes);
  const metadata = readMetadata(model);
  const described = describedBy(model);
  return {
    graph: raiseTflite(model),
    evidence: findEvidence(model, metadata, described),
    ...(described && { kernel: described.kernel }),
    ...(metadata?.license && { licence: metadata.license }),
  };
}

/** What a .tflite file says of its pixels, the most trustworthy first. */
export function pixelsOfTflite(model: TfliteModel): PixelEvidence[] {
  return findEvidence(model, readMetadata(model), describedBy(model));
}

function findEvidence(model: TfliteModel, metadata: ModelMetadata | undefined, described: Description | undefined) {
  return [
    ...evidenceOfDescription(model, described),
    ...evidenceOfMetadata(model, metadata),
    ...evidenceOfQuantisation(model),
  ];
}

function readMetadata(model: TfliteModel): ModelMetadata | undefined {
  const entry = model.metadata.find(({ name }) => name === METADATA_ENTRY);
  return entry && decodeMetadata(entry.data);
}

function describedBy(model: TfliteModel): Description | undefined {
  const entry = model.metadata.find(({ name }) => name === DESCRIPTION_KEY);
  return readDescription(entry && new TextDecoder().decode(entry.data));
}

/** graft's own files of float32 read -1 to 1, and go on from there to what their networks read. */
function evidenceOfDescription(model: TfliteModel, described: Description | undefined): PixelEvidence[] {
  return described && isFloat(model) ? [{ ...pixelScales.signed, source: "as graft's own description says" }] : [];
}

const isFloat = (model: TfliteModel): boolean => model.tensors[model.inputs[0] ?? -1]?.type === 'FLOAT32';

/** Normalisation as TFLite Metadata has it: (pixel - mean) / std, one number or three; of float inputs only. */
function evidenceOfMetadata(model: TfliteModel, metadata: ModelMetadata | undefined): PixelEvidence[] {
  const { mean, std } = metadata?.inputs[0] ?? {};
  if (!isFloat(model) || !mean || !std || std.some(value => !(value > 0))) return [];
  const three = (values: readonly number[]): Channels | undefined =>
    values.length === 1 || values.length === 3
      ? [values[0]! / 255, (values[1] ?? values[0]!) / 255, (values[2] ?? values[0]!) / 255]
      : undefined;
  const [means, deviations] = [three(mean), three(std)];
  return means && deviations ? [{ mean: means, std: deviations, source: 'as its metadata says' }] : [];
}

function evidenceOfQuantisation(model: TfliteModel): PixelEvidence[] {
  const { type, quantization } = model.tensors[model.inputs[0] ?? -1] ?? {};
  if ((type !== 'UINT8' && type !== 'INT8') || quantization?.scale.length !== 1) return [];
  const found = pixelsOfQuantised(type, quantization.scale[0]!, quantization.zeroPoint[0]!);
  return found ? [found] : [];
}
