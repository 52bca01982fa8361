// Dense layers, joining and softmax.
import type { Node } from '../onnx/graph.ts';
import { float32, type Tensor, transpose } from '../tensor/tensor.ts';
import {
  type Facts,
  fileAxis,
  floatConstant,
  fuseActivation,
  getValue,
  type Lowering,
  type Plan,
  type Refusal,
  type Value,
} from './plan.ts';
import { Activation } from './schema.ts';

/** A dense layer as FULLY_CONNECTED has it: weight [out, in] and bias [out]. */
interface Dense {
  readonly weight: Tensor<'float32'>;
  readonly bias: Tensor<'float32'>;
}

function inferDense(node: Node, facts: Facts, dense: Dense | undefined): Value | Refusal {
  const input = getValue(facts, node.inputs[0]);
  if (!dense) {
    return {
      problem: 'its weight or bias is not a float32 constant of a plain dense layer',
      remedy:
        'Store the weight as a constant [in, out] (or [out, in] with transB) and the bias as [out], with transA 0.',
    };
  }
  const [out, inputs] = dense.weight.shape as [number, number];
  if (input.layout !== 'flat' || input.shape.length !== 2 || input.shape[1] !== inputs) {
    return {
      problem: `its weight reads ${inputs} features and its input has the shape [${input.shape.join(', ')}]`,
      remedy: 'Pool the image to [1, features] before the dense layer (ReduceMean over axes 2 and 3, keepdims 0).',
    };
  }
  return { layout: 'flat', shape: [1, out] };
}

function emitDense(node: Node, plan: Plan, dense: Dense): void {
  const { activation, output } = fuseActivation(node, plan);
  const inputs = [
    plan.tensor(node.inputs[0]!),
    plan.store(node.inputs[1]!, dense.weight),
    plan.store(node.inputs[2] || `${node.name}.bias`, dense.bias),
  ];
  plan.emit('FULLY_CONNECTED', inputs, output, [1, dense.weight.shape[0]!], {
    fused_activation_function: activation,
    weights_format: 0,
    keep_num_dims: false,
  });
}

/** Gemm: alpha goes into the weight, beta into the bias. */
function denseOfGemm(node: Node<'Gemm'>, facts: Facts): Dense | undefined {
  const { alpha, beta, transA, transB } = node.attributes;
  const given = floatConstant(facts, node.inputs[1]);
  if (transA !== 0 || given?.shape.length !== 2) return undefined;
  const weight = transB ? given : transpose(given, [1, 0]);
  const out = weight.shape[0]!;
  const added = node.inputs[2] ? floatConstant(facts, node.inputs[2]) : float32([1], [0]);
  if (!added || added.shape.at(-1) !== added.data.length || (added.data.length !== 1 && added.data.length !== out)) {
    return undefined;
  }
  const bias = Float32Array.from({ length: out }, (_, i) => beta * added.data[added.data.length === 1 ? 0 : i]!);
  const scaled = alpha === 1 ? weight : { ...weight, data: weight.data.map(value => value * alpha) };
  return { weight: scaled, bias: float32([out], bias) };
}

function denseOfMatMul(node: Node<'MatMul'>, facts: Facts): Dense | undefined {
  const given = floatConstant(facts, node.inputs[1]);
  if (given?.shape.length !== 2) return undefined;
  const weight = transpose(given, [1, 0]);
  return { weight, bias: float32([weight.shape[0]!], new Float32Array(weight.shape[0]!)) };
}

export const lowerGemm: Lowering<'Gemm'> = {
  infer: (node, facts) => inferDense(node, facts, denseOfGemm(node, facts)),
  emit: (node, plan) => emitDense(node, plan, denseOfGemm(node, plan)!),
};

/** MatMul with a constant on the right. */
export const lowerMatMul: Lowering<'MatMul'> = {
  infer: (node, facts) => inferDense(node, facts, denseOfMatMul(node, facts)),
  emit: (node, plan) => emitDense(node, plan, denseOfMatMul(node, plan)!),
};

/** Most values that one CONCATENATION joins: XNNPACK takes no more, and older releases of it take four. */
const MAX_JOINED = 4;

/** Concat of computed values -> CONCATENATION, several where there are many values. */
export const lowerConcat: Lowering<'Concat'> = {
  infer(node, facts) {
    if (node.inputs.some(name => facts.constant(name))) {
      return { problem: 'one of its inputs is a constant', remedy: 'Join computed values only.' };
    }
    const [first, ...rest] = node.inputs.map(name => getValue(facts, name)) as [Value, ...Value[]];
    const axis = fileAxis(first, node.attributes.axis);
    const outline = (value: Value) => `${value.layout} ${value.shape.map((dim, i) => (i === axis ? '*' : dim))}`;
    if (axis < 1 || rest.some(value => outline(value) !== outline(first))) {
      return {
        problem: 'its inputs differ in layout or shape, or it joins along the batch',
        remedy: 'Join values that are equal in every other dimension, along axis 1 or later.',
      };
    }
    const joined = rest.reduce((sum, value) => sum + value.shape[axis]!, first.shape[axis]!);
    return { layout: first.layout, shape: first.shape.map((dim, i) => (i === axis ? joined : dim)) };
  },
  emit(node, plan) {
    const { shape } = getValue(plan, node.outputs[0]);
    const axis = fileAxis(getValue(plan, node.inputs[0]), node.attributes.axis);
    const options = { axis, fused_activation_function: Activation.NONE };
    const output = node.outputs[0]!;
    let parts = node.inputs.map(name => ({ tensor: plan.tensor(name), shape: getValue(plan, name).shape }));
    for (let level = 1; parts.length > MAX_JOINED; level++) {
      const groups = Array.from({ length: Math.ceil(parts.length / MAX_JOINED) }, (_, i) =>
        parts.slice(i * MAX_JOINED, (i + 1) * MAX_JOINED),
      );
      parts = groups.map((group, i) => {
        if (group.length === 1) return group[0]!;
        const width = group.reduce((sum, part) => sum + part.shape[axis]!, 0);
        const joined = group[0]!.shape.map((dim, k) => (k === axis ? width : dim));
        const inputs = group.map(part => part.tensor);
        return {
          tensor: plan.emit('CONCATENATION', inputs, `${output}.join${level}.${i}`, joined, options),
          shape: joined,
        };
      });
    }
    const inputs = parts.map(part => part.tensor);
    plan.emit('CONCATENATION', inputs, output, shape, options);
  },
};

/** Softmax over the last axis of the file's layout -> SOFTMAX. */
export const lowerSoftmax: Lowering<'Softmax'> = {
  infer(node, facts) {
    const input = getValue(facts, node.inputs[0]);
    return fileAxis(input, node.attributes.axis) === input.shape.length - 1
      ? input
      : { problem: `it runs along axis ${node.attributes.axis}`, remedy: 'Use axis 1: the classes or the channels.' };
  },
  emit(node, plan) {
    const { shape } = getValue(plan, node.outputs[0]);
    // The schema's default for beta is 0, which would make every output equal.
    plan.emit('SOFTMAX', [plan.tensor(node.inputs[0]!)], node.outputs[0]!, shape, { beta: 1 });
  },
};
