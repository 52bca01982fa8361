// A thread that classifies photos: decodes each once and runs one model, or several, on the same pixels.
import { workerData } from 'node:worker_threads';
import { GraftError } from '../base/errors.ts';
import { serve } from '../base/worker-pool.ts';
import { loadLiteRt } from '../engine/litert.ts';
import { type Latency, measureLatency } from '../engine/litert-latency.ts';
import { startLiteRt } from '../engine/litert-runtime.ts';
import { loadRuntime, openSession } from '../engine/session.ts';
import { decodePhoto } from '../image/decode.ts';
import type { Preprocess } from '../image/preprocess.ts';
import { readPhoto } from '../image/read-photo.ts';
import type { ModelFile } from './read-model.ts';

/** What a thread opens. All models want their photos the same way. */
export interface ClassifySetup {
  readonly models: readonly ModelFile[];
  readonly preprocess: Preprocess;
  /** How many classes the models are said to know. */
  readonly classes: number;
}

/** A photo's file, or the .tflite model (by its place among the models) whose speed is wanted. */
export type ClassifyQuestion = { readonly file: string } | { readonly latencyOf: number };

/** Per model the probability of each class; or why the photo could not be read; or how long one run takes. */
export type ClassifyAnswer =
  | { readonly probabilities: readonly Float32Array[] }
  | { readonly reason: string; readonly hint: string | undefined }
  | { readonly latency: Latency };

interface OpenModel {
  /** Probabilities per photo; undefined when the file does not say. */
  readonly width: number | undefined;
  readonly classify: (pixels: Uint8Array) => Promise<Float32Array>;
  readonly measure?: () => Promise<Latency>;
}

const runtimes = workerData as readonly ModelFile['runtime'][];
if (runtimes.includes('tflite')) startLiteRt().catch(() => {});
if (runtimes.includes('onnx')) loadRuntime();

serve<ClassifySetup, ClassifyQuestion, ClassifyAnswer>(async ({ models, preprocess, classes }) => {
  const open = { onnx: openOnnx, tflite: openTflite };
  const opened = await Promise.all(models.map(({ runtime, bytes }) => open[runtime](bytes, preprocess.size)));
  for (const { width } of opened) {
    if (width === undefined || width === classes) continue;
    throw new GraftError(
      'label-mismatch',
      `The model gives ${width} probabilities, and its description names ${classes} classes.`,
      'Use a model and a description that were written together: graft train writes both.',
    );
  }
  return async question => {
    if ('latencyOf' in question) return { latency: await opened[question.latencyOf]!.measure!() };
    let pixels: Uint8Array;
    try {
      pixels = await decodePhoto(await readPhoto(question.file), preprocess);
    } catch (error) {
      if (error instanceof GraftError) return { reason: error.message, hint: error.hint };
      throw error;
    }
    const probabilities: Float32Array[] = [];
    for (const { classify } of opened) probabilities.push(await classify(pixels));
    return { probabilities };
  };
});

/** model.onnx takes pixels as they are. */
async function openOnnx(bytes: Uint8Array, size: number): Promise<OpenModel> {
  const session = await openSession(bytes, { threads: 1 });
  return {
    width: session.outputWidth('probabilities'),
    async classify(data) {
      const image = { dtype: 'uint8', shape: [1, size, size, 3], data } as const;
      return (await session.run({ image })).probabilities!.data as Float32Array;
    },
  };
}

/** A float .tflite takes them as programs on robots feed them: (x - 127.5) / 127.5. */
async function openTflite(bytes: Uint8Array, size: number): Promise<OpenModel> {
  const model = await loadLiteRt(bytes);
  const [input] = model.inputs;
  if (model.inputs.length !== 1 || input!.dtype !== 'float32' || input!.shape.join() !== `1,${size},${size},3`) {
    throw new GraftError(
      'bad-model',
      `The model's input is ${input?.dtype} [${input?.shape}], and its description says float32 [1,${size},${size},3].`,
      'Use a model.tflite as graft train wrote it.',
    );
  }
  // One buffer for all photos: run copies it into the runtime's memory before it first waits.
  const signed = new Float32Array(size * size * 3);
  return {
    width: model.outputs[0]?.shape.at(-1),
    async classify(pixels) {
      for (let i = 0; i < signed.length; i++) signed[i] = (pixels[i]! - 127.5) / 127.5;
      return (await model.run([signed]))[0] as Float32Array;
    },
    measure: () => measureLatency(model),
  };
}
