// Where the time of a training step goes: the graph that one thread runs, under ONNX Runtime's profiler.
//
//   node --import tsx bench/profile.bench.ts [WEIGHTS.gguf] [--photos 8] [--runs 20] [--parts 1,2,4,8,16,32]
//
// Prints milliseconds by kind of work and by op, with GFLOP/s of convolutions and matrix products, beside what one large
// matrix product reaches; the optimiser's step; and speed and memory by photos per run. Writes bench/results/profile.json.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { measureChannelBlock } from '../src/engine/measure-channel-block.ts';
import { openSession } from '../src/engine/session.ts';
import { emptyGraph, startEmitter } from '../src/onnx/emitter.ts';
import { writeOnnx } from '../src/onnx/write.ts';
import { cacheFolder } from '../src/project/cache-folder.ts';
import { float32, sizeOf } from '../src/tensor/tensor.ts';
import { defaultFineTuneOptions } from '../src/train/fine-tune.ts';
import { openOptimiser } from '../src/train/optimiser.ts';
import { DEFAULT_BACKBONE, findCard } from '../src/zoo/cards.ts';
import { loadWeights } from '../src/zoo/load-weights.ts';
import { drain } from './support/drain.ts';
import { countOperations, type KindOfWork, kindsOfWork, type RanNode, sortWork } from './support/kinds-of-work.ts';
import { openBackbone } from './support/open-backbone.ts';
import { describeMachine, saveResults } from './support/save-results.ts';
import { median, numbers, round } from './support/statistics.ts';
import { timeProcess } from './support/time-process.ts';
import { makeTrainingRun, type TrainingRun } from './support/training-run.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    photos: { type: 'string', default: '8' },
    runs: { type: 'string', default: '20' },
    parts: { type: 'string', default: '1,2,4,8,16,32' },
  },
});
const [photos, runs] = [Number(values.photos), Number(values.runs)];
const weights = positionals[0] ?? (await drain(loadWeights(findCard(DEFAULT_BACKBONE), cacheFolder()))).file;

/** What the profiler says of a kernel, or of a whole run. */
interface ProfileEvent {
  readonly name: string;
  /** Microseconds: when it began, and how long it took. */
  readonly ts: number;
  readonly dur: number;
  readonly args?: {
    readonly op_name?: string;
    readonly input_type_shape?: readonly Readonly<Record<string, readonly number[]>>[];
    readonly output_type_shape?: readonly Readonly<Record<string, readonly number[]>>[];
  };
}

/** Events of `runs` runs, after two that warm up. The options are those of src/engine/session.ts. */
async function profile({ graph, inputs }: TrainingRun): Promise<ProfileEvent[]> {
  const folder = mkdtempSync(join(tmpdir(), 'graft-profile-'));
  const session = await InferenceSession.create(writeOnnx(graph), {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    extra: { session: { intra_op: { allow_spinning: '0' }, set_denormal_as_zero: '1' } },
    enableProfiling: true,
    profileFilePrefix: join(folder, 'run'),
  });
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, { dtype, data, shape }]) => [
      name,
      new OrtTensor(dtype as 'float32', data as Float32Array, shape),
    ]),
  );
  for (let i = 0; i < runs + 2; i++) await session.run(feeds);
  session.endProfiling();
  await session.release();
  const events = JSON.parse(readFileSync(join(folder, readdirSync(folder)[0]!), 'utf8')) as ProfileEvent[];
  rmSync(folder, { recursive: true });
  const second = events.filter(({ name }) => name === 'model_run')[1]!;
  return events.filter(({ ts }) => ts > second.ts + second.dur);
}

/** GFLOP/s of one thread on a product of two matrices of 1,024 x 1,024: what there is to reach. */
async function measureMatrixProduct(): Promise<number> {
  const side = 1024;
  const g = startEmitter(emptyGraph('product'));
  const [a, b] = ['a', 'b'].map(name => g.input({ name, dtype: 'float32', shape: [side, side] })) as [string, string];
  const product = g.emit('MatMul', [a, b], {});
  const model = writeOnnx(g.build([{ name: product, dtype: 'float32', shape: [side, side] }]));
  const session = await openSession(model, { threads: 1 });
  const ones = float32([side, side], new Float32Array(side * side).fill(1));
  const times: number[] = [];
  for (let i = 0; i < runs + 2; i++) {
    const start = performance.now();
    await session.run({ a: ones, b: ones });
    times.push(performance.now() - start);
  }
  await session.close();
  return (2 * side ** 3) / median(times.slice(2)) / 1e6;
}

