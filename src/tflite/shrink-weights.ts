// Smaller files that still compute in float32: float16 weights, and int8 weights whose operators round what they read
// while they run (dynamic range).
import { narrowToFloat16 } from '../tensor/float16.ts';
import { sizeOf } from '../tensor/tensor.ts';
import type { ChannelRanges } from './channel-ranges.ts';
import { floatsOf, startDraft } from './draft.ts';
import type { KnownOperator, TfliteModel } from './model.ts';
import { correctBias, quantiseWeight } from './quantise-weight.ts';

/**
 * Weights below this number of elements stay in float32: they weigh little, and the first layers of a network are the
 * ones whose rounding it feels. Measured in bench/quantise.bench.ts against 64, 1024, 4096 and 16384.
 */
const MIN_HALVED = 8192;

/** Operators whose weight and bias are halved. */
const weighted = new Set(['CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED']);

/**
 * The model with the larger weights in float16; DEQUANTIZE gives them back, once, when the file is loaded. A bias goes with
 * its weight: XNNPACK leaves an operator alone of which only one is in float16, and its weight is then widened in each run.
 * @param minHalved elements of the smallest weight that is halved. Default: 8192.
 */
export function halveWeights(model: TfliteModel, minHalved = MIN_HALVED): TfliteModel {
  const draft = startDraft(model);
  const halve = (index: number): number => {
    const tensor = model.tensors[index]!;
    const { name, shape } = tensor;
    const data = new Uint8Array(narrowToFloat16(floatsOf(tensor)).buffer);
    const half = draft.addTensor({ name: `${name}.float16`, type: 'FLOAT16', shape, data });
    const float = draft.addTensor({ name, type: 'FLOAT32', shape });
    draft.emit('DEQUANTIZE', [half], float, {}, 3);
    return float;
  };
  for (const operator of model.operators as readonly KnownOperator[]) {
    const [input, ...constants] = operator.inputs;
    const isHalved = weighted.has(operator.op) && sizeOf(model.tensors[constants[0]!]!.shape) >= minHalved;
    draft.operators.push(isHalved ? { ...operator, inputs: [input!, ...constants.map(halve)] } : operator);
  }
  return draft.finish();
}

/** Operators whose weights are rounded, with the version that takes one scale per channel beside float32 values. */
const hybridVersions: Readonly<Record<string, number>> = { CONV_2D: 5 };

/**
 * The model with int8 weights in its convolutions, which round what they read to int8 by its own range in each run. All
 * the rest stays in float32, depthwise convolutions too: they weigh little and feel it most.
 * @param ranges of the values that convolutions read, by name, for the correction of their biases.
 * @param versions of the operators whose weights are rounded. Default: convolutions that are not depthwise.
 */
export function quantiseWeights(
  model: TfliteModel,
  ranges: ReadonlyMap<string, ChannelRanges>,
  versions = hybridVersions,
): TfliteModel {
  const draft = startDraft(model);
  for (const operator of model.operators as readonly KnownOperator[]) {
    const [input, weightIndex, biasIndex] = operator.inputs as [number, number, number];
    // Older runtimes have no such form of a convolution in groups.
    const isGrouped = operator.op === 'CONV_2D' && operator.version > 1;
    const version = isGrouped ? undefined : versions[operator.op];
    const range = ranges.get(model.tensors[input]!.name);
    if (version === undefined || !range) {
      draft.operators.push(operator);
      continue;
    }
    const stored = quantiseWeight(model.tensors[weightIndex]!, operator.op);
    const { name, shape } = model.tensors[biasIndex]!;
    const bias = draft.addFloats(name, shape, correctBias(model, operator, stored, range.mean));
    draft.operators.push({ ...operator, version, inputs: [input, draft.addTensor(stored), bias] });
  }
  return draft.finish();
}
