// Functions of one value, applied to every element.
import type { Node } from '../onnx/graph.ts';
import { float32 } from '../tensor/tensor.ts';
import type { Value } from './axes.ts';
import { activationOf, type Facts, getValue, type Lowering, type Plan, scalarConstant } from './plan.ts';
import { Activation, type OperatorName } from './schema.ts';

const sameAsInput = (node: Node, facts: Facts): Value => getValue(facts, node.inputs[0]);

type UnaryOperator = OperatorName &
  ('ABS' | 'EXP' | 'HARD_SWISH' | 'LOG' | 'LOGISTIC' | 'NEG' | 'RELU' | 'RELU6' | 'SQRT' | 'TANH');

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

export const lowerAbs: Lowering<'Abs'> = lowerUnary('ABS');
export const lowerExp: Lowering<'Exp'> = lowerUnary('EXP');
export const lowerHardSwish: Lowering<'HardSwish'> = lowerUnary('HARD_SWISH');
export const lowerLog: Lowering<'Log'> = lowerUnary('LOG');
export const lowerNeg: Lowering<'Neg'> = lowerUnary('NEG');
/** Where no operator before it can apply it. */
export const lowerRelu: Lowering<'Relu'> = lowerUnary('RELU');
export const lowerSigmoid: Lowering<'Sigmoid'> = lowerUnary('LOGISTIC');
export const lowerSqrt: Lowering<'Sqrt'> = lowerUnary('SQRT');
export const lowerTanh: Lowering<'Tanh'> = lowerUnary('TANH');

/** Limits of a Clip; undefined for one that is absent, null where one is no constant number. */
const limitsOf = (node: Node<'Clip'>, facts: Facts): (number | undefined | null)[] =>
  [1, 2].map(i => (node.inputs[i] ? (scalarConstant(facts, node.inputs[i]) ?? null) : undefined));

/** Clip from 0 to 6 -> RELU6; between other numbers -> MAXIMUM, MINIMUM or both. */
export const lowerClip: Lowering<'Clip'> = {
  infer(node, facts) {
    const limits = limitsOf(node, facts);
    return limits.every(limit => limit !== null) && limits.some(limit => limit !== undefined)
      ? sameAsInput(node, facts)
      : { problem: 'its limits are no constant numbers', remedy: 'Store them as float32 scalars.' };
  },
  emit(node, plan) {
    if (activationOf(plan, node) === Activation.RELU6) {
      lowerUnary('RELU6').emit(node, plan);
      return;
    }
    const output = node.outputs[0]!;
    const { shape } = sameAsInput(node, plan);
    const [lowest, highest] = limitsOf(node, plan).map((limit, i) =>
      typeof limit === 'number' ? plan.store(node.inputs[i + 1]!, float32([1], [limit])) : undefined,
    );
    let value = plan.tensor(node.inputs[0]!);
    if (lowest !== undefined) {
      const name = highest === undefined ? output : `${output}.raised`;
      value = plan.emit('MAXIMUM', [value, lowest], name, shape, {});
    }
    if (highest !== undefined) plan.emit('MINIMUM', [value, highest], output, shape, {});
  },
};

const none = { fused_activation_function: Activation.NONE };

/** Pow with a constant exponent: 2 and 3 -> MUL, 1/2 -> SQRT, -1/2 -> RSQRT, -1 -> DIV, others -> POW. */
export const lowerPow: Lowering<'Pow'> = {
  infer: (node, facts) =>
    scalarConstant(facts, node.inputs[1]) === undefined || facts.constant(node.inputs[0])
      ? {
          problem: 'it is not a computed value to the power of a constant number',
          remedy: 'Store the exponent as a float32 scalar.',
        }
      : sameAsInput(node, facts),
  emit(node, plan) {
    const exponent = scalarConstant(plan, node.inputs[1])!;
    const [input, output] = [plan.tensor(node.inputs[0]!), node.outputs[0]!];
    const { shape } = sameAsInput(node, plan);
    const constant = (value: number) => plan.store(node.inputs[1]!, float32([1], [value]));
    if (exponent === 2) plan.emit('MUL', [input, input], output, shape, none);
    else if (exponent === 3) {
      const square = plan.emit('MUL', [input, input], `${output}.square`, shape, none);
      plan.emit('MUL', [square, input], output, shape, none);
    } else if (exponent === 0.5) plan.emit('SQRT', [input], output, shape, {});
    else if (exponent === -0.5) plan.emit('RSQRT', [input], output, shape, {});
    else if (exponent === -1) plan.emit('DIV', [constant(1), input], output, shape, none);
    else plan.emit('POW', [input, constant(exponent)], output, shape, {});
  },
};

/** Gelu with the error function -> GELU. */
export const lowerGelu: Lowering<'microsoft.Gelu'> = {
  infer: sameAsInput,
  emit(node, plan) {
    const { shape } = sameAsInput(node, plan);
    plan.emit('GELU', [plan.tensor(node.inputs[0]!)], node.outputs[0]!, shape, { approximate: false });
  },
};

/** So small that no number of a network changes by it, and large enough to divide by. */
const TINY = 1e-30;

/**
 * Erf, which TFLite has inside of GELU only: gelu(z) = z (1 + erf(z / sqrt 2)) / 2, so that with z = sqrt(2) x
 * erf(x) = 2 gelu(z) / z - 1. ADD, GELU, DIV, MUL, ADD: z is moved off 0, and the result is right to 2e-7.
 */
export const lowerErf: Lowering<'Erf'> = {
  infer: sameAsInput,
  emit(node, plan) {
    const output = node.outputs[0]!;
    const { shape } = sameAsInput(node, plan);
    const constant = (part: string, value: number) => plan.store(`${node.name}.${part}`, float32([1], [value]));
    const wide = plan.emit(
      'MUL',
      [plan.tensor(node.inputs[0]!), constant('root', Math.SQRT2)],
      `${output}.wide`,
      shape,
      none,
    );
    const moved = plan.emit('ADD', [wide, constant('tiny', TINY)], `${output}.moved`, shape, none);
    const gelu = plan.emit('GELU', [moved], `${output}.gelu`, shape, { approximate: false });
    const share = plan.emit('DIV', [gelu, moved], `${output}.share`, shape, none);
    const twice = plan.emit('MUL', [share, constant('two', 2)], `${output}.twice`, shape, none);
    plan.emit('SUB', [twice, constant('one', 1)], output, shape, none);
  },
};
