// Dense layers and products of matrices.
import type { Node } from '../onnx/graph.ts';
import { float32, type Tensor, transpose } from '../tensor/tensor.ts';
import { arranged, graphOrder, isSameOrder, type Value, withLast } from './axes.ts';
import { type Facts, floatConstant, fuseActivation, getValue, type Lowering, type Plan, type Refusal } from './plan.ts';
import { Padding } from './schema.ts';

/** A dense layer as FULLY_CONNECTED has it: weight [out, in] and bias [out]. */
interface Dense {
  readonly weight: Tensor<'float32'>;
  readonly bias: Tensor<'float32'>;
}

/** The value with the axis that is multiplied last in the file. */
function denseInput(node: Node, facts: Facts): Value {
  const input = getValue(facts, node.inputs[0]);
  return arranged(input, withLast(input.order, [input.order.length - 1]));
}

function inferDense(node: Node, facts: Facts, dense: Dense | undefined): Value | Refusal {
  if (!dense) {
    return {
      problem: 'its weight or bias is not a float32 constant of a plain dense layer',
      remedy:
        'Store the weight as a constant [in, out] (or [out, in] with transB) and the bias as [out], with transA 0.',
    };
  }
  const { order, shape } = denseInput(node, facts);
  const [out, inputs] = dense.weight.shape as [number, number];
  if (shape.length < 2 || shape.length > 4 || shape.at(-1) !== inputs || (node.op === 'Gemm' && shape.length !== 2)) {
    return {
      problem: `its weight reads ${inputs} features and its input has the shape [${shape.join(', ')}]`,
      remedy: 'Pool the image to [1, features] before the dense layer (ReduceMean over axes 2 and 3, keepdims 0).',
    };
  }
  return { order, shape: shape.with(-1, out) };
}

/** FULLY_CONNECTED for a row; for lists of rows and images CONV_2D with a kernel of size 1, which has an 8-bit form. */
function emitDense(node: Node, plan: Plan, { weight, bias }: Dense): void {
  const { activation, output } = fuseActivation(node, plan);
  const { order, shape } = denseInput(node, plan);
  const [out, inputs] = weight.shape as [number, number];
  const input = node.inputs[0]!;
  const biasIndex = plan.store(node.inputs[2] || `${node.name}.bias`, bias);
  if (shape.length === 2) {
    const operands = [plan.arrange(input, order), plan.store(node.inputs[1]!, weight), biasIndex];
    const options = { fused_activation_function: activation, weights_format: 0, keep_num_dims: false };
    plan.emit('FULLY_CONNECTED', operands, output, shape.with(-1, out), options);
    return;
  }
  const wide = [...new Array<number>(4 - shape.length).fill(1), ...shape];
  const rows = plan.reshape(plan.numbers(input, order), wide, `${node.name}.rows`);
  const kernel = plan.store(node.inputs[1]!, { ...weight, shape: [out, 1, 1, inputs] });
  const made = plan.emit('CONV_2D', [rows, kernel, biasIndex], `${output}.dense`, wide.with(-1, out), {
    padding: Padding.VALID,
    stride_w: 1,
    stride_h: 1,
    fused_activation_function: activation,
    dilation_w_factor: 1,
    dilation_h_factor: 1,
  });
  plan.alias(output, made);
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

/** The Add of a constant per output that alone reads the product, and the constant. */
function biasBehind(node: Node<'MatMul'>, facts: Facts, out: number) {
  const reader = facts.onlyReader(node.outputs[0]!);
  const name = reader?.op === 'Add' ? reader.inputs.find(input => facts.constant(input)) : undefined;
  const bias = floatConstant(facts, name);
  return bias?.data.length === out && bias.shape.at(-1) === out ? { add: reader!, bias } : undefined;
}

export const lowerGemm: Lowering<'Gemm'> = {
  infer: (node, facts) => inferDense(node, facts, denseOfGemm(node, facts)),
  emit: (node, plan) => emitDense(node, plan, denseOfGemm(node, plan)!),
};

/** MatMul with a constant on the right -> FULLY_CONNECTED or CONV_2D; of two computed values -> BATCH_MATMUL. */
export const lowerMatMul: Lowering<'MatMul'> = {
  infer: (node, facts) =>
    facts.constant(node.inputs[1]) ? inferDense(node, facts, denseOfMatMul(node, facts)) : inferProduct(node, facts),
  emit(node, plan) {
    const dense = denseOfMatMul(node, plan);
    if (!dense) {
      emitProduct(node, plan);
      return;
    }
    const behind = biasBehind(node, plan, dense.bias.data.length);
    if (behind) plan.swallowed.add(behind.add);
    const bias = behind && float32([behind.bias.data.length], behind.bias.data);
    emitDense(behind ? { ...node, outputs: behind.add.outputs } : node, plan, bias ? { ...dense, bias } : dense);
  },
};

/** Orders in which BATCH_MATMUL reads both; that of the second has its last two axes turned where this saves a TRANSPOSE. */
function productOrders(node: Node<'MatMul'>, facts: Facts) {
  const [a, b] = node.inputs.map(name => getValue(facts, name)) as [Value, Value];
  const order = graphOrder(a.order.length);
  const turned = withLast(order.slice(0, -2), [order.length - 1, order.length - 2]);
  return { a, b, order, turned: isSameOrder(b.order, turned) ? turned : undefined };
}

function inferProduct(node: Node<'MatMul'>, facts: Facts): Value | Refusal {
  const { a, b, order } = productOrders(node, facts);
  const [left, right] = [a, b].map(value => arranged(value, graphOrder(value.order.length)).shape) as [
    number[],
    number[],
  ];
  const rank = left.length;
  const fits =
    rank >= 3 &&
    rank <= 5 &&
    right.length === rank &&
    left.at(-1) === right.at(-2) &&
    left.slice(0, -2).join() === right.slice(0, -2).join();
  return fits
    ? { order, shape: [...left.slice(0, -1), right.at(-1)!] }
    : {
        problem: `it multiplies [${left.join(', ')}] and [${right.join(', ')}]`,
        remedy: 'Multiply values [N, ..., rows, columns] of one rank, from 3 to 5, or a value with a constant matrix.',
      };
}

function emitProduct(node: Node<'MatMul'>, plan: Plan): void {
  const { order, turned } = productOrders(node, plan);
  const [a, b] = node.inputs as readonly [string, string];
  const inputs = [plan.arrange(a, order), plan.arrange(b, turned ?? order)];
  const { shape } = getValue(plan, node.outputs[0]);
  plan.emit('BATCH_MATMUL', inputs, node.outputs[0]!, shape, { adj_x: false, adj_y: turned !== undefined });
}
