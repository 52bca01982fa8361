// Element-wise arithmetic with broadcasting, and the squeeze-and-excitation gate.
import type { Node } from '../onnx/graph.ts';
import { float32, sizeOf, type Tensor } from '../tensor/tensor.ts';
import { arranged, broadcast, operandTensor, type Value, widened } from './axes.ts';
import { type Facts, floatConstant, fuseActivation, getValue, type Lowering, type Plan } from './plan.ts';
import { Activation } from './schema.ts';

type BinaryOp = 'Add' | 'Div' | 'Max' | 'Min' | 'Mul' | 'Sub';

/** An op of two values. Constants are laid out like the value they are combined with. */
function lowerBinary(operator: 'ADD' | 'DIV' | 'MAXIMUM' | 'MINIMUM' | 'MUL' | 'SUB'): Lowering<BinaryOp> {
  return {
    infer(node, facts) {
      if (node.inputs.length !== 2) {
        return { problem: `it has ${node.inputs.length} inputs`, remedy: 'Combine two values at a time.' };
      }
      if (node.inputs.every(name => facts.constant(name))) {
        return { problem: 'both of its inputs are constants', remedy: 'Compute it before the graph is built.' };
      }
      const value = combine(node, facts);
      if (value) return value;
      return {
        problem: 'its inputs have shapes or types that do not go together in the file',
        remedy: 'Combine values that broadcast to each other, or a value with a float32 constant of at most its rank.',
      };
    },
    emit(node, plan) {
      const value = combine(node, plan)!;
      const inputs = node.inputs.map(name => {
        const constant = floatConstant(plan, name);
        if (!constant) return plan.arrange(name, value.order);
        return plan.store(name, alongRow(operandTensor(constant, value)!, value.shape));
      });
      const scale = node.inputs.reduce((product, name) => product * (plan.pendingScale.get(name) ?? 1), 1);
      if (scale !== 1) plan.pendingScale.set(node.outputs[0]!, scale);
      if (operator === 'MAXIMUM' || operator === 'MINIMUM') {
        plan.emit(operator, inputs, node.outputs[0]!, value.shape, {});
        return;
      }
      const { activation, output } = fuseActivation(node, plan);
      plan.emit(operator, inputs, output, value.shape, { fused_activation_function: activation });
    },
  };
}

/**
 * What broadcasting makes of the two inputs: in the order of axes of the one with more numbers. Undefined when they do not
 * go together.
 */
function combine(node: Node<BinaryOp>, facts: Facts): Value | undefined {
  const values = node.inputs.filter(name => !facts.constant(name)).map(name => getValue(facts, name));
  const [first, second] = values as [Value, Value?];
  if (!second) {
    const constant = node.inputs.map(name => floatConstant(facts, name)).find(tensor => tensor !== undefined);
    const operand = constant && operandTensor(constant, first);
    const shape = operand && broadcast(first.shape, operand.shape);
    return shape?.length === first.shape.length ? { ...first, shape } : undefined;
  }
  const rank = Math.max(first.shape.length, second.shape.length);
  const [a, b] = [widened(first, rank), widened(second, rank)];
  const { order } = sizeOf(b.shape) > sizeOf(a.shape) ? b : a;
  const shape = broadcast(arranged(a, order).shape, arranged(b, order).shape);
  return shape && { order, shape };
}

/** Channels below which a number per channel is written out along a row. */
const NARROW = 8;

/**
 * [channels] as [width, channels], where an image has few channels: kernels run over the longest stretch that both operands
 * share, and over three numbers at a time they are slow (0.3 ms of 6.5 for the normalisation of 224 x 224 pixels).
 */
function alongRow(tensor: Tensor<'float32'>, image: readonly number[]): Tensor<'float32'> {
  const [channels, width] = [image[3], image[2]];
  const isPerChannel = image.length === 4 && tensor.shape.length === 1 && tensor.shape[0] === channels;
  if (!isPerChannel || channels! < 2 || channels! >= NARROW || width === 1) return tensor;
  const data = Float32Array.from({ length: width! * channels! }, (_, i) => tensor.data[i % channels!]!);
  return float32([width!, channels!], data);
}

