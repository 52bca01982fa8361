// Cross-layer equalisation: every channel of a value is divided by its own range, and the weights around it take the
// factor over, so that all channels can share one 8-bit scale. The function stays the same.
// Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv:1906.04721. They
// stop at ReLU; here it reaches through hard-swish (expanded to x * relu6(x + 3)), x * sigmoid(x), ReLU6, residual additions,
// squeeze-and-excitation gates, joined, split and shuffled channels too: each value has one factor per channel, and a gate is
// given back the true x by a depthwise convolution of size 1. A factor of a channel behind ReLU6 moves the clamp of this
// channel down to the largest value that calibration has seen, where 8 bits end anyway.
import { type ChannelGroups, groupChannels } from './channel-groups.ts';
import { type ChannelRanges, mapRanges, widthOf } from './channel-ranges.ts';
import { floatsOf, type ModelDraft, startDraft } from './draft.ts';
import type { RangedModel } from './expand-hard-swish.ts';
import { isGate } from './linearity.ts';
import type { KnownOperator, TfliteModel } from './model.ts';
import { clampGate, narrowRanges } from './narrow-ranges.ts';
import { Activation, Padding } from './schema.ts';
import { weightChannels } from './weight-channels.ts';

/** Channels narrower than this part of the widest one are not widened further. */
const MIN_FACTOR = 2 ** -13;

/**
 * By how much the range of a gated x counts more than that of x * relu6(x + 3), whose factors it shares: an error of x
 * comes out up to that many times larger, since the gate goes to 6. Measured in bench/quantise.bench.ts: 1, 2, 3, 5, 8.
 */
const GATED_WEIGHT = 6;

/**
 * By how much a channel may grow beyond what calibration has seen before it is cut off, but for the widest, which sets the
 * scale. Measured on photos with MobileNetV3-Small and MobileNetV2, and on random networks of every family: 1, 1.25, 1.5, 2, 3.
 */
const HEADROOM = 1.5;

/**
 * The same function, with the channels of every value equally wide wherever the operators allow it.
 * The model is in float32, without HARD_SWISH.
 * @param gatedWeight by how much the range of a gated x counts more. Default: 6.
 * @param headroom room above the range of every channel but the widest. Default: 1.5.
 */
export function equalise({ model, ranges }: RangedModel, gatedWeight = GATED_WEIGHT, headroom = HEADROOM): RangedModel {
  const seen = narrowRanges(model, ranges);
  const factors = chooseFactors(model, groupChannels(model), seen, gatedWeight, headroom);
  const draft = startDraft(model);
  const scaled = new Map(seen);
  for (const [index, factor] of factors) {
    const { name } = model.tensors[index]!;
    const range = seen.get(name);
    // Channels that are split over two axes have no ranges of their own.
    if (range && range.min.length !== factor.length) scaled.delete(name);
    else if (range)
      scaled.set(
        name,
        mapRanges(range, (value, c) => value / factor[c]!),
      );
  }
  for (const operator of model.operators as readonly KnownOperator[]) {
    const before = factors.get(operator.inputs[0]!);
    if (operator.op !== 'LOGISTIC' || !before) {
      draft.operators.push(applyFactors(operator, draft, factors));
      continue;
    }
    const [input, output] = [operator.inputs[0]!, operator.outputs[0]!];
    const { name } = draft.tensors[output]!;
    const whole = draft.addTensor({ ...draft.tensors[input]!, name: `${name}.input` });
    draft.operators.push(giveBack(draft, before, { input, output: whole, shift: 0, activation: Activation.NONE }));
    draft.operators.push({ ...operator, inputs: [whole] });
    const range = seen.get(model.tensors[input]!.name);
    if (range) scaled.set(`${name}.input`, mapRanges(range, clampGate));
  }
  return { model: draft.finish(), ranges: scaled };
}

