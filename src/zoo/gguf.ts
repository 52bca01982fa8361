// Reads a GGUF weights file (parsed by @huggingface/gguf) into float32 parameters, with every offset checked.
import { GraftError } from '../base/errors.ts';
import { widenFloat16 } from '../tensor/float16.ts';
import { sizeOf, type Tensor } from '../tensor/tensor.ts';
import type { Parameters } from './parameters.ts';

/** Bytes per element and reader of the ggml types that are taken; quantised ones are refused by name. */
const ggmlTypes: Record<number, { bytes: number; read: (bytes: ArrayBuffer) => Float32Array }> = {
  0: { bytes: 4, read: bytes => new Float32Array(bytes) },
  1: { bytes: 2, read: bytes => widenFloat16(new Uint16Array(bytes)) },
};

/**
 * All parameters of the GGUF file at `path`, whose bytes have been read.
 * @throws GraftError `bad-weights` when the file is damaged or quantised.
 */
export async function readGguf(path: string, bytes: Uint8Array): Promise<Parameters> {
  const { gguf } = await import('@huggingface/gguf');
  let parsed: Awaited<ReturnType<typeof gguf>>;
  try {
    parsed = await gguf(path, { allowLocalFile: true });
  } catch (error) {
    throw refuse(path, error instanceof Error ? error.message : String(error));
  }
  const parameters = new Map<string, Tensor<'float32'>>();
  for (const info of parsed.tensorInfos) {
    const type = ggmlTypes[info.dtype];
    if (!type) throw refuse(path, `${info.name} has the ggml type ${info.dtype}; float32 and float16 are read`);
    // ne[0] is the fastest axis: the row-major shape is the reverse.
    const shape = info.shape.map(Number).reverse();
    const start = Number(parsed.tensorDataOffset) + Number(info.offset);
    const end = start + sizeOf(shape) * type.bytes;
    if (!(end <= bytes.byteLength)) throw refuse(path, `${info.name} ends behind the end of the file`);
    const data = type.read(Uint8Array.from(bytes.subarray(start, end)).buffer);
    parameters.set(info.name, { dtype: 'float32', shape, data });
  }
  return parameters;
}

function refuse(path: string, reason: string): GraftError {
  return new GraftError(
    'bad-weights',
    `${path} is not a usable GGUF file: ${reason}.`,
    'If it is in the cache, delete it and run again to fetch it anew; else use another file.',
  );
}
