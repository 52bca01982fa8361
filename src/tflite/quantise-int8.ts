// Full integer quantisation: int8 values, per-channel int8 weights and int32 biases, between a float32 input and head.
// Source of the rules: the TFLite 8-bit quantisation specification.
import { averageByWeights } from './average-by-weights.ts';
import type { ChannelRanges } from './channel-ranges.ts';
import { floatsOf, startDraft } from './draft.ts';
import type { RangedModel } from './expand-hard-swish.ts';
import { findExtremes, findInt8Part, int8Versions, keepsScale } from './int8-part.ts';
import type { KnownOperator, Quantization, TfliteModel, TfliteTensor } from './model.ts';
import { correctBias, quantiseWeight } from './quantise-weight.ts';

/** What a sigmoid gives, from 0 to 255/256. */
const LOGISTIC_QUANTIZATION: Quantization = { scale: [1 / 256], zeroPoint: [-128], axis: 0 };

/** Range of a value that is always zero. Any would do; kernels refuse a scale that is no ordinary number. */
const ZERO_RANGE = 1;
/** Smallest product of input and weight scale, as a part of the output scale; kernels shift by at most 31 bits. */
const MIN_RATIO = 2 ** -20;
/** Steps of an output in one unit of the sums that it is made from, at most: kernels refuse 256, and finer ones say nothing. */
const MAX_FINENESS = 2 ** 7;
/** Largest stored bias; a weight scale so small that the bias would not fit in int32 is raised. */
const MAX_BIAS = 2 ** 30;

/**
 * Scale and zero point for int8 values between `low` and `high`; zero is always represented exactly.
 * @param finest smallest scale. Default: any.
 */
export function activationQuantization(low: number, high: number, finest = 0): Quantization {
  const min = Math.min(0, low);
  const range = Math.max(0, high) - min;
  const scale = Math.fround(Math.max((range || ZERO_RANGE) / 255, finest));
  return { scale: [scale], zeroPoint: [Math.round(-128 - min / scale) + 0], axis: 0 };
}

/**
 * The model in int8: from its first convolution to the tensor `last`, with the means over positions of the values between
 * them. What is before and behind stays in float32, so that the input keeps all of its levels and the head all of its
 * digits; both cost little.
 * @param ranged in float32, without HARD_SWISH, with the ranges of every value of the int8 part. Default for inputs: -1 to 1.
 * @param last name of the last value of the int8 part.
 */
