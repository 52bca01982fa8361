// The files that quantise.bench.ts compares: what graft writes, each with one step left out or one constant changed.
import type { ChannelRanges } from '../../src/tflite/channel-ranges.ts';
import { equalise } from '../../src/tflite/equalise.ts';
import { expandHardSwish } from '../../src/tflite/expand-hard-swish.ts';
import type { TfliteModel } from '../../src/tflite/model.ts';
import { quantiseInt8 } from '../../src/tflite/quantise-int8.ts';
import { halveWeights, quantiseWeights } from '../../src/tflite/shrink-weights.ts';

type Ranges = ReadonlyMap<string, ChannelRanges>;

/** A network before it is quantised. */
export interface Calibrated {
  /** The classifier in float32. */
  readonly model: TfliteModel;
  /** Name of the last value that int8 files compute in int8. */
  readonly last: string;
  /** Ranges from calibration with so many photos that cover such a part of them; the defaults are graft's own. */
  rangesOf(photos?: number, covered?: number): Ranges;
}

/** Numbers of photos that calibration is tried with, beside graft's own. */
export const calibrationSizes = [32, 64, 300] as const;

/** Hybrid operators, with the versions that take a scale per channel. */
const hybridWithDepthwise = { CONV_2D: 5, DEPTHWISE_CONV_2D: 6 };

/** The ranges without the means that biases are corrected by. */
const withoutMeans = (ranges: Ranges): Ranges =>
  new Map([...ranges].map(([name, range]) => [name, { ...range, mean: range.mean.map(() => 0) }]));

const int8 = ({ model, last }: Calibrated, ranges: Ranges, gatedWeight?: number): TfliteModel =>
  quantiseInt8(equalise(expandHardSwish(model, ranges), gatedWeight), last);

/** The files by what they are called in the table; graft's own are those with a bare name. */
export const variants: Readonly<Record<string, (network: Calibrated) => TfliteModel>> = {
  float32: ({ model }) => model,
  float16: ({ model }) => halveWeights(model),
  'float16, weights from 64 elements on': ({ model }) => halveWeights(model, 64),
  'float16, from 1024': ({ model }) => halveWeights(model, 1024),
  'float16, from 8192': ({ model }) => halveWeights(model, 8192),
  'float16, from 16384': ({ model }) => halveWeights(model, 16384),
  dynamic: ({ model, rangesOf }) => quantiseWeights(model, rangesOf()),
  'dynamic, biases not corrected': ({ model, rangesOf }) => quantiseWeights(model, withoutMeans(rangesOf())),
  'dynamic, depthwise too': ({ model, rangesOf }) => quantiseWeights(model, rangesOf(), hybridWithDepthwise),
  int8: network => int8(network, network.rangesOf()),
  'int8, scales per channel and nothing else': ({ model, last, rangesOf }) =>
    quantiseInt8(expandHardSwish(model, withoutMeans(rangesOf(undefined, 1))), last),
  'int8, not equalised': ({ model, last, rangesOf }) => quantiseInt8(expandHardSwish(model, rangesOf()), last),
  'int8, biases not corrected': network => int8(network, withoutMeans(network.rangesOf())),
  ...Object.fromEntries(
    [1, 0.98, 0.95].map(covered => [
      `int8, ranges cover ${covered}`,
      (network: Calibrated) => int8(network, network.rangesOf(undefined, covered)),
    ]),
  ),
  ...Object.fromEntries(
    [1, 2, 3, 5, 8].map(weight => [
      `int8, gated weight ${weight}`,
      (network: Calibrated) => int8(network, network.rangesOf(), weight),
    ]),
  ),
  ...Object.fromEntries(
    calibrationSizes.map(photos => [
      `int8, ${photos} photos`,
      (network: Calibrated) => int8(network, network.rangesOf(photos)),
    ]),
  ),
};
