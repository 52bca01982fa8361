// What each number among the settings may be: one table for the command line and the library.
import { GraftError } from '../base/errors.ts';

/** Bounds of a number, both included. */
export interface Range {
  readonly whole: boolean;
  readonly min: number;
  readonly max: number;
}

const whole = (min: number, max: number): Range => ({ whole: true, min, max });
const real = (min: number, max: number): Range => ({ whole: false, min, max });

/** Ranges by the name of the option, as the library spells it. */
export const settingRanges = {
  epochs: whole(1, 100_000),
  batch: whole(1, 4096),
  imgsz: whole(32, 1024),
  lr: real(1e-8, 10),
  weightDecay: real(0, 10),
  dropout: real(0, 0.95),
  labelSmoothing: real(0, 0.9),
  patience: whole(1, 100_000),
  seed: whole(0, 2 ** 31),
  val: real(0.01, 0.9),
  maxDrop: real(0, 100),
  views: whole(0, 64),
  rotation: real(0, 180),
  zoom: real(0, 0.9),
  shift: real(0, 0.5),
  squash: real(0, 1),
  brightness: real(0, 1),
  contrast: real(0, 1),
  saturation: real(0, 1),
  greyscale: real(0, 1),
  fineTuneEpochs: whole(0, 100_000),
  fineTuneBatch: whole(1, 1024),
  fineTuneLr: real(1e-8, 10),
  fineTuneWeightDecay: real(0, 10),
  fineTunePatience: whole(1, 100_000),
  freeze: whole(0, 1000),
  maxLatency: real(0.01, 1e6),
  maxSize: real(0.01, 1e5),
  layerDecay: real(0.1, 1),
  warmup: real(0, 1000),
  mixup: real(0, 10),
  clipNorm: real(1e-3, 1e9),
  averageDecay: real(0, 0.99999),
  cutViews: whole(0, 256),
  steps: whole(10, 10_000),
  runs: whole(1, 100_000),
  rejectBelow: real(0, 1),
  wantedPrecision: real(0.5, 1),
  saveEvery: real(0, 1440),
  workers: whole(1, 64),
  threads: whole(1, 64),
  photos: whole(40, 5000),
} as const satisfies Record<string, Range>;

/** Name of a setting that is a number. */
export type NumberSetting = keyof typeof settingRanges;

/** "It has to be a whole number from 1 to 64.", or undefined when `value` is in the range. */
export function outOfRange(name: NumberSetting, value: number): string | undefined {
  const { whole, min, max } = settingRanges[name];
  if (value >= min && value <= max && (!whole || Number.isInteger(value))) return undefined;
  return `It has to be ${whole ? 'a whole number' : 'a number'} from ${min} to ${max}.`;
}

/** Checks every number among the options of a verb. Throws GraftError `usage`. */
export function checkRanges(options: object): void {
  for (const [name, value] of Object.entries(options)) {
    if (!(name in settingRanges) || value === undefined) continue;
    const problem = outOfRange(name as NumberSetting, value as number);
    if (problem) throw new GraftError('usage', `The setting ${name} is ${value}.`, problem);
  }
}
