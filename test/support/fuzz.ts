// Fuzzes the readers of files: seeds of .tflite, the thread that reads with a limit of time and memory, and the summary.
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { makeRng } from '../../src/base/rng.ts';
import { emptyGraph, startEmitter } from '../../src/onnx/emitter.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import { attachFiles } from '../../src/tflite/associated-files.ts';
import { lowerToTflite } from '../../src/tflite/lower.ts';
import { encodeMetadata, METADATA_ENTRY } from '../../src/tflite/metadata.ts';
import { writeTflite } from '../../src/tflite/write.ts';
import { chameleon, foreignFile } from './foreign-model.ts';
import type { FuzzFile, FuzzFormat, FuzzOutcome } from './fuzz-worker.ts';
import { mutate, type Seed } from './mutate.ts';

/** A classifier of a few layers as graft writes it: with its origin, metadata and labels. */
export function graftFile(): Uint8Array {
  const rng = makeRng(3, 'classifier');
  const numbers = (...shape: number[]) =>
    float32(
      shape,
      Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => rng.normal()),
    );
  const g = startEmitter(emptyGraph('classifier'));
  const image = g.input({ name: 'image', dtype: 'float32', shape: [1, 8, 8, 3] });
  const planes = g.emit('Transpose', [image], { perm: [0, 3, 1, 2] });
  const weights = [g.constant(numbers(4, 3, 3, 3)), g.constant(numbers(4))];
  const conv = g.emit('Conv', [planes, ...weights], {
    kernel_shape: [3, 3],
    strides: [2, 2],
    pads: [1, 1, 1, 1],
    dilations: [1, 1],
    group: 1,
  });
  const swish = g.emit('HardSwish', [conv], {});
  const pooled = g.emit('GlobalAveragePool', [swish], {});
  const flat = g.emit('Reshape', [pooled, g.constant(shapeOf(1, 4))], {});
  const head = [g.constant(numbers(2, 4)), g.constant(numbers(2))];
  const logits = g.emit('Gemm', [flat, ...head], { transA: 0, transB: 1, alpha: 1, beta: 1 });
  const output = g.emit('Softmax', [logits], { axis: -1 });
  const model = lowerToTflite(g.build([{ name: output, dtype: 'float32', shape: [1, 2] }]));
  const provenance = {
    format: 1,
    graft: '0.0.0',
    backbone: 'small',
    classes: ['healthy', 'sick'],
    preprocess: { size: 8, fit: 'squash', kernel: 'linear' },
    weights: '',
    dataset: '',
  };
  const metadata = encodeMetadata({
    name: 'Leaves',
    description: 'Tells sick leaves from healthy ones.',
    version: '1',
    author: 'A',
    license: 'Apache-2.0',
    inputs: [{ name: 'image', description: 'A leaf.', colorSpace: 'rgb', mean: [127.5], std: [127.5] }],
    outputs: [{ name: 'probability', description: 'Of each class.', content: 'feature', labels: 'labels.txt' }],
  });
  const file = writeTflite({
    ...model,
    metadata: [
      { name: 'graft', data: new TextEncoder().encode(JSON.stringify(provenance)) },
      { name: METADATA_ENTRY, data: metadata },
    ],
  });
  return attachFiles(file, [{ name: 'labels.txt', data: new TextEncoder().encode('healthy\nsick\n') }]);
}

const shapeOf = (...dims: number[]) =>
  ({ dtype: 'int64', shape: [dims.length], data: BigInt64Array.from(dims, BigInt) }) as const;

/** A file as a seed: its metadata and what stands behind its flatbuffer get damage of their own. */
export function makeSeed(name: string, bytes: Uint8Array): Seed {
  const regions: (readonly [number, number])[] = [
    [0, bytes.length],
    [0, bytes.length],
  ];
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const metadata = text.indexOf('M001', 8, 'latin1');
  if (metadata > 0) regions.push([metadata - 4, Math.min(metadata + 700, bytes.length)]);
  const archive = text.indexOf('PK\x03\x04', 0, 'latin1');
  if (archive > 0) regions.push([archive, bytes.length]);
  return { name, bytes, regions };
}

/** A file of 40 KB that is all structure: 200 operators in a row. */
function wideFile(): Uint8Array {
  const count = 200;
  return writeTflite({
    description: '',
    tensors: Array.from({ length: count + 1 }, (_, i) => ({ name: `${i}`, type: 'FLOAT32', shape: [1, 4] })),
    operators: Array.from({ length: count }, (_, i) => ({
      op: 'MUL',
      version: 1,
      inputs: [i, i],
      outputs: [i + 1],
      options: { fused_activation_function: 0 },
    })),
    inputs: [0],
    outputs: [count],
    metadata: [],
  });
}

