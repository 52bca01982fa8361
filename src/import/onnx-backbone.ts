// A classifier out of an ONNX file, with what graft's own description and the type of its input say of its pixels.
import { convertOnnx } from '../onnx/convert.ts';
import type { OnnxModel } from '../onnx/model.ts';
import { readOnnxModel } from '../onnx/read-model.ts';
import { type PixelEvidence, pixelScales } from './find-preprocess.ts';
import type { Classifier } from './make-backbone.ts';
import { DESCRIPTION_KEY, readDescription } from './read-description.ts';

/** Sizes for files that take images of any. */
export interface OnnxSizes {
  /** What the user asks for; an error where the file has another. */
  readonly asked: number | undefined;
  /** What is taken where nobody asks. */
  readonly usual: number | undefined;
}

/**
 * The classifier in the bytes of an ONNX file.
 * @param folder where files with weights of the model are.
 * @throws GraftError `bad-model` for damaged files, `unsupported-op` with every op that is not imported.
 */
export function readOnnxClassifier(bytes: Uint8Array, folder: string, { asked, usual }: OnnxSizes): Classifier {
  const model = readOnnxModel(bytes, folder);
  const described = readDescription(model.metadata[DESCRIPTION_KEY]);
  const size = asked ?? (takesAnySize(model) ? (described?.size ?? usual) : undefined);
  const { graph, height, width, input } = convertOnnx(model, size === undefined ? {} : { size });
  const evidence: PixelEvidence[] =
    input.dtype === 'uint8' ? [{ ...pixelScales.bytes, source: 'as the type of its input tells' }] : [];
  const { externalFiles } = model;
  return { graph, size: [height, width], evidence, externalFiles, ...(described && { kernel: described.kernel }) };
}

/** Whether the sides of the input's image are free. */
function takesAnySize({ inputs }: OnnxModel): boolean {
  const { shape } = inputs[0] ?? {};
  return !shape || shape.slice(1).filter(dim => typeof dim === 'string').length >= 2;
}
