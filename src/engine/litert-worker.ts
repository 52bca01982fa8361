// A thread with its own LiteRT: loads the model it was started with, then answers numbered inputs with numbered outputs.
// Started by runLiteRt only.
import { parentPort, workerData } from 'node:worker_threads';
import { type LiteRtValues, loadLiteRt } from './litert.ts';

/** To the thread. */
export interface LiteRtQuestion {
  readonly index: number;
  readonly input: LiteRtValues;
}

/** From the thread. A failure with no index is that of the model. */
export type LiteRtReply =
  | { readonly index: number; readonly outputs: LiteRtValues[] }
  | { readonly index: number | null; readonly failure: LiteRtFailure };

/** An error on its way between threads, which would strip it to its message. */
export interface LiteRtFailure {
  readonly name: string;
  readonly message: string;
  readonly hint?: string | undefined;
}

function describe(error: unknown): LiteRtFailure {
  const { name, message, hint } = error as Partial<LiteRtFailure>;
  return { name: name ?? 'Error', message: message ?? String(error), hint };
}

const port = parentPort!;
const loading = loadLiteRt(workerData as Uint8Array);
loading.catch(error => port.postMessage({ index: null, failure: describe(error) } satisfies LiteRtReply));

port.on('message', async ({ index, input }: LiteRtQuestion) => {
  try {
    const outputs = await (await loading).run([input]);
    const buffers = outputs.map(values => values.buffer as ArrayBuffer);
    port.postMessage({ index, outputs } satisfies LiteRtReply, buffers);
  } catch (error) {
    port.postMessage({ index, failure: describe(error) } satisfies LiteRtReply);
  }
});
