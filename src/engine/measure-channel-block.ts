// How many channels ONNX Runtime's convolution kernels take side by side on this machine: 16 with AVX-512, else mostly 8.
import { emptyGraph, startEmitter } from '../onnx/emitter.ts';
import { writeOnnx } from '../onnx/write.ts';
import { float32 } from '../tensor/tensor.ts';
import { openSession } from './session.ts';

/** More channels than any block has. */
const CHANNELS = 64;

/** The block size, found by reordering numbered channels; undefined where the runtime has no blocked kernels. */
export async function measureChannelBlock(): Promise<number | undefined> {
  const g = startEmitter({ ...emptyGraph('block'), channelBlock: CHANNELS });
  const image = g.input({ name: 'image', dtype: 'float32', shape: [1, CHANNELS, 1, 2] });
  const ordered = g.emit('nchwc.ReorderInput', [image], { channels_last: 0 });
  const model = writeOnnx(g.build([{ name: ordered, dtype: 'float32', shape: [1, CHANNELS, 1, 2] }]));
  try {
    const session = await openSession(model, { threads: 1 });
    const numbers = Float32Array.from({ length: 2 * CHANNELS }, (_, i) => i);
    const out = await session.run({ image: float32([1, CHANNELS, 1, 2], numbers) });
    await session.close();
    // In memory: channels 0 to b - 1 of the first position, then those of the second, whose first number is 1.
    const block = (out[ordered]!.data as Float32Array).indexOf(1);
    return block > 1 ? block : undefined;
  } catch {
    return undefined;
  }
}
