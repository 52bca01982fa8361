// Raises what works element by element: arithmetic, activations, and softmax.
import { float32 } from '../tensor/tensor.ts';
import {
  clip,
  finishStep,
  graphAxis,
  hasKnownActivation,
  numberOption,
  operandOf,
  type RaisePlan,
  type Raising,
  type Step,
  storedRange,
  storeIntegers,
  storeScalar,
} from './raise-plan.ts';

type BinaryOp = 'Add' | 'Div' | 'Max' | 'Min' | 'Mul' | 'Pow' | 'Sub';

/** ADD, MUL ...: two values, or a value and a constant, with NumPy's broadcasting by the file's axes. */
export function raiseBinary(op: BinaryOp): Raising {
  return (step, plan) => {
    if (!hasKnownActivation(step)) return 'graft does not know its fused activation';
    const operands = step.inputs.map(index => operand(plan, index, plan.shape(step.outputs[0]!)));
    if (operands.length !== 2 || operands.some(name => name === undefined)) {
      return 'it combines values of different ranks, or a constant that graft cannot read';
    }
    if (step.inputs.every(index => plan.value(index) === undefined)) return 'both of its inputs are constants';
    // What is not negative stays so in a sum or a product: nothing has to be cut off.
    const ranges = step.inputs.map(index => storedRange(plan.tensor(index)));
    const isPositive = (op === 'Add' || op === 'Mul') && ranges.every(range => range?.[0] === 0);
    finishStep(step, plan, !isPositive, name => plan.node(op, name, operands as string[], {}));
    return undefined;
  };
}

/**
 * An operand as the graph needs it for a result of the file's shape `to`; undefined where ranks cannot be brought together, or
 * the photos of a batch would be combined with different things.
 */
function operand(plan: RaisePlan, index: number, to: readonly number[]): string | undefined {
  const value = plan.value(index);
  const own = plan.shape(index);
  const rank = to.length;
  if (value === undefined) {
    const constant = plan.constant(index);
    if (!constant || constant.shape.length > rank) return undefined;
    const laid = operandOf(constant, rank);
    return laid.shape.length === rank && laid.shape[0] !== 1 ? undefined : plan.storeOf(index, laid);
  }
  if (own[0] !== to[0]) return undefined;
  if (own.length === rank) return value;
  // Rows [1, C] beside an image: the numbers are of its channels.
  if (own.length !== 2 || rank !== 4) return undefined;
  const shape = storeIntegers(plan, `${value}.shape`, [0, own[1]!, 1, 1]);
  return plan.node('Reshape', plan.fresh(`${value}.wide`), [value, shape], {});
}

/** Appends what makes an output called `name` of the value `x`. */
type Make = (plan: RaisePlan, name: string, x: string, step: Step) => string;

/** An operator of one value. */
function raiseUnary(make: Make): Raising {
  return (step, plan) => {
    const value = plan.value(step.inputs[0]!);
    if (value === undefined) return 'its input is a constant';
    plan.set(step.outputs[0]!, make(plan, plan.name(step.outputs[0]!), value, step));
    return undefined;
  };
}

type PlainOp = 'Abs' | 'Exp' | 'HardSwish' | 'Log' | 'Neg' | 'Relu' | 'Sigmoid' | 'Sqrt' | 'Tanh';

/** An operator of one value that the graph has too. */
export const raisePlain = (op: PlainOp): Raising => raiseUnary((plan, name, x) => plan.node(op, name, [x], {}));

export const raiseClip = (lowest: number, highest: number): Raising =>
  raiseUnary((plan, name, x) => clip(plan, name, x, [lowest, highest]));

/** x * x */
export const raiseSquare: Raising = raiseUnary((plan, name, x) => plan.node('Mul', name, [x, x], {}));

/** 1 / sqrt(x) */
export const raiseRsqrt: Raising = raiseUnary((plan, name, x) =>
  plan.node(
    'Div',
    name,
    [storeScalar(plan, `${name}.one.fixed`, 1), plan.node('Sqrt', plan.fresh(`${name}.root`), [x], {})],
    {},
  ),
);

