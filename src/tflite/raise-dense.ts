// Raises dense layers and products of matrices.
import { sizeOf, type Tensor, transpose } from '../tensor/tensor.ts';
import { constantBias } from './raise-conv.ts';
import {
  finishStep,
  hasKnownActivation,
  numberOption,
  type RaisePlan,
  type Raising,
  setFromFileOrder,
  storeIntegers,
  valueInFileOrder,
} from './raise-plan.ts';

/**
 * FULLY_CONNECTED -> Gemm, or MatMul and Add for rows of rows. The operator reads its input as a list of rows [*, in]; an
 * image that is one row of all its positions gives them in the order of the graph, channels first, and the weight's columns are
 * moved instead of the image's axes.
 */
export const raiseFullyConnected: Raising = (step, plan) => {
  const [input, weightIndex, biasIndex] = step.inputs as [number, number, number?];
  const weight = plan.constant(weightIndex);
  const bias = constantBias(plan, input, weightIndex, biasIndex);
  const value = plan.value(input);
  if (weight?.shape.length !== 2 || bias === null) return 'its weight or bias is no constant that graft can read';
  if (value === undefined) return 'its input is a constant';
  if (!hasKnownActivation(step)) return 'graft does not know its fused activation';
  if (numberOption(step, 'weights_format') !== 0) return 'its weights are in the order of a certain processor';
  const [out, width] = weight.shape as [number, number];
  const shape = plan.shape(input);
  const outShape = plan.shape(step.outputs[0]!);
  if (sizeOf(shape.slice(1)) === width && sizeOf(outShape) === out) {
    const flat = shape.length === 2 ? value : plan.node('Flatten', plan.fresh(`${value}.flat`), [value], { axis: 1 });
    const inputs = [flat, plan.storeOf(weightIndex, shape.length === 4 ? columnsOf(weight, shape) : weight)];
    if (bias) inputs.push(plan.storeOf(biasIndex!, bias));
    finishStep(step, plan, true, name => {
      const gemm = outShape.length === 2 ? name : plan.fresh(`${name}.row`);
      const row = plan.node('Gemm', gemm, inputs, { alpha: 1, beta: 1, transA: 0, transB: 1 });
      if (outShape.length === 2) return row;
      const wide = outShape.length === 4 ? [0, out, 1, 1] : [0, ...outShape.slice(1)];
      return plan.node('Reshape', name, [row, storeIntegers(plan, `${name}.shape`, wide)], {});
    });
    return undefined;
  }
  if (shape.at(-1) !== width || outShape.length !== shape.length || outShape.length === 4) {
    return `it reads rows of ${width} out of [${shape.join(', ')}]`;
  }
  const matrix = plan.storeOf(weightIndex, transpose(weight, [1, 0]));
  finishStep(step, plan, true, name => {
    const product = plan.node('MatMul', bias ? plan.fresh(`${name}.product`) : name, [value, matrix], {});
    return bias ? plan.node('Add', name, [product, plan.storeOf(biasIndex!, bias)], {}) : product;
  });
  return undefined;
};

/** The columns of a weight [out, height * width * channels] in the order channels, height, width. */
function columnsOf(weight: Tensor<'float32'>, [, height, width, channels]: readonly number[]): Tensor<'float32'> {
  if (height === 1 && width === 1) return weight;
  const out = weight.shape[0]!;
  const wide = { ...weight, shape: [out, height!, width!, channels!] };
  return { ...transpose(wide, [0, 3, 1, 2]), shape: weight.shape };
}

/** BATCH_MATMUL of two computed values, or with a constant on the right -> MatMul on the file's last two axes. */
export const raiseBatchMatMul: Raising = (step, plan) => {
  const [left, right] = step.inputs as [number, number];
  const constant = plan.constant(right);
  if (plan.value(left) === undefined || (plan.value(right) === undefined && !constant)) {
    return 'its left side is a constant, or its right side cannot be read';
  }
  const firsts = [plan.shape(left), plan.shape(right)].map(shape => (shape.length > 2 ? shape[0] : undefined));
  if (constant ? firsts[1] !== undefined && firsts[1] !== 1 : firsts[0] !== firsts[1]) {
    return 'the photos of a batch would be multiplied by different things';
  }
  const flip = (name: string, rank: number) =>
    plan.node('Transpose', plan.fresh(`${name}.turned`), [name], { perm: lastSwapped(rank) });
  const rank = plan.shape(left).length;
  let a = valueInFileOrder(plan, left);
  if (numberOption(step, 'adj_x')) a = flip(a, rank);
  const isTurned = numberOption(step, 'adj_y') !== 0;
  const b = constant ? storeRight(plan, right, constant, isTurned) : turned(plan, right, isTurned, flip);
  setFromFileOrder(plan, step.outputs[0]!, name => plan.node('MatMul', name, [a, b], {}));
  return undefined;
};

const lastSwapped = (rank: number): number[] => [
  ...Array.from({ length: rank - 2 }, (_, axis) => axis),
  rank - 1,
  rank - 2,
];

function storeRight(plan: RaisePlan, index: number, constant: Tensor<'float32'>, isTurned: boolean): string {
  return plan.storeOf(index, isTurned ? transpose(constant, lastSwapped(constant.shape.length)) : constant);
}

function turned(
  plan: RaisePlan,
  index: number,
  isTurned: boolean,
  flip: (name: string, rank: number) => string,
): string {
  const value = valueInFileOrder(plan, index);
  return isTurned ? flip(value, plan.shape(index).length) : value;
}
