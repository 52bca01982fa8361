// Which device trains: the CPU, or a graphics card if ONNX Runtime can use one here.
import { GraftError } from '../base/errors.ts';
import { emptyGraph, startEmitter } from '../onnx/emitter.ts';
import { writeOnnx } from '../onnx/write.ts';
import { loadRuntime } from './session.ts';

/** A device that computes. */
export type Device = 'cpu' | 'cuda' | 'webgpu';

/** A device, or `auto`: an NVIDIA card when CUDA works, else the CPU. */
export type DeviceChoice = Device | 'auto';

/** What can be asked for. */
export const deviceChoices: readonly DeviceChoice[] = ['cpu', 'cuda', 'webgpu', 'auto'];

const advice: Readonly<Record<Exclude<Device, 'cpu'>, string>> = {
  cuda:
    'It needs an NVIDIA card, CUDA 12 with cuDNN 9, and ONNX Runtime with its CUDA files: on Linux x64, ' +
    'ONNXRUNTIME_NODE_INSTALL=cuda12 npm install onnxruntime-node. Or use --device cpu.',
  webgpu:
    'It needs a graphics card with a driver for Vulkan (Linux), Metal (macOS) or Direct3D 12 (Windows). Or use --device cpu.',
};

/**
 * The device that `choice` means here, tried out with a small graph.
 * @throws GraftError `no-device` when it cannot be used.
 */
export async function chooseDevice(choice: DeviceChoice): Promise<Device> {
  if (choice === 'cpu') return 'cpu';
  if (choice === 'auto') return (await tryDevice('cuda')) === undefined ? 'cuda' : 'cpu';
  const problem = await tryDevice(choice);
  if (problem === undefined) return choice;
  throw new GraftError('no-device', `The device ${choice} cannot be used here: ${problem}`, advice[choice]);
}

/** What is wrong with a device; undefined when it works. */
async function tryDevice(device: Exclude<Device, 'cpu'>): Promise<string | undefined> {
  const ort = await loadRuntime();
  const g = startEmitter(emptyGraph('device'));
  const x = g.input({ name: 'x', dtype: 'float32', shape: [1] });
  const y = g.emit('Mul', [x, x], {});
  const model = writeOnnx(g.build([{ name: y, dtype: 'float32', shape: [1] }]));
  const { logLevel } = ort.env;
  ort.env.logLevel = 'fatal';
  try {
    const session = await ort.InferenceSession.create(model, { executionProviders: [device], logSeverityLevel: 4 });
    await session.release();
    return undefined;
  } catch (error) {
    const text = (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!;
    // The place in the runtime's source, which comes before the sentence, helps nobody here.
    return text.replace(/^.*?was false\. /, '').slice(0, 200);
  } finally {
    if (logLevel !== undefined) ort.env.logLevel = logLevel;
  }
}