/** Milliseconds of the optimiser's step: norm, clipping, AdamW and the average of the weights. */
async function timeOptimiser(length: number): Promise<number> {
  const { optimiser: name, clipNorm, averageDecay, lr } = defaultFineTuneOptions;
  const filled = (value: number) => new Float32Array(length).fill(value);
  const options = { name, length, rates: filled(1), decays: filled(0.05), clipNorm, averageDecay };
  const optimiser = await openOptimiser(options, filled(0.1));
  const times: number[] = [];
  for (let i = 0; i < runs + 2; i++) {
    const start = performance.now();
    await optimiser.step(filled(0.01), lr);
    times.push(performance.now() - start);
  }
  await optimiser.close();
  return median(times.slice(2));
}

const backbone = await openBackbone(DEFAULT_BACKBONE, weights);
const block = await measureChannelBlock();
if (block === undefined)
  throw new Error('ONNX Runtime has no blocked kernels here, and the kinds are those of the blocks.');
const run = await makeTrainingRun(backbone, photos, block);
const kindOf = sortWork(run.graph, run.forward);
const events = await profile(run);

interface Work {
  microseconds: number;
  nodes: number;
  operations: number;
}
const byKind = new Map<KindOfWork, Work>(kindsOfWork.map(kind => [kind, { microseconds: 0, nodes: 0, operations: 0 }]));
const byOp = new Map<string, Work>();
const losses = events.filter(({ args }) => args?.op_name === 'LogSoftmax').map(({ ts }) => ts);
const ends = events.filter(({ name }) => name === 'model_run').map(({ ts, dur }) => ts + dur);
const shapesOf = (list: readonly Readonly<Record<string, readonly number[]>>[] | undefined) =>
  (list ?? []).map(entry => Object.values(entry)[0]!);
let kernels = 0;
for (const { name, ts, dur, args } of events) {
  if (args?.op_name === undefined || !name.endsWith('_kernel_time')) continue;
  const node: RanNode = {
    name: name.slice(0, -'_kernel_time'.length),
    op: args.op_name,
    inputs: shapesOf(args.input_type_shape),
    outputs: shapesOf(args.output_type_shape),
    early: ts < losses[ends.findIndex(end => ts < end)]!,
  };
  const op = byOp.get(node.op) ?? { microseconds: 0, nodes: 0, operations: 0 };
  byOp.set(node.op, op);
  for (const work of [op, byKind.get(kindOf(node))!]) {
    work.microseconds += dur;
    work.nodes++;
    work.operations += countOperations(node);
  }
  kernels += dur;
}
const whole = events.filter(({ name }) => name === 'model_run').reduce((sum, { dur }) => sum + dur, 0);
const describe = (name: string, { microseconds, nodes, operations }: Work) => ({
  name,
  milliseconds: round(microseconds / runs / 1000, 2),
  part: round(microseconds / whole, 3),
  nodes: nodes / runs,
  ...(operations > 0 && { gflops: round(operations / microseconds / 1000, 1) }),
});
const between = { microseconds: whole - kernels, nodes: 0, operations: 0 };
const kinds = [...byKind].map(([kind, work]) => describe(kind, work));
kinds.push(describe('between kernels, and the profiler', between));
const ops = [...byOp].sort(([, a], [, b]) => b.microseconds - a.microseconds).map(([op, work]) => describe(op, work));
console.table(kinds);
console.table(ops);

const length = backbone.parameters.reduce((sum, name) => sum + sizeOf(backbone.model.constants.get(name)!.shape), 0);
const parts: Record<string, number>[] = [];
for (const size of numbers(values.parts)) {
  const words = ['--import', 'tsx', 'bench/support/part-size.ts', DEFAULT_BACKBONE, weights, String(size), values.runs];
  const { stdout } = await timeProcess(process.execPath, words);
  const { milliseconds, megabytes } = JSON.parse(stdout) as { milliseconds: number; megabytes: number };
  const speed = round((1000 * size) / milliseconds, 1);
  parts.push({ photos: size, milliseconds: round(milliseconds, 1), photos_per_second: speed, megabytes });
}
console.table(parts);
const summary = {
  backbone: DEFAULT_BACKBONE,
  photos,
  run_ms: round(whole / runs / 1000, 1),
  parameters: length,
  prologue_ms: round(run.prologueMs, 1),
  pullback_ms: round(run.pullbackMs, 1),
  optimiser_ms: round(await timeOptimiser(length), 1),
  matrix_product_gflops: round(await measureMatrixProduct(), 1),
};
console.log(summary);
saveResults('profile', { machine: describeMachine(), summary, kinds, ops, parts });
