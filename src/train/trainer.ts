// The engine's side of fine-tuning: threads with the training graph, the parameters as one flat vector, and the optimiser.

import type { CrossEntropyOptions } from '../autodiff/losses.ts';
import { gradientOf } from '../autodiff/split-parameters.ts';
import { startPool, type WorkerPool } from '../base/worker-pool.ts';
import type { Device } from '../engine/device.ts';
import { measureChannelBlock } from '../engine/measure-channel-block.ts';
import { openSession } from '../engine/session.ts';
import type { Graph } from '../onnx/graph.ts';
import { inferShapes } from '../onnx/shapes.ts';
import { writeOnnx } from '../onnx/write.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { layOut, type ParameterSpan, viewTensors } from './flat-vector.ts';
import { type Optimiser, type OptimiserOptions, openOptimiser } from './optimiser.ts';
import type { TrainAnswer, TrainQuestion, TrainSample, TrainSetup, TrainSource } from './train-worker.ts';
import { buildTrainingGraphs } from './training-graph.ts';

/** Most photos that a thread takes at a time. Larger parts do not go faster and take more memory (docs/performance.md). */
const MAX_PART = 8;

/**
 * Most bytes that the values of a part may take, forwards; with the gradients a thread takes about five times as much. As
 * many as let EfficientNet-Lite4 have parts of 2.
 */
const PART_BYTES = 500e6;

/** Photos that a thread takes at a time: a power of two that depends on the network alone, as the sums of a batch do. */
export function photosPerPart(model: Graph): number {
  const bytes = 4 * (valuesOf(model, 2) - valuesOf(model, 1));
  let part = MAX_PART;
  while (part > 1 && part * bytes > PART_BYTES) part /= 2;
  return part;
}

/** Numbers that all nodes give for so many photos. */
function valuesOf(model: Graph, photos: number): number {
  const shapes = inferShapes(model, { N: photos });
  return model.nodes.reduce((sum, { outputs }) => sum + sizeOf(shapes.get(outputs[0]!)!), 0);
}

/** What a trainer is made of. */
export interface TrainerOptions {
  /** Graph to `logits` [N, classes] in which the parameters are constants. */
  readonly model: Graph;
  /** Names of the constants that are trained. */
  readonly parameters: readonly string[];
  readonly classes: number;
  readonly source: TrainSource;
  readonly loss: CrossEntropyOptions;
  /** Largest batch of a step. */
  readonly batch: number;
  readonly workers: number;
  readonly device: Device;
  /** Rates, decays and the rest; `rates` and `decays` are given per parameter by name. */
  readonly optimiser: Pick<OptimiserOptions, 'name' | 'clipNorm' | 'averageDecay'>;
  readonly rateOf: (parameter: string) => number;
  readonly decayOf: (parameter: string, shape: readonly number[]) => number;
}

/** A photo with its target probabilities. */
export interface TrainRow {
  readonly sample: TrainSample;
  readonly target: Float32Array;
}

/** What a step found. */
export interface StepResult {
  /** Mean loss of the batch, smoothing and class weights included. */
  readonly loss: number;
  /** [rows, classes] */
  readonly logits: Float32Array;
  /** Norm of the gradient before clipping; not finite when the loss or a gradient was not: then nothing was changed. */
  readonly norm: number;
}

