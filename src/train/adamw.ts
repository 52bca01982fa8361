// AdamW with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101) for a linear head; the bias does not decay.

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

/** Moments of the optimiser. */
export interface AdamW {
  step: number;
  readonly weight: { readonly first: Float32Array; readonly second: Float32Array };
  readonly bias: { readonly first: Float32Array; readonly second: Float32Array };
}

/** A fresh optimiser for so many weights and biases. */
export function makeAdamW(weights: number, biases: number): AdamW {
  const moments = (length: number) => ({ first: new Float32Array(length), second: new Float32Array(length) });
  return { step: 0, weight: moments(weights), bias: moments(biases) };
}

/**
 * One step, in place: p = p (1 - lr decay); m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
 * p = p - lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + epsilon).
 */
export function adamwStep(
  optimiser: AdamW,
  parameters: { readonly weight: Float32Array; readonly bias: Float32Array },
  gradient: { readonly weight: Float32Array; readonly bias: Float32Array },
  learningRate: number,
  weightDecay: number,
): void {
  optimiser.step++;
  const rate = learningRate / (1 - BETA1 ** optimiser.step);
  const correction = 1 / Math.sqrt(1 - BETA2 ** optimiser.step);
  for (const part of ['weight', 'bias'] as const) {
    const { first, second } = optimiser[part];
    const values = parameters[part];
    const slopes = gradient[part];
    const keep = part === 'weight' ? 1 - learningRate * weightDecay : 1;
    for (let i = 0; i < values.length; i++) {
      const slope = slopes[i]!;
      first[i] = BETA1 * first[i]! + (1 - BETA1) * slope;
      second[i] = BETA2 * second[i]! + (1 - BETA2) * slope * slope;
      values[i] = values[i]! * keep - (rate * first[i]!) / (Math.sqrt(second[i]!) * correction + EPSILON);
    }
  }
}
