// The door to ONNX Runtime: a graph's bytes in, named tensors in and out.
import { availableParallelism } from 'node:os';
import { GraftError } from '../base/errors.ts';
import type { DataType, Tensor } from '../tensor/tensor.ts';

/** Options of a session. */
export interface SessionOptions {
  /** Threads inside one run; default: the machine's cores. */
  readonly threads?: number;
  /** Default: cpu. What a graphics card has no kernel for runs on the CPU. */
  readonly device?: 'cpu' | 'cuda' | 'webgpu';
}

/** What an input of a graph takes: its element type and its shape, with null for dimensions that may be of any size. */
export interface SessionInput {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly (number | null)[];
}

/** A loaded graph. */
export interface Session {
  readonly inputNames: readonly string[];
  readonly inputs: readonly SessionInput[];
  readonly outputNames: readonly string[];
  /** Size of the last dimension of an output; undefined when it is dynamic or there is no such output. */
  outputWidth(name: string): number | undefined;
  /**
   * Runs the graph.
   * @param outputs where results go, by name: they are written into the tensors' own arrays. Default: all, into new ones.
   */
  run(
    inputs: Readonly<Record<string, Tensor>>,
    outputs?: Readonly<Record<string, Tensor>>,
  ): Promise<Record<string, Tensor>>;
  /** Frees the session. */
  close(): Promise<void>;
}

/** Loads ONNX Runtime itself, which takes a moment the first time. */
export function loadRuntime(): Promise<typeof import('onnxruntime-node')> {
  return import('onnxruntime-node');
}

/**
 * Loads an ONNX model into ONNX Runtime, with all graph optimisations.
 * @param model the bytes of the file.
 * @throws GraftError `bad-model` when the runtime refuses it.
 */
export async function openSession(model: Uint8Array, options: SessionOptions = {}): Promise<Session> {
  const ort = await loadRuntime();
  const { threads = availableParallelism(), device = 'cpu' } = options;
  let session: import('onnxruntime-node').InferenceSession;
  try {
    session = await ort.InferenceSession.create(model, {
      executionProviders: device === 'cpu' ? ['cpu'] : [device, 'cpu'],
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
      // Numbers too small for the normal format, which training makes, would take a hundred times as long.
      extra: { session: { intra_op: { allow_spinning: '0' }, set_denormal_as_zero: '1' } },
    });
  } catch (error) {
    throw new GraftError('bad-model', `ONNX Runtime refused the model: ${firstLine(error)}`, undefined, error);
  }
  // A tensor that is fed again and again, with new numbers in the same array, is wrapped once.
  const wrapped = new WeakMap<Tensor, import('onnxruntime-node').Tensor>();
  const wrap = (tensors: Readonly<Record<string, Tensor>>) => {
    const feeds: Record<string, import('onnxruntime-node').Tensor> = {};
    for (const [name, tensor] of Object.entries(tensors)) {
      const known =
        wrapped.get(tensor) ?? new ort.Tensor(tensor.dtype as 'float32', tensor.data as Float32Array, tensor.shape);
      wrapped.set(tensor, known);
      feeds[name] = known;
    }
    return feeds;
  };
  return {
    inputNames: session.inputNames,
    inputs: session.inputMetadata.map(info => ({
      name: info.name,
      dtype: info.isTensor ? info.type : 'no tensor',
      shape: info.isTensor ? info.shape.map(dim => (typeof dim === 'number' && dim >= 0 ? dim : null)) : [],
    })),
    outputNames: session.outputNames,
    outputWidth(name) {
      const info = session.outputMetadata.find(output => output.name === name);
      const width = info?.isTensor ? info.shape.at(-1) : undefined;
      return typeof width === 'number' ? width : undefined;
    },
    async run(inputs, outputs) {
      const results = await (outputs ? session.run(wrap(inputs), wrap(outputs)) : session.run(wrap(inputs)));
      return Object.fromEntries(
        Object.entries(results).map(([name, value]) => [
          name,
          { dtype: value.type as DataType, shape: value.dims, data: value.data } as Tensor,
        ]),
      );
    },
    close: () => session.release(),
  };
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0]!;
}
