// The files that quantise.bench.ts compares: what graft writes, each with one step left out or one constant changed.
import type { ChannelRanges } from '../../src/tflite/channel-ranges.ts';
import { equalise } from '../../src/tflite/equalise.ts';
import { expandHardSwish } from '../../src/tflite/expand-hard-swish.ts';
import type { TfliteModel } from '../../src/tflite/model.ts';
import { quantiseInt8 } from '../../src/tflite/quantise-int8.ts';
import { halveWeights, quantiseWeights } from '../../src/tflite/shrink-weights.ts';

type Ranges = ReadonlyMap<string, ChannelRanges>;

/** A way to make a file. Calibration is graft's own unless it says otherwise. */
export interface Variant {
  /** Photos that calibration looks at. */
  readonly photos?: number;
  /** Part of the photos that ranges cover. */
  readonly covered?: number;
  /** Whether biases are corrected by the means of what their operators read. Default: yes. */
  readonly correctsBiases?: boolean;
  /** Whether the head's bias is corrected by what the file does to the logits. Default: no. */
  readonly correctsLogits?: boolean;
  /** @param last name of the last value that is computed in int8. */
  readonly build: (model: TfliteModel, ranges: Ranges, last: string) => TfliteModel;
}

/** Hybrid operators, with the versions that take a scale per channel. */
const hybridWithDepthwise = { CONV_2D: 5, DEPTHWISE_CONV_2D: 6 };

const int8: Variant = {
  correctsLogits: true,
  build: (model, ranges, last) => quantiseInt8(equalise(expandHardSwish(model, ranges)), last),
};
const notEqualised: Variant = {
  correctsLogits: true,
  build: (model, ranges, last) => quantiseInt8(expandHardSwish(model, ranges), last),
};
const gated = (weight: number): Variant => ({
  correctsLogits: true,
  build: (model, ranges, last) => quantiseInt8(equalise(expandHardSwish(model, ranges), weight), last),
});

/** The files by what they are called in the table; graft's own are those with a bare name. */
export const variants: Readonly<Record<string, Variant>> = {
  float32: { build: model => model },
  float16: { build: model => halveWeights(model) },
  'float16, weights from 64 elements on': { build: model => halveWeights(model, 64) },
  'float16, from 1024': { build: model => halveWeights(model, 1024) },
  'float16, from 4096': { build: model => halveWeights(model, 4096) },
  'float16, from 16384': { build: model => halveWeights(model, 16384) },
  dynamic: { build: (model, ranges) => quantiseWeights(model, ranges) },
  'dynamic, biases not corrected': { correctsBiases: false, build: (model, ranges) => quantiseWeights(model, ranges) },
  'dynamic, depthwise too': { build: (model, ranges) => quantiseWeights(model, ranges, hybridWithDepthwise) },
  int8,
  'int8, scales per channel and nothing else': {
    ...notEqualised,
    covered: 1,
    correctsBiases: false,
    correctsLogits: false,
  },
  'int8, not equalised': notEqualised,
  'int8, nothing corrected': { ...int8, correctsBiases: false, correctsLogits: false },
  'int8, biases not corrected': { ...int8, correctsBiases: false },
  'int8, logits not corrected': { ...int8, correctsLogits: false },
  'int8, ranges cover 1': { ...int8, covered: 1 },
  'int8, ranges cover 0.98': { ...int8, covered: 0.98 },
  'int8, ranges cover 0.95': { ...int8, covered: 0.95 },
  'int8, no headroom': {
    ...int8,
    build: (model, ranges, last) => quantiseInt8(equalise(expandHardSwish(model, ranges), undefined, 1), last),
  },
  'int8, gated weight 1': gated(1),
  'int8, gated weight 2': gated(2),
  'int8, gated weight 3': gated(3),
  'int8, gated weight 5': gated(5),
  'int8, gated weight 8': gated(8),
  'int8, 32 photos': { ...int8, photos: 32 },
  'int8, 64 photos': { ...int8, photos: 64 },
  'int8, 300 photos': { ...int8, photos: 300 },
};
