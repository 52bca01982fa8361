// A weights file as float32 parameters: GGUF or safetensors, told apart by their first bytes. Pickles are not opened.
import { createHash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { readSafetensorsFloats } from '../tensor/safetensors-floats.ts';
import { readGguf } from './gguf.ts';
import type { Parameters } from './parameters.ts';

/** Largest weights file that is read, in bytes; the largest backbone in sight (ResNet-50, float32) has 100 MB. */
export const MAX_WEIGHTS_BYTES = 512 * 1024 * 1024;
/** Bytes that tell what a file is. torch.save begins its archives with the pickle. */
const HEAD_BYTES = 512;

const PICKLE_PROTOCOLS = '\x02\x03\x04\x05';

/** What a file may begin with that holds no weights for us, or none that may be opened: why, and what to do. */
const refusals: readonly (readonly [is: (head: string) => boolean, what: string, hint: string])[] = [
  [
    head => head.startsWith('PK\x03\x04') && head.includes('data.pkl'),
    'a PyTorch file: it holds a Python pickle, and reading one runs whatever code its maker put into it',
    'Export it as safetensors or ONNX where it was made, and name that file.',
  ],
  [
    head => head[0] === '\x80' && PICKLE_PROTOCOLS.includes(head[1]!),
    'a Python pickle (an old PyTorch file), and reading one runs whatever code its maker put into it',
    'Export it as safetensors or ONNX where it was made, and name that file.',
  ],
  [
    head => head.startsWith('PK\x03\x04'),
    'a ZIP archive (NumPy and Keras have such), and GGUF and safetensors are read',
    'Export it as safetensors where it was made.',
  ],
  [
    head => head.startsWith('\x89HDF\r\n\x1a\n'),
    'an HDF5 file (Keras has such), and GGUF and safetensors are read',
    'Export it as safetensors where it was made.',
  ],
  [
    head => head.startsWith('TFL3', 4),
    'a .tflite model with weights of its own',
    'Name it as the model: --model FILE.tflite.',
  ],
  [
    head => head.startsWith('version https://git-lfs.github.com/spec/'),
    'a Git LFS pointer, which stands for the real file',
    'Fetch the real one: git lfs pull.',
  ],
];

/**
 * Reads the file at `path`.
 * @param checkHash sees the sha256 of the whole file before it is taken apart.
 * @returns its parameters under its own names, and that sha256.
 * @throws GraftError `bad-weights` when it is damaged, too large, a pickle or something else, `not-found`, `no-access`.
 */
export async function readWeightsFile(
  path: string,
  checkHash?: (sha256: string) => void,
): Promise<{ parameters: Parameters; sha256: string }> {
  const refuse = (reason: string, hint: string) => new GraftError('bad-weights', `${path} ${reason}.`, hint);
  try {
    const { head, size } = await readHead(path);
    const isGguf = head.startsWith('GGUF');
    // A length below 2^48, then JSON: a pickle may begin with the same byte.
    if (!isGguf && !head.startsWith('\0\0{', 6)) {
      const refusal = refusals.find(([is]) => is(head));
      if (refusal) throw refuse(`is ${refusal[1]}`, refusal[2]);
      if (size === 0) throw refuse('is empty', 'Fetch or export it again.');
      if (!path.endsWith('.safetensors')) {
        const hint = 'Name a weights file; a model with its graph (.onnx) is named with --model.';
        throw refuse('is no weights file: GGUF or safetensors is wanted', hint);
      }
    }
    if (size > MAX_WEIGHTS_BYTES) {
      const reason = `has ${size} bytes, and weights may have ${MAX_WEIGHTS_BYTES}`;
      throw refuse(reason, 'Use a weights file of the backbone.');
    }
    const bytes = await readFile(path);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    checkHash?.(sha256);
    const parameters = isGguf ? await readGguf(path, bytes) : readSafetensorsFloats(bytes, path);
    for (const [name, { data }] of parameters) {
      if (!data.every(Number.isFinite)) {
        const hint = 'Use another file: the training that made it failed, or it was damaged.';
        throw refuse(`has values in ${name} that are no finite numbers`, hint);
      }
    }
    return { parameters, sha256 };
  } catch (error) {
    throw explainSystemError(error, path);
  }
}

/** The first bytes of a file, in Latin-1, and its size. */
async function readHead(path: string): Promise<{ head: string; size: number }> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const { bytesRead, buffer } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    return { head: buffer.toString('latin1', 0, bytesRead), size };
  } finally {
    await file.close();
  }
}
