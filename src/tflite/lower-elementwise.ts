// Element-wise ops: additions and products with broadcasting, activations, and the squeeze-and-excitation gate.
import type { Node } from '../onnx/graph.ts';
import { float32 } from '../tensor/tensor.ts';
import {
  activationOf,
  broadcast,
  type Facts,
  floatConstant,
  fuseActivation,
  getValue,
  type Lowering,
  operandTensor,
  type Plan,
  type Value,
} from './plan.ts';
import { Activation } from './schema.ts';

type BinaryOp = 'Add' | 'Mul';

/** Add -> ADD, Mul -> MUL. Constants are laid out like the value they are combined with. */
function lowerBinary(operator: 'ADD' | 'MUL'): Lowering<BinaryOp> {
  return {
    infer(node, facts) {
      const computed = node.inputs.filter(name => !facts.constant(name));
      if (computed.length === 0) {
        return { problem: 'both of its inputs are constants', remedy: 'Compute it before the graph is built.' };
      }
      const value = getValue(facts, computed[0]);
      const other = computed.length === 2 ? getValue(facts, computed[1]) : constantOperand(node, facts, value);
      if (
        other &&
        other.layout === value.layout &&
        (computed.length === 1 || other.shape.length === value.shape.length)
      ) {
        const shape = broadcast(value.shape, other.shape);
        if (shape && shape.length === value.shape.length) return { layout: value.layout, shape };
      }
      return {
        problem: 'its inputs have shapes, layouts or types that do not go together in the file',
        remedy: 'Combine values of one rank and layout, or a value with a float32 constant of at most its rank.',
      };
    },
    emit(node, plan) {
      const scales = node.inputs.map(name => plan.pendingScale.get(name) ?? 1);
      const computed = node.inputs.find(name => !plan.constant(name))!;
      const inputs = node.inputs.map(name => {
        const constant = floatConstant(plan, name);
        return constant ? plan.store(name, operandTensor(constant, getValue(plan, computed))!) : plan.tensor(name);
      });
      const scale = scales.reduce((product, factor) => product * factor, 1);
      if (scale !== 1) plan.pendingScale.set(node.outputs[0]!, scale);
      const { activation, output } = fuseActivation(node, plan);
      const { shape } = getValue(plan, node.outputs[0]);
      plan.emit(operator, inputs, output, shape, { fused_activation_function: activation });
    },
  };
}

function constantOperand(node: Node<BinaryOp>, facts: Facts, value: Value): Value | undefined {
  const constant = node.inputs.map(name => floatConstant(facts, name)).find(tensor => tensor !== undefined);
  const tensor = constant && operandTensor(constant, value);
  return tensor && { layout: value.layout, shape: tensor.shape };
}

export const lowerAdd: Lowering<'Add'> = lowerBinary('ADD');
export const lowerMul: Lowering<'Mul'> = lowerBinary('MUL');

const sameAsInput = (node: Node, facts: Facts): Value => getValue(facts, node.inputs[0]);

function lowerUnary(operator: 'RELU' | 'RELU6' | 'HARD_SWISH') {
  return (node: Node, plan: Plan): void => {
    const { shape } = sameAsInput(node, plan);
    plan.emit(operator, [plan.tensor(node.inputs[0]!)], node.outputs[0]!, shape, {});
  };
}

/** Relu -> RELU where no operator before it can apply it. */
export const lowerRelu: Lowering<'Relu'> = { infer: sameAsInput, emit: lowerUnary('RELU') };

/** HardSwish -> HARD_SWISH. */
export const lowerHardSwish: Lowering<'HardSwish'> = { infer: sameAsInput, emit: lowerUnary('HARD_SWISH') };

/** Clip from 0 to 6 -> RELU6. */
export const lowerClip: Lowering<'Clip'> = {
  infer: (node, facts) =>
    activationOf(facts, node) === Activation.RELU6
      ? sameAsInput(node, facts)
      : { problem: 'its limits are not the constants 0 and 6', remedy: 'Use Relu, or Clip from 0 to 6.' },
  emit: lowerUnary('RELU6'),
};

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
  infer: sameAsInput,
  emit(node, plan) {
    const gate = planGate(node, plan);
    const { shape } = sameAsInput(node, plan);
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