/** GELU: x * Phi(x), exact or 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). */
export const raiseGelu: Raising = raiseUnary((plan, name, x, step) => {
  if (!numberOption(step, 'approximate')) return plan.node('microsoft.Gelu', name, [x], {});
  const times = (part: string, a: string, b: string) => plan.node('Mul', plan.fresh(`${name}.${part}`), [a, b], {});
  const plus = (part: string, a: string, b: string) => plan.node('Add', plan.fresh(`${name}.${part}`), [a, b], {});
  const number = (part: string, value: number) => storeScalar(plan, `${name}.${part}.fixed`, value);
  const cube = times('cube', times('square', x, x), x);
  const sum = plus('sum', x, times('scaled', cube, number('cubic', 0.044715)));
  const angle = times('angle', sum, number('slope', Math.sqrt(2 / Math.PI)));
  const gate = plus('gate', plan.node('Tanh', plan.fresh(`${name}.tanh`), [angle], {}), number('one', 1));
  return plan.node('Mul', name, [times('half', x, number('factor', 0.5)), gate], {});
});

/** max(x, 0) + alpha * min(x, 0) */
function leaky(plan: RaisePlan, name: string, x: string, alpha: string): string {
  const zero = storeScalar(plan, `${name}.zero.fixed`, 0);
  const below = plan.node('Min', plan.fresh(`${name}.below`), [x, zero], {});
  const scaled = plan.node('Mul', plan.fresh(`${name}.scaled`), [below, alpha], {});
  return plan.node('Add', name, [plan.node('Relu', plan.fresh(`${name}.above`), [x], {}), scaled], {});
}

export const raiseLeakyRelu: Raising = raiseUnary((plan, name, x, step) =>
  leaky(plan, name, x, storeScalar(plan, `${name}.alpha.fixed`, numberOption(step, 'alpha'))),
);

/** PRELU, whose slopes are a constant per channel. */
export const raisePRelu: Raising = (step, plan) => {
  const [input, slopes] = step.inputs as [number, number];
  const value = plan.value(input);
  const alpha = plan.constant(slopes) && operand(plan, slopes, plan.shape(input));
  if (value === undefined || alpha === undefined) return 'its slopes are no constant that graft can read';
  plan.set(step.outputs[0]!, leaky(plan, plan.name(step.outputs[0]!), value, alpha));
  return undefined;
};

/** (a - b)^2 */
export const raiseSquaredDifference: Raising = (step, plan) => {
  const operands = step.inputs.map(index => operand(plan, index, plan.shape(step.outputs[0]!)));
  if (operands.some(name => name === undefined)) return 'it combines values of different ranks';
  const name = plan.name(step.outputs[0]!);
  const difference = plan.node('Sub', plan.fresh(`${name}.difference`), operands as string[], {});
  plan.set(step.outputs[0]!, plan.node('Mul', name, [difference, difference], {}));
  return undefined;
};

/** SOFTMAX, with its factor, and LOG_SOFTMAX, along the file's last axis: for images, the channels. */
export const raiseSoftmax =
  (op: 'Softmax' | 'LogSoftmax'): Raising =>
  (step, plan) => {
    const value = plan.value(step.inputs[0]!);
    if (value === undefined) return 'its input is a constant';
    const name = plan.name(step.outputs[0]!);
    const rank = plan.shape(step.inputs[0]!).length;
    const beta = op === 'Softmax' ? numberOption(step, 'beta', 1) : 1;
    const factor = () => plan.store(`${name}.beta.fixed`, float32([], [beta]));
    const scaled = beta === 1 ? value : plan.node('Mul', plan.fresh(`${name}.scaled`), [value, factor()], {});
    plan.set(step.outputs[0]!, plan.node(op, name, [scaled], { axis: graphAxis(-1, rank) }));
    return undefined;
  };
