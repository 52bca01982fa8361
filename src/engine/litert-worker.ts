// A worker thread with its own LiteRT: loads one model, then answers numbered inputs with numbered outputs.
import { parentPort, workerData } from 'node:worker_threads';
import { loadLiteRt } from './litert.ts';
import type { PoolQuestion, PoolReply } from './litert-pool.ts';

const port = parentPort!;
const answer = (reply: PoolReply, transfer: ArrayBuffer[] = []) => port.postMessage(reply, transfer);
const explain = (error: unknown) => {
  const { message, hint } = error as { message?: string; hint?: string };
  return { message: message ?? String(error), hint };
};

const loading = loadLiteRt(workerData as Uint8Array);
loading.catch(() => {});

port.on('message', async ({ index, input }: PoolQuestion) => {
  try {
    const outputs = await (await loading).run(input);
    answer(
      { index, outputs },
      outputs.map(values => values.buffer as ArrayBuffer),
    );
  } catch (error) {
    answer({ index, failure: explain(error) });
  }
});
