// Cross-layer equalisation: every channel of a value is divided by its own range, and the weights around it take the
// factor over, so that all channels can share one 8-bit scale. The function stays the same.
// Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv:1906.04721. They
// stop at ReLU; here it reaches through hard-swish (expanded to x * relu6(x + 3)), residual additions and squeeze-and-
// excitation gates too: each value has one factor per channel, and a gate is given back the true x by a depthwise
// convolution of size 1.
import { sizeOf } from '../tensor/tensor.ts';
import { type ChannelRanges, widthOf } from './channel-ranges.ts';
import { floatsOf, type ModelDraft, startDraft } from './draft.ts';
import type { RangedModel } from './expand-hard-swish.ts';
import { isGate, isHomogeneous, keepsChannels, takesChannelFactors } from './linearity.ts';
import type { KnownOperator, TfliteModel } from './model.ts';
import { Activation, Padding } from './schema.ts';

/** Channels narrower than this part of the widest one are not widened further. */
const MIN_FACTOR = 2 ** -13;

/**
 * By how much the range of a gated x counts more than that of x * relu6(x + 3), whose factors it shares: an error of x
 * comes out up to that many times larger, since the gate goes to 6. Measured in bench/quantise.bench.ts: 1, 2, 3, 5, 8.
 */
const GATED_WEIGHT = 6;

/**
 * The same function, with the channels of every value equally wide wherever the operators allow it.
 * The model is in float32, without HARD_SWISH.
 * @param gatedWeight by how much the range of a gated x counts more. Default: 6.
 */
export function equalise({ model, ranges }: RangedModel, gatedWeight = GATED_WEIGHT): RangedModel {
  const factors = chooseFactors(model, groupTensors(model), ranges, gatedWeight);
  const draft = startDraft(model);
  for (const operator of model.operators) draft.operators.push(applyFactors(operator as KnownOperator, draft, factors));
  const byName = new Map([...factors].map(([index, factor]) => [model.tensors[index]!.name, factor]));
  const scaled = [...ranges].map(([name, { min, max, mean }]) => {
    const factor = byName.get(name);
    const divide = (values: Float32Array) => (factor ? values.map((value, c) => value / factor[c]!) : values);
    return [name, { min: divide(min), max: divide(max), mean: divide(mean) }] as const;
  });
  return { model: draft.finish(), ranges: new Map(scaled) };
}

/** Values that must have the same factors have the same group; `undefined` is for those that keep their values. */
type Groups = (tensor: number) => number | undefined;

function groupTensors(model: TfliteModel): Groups {
  const parent = model.tensors.map((_, index) => index);
  const fixed = new Set<number>();
  const find = (index: number): number => {
    while (parent[index] !== index) index = parent[index]!;
    return index;
  };
  const isFixed = (tensor: number) => fixed.has(find(tensor));
  const fix = (...tensors: readonly number[]) => {
    for (const tensor of tensors) if (tensor >= 0) fixed.add(find(tensor));
  };
  const join = (a: number, b: number) => {
    const apart = model.tensors[a]!.shape.at(-1) !== model.tensors[b]!.shape.at(-1);
    if (apart || isFixed(a) || isFixed(b)) fix(a, b);
    if (!apart) parent[find(a)] = find(b);
  };

  fix(...model.inputs, ...model.outputs);
  for (const operator of model.operators) {
    const [first] = operator.inputs as [number];
    const output = operator.outputs[0]!;
    const computed = operator.inputs.filter(index => index >= 0 && !model.tensors[index]!.data);
    switch (operator.op) {
      case 'CONV_2D':
      case 'DEPTHWISE_CONV_2D':
      case 'FULLY_CONNECTED':
        if (!isHomogeneous(operator.options.fused_activation_function)) fix(output);
        if (!takesChannelFactors(model, operator)) fix(first);
        break;
      case 'PAD':
      case 'AVERAGE_POOL_2D':
      case 'MAX_POOL_2D':
        join(first, output);
        break;
      case 'MEAN':
        if (keepsChannels(model, operator)) join(first, output);
        else fix(first, output);
        break;
      case 'ADD':
        if (computed.length === 2 && isHomogeneous(operator.options.fused_activation_function)) {
          for (const input of computed) join(input, output);
        } else if (isGate(model, operator)) fix(output);
        else fix(...computed, output);
        break;
      case 'MUL': {
        // The product of a gate and a value has the value's factors.
        const free = computed.filter(index => !isFixed(index));
        const isPlain = operator.options.fused_activation_function === Activation.NONE;
        if (isPlain && computed.length === 2 && free.length === 1) join(free[0]!, output);
        else fix(...computed, output);
        break;
      }
      case 'CONCATENATION':
        // Its factors are those of its parts and no others.
        fix(output);
        if (!feedsWeights(model, output)) fix(...computed);
        break;
      default:
        fix(...computed, ...operator.outputs);
    }
  }
  return tensor => (isFixed(tensor) ? undefined : find(tensor));
}