/** The seeds that are always there. */
export const ownSeeds = (): Seed[] => [
  makeSeed('graft', graftFile()),
  makeSeed('foreign', foreignFile),
  makeSeed('foreign operators', chameleon),
  makeSeed('many parts', wideFile()),
];

/** What fuzzing found. */
export interface FuzzReport {
  readonly files: number;
  readonly refused: number;
  /** Read whole, and read with damaged metadata or attached files left out. */
  readonly read: number;
  readonly partly: number;
  readonly defects: readonly string[];
  /** The largest figures: memory in bytes and as a multiple of the file's bytes beside the allowance, time in milliseconds. */
  readonly mostMemory: number;
  readonly mostMemoryPerByte: number;
  readonly slowest: number;
}

/**
 * Longest that a file may take, and the memory that reading and inspecting it may allocate, garbage included: a multiple
 * of its bytes, beside what any file takes.
 */
const MAX_MILLISECONDS = 5000;
const MAX_MEMORY_PER_BYTE = 256;
const allowances: Readonly<Record<FuzzFormat, number>> = {
  tflite: 2 ** 18,
  // A few bytes may ask for a constant of 2^24 numbers, the most that the import computes from less.
  onnx: 2 ** 28,
  safetensors: 2 ** 18,
};

/** Defects after which fuzzing ends. */
const MAX_DEFECTS = 20;

/** Reads the seeds, which have to be sound, and `files` damaged files. The same seed gives the same files. */
export async function fuzz(
  seeds: readonly Seed[],
  files: number,
  seed: number,
  format: FuzzFormat = 'tflite',
): Promise<FuzzReport> {
  const rng = makeRng(seed, 'fuzz');
  const counts = { refused: 0, read: 0, partly: 0 };
  const defects: string[] = [];
  let [mostMemory, mostMemoryPerByte, slowest] = [0, 0, 0];
  let thread = startThread();
  for (const { name, bytes } of seeds) {
    // The first time, what is allocated is the program's own code.
    const told = await askThread(thread, { format, bytes });
    if (typeof told === 'string' || told.outcome !== 'read') {
      throw new Error(`The seed ${name} is not sound: ${typeof told === 'string' ? told : told.detail}`);
    }
  }
  // A reader that is broken has shown it by then.
  for (let i = 0; i < files && defects.length < MAX_DEFECTS; i++) {
    const { bytes, how } = mutate(seeds, rng);
    const told = await askThread(thread, { format, bytes });
    if (typeof told === 'string') {
      defects.push(`${i} (${how}): ${told}`);
      await thread.terminate();
      thread = startThread();
      continue;
    }
    const { outcome, problem, detail, memory, milliseconds } = told;
    const perByte = (memory - allowances[format]) / bytes.length;
    if (outcome === 'defect') defects.push(`${i} (${how}): ${detail}`);
    else if (perByte > MAX_MEMORY_PER_BYTE) defects.push(`${i} (${how}): ${bytes.length} bytes took ${memory}`);
    else counts[outcome === 'refused' ? 'refused' : problem ? 'partly' : 'read']++;
    mostMemory = Math.max(mostMemory, memory);
    mostMemoryPerByte = Math.max(mostMemoryPerByte, perByte);
    slowest = Math.max(slowest, milliseconds);
  }
  await thread.terminate();
  return { files, ...counts, defects, mostMemory, mostMemoryPerByte, slowest };
}

function startThread(): Worker {
  // Large enough a young generation that little of what a file takes is collected before it is measured.
  setFlagsFromString('--min-semi-space-size=64');
  const module = new URL('./fuzz-worker.ts', import.meta.url).href;
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const script = `import(${loader}).then(({ register }) => { register(); return import(${JSON.stringify(module)}); });`;
  return new Worker(script, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 1024 } });
}

/** What the thread tells, or how it failed to. */
function askThread(thread: Worker, file: FuzzFile): Promise<FuzzOutcome | string> {
  return new Promise(resolve => {
    const onError = (error: Error) => finish(`the thread died: ${error.message}`);
    const onExit = (status: number) => finish(`the thread ended with status ${status}`);
    const finish = (told: FuzzOutcome | string) => {
      clearTimeout(timer);
      thread.off('message', finish).off('error', onError).off('exit', onExit);
      resolve(told);
    };
    const timer = setTimeout(() => finish(`no answer after ${MAX_MILLISECONDS} ms`), MAX_MILLISECONDS);
    thread.on('message', finish).on('error', onError).on('exit', onExit);
    thread.postMessage(file);
  });
}
