// Element-wise ops: arithmetic with broadcasting, activations, and the squeeze-and-excitation gate.
import type { Node } from '../onnx/graph.ts';
import { float32, type Tensor } from '../tensor/tensor.ts';
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
  scalarConstant,
  type Value,
} from './plan.ts';
import { Activation } from './schema.ts';

type BinaryOp = 'Add' | 'Div' | 'Max' | 'Min' | 'Mul' | 'Sub';

/** An op of two values. Constants are laid out like the value they are combined with. */
function lowerBinary(operator: 'ADD' | 'DIV' | 'MAXIMUM' | 'MINIMUM' | 'MUL' | 'SUB'): Lowering<BinaryOp> {
  return {
    infer(node, facts) {
      if (node.inputs.length !== 2) {
        return { problem: `it has ${node.inputs.length} inputs`, remedy: 'Combine two values at a time.' };
      }
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
        if (!constant) return plan.tensor(name);
        const value = getValue(plan, computed);
        return plan.store(name, alongRow(operandTensor(constant, value)!, value.shape));
      });
      const scale = scales.reduce((product, factor) => product * factor, 1);
      if (scale !== 1) plan.pendingScale.set(node.outputs[0]!, scale);
      const { shape } = getValue(plan, node.outputs[0]);
      if (operator === 'MAXIMUM' || operator === 'MINIMUM') {
        plan.emit(operator, inputs, node.outputs[0]!, shape, {});
        return;
      }
      const { activation, output } = fuseActivation(node, plan);
      plan.emit(operator, inputs, output, shape, { fused_activation_function: activation });
    },
  };
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

function constantOperand(node: Node<BinaryOp>, facts: Facts, value: Value): Value | undefined {
  const constant = node.inputs.map(name => floatConstant(facts, name)).find(tensor => tensor !== undefined);
  const tensor = constant && operandTensor(constant, value);
  return tensor && { layout: value.layout, shape: tensor.shape };
}

export const lowerAdd: Lowering<'Add'> = lowerBinary('ADD');
export const lowerDiv: Lowering<'Div'> = lowerBinary('DIV');
export const lowerMax: Lowering<'Max'> = lowerBinary('MAXIMUM');
export const lowerMin: Lowering<'Min'> = lowerBinary('MINIMUM');
export const lowerMul: Lowering<'Mul'> = lowerBinary('MUL');
export const lowerSub: Lowering<'Sub'> = lowerBinary('SUB');

const sameAsInput = (node: Node, facts: Facts): Value => getValue(facts, node.inputs[0]);

type UnaryOperator = 'EXP' | 'HARD_SWISH' | 'LOGISTIC' | 'NEG' | 'RELU' | 'RELU6' | 'SQRT' | 'TANH';

/** An op of one value. */
function lowerUnary(operator: UnaryOperator) {
  return {
    infer: sameAsInput,
    emit(node: Node, plan: Plan): void {
      const { shape } = sameAsInput(node, plan);
      plan.emit(operator, [plan.tensor(node.inputs[0]!)], node.outputs[0]!, shape, {});
    },
  };
}

export const lowerExp: Lowering<'Exp'> = lowerUnary('EXP');
export const lowerHardSwish: Lowering<'HardSwish'> = lowerUnary('HARD_SWISH');
export const lowerNeg: Lowering<'Neg'> = lowerUnary('NEG');
/** Where no operator before it can apply it. */
export const lowerRelu: Lowering<'Relu'> = lowerUnary('RELU');
export const lowerSigmoid: Lowering<'Sigmoid'> = lowerUnary('LOGISTIC');
export const lowerSqrt: Lowering<'Sqrt'> = lowerUnary('SQRT');
export const lowerTanh: Lowering<'Tanh'> = lowerUnary('TANH');

/** Clip from 0 to 6 -> RELU6; between other numbers -> MAXIMUM and MINIMUM. */
export const lowerClip: Lowering<'Clip'> = {
  infer(node, facts) {
    const limits = [1, 2].map(i => scalarConstant(facts, node.inputs[i]));
    return limits.every(limit => limit !== undefined)
      ? sameAsInput(node, facts)
      : { problem: 'its limits are not two constant numbers', remedy: 'Store both as float32 scalars.' };
  },
  emit(node, plan) {
    if (activationOf(plan, node) === Activation.RELU6) {
      lowerUnary('RELU6').emit(node, plan);
      return;
    }
    const [input, output] = [node.inputs[0]!, node.outputs[0]!];
    const { shape } = sameAsInput(node, plan);
    const [lowest, highest] = [1, 2].map(i =>
      plan.store(node.inputs[i]!, float32([1], [scalarConstant(plan, node.inputs[i])!])),
    ) as [number, number];
    const raised = plan.emit('MAXIMUM', [plan.tensor(input), lowest], `${output}.raised`, shape, {});
    plan.emit('MINIMUM', [raised, highest], output, shape, {});
  },
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
