// Raises what slides windows over images, convolutions and pools, with TFLite's paddings written out.
import { transpose } from '../tensor/tensor.ts';
import {
  finishStep,
  hasKnownActivation,
  numberOption,
  type Problem,
  type RaisePlan,
  type Raising,
  type Step,
} from './raise-plan.ts';
import { Padding } from './schema.ts';

type Pads = readonly [number, number, number, number];

/** Kernel, stride and dilation along an axis. */
interface Window {
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
}

/**
 * Padding before and after: none for VALID; for SAME out = ceil(in / s), total = max((out - 1) * s + k_eff - in, 0) with
 * k_eff = (k - 1) * d + 1, before = floor(total / 2), the rest after.
 */
function samePadding(size: number, { kernel, stride, dilation }: Window): readonly [number, number] {
  const total = Math.max((Math.ceil(size / stride) - 1) * stride + (kernel - 1) * dilation + 1 - size, 0);
  return [Math.floor(total / 2), total - Math.floor(total / 2)];
}

function padsOf(step: Step, plan: RaisePlan, windows: readonly [Window, Window]): Pads {
  if (numberOption(step, 'padding') === Padding.VALID) return [0, 0, 0, 0];
  const [, height, width] = plan.shape(step.inputs[0]!);
  const [top, bottom] = samePadding(height!, windows[0]);
  const [left, right] = samePadding(width!, windows[1]);
  return [top, left, bottom, right];
}

/** The image and the padding of an operator; zeros that a PAD before it puts around the image join the operator's own. */
function joinPadding(step: Step, plan: RaisePlan, pads: Pads): { readonly input: string; readonly pads: Pads } {
  const input = plan.value(step.inputs[0]!)!;
  const padded = plan.padded.get(input);
  // Around a padding of the operator itself, SAME would count the zeros of the PAD as a part of the image.
  if (!padded || pads.some(width => width > 0)) return { input, pads };
  return { input: padded.value, pads: padded.pads };
}

function checkImage(step: Step, plan: RaisePlan): Problem | undefined {
  if (plan.value(step.inputs[0]!) === undefined || plan.shape(step.inputs[0]!).length !== 4) {
    return 'its input is not a computed image';
  }
  return hasKnownActivation(step) ? undefined : 'graft does not know its fused activation';
}

/** CONV_2D and DEPTHWISE_CONV_2D -> Conv. Weights [out, kh, kw, in / groups] and [1, kh, kw, in * multiplier] become OIHW. */
export const raiseConvolution: Raising = (step, plan) => {
  const problem = checkImage(step, plan);
  if (problem) return problem;
  const [input, weightIndex, biasIndex] = step.inputs as [number, number, number?];
  const isDepthwise = step.op === 'DEPTHWISE_CONV_2D';
  const stored = plan.constant(weightIndex);
  const bias = constantBias(plan, input, weightIndex, biasIndex);
  if (stored?.shape.length !== 4 || bias === null) return 'its weight or bias is no constant that graft can read';
  const weight = transpose(stored, isDepthwise ? [3, 0, 1, 2] : [0, 3, 1, 2]);
  const channels = plan.shape(input)[3]!;
  const [out, perGroup, height, width] = weight.shape as [number, number, number, number];
  const group = isDepthwise ? channels : channels / perGroup;
  if (!Number.isInteger(group) || out % group !== 0) {
    return `its weight [${stored.shape.join(', ')}] does not fit ${channels} channels`;
  }
  const windows: readonly [Window, Window] = [
    { kernel: height, stride: numberOption(step, 'stride_h', 1), dilation: numberOption(step, 'dilation_h_factor', 1) },
    { kernel: width, stride: numberOption(step, 'stride_w', 1), dilation: numberOption(step, 'dilation_w_factor', 1) },
  ];
  if (windows.some(({ stride, dilation }) => stride < 1 || dilation < 1))
    return 'its strides or dilations are not positive';
  const from = joinPadding(step, plan, padsOf(step, plan, windows));
  const inputs = [from.input, plan.storeOf(weightIndex, weight)];
  if (bias) inputs.push(plan.storeOf(biasIndex!, bias));
  finishStep(step, plan, true, name =>
    plan.node('Conv', name, inputs, {
      kernel_shape: [height, width],
      strides: [windows[0].stride, windows[1].stride],
      pads: from.pads,
      dilations: [windows[0].dilation, windows[1].dilation],
      group,
    }),
  );
  return undefined;
};

/** The bias; undefined when there is none, null when it cannot be read. Where it has no scale: input's * weight's. */
export function constantBias(plan: RaisePlan, input: number, weight: number, bias: number | undefined) {
  if (bias === undefined || bias < 0) return undefined;
  const [inScale] = plan.tensor(input).quantization?.scale ?? [];
  const scales = plan.tensor(weight).quantization?.scale;
  const constant = plan.constant(bias, inScale === undefined ? undefined : scales?.map(scale => scale * inScale));
  return constant ?? null;
}

/** AVERAGE_POOL_2D, which divides by the number of positions inside of the image, and MAX_POOL_2D. */
export const raisePool: Raising = (step, plan) => {
  const problem = checkImage(step, plan);
  if (problem) return problem;
  const windows: readonly [Window, Window] = [
    { kernel: numberOption(step, 'filter_height'), stride: numberOption(step, 'stride_h'), dilation: 1 },
    { kernel: numberOption(step, 'filter_width'), stride: numberOption(step, 'stride_w'), dilation: 1 },
  ];
  if (windows.some(({ kernel, stride }) => kernel < 1 || stride < 1)) return 'its window or strides are not positive';
  const attributes = {
    kernel_shape: [windows[0].kernel, windows[1].kernel],
    strides: [windows[0].stride, windows[1].stride],
    pads: padsOf(step, plan, windows),
  } as const;
  const input = plan.value(step.inputs[0]!)!;
  if (step.op === 'MAX_POOL_2D') {
    finishStep(step, plan, false, name => plan.node('MaxPool', name, [input], attributes));
    return undefined;
  }
  const from = joinPadding(step, plan, attributes.pads);
  const isCounted = from.input !== input;
  const [, height, width] = plan.shape(step.inputs[0]!);
  const isGlobal =
    !isCounted && height === windows[0].kernel && width === windows[1].kernel && from.pads.every(pad => pad === 0);
  finishStep(step, plan, false, name =>
    isGlobal
      ? plan.node('GlobalAveragePool', name, [input], {})
      : plan.node('AveragePool', name, [from.input], {
          ...attributes,
          pads: from.pads,
          count_include_pad: isCounted ? 1 : 0,
        }),
  );
  return undefined;
};
