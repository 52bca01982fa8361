// Convolutions: ordinary, grouped and depthwise, with the padding arithmetic of TFLite and what they can swallow.
import type { Node } from '../onnx/graph.ts';
import { float32, type Tensor, transpose } from '../tensor/tensor.ts';
import { arranged, IMAGE_ORDER } from './axes.ts';
import { finishGate, gateAfter } from './lower-elementwise.ts';
import { floatConstant, fuseActivation, getValue, type Lowering, type Plan } from './plan.ts';
import { Activation } from './schema.ts';
import { outSize, padFor, windowsOf } from './windows.ts';

type Convolution = Node<'Conv'>;

/** Conv -> [PAD +] CONV_2D or DEPTHWISE_CONV_2D; a following activation or hard-sigmoid gate becomes part of it. */
export const lowerConv: Lowering<'Conv'> = {
  infer(node, facts) {
    const input = getValue(facts, node.inputs[0]);
    if (input.shape.length !== 4) {
      return { problem: 'it reads a value that is no image', remedy: 'Convolve values [N, channels, height, width].' };
    }
    const weight = floatConstant(facts, node.inputs[1]);
    const bias = node.inputs[2] ? floatConstant(facts, node.inputs[2]) : null;
    if (!weight || bias === undefined) {
      return {
        problem: 'its weight or bias is not a float32 constant',
        remedy: 'Store both as constants of the graph.',
      };
    }
    const [, height, width, channels] = arranged(input, IMAGE_ORDER).shape as [number, number, number, number];
    const [out, perGroup, kernelHeight, kernelWidth] = weight.shape;
    const { group, kernel_shape: kernel } = node.attributes;
    const fits =
      weight.shape.length === 4 &&
      perGroup! * group === channels &&
      out! % group === 0 &&
      kernel[0] === kernelHeight &&
      kernel[1] === kernelWidth &&
      (bias === null || bias.data.length === out);
    if (!fits) {
      return {
        problem: `its weight [${weight.shape.join(', ')}] does not fit ${channels} channels in ${group} groups`,
        remedy: 'Build the graph again with matching weights.',
      };
    }
    const [vertical, horizontal] = windowsOf(node.attributes);
    const shape = [1, outSize(height, vertical), outSize(width, horizontal), out!];
    if (shape.some(dim => dim < 1)) {
      return {
        problem: `its window is larger than the ${height} x ${width} image it reads`,
        remedy: 'Use a larger input size.',
      };
    }
    return { order: IMAGE_ORDER, shape };
  },

  emit(node, plan) {
    const gate = gateAfter(node, plan);
    const { activation, output } = gate
      ? { activation: Activation.RELU6, output: gate.rawOutput }
      : fuseActivation(node, plan);
    const { shape } = getValue(plan, node.outputs[0]);
    const scale = plan.pendingScale.get(node.inputs[0]!) ?? 1;
    const { weight, bias } = foldInto(node, plan, scale, gate?.factor ?? 1, gate?.shift ?? 0);
    const [vertical, horizontal] = windowsOf(node.attributes);
    const { input, padding } = padFor(node, [vertical, horizontal], plan);
    const options = {
      padding,
      stride_w: horizontal.stride,
      stride_h: vertical.stride,
      fused_activation_function: activation,
      dilation_w_factor: horizontal.dilation,
      dilation_h_factor: vertical.dilation,
    };
    const { group } = node.attributes;
    const [, , , channels] = arranged(getValue(plan, node.inputs[0]), IMAGE_ORDER).shape as [
      number,
      number,
      number,
      number,
    ];
    const biasIndex = plan.store(node.inputs[2] || `${node.name}.bias`, bias);
    let made: number;
    if (group > 1 && group === channels) {
      // [C * m, 1, kh, kw] -> [1, kh, kw, C * m]; both count output channels as c * m + i.
      const kernel = plan.store(node.inputs[1]!, transpose(weight, [1, 2, 3, 0]));
      const version = vertical.dilation === 1 && horizontal.dilation === 1 ? 1 : 2;
      const depthwise = { ...options, depth_multiplier: shape[3]! / channels };
      made = plan.emit('DEPTHWISE_CONV_2D', [input, kernel, biasIndex], output, shape, depthwise, version);
    } else {
      const kernel = plan.store(node.inputs[1]!, transpose(weight, [0, 2, 3, 1]));
      made = plan.emit('CONV_2D', [input, kernel, biasIndex], output, shape, options, group === 1 ? 1 : 6);
    }
    if (gate) finishGate(gate, made, shape, plan);
  },
};

/** Weight * inScale * outFactor and bias * outFactor + outShift; a Conv without bias gets zeros, which the runtime wants. */
function foldInto(node: Convolution, plan: Plan, inScale: number, outFactor: number, outShift: number) {
  const weight = floatConstant(plan, node.inputs[1])!;
  const given = node.inputs[2] ? floatConstant(plan, node.inputs[2])!.data : new Float32Array(weight.shape[0]!);
  const factor = inScale * outFactor;
  const folded: Tensor<'float32'> =
    factor === 1 ? weight : { ...weight, data: weight.data.map(value => value * factor) };
  return {
    weight: folded,
    bias: float32(
      [given.length],
      given.map(value => value * outFactor + outShift),
    ),
  };
}
