// How sure a trained network may be: the temperature of its probabilities, and the threshold below which it says "unknown".
import type { Steps } from '../base/events.ts';
import { applyTemperature, fitTemperature, measureCalibration } from '../evaluate/calibration.ts';
import { chooseThreshold, measureRule, type RejectRule } from '../evaluate/rejection.ts';
import type { CameraChoice } from '../image/camera.ts';
import type { Classifiers } from './classify-files.ts';
import { buildOnnx } from './onnx-file.ts';
import { askModels, type LabelledFile } from './proof.ts';
import type { TrainedNetwork } from './trained-run.ts';

/** What was found on the validation photos. */
export interface Confidence {
  readonly temperature: number;
  /** Expected calibration error on the photos that the temperature was fitted to, without it and with it. */
  readonly ece_before: number;
  readonly ece_after: number;
  readonly reject: RejectRule;
}

/** Part of the accepted photos that should be right, unless asked otherwise. */
const WANTED_PRECISION = 0.95;

/** A model that is not so good answers half of the photos all the same, unless it is told which precision is wanted. */
const LEAST_COVERAGE = 0.5;

/** How the threshold is found. */
export interface RejectChoice {
  /** The threshold itself; undefined to choose it by the other. */
  readonly rejectBelow: number | undefined;
  /** Undefined for WANTED_PRECISION, and at least half of the photos answered. */
  readonly wantedPrecision: number | undefined;
}

/**
 * Fits the temperature to what the network says of the photos, and chooses the threshold on the calibrated probabilities.
 * @param network at temperature 1.
 * @param camera what the photos are seen through.
 */
export async function* settleConfidence(
  network: TrainedNetwork,
  photos: readonly LabelledFile[],
  classifiers: Classifiers,
  camera: CameraChoice,
  { rejectBelow, wantedPrecision }: RejectChoice,
): Steps<Confidence> {
  const models = [{ runtime: 'onnx', bytes: buildOnnx(network) }] as const;
  const [probabilities] = (yield* askModels(network, models, photos, classifiers, camera, 'calibrate')) as [
    Float32Array[],
  ];
  const said = { classes: network.provenance.classes, truth: photos.map(({ label }) => label), probabilities };
  const temperature = fitTemperature(said);
  const calibrated = { ...said, probabilities: probabilities.map(row => applyTemperature(row, temperature)) };
  return {
    temperature,
    ece_before: measureCalibration(said).ece,
    ece_after: measureCalibration(calibrated).ece,
    reject:
      rejectBelow === undefined
        ? chooseThreshold(calibrated, wantedPrecision ?? WANTED_PRECISION, wantedPrecision ? 0 : LEAST_COVERAGE)
        : measureRule(calibrated, rejectBelow),
  };
}