/** Factor per channel of every tensor that has one: value in the old model = factor * value in the new one. */
function chooseFactors(
  model: TfliteModel,
  groups: ChannelGroups,
  ranges: ReadonlyMap<string, ChannelRanges>,
  gatedWeight: number,
  headroom: number,
): Map<number, Float64Array> {
  const gated = new Set(
    model.operators.filter(operator => isGate(model, operator)).map(operator => operator.inputs[0]!),
  );
  const widths = new Map<number, number>();
  /** Widest value behind ReLU6, which a factor leaves alone below. */
  const reached = new Map<number, number>();
  const widest = new Map<number, number>();
  const raise = (map: Map<number, number>, key: number, width: number) => {
    map.set(key, Math.max(map.get(key) ?? 0, width));
  };
  model.tensors.forEach((tensor, index) => {
    const range = ranges.get(tensor.name);
    if (!range || tensor.data || range.min.length !== groups.count(index)) return;
    for (let c = 0; c < range.min.length; c++) {
      const width = widthOf(range, c);
      const weighted = (gated.has(index) ? gatedWeight : 1) * width;
      raise(widths, groups.group(index, c), weighted);
      raise(widest, groups.family(index), weighted);
      if (groups.clamped.has(index)) raise(reached, groups.group(index, c), width);
    }
  });
  const ofGroup = new Map<number, number>();
  const factors = new Map<number, Float64Array>();
  for (const index of groups.ordered) {
    const largest = widest.get(groups.family(index)) ?? 0;
    const factor = Float64Array.from({ length: groups.count(index) }, (_, c) => {
      const group = groups.group(index, c);
      const known = ofGroup.get(group);
      if (known !== undefined) return known;
      const width = widths.get(group) ?? 0;
      const wanted = Math.max((headroom * width) / largest, MIN_FACTOR, (reached.get(group) ?? 0) / 6);
      // A channel that is always zero may have any factor.
      const chosen = groups.isFixed(group) || width === 0 ? 1 : Math.min(1, wanted);
      ofGroup.set(group, chosen);
      return chosen;
    });
    if (factor.some(value => value !== 1)) factors.set(index, factor);
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
  if (operator.op === 'ADD' && before && !after) {
    const [input, constant] = operator.inputs as [number, number];
    const shift = floatsOf(draft.tensors[constant]!)[0]!;
    const activation = operator.options.fused_activation_function;
    return giveBack(draft, before, { input, output: operator.outputs[0]!, shift, activation });
  }
  if (!['CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED'].includes(operator.op) || (!before && !after))
    return operator;
  const [input, weightIndex, biasIndex] = operator.inputs as [number, number, number];
  const weight = draft.tensors[weightIndex]!;
  const bias = draft.tensors[biasIndex]!;
  const { outputOf, inputOf } = weightChannels(weight.shape, operator.op);
  const scaled = floatsOf(weight).map(
    (value, i) => (value * (before?.[inputOf(i, before.length)] ?? 1)) / (after?.[outputOf(i)] ?? 1),
  );
  const scaledBias = floatsOf(bias).map((value, out) => value / (after?.[out] ?? 1));
  const weights = draft.addFloats(weight.name, weight.shape, scaled);
  return { ...operator, inputs: [input, weights, draft.addFloats(bias.name, bias.shape, scaledBias)] };
}

/** factor * x + shift, the x that a gate reads, as a depthwise convolution of size 1. */
function giveBack(
  draft: ModelDraft,
  factor: Float64Array,
  gate: { readonly input: number; readonly output: number; readonly shift: number; readonly activation: number },
): KnownOperator {
  const { name } = draft.tensors[gate.output]!;
  const channels = factor.length;
  const weight = draft.addFloats(`${name}.weight`, [1, 1, 1, channels], factor);
  const bias = draft.addFloats(`${name}.bias`, [channels], new Float32Array(channels).fill(gate.shift));
  return {
    op: 'DEPTHWISE_CONV_2D',
    version: 1,
    inputs: [gate.input, weight, bias],
    outputs: [gate.output],
    options: {
      padding: Padding.VALID,
      stride_w: 1,
      stride_h: 1,
      depth_multiplier: 1,
      fused_activation_function: gate.activation,
      dilation_w_factor: 1,
      dilation_h_factor: 1,
    },
  };
}
