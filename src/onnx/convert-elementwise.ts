// Element-wise ops of ONNX: those that the op union has, and those that are made of them.
import type { Conversion, NodeContext } from './convert-node.ts';
import type { SupportedOp } from './ops.ts';

type Plain = Exclude<SupportedOp, 'Cast'>;

/** An op that the union has under the same name, without attributes. */
const same =
  (
    op: 'Abs' | 'Erf' | 'Exp' | 'HardSwish' | 'Log' | 'Neg' | 'Relu' | 'Sigmoid' | 'Sign' | 'Sqrt' | 'Tanh',
  ): Conversion =>
  n =>
    n.emit(op, [n.x()], {});
const pair =
  (op: 'Add' | 'Div' | 'Mul' | 'Pow' | 'Sub'): Conversion =>
  n =>
    n.emit(op, [n.x(0), n.x(1)], {});
/** Ops of one to any number of inputs, one after the other. */
const many =
  (op: 'Add' | 'Max' | 'Min'): Conversion =>
  n => {
    const [first = '', ...rest] = n.node.inputs.map((_, i) => n.x(i));
    return rest.reduce((a, b) => n.emit(op, [a, b], {}), first);
  };

/** Short hands for formulas. */
const relu = (n: NodeContext, x: string) => n.emit('Relu', [x], {});
const exp = (n: NodeContext, x: string) => n.emit('Exp', [x], {});
const two = (
  n: NodeContext,
  op: Plain & ('Add' | 'Mul' | 'Sub' | 'Div' | 'Min' | 'Max'),
  a: string,
  b: string | number,
) => n.emit(op, [a, typeof b === 'number' ? n.scalar(b) : b], {});

/** log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)), which does not overflow. */
function softplus(n: NodeContext, x: string): string {
  const small = exp(n, n.emit('Neg', [n.emit('Abs', [x], {})], {}));
  return two(n, 'Add', relu(n, x), n.emit('Log', [two(n, 'Add', small, 1)], {}));
}

/** exp(min(x, 0)) - 1 */
const below = (n: NodeContext, x: string) => two(n, 'Sub', exp(n, two(n, 'Min', x, 0)), 1);

/** Bounds of a Clip: attributes before opset 11, inputs since. What bounds nothing is undefined. */
function boundsOf(n: NodeContext): { readonly lowest: number | undefined; readonly highest: number | undefined } {
  const absent = Number.POSITIVE_INFINITY;
  const at = (i: number) => (n.has(i) ? n.literal(i).data[0] : undefined);
  const [lowest, highest] = n.opset < 11 ? [n.float('min', -absent), n.float('max', absent)] : [at(1), at(2)];
  // Old exporters write the largest float32 for no bound.
  const real = (bound: number | undefined) => (bound !== undefined && Math.abs(bound) < 3.4e38 ? bound : undefined);
  return { lowest: real(lowest), highest: real(highest) };
}

export const elementwiseConversions: Readonly<Record<string, Conversion>> = {
  Abs: same('Abs'),
  Add: pair('Add'),
  // max(0, x) + min(0, alpha (exp(x / alpha) - 1))
  Celu(n) {
    const alpha = n.float('alpha', 1);
    if (!(alpha > 0)) n.refuse(`its alpha is ${alpha}`);
    return two(n, 'Add', relu(n, n.x()), two(n, 'Mul', below(n, two(n, 'Div', n.x(), alpha)), alpha));
  },
  Clip(n) {
    const { lowest, highest } = boundsOf(n);
    if (lowest === undefined && highest === undefined) return n.x();
    if (lowest === 0 && highest === undefined) return relu(n, n.x());
    const bounds = [
      lowest === undefined ? '' : n.scalar(lowest),
      ...(highest === undefined ? [] : [n.scalar(highest)]),
    ];
    return n.emit('Clip', [n.x(), ...bounds], {});
  },
  Div: pair('Div'),
  // max(0, x) + alpha (exp(min(x, 0)) - 1)
  Elu: n => two(n, 'Add', relu(n, n.x()), two(n, 'Mul', below(n, n.x()), n.float('alpha', 1))),
  Erf: same('Erf'),
  Exp: same('Exp'),
  Gelu(n) {
    if (n.text('approximate', 'none') === 'none') return n.emit('microsoft.Gelu', [n.x()], {});
    // x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
    const x = n.x();
    const cube = two(n, 'Mul', two(n, 'Mul', x, x), x);
    const inner = two(n, 'Mul', two(n, 'Add', x, two(n, 'Mul', cube, 0.044715)), Math.sqrt(2 / Math.PI));
    return two(n, 'Mul', two(n, 'Mul', x, 0.5), two(n, 'Add', n.emit('Tanh', [inner], {}), 1));
  },
  HardSigmoid: n => n.emit('HardSigmoid', [n.x()], { alpha: n.float('alpha', 0.2), beta: n.float('beta', 0.5) }),
  HardSwish: same('HardSwish'),
  Identity: n => n.x(),
  // max(x, alpha x), or the minimum where alpha is over 1
  LeakyRelu(n) {
    const alpha = n.float('alpha', 0.01);
    return two(n, alpha <= 1 ? 'Max' : 'Min', n.x(), two(n, 'Mul', n.x(), alpha));
  },
  Log: same('Log'),
  Max: many('Max'),
  Mean(n) {
    const total = many('Add')(n) as string;
    return n.node.inputs.length === 1 ? total : two(n, 'Div', total, n.node.inputs.length);
  },
  Min: many('Min'),
  // x tanh(softplus(x))
  Mish: n => two(n, 'Mul', n.x(), n.emit('Tanh', [softplus(n, n.x())], {})),
  Mul: pair('Mul'),
  Neg: same('Neg'),
  Pow: pair('Pow'),
  // max(x, 0) + slope min(x, 0)
  PRelu: n => two(n, 'Add', relu(n, n.x()), two(n, 'Mul', two(n, 'Min', n.x(), 0), n.x(1))),
  Reciprocal: n => n.emit('Div', [n.scalar(1), n.x()], {}),
  Relu: same('Relu'),
  // gamma (max(x, 0) + alpha (exp(min(x, 0)) - 1)), with the constants of arXiv:1706.02515
  Selu(n) {
    const alpha = n.float('alpha', 1.6732632423543772);
    const gamma = n.float('gamma', 1.0507009873554805);
    return two(n, 'Add', two(n, 'Mul', relu(n, n.x()), gamma), two(n, 'Mul', below(n, n.x()), alpha * gamma));
  },
  Sigmoid: same('Sigmoid'),
  Sign: same('Sign'),
  Softplus: n => softplus(n, n.x()),
  // x / (1 + |x|)
  Softsign: n => two(n, 'Div', n.x(), two(n, 'Add', n.emit('Abs', [n.x()], {}), 1)),
  Sqrt: same('Sqrt'),
  Sub: pair('Sub'),
  Sum: many('Add'),
  Tanh: same('Tanh'),
  // x where x > alpha, 0 elsewhere: x max(sign(x - alpha), 0)
  ThresholdedRelu: n => two(n, 'Mul', n.x(), relu(n, n.emit('Sign', [two(n, 'Sub', n.x(), n.float('alpha', 1))], {}))),
};
