// The door to LiteRT, the runtime of .tflite files: bytes in, numbers in and out. It referees what graft exports.
import { GraftError } from '../base/errors.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { dropLiteRt, type LiteRtRuntime, startLiteRt } from './litert-runtime.ts';

/** Values of a tensor; which of the three depends on its `dtype`. */
export type LiteRtValues = Float32Array | Int32Array | Uint8Array;

/** An input or output of a loaded model. */
export interface LiteRtTensorInfo {
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32' | 'uint8';
}

/** A model in the runtime's memory. */
export interface LiteRtModel {
  readonly inputs: readonly LiteRtTensorInfo[];
  readonly outputs: readonly LiteRtTensorInfo[];
  /** Whether XNNPACK has taken every operator; the rest runs in LiteRT's own kernels, which are slower. */
  readonly isAccelerated: boolean;
  /**
   * Runs once. The inputs are copied before it first waits; the outputs are copies too.
   * @throws TypeError when the inputs are not those of `inputs`; GraftError `bad-model` when the runtime fails.
   */
  run(inputs: readonly LiteRtValues[]): Promise<LiteRtValues[]>;
  /** Frees the model; more calls do nothing. */
  close(): void;
}

/** Largest model: the runtime has the 4 GB of 32-bit WebAssembly for the file, its repacked weights and activations. */
const MAX_MODEL_BYTES = 2 ** 29;

/**
 * Loads a .tflite model into LiteRT with XNNPACK, on this thread.
 * @throws GraftError `bad-model` when the runtime refuses the file, with what it said.
 */
export async function loadLiteRt(bytes: Uint8Array): Promise<LiteRtModel> {
  if (bytes.length > MAX_MODEL_BYTES) {
    throw new GraftError(
      'bad-model',
      `The model has ${bytes.length} bytes; LiteRT takes ${MAX_MODEL_BYTES} here at most.`,
      'Use a smaller backbone.',
    );
  }
  const runtime = await startLiteRt();
  runtime.takeComplaints();
  try {
    const model = await runtime.core.loadAndCompile(bytes, { accelerator: 'wasm' });
    return wrap(runtime, model);
  } catch (error) {
    throw await explainFailure('refused the model', error, runtime);
  }
}

/** What the runtime said. A trap leaves its instance in an unknown state, a refusal does not. */
async function explainFailure(what: string, error: unknown, runtime: LiteRtRuntime): Promise<GraftError> {
  const { name, message } = error as Error;
  const crashed = name === 'RuntimeError';
  const said = [message.split('\n', 1)[0], ...runtime.takeComplaints()].join('; ');
  if (crashed) await dropLiteRt();
  return new GraftError(
    'bad-model',
    `LiteRT ${crashed ? 'crashed' : what}: ${said}`,
    'Check that the file is a whole .tflite model with float32, int32 or uint8 inputs and outputs.',
    error,
  );
}

type CompiledModel = Awaited<ReturnType<LiteRtRuntime['core']['loadAndCompile']>>;
type CoreTensor = InstanceType<LiteRtRuntime['core']['Tensor']>;

function wrap(runtime: LiteRtRuntime, model: CompiledModel): LiteRtModel {
  const { core } = runtime;
  const describe = (list: ReturnType<CompiledModel['getInputDetails']>): LiteRtTensorInfo[] =>
    list.map(({ name, shape, dtype }) => ({ name, shape: [...shape], dtype }));
  const inputs = describe(model.getInputDetails());
  const outputs = describe(model.getOutputDetails());
  return {
    inputs,
    outputs,
    isAccelerated: model.isFullyAccelerated,
    async run(values) {
      checkInputs(inputs, values);
      if (model.deleted) {
        throw new GraftError(
          'bad-model',
          'The model is no longer loaded: it was closed, or LiteRT crashed on another model.',
          'Load it again.',
        );
      }
      // Tensors live in the runtime's memory, which no garbage collector frees.
      const held: CoreTensor[] = [];
      try {
        for (const [i, data] of values.entries()) {
          held.push(core.Tensor.fromTypedArray(data as Float32Array<ArrayBuffer>, [...inputs[i]!.shape]));
        }
        const results = await model.run([...held]);
        held.push(...results);
        // A run that fails leaves whatever was in the memory of the outputs, and says so on the console only.
        const errors = runtime.takeComplaints().filter(line => line.startsWith('ERROR'));
        if (errors.length > 0) throw new Error(errors.join('; '));
        return results.map(result => result.toTypedArray() as LiteRtValues);
      } catch (error) {
        throw await explainFailure('could not run the model', error, runtime);
      } finally {
        // After a crash there is nothing left to free.
        if (!model.deleted) for (const tensor of held) tensor.delete();
      }
    },
    close() {
      if (!model.deleted) model.delete();
    },
  };
}

/** The array that holds each element type. */
const liteRtArrays = { float32: Float32Array, int32: Int32Array, uint8: Uint8Array } as const;

function checkInputs(inputs: readonly LiteRtTensorInfo[], values: readonly LiteRtValues[]): void {
  if (values.length !== inputs.length) {
    throw new TypeError(`The model has ${inputs.length} inputs, and ${values.length} were given.`);
  }
  for (const [i, { name, dtype, shape }] of inputs.entries()) {
    const data = values[i]!;
    if (!(data instanceof liteRtArrays[dtype]) || data.length !== sizeOf(shape)) {
      throw new TypeError(
        `Input ${name} wants ${sizeOf(shape)} ${dtype} values [${shape.join(', ')}], not ${data.length} in a ${data.constructor.name}.`,
      );
    }
  }
}