/** True when a joined value is only read, directly or joined once more, by operators whose weights take its factors. */
function feedsWeights(model: TfliteModel, tensor: number): boolean {
  if (model.outputs.includes(tensor)) return false;
  const lastAxis = model.tensors[tensor]!.shape.length - 1;
  return model.operators.every(operator => {
    if (!operator.inputs.includes(tensor)) return true;
    if (operator.op === 'CONV_2D' || operator.op === 'FULLY_CONNECTED') return takesChannelFactors(model, operator);
    return (
      operator.op === 'CONCATENATION' && operator.options.axis === lastAxis && feedsWeights(model, operator.outputs[0]!)
    );
  });
}

/** Factor per channel of every tensor that has one: value in the old model = factor * value in the new one. */
function chooseFactors(
  model: TfliteModel,
  groups: Groups,
  ranges: ReadonlyMap<string, ChannelRanges>,
  gatedWeight: number,
): Map<number, Float64Array> {
  const gated = new Set(
    model.operators.filter(operator => isGate(model, operator)).map(operator => operator.inputs[0]!),
  );
  const widths = new Map<number, Float64Array>();
  model.tensors.forEach((tensor, index) => {
    const range = ranges.get(tensor.name);
    const group = groups(index);
    if (!range || tensor.data || group === undefined) return;
    const known = widths.get(group) ?? new Float64Array(range.min.length);
    const weight = gated.has(index) ? gatedWeight : 1;
    widths.set(
      group,
      known.map((width, c) => Math.max(width, weight * widthOf(range, c))),
    );
  });
  const perGroup = new Map<number, Float64Array>();
  for (const [group, width] of widths) {
    const widest = Math.max(...width);
    // A channel that is always zero may have any factor.
    if (widest > 0) {
      perGroup.set(
        group,
        width.map(value => (value > 0 ? Math.max(value / widest, MIN_FACTOR) : 1)),
      );
    }
  }
  const factors = new Map<number, Float64Array>();
  model.tensors.forEach((_, index) => {
    const group = groups(index);
    const factor = group === undefined ? undefined : perGroup.get(group);
    if (factor) factors.set(index, factor);
  });
  // What CONCATENATION makes has the factors of its parts.
  for (const operator of model.operators) {
    if (operator.op !== 'CONCATENATION' || !operator.inputs.some(index => factors.has(index))) continue;
    const ones = (index: number) => new Float64Array(model.tensors[index]!.shape.at(-1)!).fill(1);
    const parts = operator.inputs.flatMap(index => [...(factors.get(index) ?? ones(index))]);
    factors.set(operator.outputs[0]!, Float64Array.from(parts));
  }
  return factors;
}

function applyFactors(
  operator: KnownOperator,
  draft: ModelDraft,
  factors: ReadonlyMap<number, Float64Array>,
): KnownOperator {
  const before = factors.get(operator.inputs[0]!);
  const after = factors.get(operator.outputs[0]!);
  if (operator.op === 'ADD' && before && !after) return gateOf(operator, draft, before);
  if (!['CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED'].includes(operator.op) || (!before && !after))
    return operator;
  const [input, weightIndex, biasIndex] = operator.inputs as [number, number, number];
  const weight = draft.tensors[weightIndex]!;
  const bias = draft.tensors[biasIndex]!;
  // [out, kh, kw, in] and [out, in]; depthwise [1, kh, kw, channels * multiplier].
  const isDepthwise = operator.op === 'DEPTHWISE_CONV_2D';
  const outputs = isDepthwise ? weight.shape[3]! : weight.shape[0]!;
  const inputs = isDepthwise ? outputs / operator.options.depth_multiplier : weight.shape.at(-1)!;
  const perOutput = sizeOf(weight.shape) / outputs;
  const scaled = floatsOf(weight).map((value, i) => {
    const out = isDepthwise ? i % outputs : Math.floor(i / perOutput);
    const channel = isDepthwise ? Math.floor((out * inputs) / outputs) : i % inputs;
    return (value * (before?.[channel] ?? 1)) / (after?.[out] ?? 1);
  });
  const scaledBias = floatsOf(bias).map((value, out) => value / (after?.[out] ?? 1));
  const weights = draft.addFloats(weight.name, weight.shape, scaled);
  return { ...operator, inputs: [input, weights, draft.addFloats(bias.name, bias.shape, scaledBias)] };
}

/** relu6(factor * x + constant) as a depthwise convolution of size 1. */
function gateOf(operator: KnownOperator<'ADD'>, draft: ModelDraft, factor: Float64Array): KnownOperator {
  const [input, constant] = operator.inputs as [number, number];
  const { name } = draft.tensors[operator.outputs[0]!]!;
  const channels = factor.length;
  const shift = floatsOf(draft.tensors[constant]!)[0]!;
  const weight = draft.addFloats(`${name}.weight`, [1, 1, 1, channels], factor);
  const bias = draft.addFloats(`${name}.bias`, [channels], new Float32Array(channels).fill(shift));
  return {
    op: 'DEPTHWISE_CONV_2D',
    version: 1,
    inputs: [input, weight, bias],
    outputs: operator.outputs,
    options: {
      padding: Padding.VALID,
      stride_w: 1,
      stride_h: 1,
      depth_multiplier: 1,
      fused_activation_function: operator.options.fused_activation_function,
      dilation_w_factor: 1,
      dilation_h_factor: 1,
    },
  };
}
