// Which device trains: the CPU, or a graphics card if ONNX Runtime can use one here.
import { fork } from 'node:child_process';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GraftError } from '../base/errors.ts';
import type { DeviceVerdict } from './device-process.ts';

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
  if (choice === 'auto') return (await tryDevice('cuda')) === null ? 'cuda' : 'cpu';
  const problem = await tryDevice(choice);
  if (problem === null) return choice;
  throw new GraftError('no-device', `The device ${choice} cannot be used here: ${problem}`, advice[choice]);
}

/** What is wrong with a device; null when it works. */
function tryDevice(device: Exclude<Device, 'cpu'>): Promise<string | null> {
  // Beside this file, .ts in the source tree and .js in the compiled one.
  const here = fileURLToPath(import.meta.url);
  const child = fork(join(dirname(here), `device-process${extname(here)}`), [device], {
    stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
  });
  return new Promise((resolve, reject) => {
    child.on('message', ({ problem }: DeviceVerdict) => resolve(problem));
    child.on('error', reject);
    child.on('exit', (status, by) => resolve(`ONNX Runtime ended with ${by ?? `status ${status}`} when it was tried.`));
  });
}
