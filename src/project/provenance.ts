// What a model says of itself, in model.onnx and model.tflite alike: enough to use the file without its folder.
import { GraftError } from '../base/errors.ts';
import { TEMPERATURES } from '../evaluate/calibration.ts';
import type { RejectRule } from '../evaluate/rejection.ts';
import { type CameraChoice, cameraChoices } from '../image/camera.ts';
import type { Preprocess } from '../image/preprocess.ts';

/** Name of the metadata entry, in ONNX's metadata_props and among TFLite's metadata buffers. */
export const PROVENANCE_KEY = 'graft';

/** A model's own description. */
export interface Provenance {
  readonly format: 1;
  readonly graft: string;
  readonly backbone: string;
  readonly classes: readonly string[];
  readonly preprocess: Preprocess;
  /** The robot's camera that it was trained for; there is none of it where there was none. */
  readonly camera?: CameraChoice;
  /** sha256 of the weights that the backbone started from. */
  readonly weights: string;
  /** sha256 over the manifest's photos and labels. */
  readonly dataset: string;
  /** What training measured on the validation photos, as the camera sees them if there is one; absent before its end. */
  readonly validation?: { readonly accuracy: number; readonly images: number };
  /** By which the logits of the trained head are divided in the graph; absent before the end, and of older versions. */
  readonly temperature?: number;
  /** Which photos are none of the classes; absent as above. */
  readonly reject?: RejectRule;
}

/** What training finds out at its end. */
export interface Findings {
  readonly validation: Provenance['validation'] | undefined;
  readonly temperature?: number;
  readonly reject?: RejectRule;
}

/** The description with what training found out, always in the same order, so that equal models have equal bytes. */
export function completeProvenance(provenance: Provenance, { validation, temperature, reject }: Findings): Provenance {
  const { validation: _, temperature: __, reject: ___, ...start } = provenance;
  return {
    ...start,
    ...(validation && { validation }),
    ...(temperature !== undefined && { temperature }),
    ...(reject && { reject }),
  };
}

/** Checks a description that was read from a file. Throws GraftError `bad-model`. */
export function parseProvenance(text: string, file: string): Provenance {
  let value: Partial<Provenance>;
  try {
    value = (JSON.parse(text) ?? {}) as Partial<Provenance>;
  } catch {
    value = {};
  }
  const { classes, preprocess, camera = 'none', temperature = 1, reject } = value;
  const sound =
    value.format === 1 &&
    Array.isArray(classes) &&
    classes.length >= 2 &&
    classes.every(name => typeof name === 'string') &&
    Number.isInteger(preprocess?.size) &&
    preprocess!.size > 0 &&
    preprocess!.size <= 4096 &&
    preprocess!.fit === 'squash' &&
    ['linear', 'cubic', 'lanczos3'].includes(preprocess!.kernel) &&
    cameraChoices.includes(camera) &&
    typeof temperature === 'number' &&
    temperature >= TEMPERATURES.min &&
    temperature <= TEMPERATURES.max &&
    (reject === undefined || (typeof reject?.below === 'number' && reject.below >= 0 && reject.below <= 1));
  if (!sound)
    throw new GraftError(
      'bad-model',
      `${file} has a description that this version of graft cannot read.`,
      'Export it again with this version.',
    );
  return value as Provenance;
}
