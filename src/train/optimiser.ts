// An optimiser at work: its state as flat vectors, stepped by the engine in pieces that stay in a core's cache.
import {
  buildNormGraph,
  buildOptimiserGraph,
  type OptimiserName,
  optimiserConstants,
  optimiserMoments,
} from '../autodiff/optimisers.ts';
import { openSession } from '../engine/session.ts';
import { writeOnnx } from '../onnx/write.ts';
import { float32, type Tensor } from '../tensor/tensor.ts';

/** Parameters that are stepped at a time: twelve vectors of so many take 1.5 MB. */
const PIECE = 32_768;

/** What an optimiser is made of. */
export interface OptimiserOptions {
  readonly name: OptimiserName;
  /** Number of parameters. */
  readonly length: number;
  /** Multiplies the learning rate, per parameter. */
  readonly rates: Float32Array;
  /** Weight decay, per parameter. */
  readonly decays: Float32Array;
  /** Largest norm of the gradient over all parameters; it is scaled down to this. Infinity for no limit. */
  readonly clipNorm: number;
  /** How slowly the average of the parameters follows them: average' = d average + (1 - d) parameter. 0: at once. */
  readonly averageDecay: number;
}

/** The vectors that an optimiser keeps, by name: `parameter`, `average` and the moments. */
export type OptimiserState = Readonly<Record<string, Float32Array>>;

/** An optimiser. */
export interface Optimiser {
  /** Steps taken. */
  steps(): number;
  /** The vectors as they are; they belong to the optimiser and change with the next step. */
  state(): OptimiserState;
  /** Goes on from a saved state. */
  restore(state: OptimiserState, steps: number): void;
  /**
   * One step down `gradient` at the learning rate `rate`.
   * @returns the norm of the gradient before clipping; NaN or Infinity when it is not finite: then no step is taken.
   */
  step(gradient: Float32Array, rate: number): Promise<number>;
  close(): Promise<void>;
}

/** Starts an optimiser at `parameters`; the average starts there too, the moments are zero. */
export async function openOptimiser(options: OptimiserOptions, parameters: Float32Array): Promise<Optimiser> {
  const { name, length, clipNorm, averageDecay } = options;
  // Zeros fill the last piece up; their gradient is zero, so they stay.
  const filled = Math.ceil(length / PIECE) * PIECE;
  const widen = (values?: Float32Array) => {
    const wide = new Float32Array(filled);
    if (values) wide.set(values.subarray(0, length));
    return wide;
  };
  const names = ['parameter', ...optimiserMoments[name], 'average'];
  const [rates, decays, slopes] = [widen(options.rates), widen(options.decays), widen()];
  const fresh = () => Object.fromEntries(names.map(key => [key, widen()]));
  let [now, next] = [fresh(), fresh()] as [Record<string, Float32Array>, Record<string, Float32Array>];
  now.parameter!.set(parameters);
  now.average!.set(parameters);
  let taken = 0;
  const [norm, update] = await Promise.all([
    openSession(writeOnnx(buildNormGraph(PIECE)), { threads: 1 }),
    openSession(writeOnnx(buildOptimiserGraph(name, PIECE)), { threads: 1 }),
  ]);
  const normOutput = norm.outputNames[0]!;
  const piece = (values: Float32Array, start: number) => float32([PIECE], values.subarray(start, start + PIECE));
  const scalar = (value: number) => float32([], [value]);

  const measureNorm = async () => {
    let square = 0;
    for (let start = 0; start < filled; start += PIECE) {
      const out = await norm.run({ gradient: piece(slopes, start) });
      square += (out[normOutput]!.data as Float32Array)[0]!;
    }
    return Math.sqrt(square);
  };

  return {
    steps: () => taken,
    state: () => Object.fromEntries(names.map(key => [key, now[key]!.subarray(0, length)])),
    restore(state, steps) {
      for (const key of names) now[key]!.set(state[key]!);
      taken = steps;
    },
    async step(gradient, rate) {
      slopes.set(gradient);
      const size = await measureNorm();
      if (!Number.isFinite(size)) return size;
      taken++;
      const { beta1, beta2 } = optimiserConstants;
      const scalars: Record<string, Tensor> = {
        rate: scalar(rate),
        clip: scalar(size > clipNorm ? clipNorm / size : 1),
        // Early parameters are worth little: the average follows faster until 9 d / (1 - d) steps were taken.
        follow: scalar(1 - Math.min(averageDecay, taken / (taken + 9))),
      };
      if (name !== 'sgd') {
        scalars.correction1 = scalar(1 / (1 - beta1 ** taken));
        scalars.correction2 = scalar(1 / (1 - beta2 ** taken));
      }
      for (let start = 0; start < filled; start += PIECE) {
        const vectors = names.map(key => [key, piece(now[key]!, start)] as const);
        const inputs = {
          ...Object.fromEntries(vectors),
          gradient: piece(slopes, start),
          rates: piece(rates, start),
          decays: piece(decays, start),
        };
        const outputs = Object.fromEntries(names.map(key => [`${key}.next`, piece(next[key]!, start)]));
        await update.run({ ...inputs, ...scalars }, outputs);
      }
      [now, next] = [next, now];
      return size;
    },
    async close() {
      await Promise.all([norm.close(), update.close()]);
    },
  };
}