export function quantiseInt8({ model: given, ranges: seen }: RangedModel, last: string): TfliteModel {
  const model = averageByWeights(given, findInt8Part(given, last));
  const ranges = new Map([...inputRanges(model), ...seen]);
  const isInt8 = findInt8Part(model, last);
  const draft = startDraft(model);
  /** Tensors that int8 operators make. */
  const made = new Set<number>();
  const twins = { int8: new Map<number, number>(), float: new Map<number, number>() };

  const rangeOf = (name: string): ChannelRanges => {
    const range = ranges.get(name);
    if (!range) throw new Error(`There is no range for ${name}.`);
    return range;
  };
  const extremesOf = findExtremes(model, isInt8, ranges);
  const quantizationOf = (index: number, finest?: number): Quantization => {
    const { low, high } = extremesOf(index);
    return activationQuantization(low, high, finest);
  };
  const asInt8 = (index: number): number => {
    if (made.has(index)) return index;
    const tensor = model.tensors[index]!;
    const known = twins.int8.get(index);
    if (known !== undefined) return known;
    const quantization = quantizationOf(index);
    const twin = draft.addTensor({ name: `${tensor.name}.int8`, shape: tensor.shape, type: 'INT8', quantization });
    draft.emit('QUANTIZE', [index], twin, {});
    twins.int8.set(index, twin);
    return twin;
  };
  const asFloat = (index: number): number => {
    if (!made.has(index)) return index;
    const known = twins.float.get(index);
    if (known !== undefined) return known;
    const { name, shape } = model.tensors[index]!;
    const twin = draft.addTensor({ name: `${name}.float`, shape, type: 'FLOAT32' });
    draft.emit('DEQUANTIZE', [index], twin, {}, 2);
    twins.float.set(index, twin);
    return twin;
  };
  /** @param given default: what the constant itself spans. */
  const constantInt8 = (index: number, given?: Quantization): number => {
    const tensor = model.tensors[index]!;
    const values = floatsOf(tensor);
    const quantization = given ?? activationQuantization(Math.min(...values), Math.max(...values));
    const [scale, zero] = [quantization.scale[0]!, quantization.zeroPoint[0]!];
    const stored = Int8Array.from(values, value => Math.max(-128, Math.min(127, Math.round(value / scale) + zero)));
    return draft.addTensor({ ...tensor, type: 'INT8', data: new Uint8Array(stored.buffer), quantization });
  };

  for (const operator of model.operators) {
    if (operator.op === 'OTHER') throw new Error('quantiseInt8 wants a model that graft lowered.');
    if (!isInt8.has(operator)) {
      draft.operators.push({ ...operator, inputs: operator.inputs.map(asFloat) });
      continue;
    }
    const [output] = operator.outputs as [number];
    const tensor = model.tensors[output]!;
    const inputs = operator.inputs.map((index, place) => {
      const { data, type } = model.tensors[index]!;
      if (!data) return asInt8(index);
      // Weights and biases come below; axes and paddings stay what they are.
      return type === 'FLOAT32' && (operator.op === 'ADD' || operator.op === 'MUL' || place === 0)
        ? constantInt8(index)
        : index;
    });
    const source = draft.tensors[inputs[0]!]!.quantization!;
    if (operator.op === 'PADV2') inputs[2] = constantInt8(operator.inputs[2]!, source);
    const scales = inputs.map(index => draft.tensors[index]!.quantization?.scale[0] ?? 0);
    const quantization = keepsScale.has(operator.op)
      ? source
      : operator.op === 'LOGISTIC'
        ? LOGISTIC_QUANTIZATION
        : quantizationOf(output, sumUnit(model, operator, scales) / MAX_FINENESS);
    draft.tensors[output] = { ...tensor, type: 'INT8', quantization };
    made.add(output);
    if (operator.op === 'CONV_2D' || operator.op === 'DEPTHWISE_CONV_2D') {
      const { mean } = rangeOf(model.tensors[operator.inputs[0]!]!.name);
      const [weight, bias] = int8Weights(model, operator, source.scale[0]!, quantization.scale[0]!, mean);
      inputs.splice(1, 2, draft.addTensor(weight), draft.addTensor(bias));
    }
    // Groups of a convolution want a newer version than int8 does.
    draft.operators.push({ ...operator, version: Math.max(operator.version, int8Versions[operator.op]!), inputs });
  }
  return draft.finish({ outputs: model.outputs.map(asFloat) });
}

/** What an image holds as robots feed it, (x - 127.5) / 127.5; a first convolution may read it as it is. */
function inputRanges(model: TfliteModel): [string, ChannelRanges][] {
  return model.inputs.map(index => {
    const { name, shape } = model.tensors[index]!;
    const all = (value: number) => new Float32Array(shape.at(-1)!).fill(value);
    return [name, { min: all(-1), max: all(1), mean: all(0) }];
  });
}

/** What a one stands for in the sums that an operator computes, from the scales of its inputs; 0 where any output will do. */
function sumUnit(model: TfliteModel, operator: KnownOperator, scales: readonly number[]): number {
  const [first, second] = scales as [number, number];
  switch (operator.op) {
    case 'ADD':
      return Math.max(first, second);
    case 'MUL':
      return first * second;
    case 'CONV_2D':
    case 'DEPTHWISE_CONV_2D': {
      const [weight, bias] = operator.inputs.slice(1).map(index => largestOf(floatsOf(model.tensors[index]!)));
      return Math.max((first * weight!) / 127, bias! / MAX_BIAS);
    }
    default:
      return 0;
  }
}

const largestOf = (values: Float32Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);

/** int8 weight with a scale per output channel, and the corrected bias in int32, whose scale is input * weight scale. */
function int8Weights(
  model: TfliteModel,
  operator: KnownOperator,
  inputScale: number,
  outputScale: number,
  mean: Float32Array,
): [TfliteTensor, TfliteTensor] {
  const bias = model.tensors[operator.inputs[2]!]!;
  const smallest = Array.from(floatsOf(bias), value =>
    Math.max((MIN_RATIO * outputScale) / inputScale, Math.abs(value) / (inputScale * MAX_BIAS)),
  );
  const stored = quantiseWeight(model.tensors[operator.inputs[1]!]!, operator.op, smallest);
  const scale = stored.quantization!.scale.map(value => Math.fround(inputScale * value));
  const corrected = correctBias(model, operator, stored, mean);
  const data = new Uint8Array(Int32Array.from(corrected, (value, out) => Math.round(value / scale[out]!)).buffer);
  const quantization = { scale, zeroPoint: scale.map(() => 0), axis: 0 };
  return [stored, { ...bias, type: 'INT32', data, quantization }];
}