/** Threads, parameters and optimiser. */
export interface Trainer {
  readonly spans: readonly ParameterSpan[];
  readonly optimiser: Optimiser;
  /**
   * One step on a batch. The result does not depend on the number of threads: parts of the batch are summed in their order.
   * @param ahead the batch of the next step, which is rendered while the optimiser works.
   */
  step(rows: readonly TrainRow[], rate: number, ahead?: readonly TrainRow[]): Promise<StepResult>;
  /** Logits [samples, classes] of the parameters, or of their average. */
  classify(samples: readonly TrainSample[], average: boolean): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Builds the graphs and starts the threads. */
export async function openTrainer(options: TrainerOptions): Promise<Trainer> {
  const { model, parameters, classes, source, batch, device } = options;
  const vector = layOut(parameters.map(name => ({ name, shape: model.constants.get(name)!.shape })));
  const { spans, length } = vector;
  const part = photosPerPart(model);
  const graphs = await buildGraphs(options, part);
  const prepared = layOut(graphs.prepared);
  const flat = (value: (name: string, shape: readonly number[]) => number) => {
    const values = new Float32Array(length);
    for (const { name, shape, start } of spans) values.fill(value(name, shape), start, start + sizeOf(shape));
    return values;
  };
  const start = new Float32Array(length);
  for (const span of spans) start.set(model.constants.get(span.name)!.data as Float32Array, span.start);
  const parts = Math.ceil(batch / part);
  const shared = new SharedArrayBuffer(2 * length * 4);
  const slots = new SharedArrayBuffer(parts * prepared.length * 4);
  const setup: TrainSetup = {
    prologue: writeOnnx(graphs.prologue),
    step: writeOnnx(graphs.step),
    evaluation: writeOnnx(graphs.evaluation),
    batch: part,
    classes,
    parameters: vector,
    prepared,
    values: shared,
    gradients: slots,
    source,
    device,
  };
  const pool: WorkerPool<TrainSetup, TrainQuestion, TrainAnswer> = startPool(
    new URL('./train-worker.ts', import.meta.url),
    // A graphics card is fed by one thread; and a thread without a part of the batch would only take memory.
    device === 'cpu' ? Math.min(options.workers, parts) : 1,
  );
  pool.equip(setup);
  const optimiser = await openOptimiser(
    { ...options.optimiser, length, rates: flat(options.rateOf), decays: flat(options.decayOf) },
    start,
  );
  const pullback = await openSession(writeOnnx(graphs.pullback), { threads: 1 });
  const size = prepared.length;
  const gradients = Array.from({ length: parts }, (_, slot) => new Float32Array(slots, slot * size * 4, size));
  const sum = new Float32Array(size);
  const sumTensors = viewTensors(prepared, sum, gradientOf);
  const slopes = new Float32Array(length);
  const slopeTensors = viewTensors(vector, slopes, gradientOf);
  let [version, published, counter] = [0, -1, 0];

  /** Lets the threads see the parameters. */
  const publish = () => {
    if (published === version) return;
    const { parameter, average } = optimiser.state();
    const all = new Float32Array(shared);
    all.set(parameter!, 0);
    all.set(average!, length);
    published = version;
  };

  const trainer: Trainer = {
    spans,
    optimiser: {
      ...optimiser,
      restore(state, steps) {
        optimiser.restore(state, steps);
        version++;
      },
    },
    async step(rows, rate, ahead) {
      publish();
      const key = counter++;
      const pieces = split(rows, part);
      const asked = pieces.map((piece, slot) => {
        const targets = new Float32Array(piece.length * classes);
        piece.forEach(({ target }, i) => {
          targets.set(target, i * classes);
        });
        return pool.ask(slot % pool.size, {
          kind: 'train',
          key: `${key}.${slot}`,
          samples: piece.map(({ sample }) => sample),
          targets,
          shares: new Float32Array(piece.length).fill(1 / rows.length),
          slot,
          version,
        });
      });
      if (ahead) {
        split(ahead, part)
          .slice(0, pool.size)
          .forEach((piece, slot) => {
            const samples = piece.map(({ sample }) => sample);
            // Its failure, if any, comes back when the photos are trained on.
            pool.ask(slot, { kind: 'prepare', key: `${key + 1}.${slot}`, samples }).catch(() => {});
          });
      }
      const answers = await Promise.all(asked);
      let loss = 0;
      const logits = new Float32Array(rows.length * classes);
      answers.forEach((answer, slot) => {
        loss += answer.loss;
        logits.set(answer.logits, slot * part * classes);
      });
      sumInto(sum, gradients.slice(0, answers.length));
      if (!Number.isFinite(loss)) return { loss, logits, norm: Number.NaN };
      await pullback.run({ ...viewTensors(vector, optimiser.state().parameter!), ...sumTensors }, slopeTensors);
      const norm = await optimiser.step(slopes, rate);
      if (Number.isFinite(norm)) version++;
      return { loss, logits, norm };
    },
    async classify(samples, average) {
      publish();
      const logits = new Float32Array(samples.length * classes);
      await Promise.all(
        split(samples, part).map(async (piece, i) => {
          const question = { kind: 'evaluate', samples: piece, average, version } as const;
          logits.set((await pool.ask(i % pool.size, question)).logits, i * part * classes);
        }),
      );
      return logits;
    },
    async close() {
      await Promise.all([pool.close(), optimiser.close(), pullback.close()]);
    },
  };
  return trainer;
}

async function buildGraphs({ model, parameters, loss, device }: TrainerOptions, batch: number) {
  const channelBlock = device === 'cpu' ? await measureChannelBlock() : undefined;
  return buildTrainingGraphs({ model, parameters, batch, loss, channelBlock });
}

function split<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size));
}

/** sum = ((first + second) + third) + ..., four vectors in one pass over the sum: that is limited by memory. */
function sumInto(sum: Float32Array, vectors: readonly Float32Array[]): void {
  sum.fill(0);
  let at = 0;
  for (; at + 3 < vectors.length; at += 4) {
    const [a, b, c, d] = vectors.slice(at, at + 4) as [Float32Array, Float32Array, Float32Array, Float32Array];
    for (let i = 0; i < sum.length; i++) {
      // Rounded after each addition, so that the result does not depend on how many are added in a pass.
      sum[i] = Math.fround(Math.fround(Math.fround(sum[i]! + a[i]!) + b[i]!) + c[i]!) + d[i]!;
    }
  }
  for (; at < vectors.length; at++) {
    const values = vectors[at]!;
    for (let i = 0; i < sum.length; i++) sum[i]! += values[i]!;
  }
}