export const lowerAdd: Lowering<'Add'> = lowerBinary('ADD');
export const lowerDiv: Lowering<'Div'> = lowerBinary('DIV');
export const lowerMax: Lowering<'Max'> = lowerBinary('MAXIMUM');
export const lowerMin: Lowering<'Min'> = lowerBinary('MINIMUM');
export const lowerMul: Lowering<'Mul'> = lowerBinary('MUL');
export const lowerSub: Lowering<'Sub'> = lowerBinary('SUB');

/**
 * A hard-sigmoid: clip(alpha * x + beta, 0, 1) = relu6(factor * x + shift) / 6 with factor = 6 alpha, shift = 6 beta.
 * TFLite has no such operator. `rawOutput` names the value before the division by 6.
 */
export interface Gate {
  readonly node: Node<'HardSigmoid'>;
  readonly factor: number;
  readonly shift: number;
  readonly rawOutput: string;
  /** The weights behind the gate divide by 6, so that no operator has to. */
  readonly deferred: boolean;
}

/** The gate that alone reads the output of `convolution`, which then computes it; undefined when there is none. */
export function gateAfter(convolution: Node<'Conv'>, plan: Plan): Gate | undefined {
  const reader = plan.onlyReader(convolution.outputs[0]!);
  if (reader?.op !== 'HardSigmoid') return undefined;
  plan.swallowed.add(reader);
  return planGate(reader, plan);
}

function planGate(node: Node<'HardSigmoid'>, plan: Plan): Gate {
  const output = node.outputs[0]!;
  const deferred = isScaleAbsorbed(output, plan);
  const { alpha, beta } = node.attributes;
  return { node, factor: 6 * alpha, shift: 6 * beta, rawOutput: deferred ? output : `${output}.times6`, deferred };
}

/** True when only a Mul reads the gate and only a Conv reads the product: zero padding commutes with a factor. */
function isScaleAbsorbed(output: string, plan: Plan): boolean {
  const product = plan.onlyReader(output);
  if (product?.op !== 'Mul') return false;
  const reader = plan.onlyReader(product.outputs[0]!);
  return reader?.op === 'Conv' && reader.inputs[0] === product.outputs[0];
}

/** Leaves the division of `made`, the index of the raw output, by 6 to the weights behind, or emits it. */
export function finishGate(gate: Gate, made: number, shape: readonly number[], plan: Plan): void {
  const output = gate.node.outputs[0]!;
  if (gate.deferred) {
    plan.pendingScale.set(output, 1 / 6);
    return;
  }
  const sixth = plan.store('one-sixth', float32([1], [1 / 6]));
  plan.emit('MUL', [made, sixth], output, shape, { fused_activation_function: Activation.NONE });
}

/** HardSigmoid that no Conv computes: [MUL +] ADD with RELU6, and the division by 6 unless the weights behind take it. */
export const lowerHardSigmoid: Lowering<'HardSigmoid'> = {
  infer: (node, facts) => getValue(facts, node.inputs[0]),
  emit(node, plan) {
    const gate = planGate(node, plan);
    const { shape } = getValue(plan, node.inputs[0]);
    let input = plan.tensor(node.inputs[0]!);
    if (gate.factor !== 1) {
      const factor = plan.store(`${node.name}.factor`, float32([1], [gate.factor]));
      const none = { fused_activation_function: Activation.NONE };
      input = plan.emit('MUL', [input, factor], `${node.outputs[0]}.scaled`, shape, none);
    }
    const shift = plan.store(`${node.name}.shift`, float32([1], [gate.shift]));
    const relu6 = { fused_activation_function: Activation.RELU6 };
    finishGate(gate, plan.emit('ADD', [input, shift], gate.rawOutput, shape, relu6), shape, plan);
  },
};
