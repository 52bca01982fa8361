// Thread that reads one damaged file after the other and tells what came of each.
import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { parentPort } from 'node:worker_threads';
import { GraftError } from '../../src/base/errors.ts';
import { inspectModel } from '../../src/project/inspect.ts';
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

parentPort!.on('message', (bytes: Uint8Array) => parentPort!.postMessage(tryFile(bytes)));

function tryFile(bytes: Uint8Array): FuzzOutcome {
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
  let model: TfliteModel;
  try {
    orRefuse(() => readAttachedFiles(bytes));
    model = readTflite(bytes);
  } catch (error) {
    if (error instanceof GraftError && error.code === 'bad-model') return tell('refused', true);
    return tell('defect', true, String((error as Error).stack));
  }
  try {
    const { problems } = inspectModel('file.tflite', bytes, model);
    const told = tell('read', problems.length > 0);
    checkRewriting(model);
    return told;
  } catch (error) {
    return tell('defect', true, String((error as Error).stack));
  }
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
