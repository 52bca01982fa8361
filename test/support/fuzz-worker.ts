// Thread that reads one damaged file after the other, each by the reader of its format, and tells what came of it.
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parentPort } from 'node:worker_threads';
import { GraftError } from '../../src/base/errors.ts';
import { type Classifier, makeBackbone } from '../../src/import/make-backbone.ts';
import { readOnnxClassifier } from '../../src/import/onnx-backbone.ts';
import { readTfliteClassifier } from '../../src/import/tflite-backbone.ts';
import { convertOnnx } from '../../src/onnx/convert.ts';
import { readOnnxModel } from '../../src/onnx/read-model.ts';
import { inspectModel } from '../../src/project/inspect.ts';
import { readSafetensors, writeSafetensors } from '../../src/tensor/safetensors.ts';
import { readAttachedFiles } from '../../src/tflite/associated-files.ts';
import type { TfliteModel } from '../../src/tflite/model.ts';
import { readTflite } from '../../src/tflite/read.ts';
import { writeTflite } from '../../src/tflite/write.ts';

/** What came of a file. */
export interface FuzzOutcome {
  readonly outcome: 'refused' | 'read' | 'defect';
  /** Of a defect, its stack. */
  readonly detail: string;
  /** Parts that were left out, or the reason why the file was refused. */
  readonly problem: boolean;
  /** Bytes of memory that reading and inspecting took. */
  readonly memory: number;
  readonly milliseconds: number;
}

/** Files between collections of garbage, so that what one file takes can be told from what others left. */
const COLLECT_EVERY = 20;

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;
let count = 0;

/** A file that came from outside. */
export interface FuzzFile {
  readonly format: FuzzFormat;
  readonly bytes: Uint8Array;
}

export type FuzzFormat = 'tflite' | 'onnx' | 'safetensors';

/** Reads a file and does with it what graft does: tells whether parts were left out. What it takes to check is not measured. */
type Reader = (bytes: Uint8Array) => { readonly problem: boolean; readonly check?: () => void };

const readers: Readonly<Record<FuzzFormat, Reader>> = {
  tflite(bytes) {
    orRefuse(() => readAttachedFiles(bytes));
    const model = readTflite(bytes);
    const { problems } = inspectModel('file.tflite', bytes, model);
    return { problem: problems.length > 0, check: () => checkTflite(bytes, model) };
  },
  onnx(bytes) {
    const model = readOnnxModel(bytes);
    for (const constant of model.constants.values()) constant.read();
    convertOnnx(model);
    return {
      problem: false,
      check: () => importFile(readOnnxClassifier(bytes, '.', { asked: undefined, usual: undefined })),
    };
  },
  safetensors(bytes) {
    const { tensors, metadata } = readSafetensors(bytes, 'file.safetensors');
    const check = () => {
      const again = readSafetensors(writeSafetensors(tensors, metadata), 'again.safetensors');
      assert.deepEqual(again.metadata, metadata);
      assert.deepEqual([...again.tensors].sort(byName), [...tensors].sort(byName));
    };
    return { problem: false, check };
  },
};
const byName = ([a]: readonly [string, unknown], [b]: readonly [string, unknown]) => (a < b ? -1 : 1);

/** Errors that say that the file is no good; others are defects. */
const refusals: readonly string[] = ['bad-model', 'bad-weights', 'unsupported-op'];

parentPort!.on('message', (file: FuzzFile) => parentPort!.postMessage(tryFile(file)));

function tryFile({ format, bytes }: FuzzFile): FuzzOutcome {
  if (count++ % COLLECT_EVERY === 0) collect();
  const before = usedMemory();
  const start = performance.now();
  const tell = (outcome: FuzzOutcome['outcome'], problem: boolean, detail = ''): FuzzOutcome => ({
    outcome,
    detail,
    problem,
    memory: usedMemory() - before,
    milliseconds: performance.now() - start,
  });
  try {
    const { problem, check } = readers[format](bytes);
    const told = tell('read', problem);
    check?.();
    return told;
  } catch (error) {
    if (error instanceof GraftError && refusals.includes(error.code)) return tell('refused', true);
    return tell('defect', true, String((error as Error).stack));
  }
}

/** What is read is a backbone or refused. */
function importFile(classifier: Classifier): void {
  orRefuse(() => makeBackbone({ ...classifier, weights: { file: 'file', sha256: '' } }, undefined, { pixels: 'unit' }));
}

function checkTflite(bytes: Uint8Array, model: TfliteModel): void {
  checkRewriting(model);
  const classifier = orRefuse(() => readTfliteClassifier(bytes));
  if (classifier) importFile(classifier);
}

/** What was read can be written, and is the same when it is read again; or it is refused. */
function checkRewriting(model: TfliteModel): void {
  const written = orRefuse(() => writeTflite(model, { stampRuntime: false }));
  const again = written && orRefuse(() => readTflite(written));
  if (again) assert.deepEqual(again, model);
}

function orRefuse<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof GraftError) return undefined;
    throw error;
  }
}

function usedMemory(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
