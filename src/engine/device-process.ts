// Entry of a process that tries one device out and tells what is wrong with it. Started by chooseDevice only. A process of
// its own, because native libraries write to standard error whatever they are told, and might take the process down.
import { emptyGraph, startEmitter } from '../onnx/emitter.ts';
import { writeOnnx } from '../onnx/write.ts';
import { loadRuntime } from './session.ts';

/** From the process to its parent: what is wrong; null when a small graph can be loaded for the device. */
export interface DeviceVerdict {
  readonly problem: string | null;
}

async function tryDevice(device: string): Promise<string | null> {
  const g = startEmitter(emptyGraph('device'));
  const x = g.input({ name: 'x', dtype: 'float32', shape: [1] });
  const y = g.emit('Mul', [x, x], {});
  const model = writeOnnx(g.build([{ name: y, dtype: 'float32', shape: [1] }]));
  try {
    const ort = await loadRuntime();
    const session = await ort.InferenceSession.create(model, { executionProviders: [device] });
    await session.release();
    return null;
  } catch (error) {
    const text = (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!;
    // The place in the runtime's source, which comes before the sentence, helps nobody here.
    return `${text
      .replace(/^.*?was false\. /, '')
      .replace(/\.$/, '')
      .slice(0, 200)}.`;
  }
}

// Ctrl-C reaches the whole group of processes; the parent is the one that decides.
process.on('SIGINT', () => {});
const problem = await tryDevice(process.argv[2]!);
process.send!({ problem } satisfies DeviceVerdict);
process.disconnect();
