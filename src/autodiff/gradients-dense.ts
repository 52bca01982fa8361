// Gradients of matrix products, normalisations and softmax.
import type { Emitter } from '../onnx/emitter.ts';
import { add, full, mul, scale, sub } from './gradient.ts';

type Flag = 0 | 1;

const product = (g: Emitter, a: string, b: string, transA: Flag, transB: Flag, alpha = 1) =>
  g.emit('microsoft.FusedMatMul', [a, b], { alpha, transA, transB });

/** Y = alpha A' B' with A' = A or its transpose: dA' = alpha dY B'^T, dB' = alpha A'^T dY, transposed back. */
function productGradients(
  g: Emitter,
  [a, b]: readonly [string, string],
  dy: string,
  [transA, transB]: readonly [Flag, Flag],
  alpha: number,
  wants: readonly boolean[],
): (string | null)[] {
  const [notA, notB] = [transA, transB].map(flag => (1 - flag) as Flag) as [Flag, Flag];
  const da = () => (transA ? product(g, b, dy, transB, 1, alpha) : product(g, dy, b, 0, notB, alpha));
  const db = () => (transB ? product(g, dy, a, 1, transA, alpha) : product(g, a, dy, notA, 0, alpha));
  return [wants[0] ? da() : null, wants[1] ? db() : null];
}

export const matMulGradient = full<'MatMul'>((g, { inputs: [a, b] }, dy, wants) =>
  productGradients(g, [a!, b!], dy, [0, 0], 1, wants),
);

export const fusedMatMulGradient = full<'microsoft.FusedMatMul'>((g, { inputs: [a, b], attributes }, dy, wants) =>
  productGradients(g, [a!, b!], dy, [attributes.transA, attributes.transB], attributes.alpha, wants),
);

// Y = alpha A' B' + beta C: dC = beta dY, summed to the shape of C
export const gemmGradient = full<'Gemm'>((g, { inputs: [a, b], attributes }, dy, wants) => {
  const { transA, transB, alpha, beta } = attributes;
  return [...productGradients(g, [a!, b!], dy, [transA, transB], alpha, wants), wants[2] ? scale(g, dy, beta) : null];
});

// dx = y (dy - sum(dy y))
export const softmaxGradient = full<'Softmax'>((g, { outputs: [y], attributes: { axis } }, dy) => {
  const rank = g.shapeOf(y!).length;
  const total = g.reduceSum(mul(g, dy, y!), [axis < 0 ? axis + rank : axis], 1);
  return [mul(g, y!, sub(g, dy, total))];
});

// dx = dy - exp(y) sum(dy)
export const logSoftmaxGradient = full<'LogSoftmax'>((g, { outputs: [y], attributes: { axis } }, dy) => {
  const rank = g.shapeOf(y!).length;
  const total = g.reduceSum(dy, [axis < 0 ? axis + rank : axis], 1);
  return [sub(g, dy, mul(g, g.emit('Exp', [y!], {}), total))];
});

// y = scale n + bias, n = (x - mean) r, r = 1 / sqrt(variance + epsilon), with constant mean and variance:
// dx = dy scale r, dscale = sum(dy n), dbias = sum(dy), dmean = -sum(dx), dvariance = -1/2 sum(dx (x - mean)) r^2
export const batchNormalizationGradient = full<'BatchNormalization'>((g, { inputs, attributes }, dy, wants) => {
  const [x, gamma, , mean, variance] = inputs as readonly [string, string, string, string, string];
  const rank = g.shapeOf(x).length;
  const perChannel = [1, g.shapeOf(x)[1]!, ...new Array<number>(rank - 2).fill(1)];
  const wide = (value: string) => g.reshape(value, perChannel);
  const others = perChannel.map((_, axis) => axis).filter(axis => axis !== 1);
  const sum = (value: string) => g.reduceSum(value, others, 0);
  const deviation = g.emit('Sqrt', [add(g, variance, g.scalar(attributes.epsilon))], {});
  const r = wide(g.emit('Div', [g.scalar(1), deviation], {}));
  const centred = () => sub(g, x, wide(mean));
  const dx = mul(g, dy, mul(g, wide(gamma), r));
  const dVariance = () => scale(g, mul(g, sum(mul(g, dx, centred())), g.reshape(mul(g, r, r), [perChannel[1]!])), -0.5);
  return [
    dx,
    wants[1] ? sum(mul(g, dy, mul(g, centred(), r))) : null,
    wants[2] ? sum(dy) : null,
    wants[3] ? g.emit('Neg', [sum(dx)], {}) : null,
    wants[4] ? dVariance() : null,
  ];
});

// n = (x - mean(x)) r, r = 1 / sqrt(mean((x - mean)^2) + epsilon), y = scale n + bias, dn = dy scale:
// dx = r (dn - mean(dn) - n mean(dn n)), dscale = sum(dy n), dbias = sum(dy)
export const layerNormalizationGradient = full<'LayerNormalization'>((g, { inputs, attributes }, dy, wants) => {
  const [x, gamma] = inputs as readonly [string, string];
  const rank = g.shapeOf(x).length;
  const first = attributes.axis < 0 ? attributes.axis + rank : attributes.axis;
  const axes = Array.from({ length: rank - first }, (_, i) => first + i);
  const mean = (value: string) => g.emit('ReduceMean', [value], { axes, keepdims: 1 });
  const centred = sub(g, x, mean(x));
  const variance = add(g, mean(mul(g, centred, centred)), g.scalar(attributes.epsilon));
  const r = g.emit('Div', [g.scalar(1), g.emit('Sqrt', [variance], {})], {});
  const n = mul(g, centred, r);
  const dx = () => {
    const dn = mul(g, dy, gamma);
    return mul(g, r, sub(g, sub(g, dn, mean(dn)), mul(g, n, mean(mul(g, dn, n)))));
  };
  return [wants[0] ? dx() : null, wants[1] ? mul(g, dy, n) : null, dy];
});
