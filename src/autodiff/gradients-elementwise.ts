// Gradients of element-wise ops. With x the input, y the output and dy the gradient of y, each comment gives dx.
// Where a function has a kink or a jump, the gradient there is that of the flat side.
import type { Emitter } from '../onnx/emitter.ts';
import { add, elementwise, mul, scale, step, sub } from './gradient.ts';

const exp = (g: Emitter, x: string) => g.emit('Exp', [x], {});

// da = dy, db = dy
export const addGradient = elementwise<'Add'>((_g, _node, dy) => [dy, dy]);

// da = dy, db = -dy
export const subGradient = elementwise<'Sub'>((g, _node, dy, wants) => [dy, wants[1] ? g.emit('Neg', [dy], {}) : null]);

// da = dy b, db = dy a; for x sigmoid(x), dx = dy (s + y (1 - s)) at once: four passes and not six
export const mulGradient = elementwise<'Mul'>((g, { inputs: [a, b], outputs: [y] }, dy, wants) => {
  const isGate = (gate: string, x: string) => {
    const maker = g.makerOf(gate);
    return maker?.op === 'Sigmoid' && maker.inputs[0] === x;
  };
  const gated = (s: string) => mul(g, dy, add(g, s, mul(g, y!, sub(g, g.scalar(1), s))));
  if (isGate(b!, a!)) return [gated(b!), null];
  if (isGate(a!, b!)) return [null, gated(a!)];
  return [wants[0] ? mul(g, dy, b!) : null, wants[1] ? mul(g, dy, a!) : null];
});

// da = dy / b, db = -dy y / b
export const divGradient = elementwise<'Div'>((g, { inputs: [, b], outputs: [y] }, dy, wants) => {
  const da = g.emit('Div', [dy, b!], {});
  return [da, wants[1] ? g.emit('Neg', [mul(g, da, y!)], {}) : null];
});

// da = dy b a^(b - 1), db = dy y log a
export const powGradient = elementwise<'Pow'>((g, { inputs: [a, b], outputs: [y] }, dy, wants) => [
  wants[0] ? mul(g, dy, mul(g, b!, g.emit('Pow', [a!, sub(g, b!, g.scalar(1))], {}))) : null,
  wants[1] ? mul(g, dy, mul(g, y!, g.emit('Log', [a!], {}))) : null,
]);

// da = dy (1 + sign(a - b)) / 2, db = dy (1 - sign(a - b)) / 2: half to each where they are equal
const extremeGradient = (sign: 1 | -1) =>
  elementwise<'Max' | 'Min'>((g, node, dy, wants) => {
    const [a, b] = node.inputs;
    if (node.inputs.length !== 2)
      throw new RangeError(`${node.op} ${node.name} has ${node.inputs.length} inputs, not 2.`);
    const half = scale(g, g.emit('Sign', [sub(g, a!, b!)], {}), 0.5);
    const side = (direction: 1 | -1) =>
      mul(g, dy, direction === 1 ? add(g, g.scalar(0.5), half) : sub(g, g.scalar(0.5), half));
    return [wants[0] ? side(sign) : null, wants[1] ? side(sign === 1 ? -1 : 1) : null];
  });
export const maxGradient = extremeGradient(1);
export const minGradient = extremeGradient(-1);

// dx = -dy
export const negGradient = elementwise<'Neg'>((g, _node, dy) => [g.emit('Neg', [dy], {})]);

// dx = dy sign(x)
export const absGradient = elementwise<'Abs'>((g, { inputs: [x] }, dy) => [mul(g, dy, g.emit('Sign', [x!], {}))]);

// dx = dy y
export const expGradient = elementwise<'Exp'>((g, { outputs: [y] }, dy) => [mul(g, dy, y!)]);

// dx = dy / x
export const logGradient = elementwise<'Log'>((g, { inputs: [x] }, dy) => [g.emit('Div', [dy, x!], {})]);

// dx = dy / (2 y)
export const sqrtGradient = elementwise<'Sqrt'>((g, { outputs: [y] }, dy) => [
  g.emit('Div', [scale(g, dy, 0.5), y!], {}),
]);

// dx = dy 2 / sqrt(pi) exp(-x^2)
export const erfGradient = elementwise<'Erf'>((g, { inputs: [x] }, dy) => [
  mul(g, dy, scale(g, exp(g, g.emit('Neg', [mul(g, x!, x!)], {})), 2 / Math.sqrt(Math.PI))),
]);

// dx = dy (P(x) + x p(x)), with the normal distribution P(x) = (1 + erf(x / sqrt 2)) / 2 and its density
// p(x) = exp(-x^2 / 2) / sqrt(2 pi)
export const geluGradient = elementwise<'microsoft.Gelu'>((g, { inputs: [x] }, dy) => {
  const erf = g.emit('Erf', [scale(g, x!, Math.SQRT1_2)], {});
  const distribution = scale(g, add(g, erf, g.scalar(1)), 0.5);
  const density = scale(g, exp(g, scale(g, mul(g, x!, x!), -0.5)), 1 / Math.sqrt(2 * Math.PI));
  return [mul(g, dy, add(g, distribution, mul(g, x!, density)))];
});

// dx = dy y (1 - y)
export const sigmoidGradient = elementwise<'Sigmoid'>((g, { outputs: [y] }, dy) => [
  mul(g, dy, mul(g, y!, sub(g, g.scalar(1), y!))),
]);

// dx = dy (1 - y^2)
export const tanhGradient = elementwise<'Tanh'>((g, { outputs: [y] }, dy) => [
  mul(g, dy, sub(g, g.scalar(1), mul(g, y!, y!))),
]);

// dx = dy [y > 0]
export const reluGradient = elementwise<'Relu'>((g, { outputs: [y] }, dy) => [mul(g, dy, step(g, y!))]);

// dx = dy [lowest < x < highest]; the bounds are constants
export const clipGradient = elementwise<'Clip'>((g, { name, inputs: [x, lowest, highest] }, dy) => {
  let dx = dy;
  for (const [bound, below] of [
    [lowest, false],
    [highest, true],
  ] as const) {
    if (!bound) continue;
    const number = g.constantOf(bound);
    if (!number) throw new RangeError(`Clip ${name} has bounds that are computed.`);
    dx = mul(g, dx, step(g, x!, Number(number.data[0]), below));
  }
  return [dx, null, null];
});

// dx = dy alpha [0 < y < 1]
export const hardSigmoidGradient = elementwise<'HardSigmoid'>((g, { outputs: [y], attributes: { alpha } }, dy) => [
  mul(g, dy, scale(g, step(g, mul(g, y!, sub(g, g.scalar(1), y!))), alpha)),
]);

// dx = dy (h + x / 6 [|x| < 3]), with h = clip(x / 6 + 1 / 2, 0, 1)
export const hardSwishGradient = elementwise<'HardSwish'>((g, { inputs: [x] }, dy) => {
  const h = g.emit('HardSigmoid', [x!], { alpha: 1 / 6, beta: 0.5 });
  const inside = step(g, g.emit('Abs', [x!], {}), 3, true);
  return [mul(g, dy, add(g, h, scale(g, mul(g, x!, inside), 1 / 6)))];
});
