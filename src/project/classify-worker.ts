// A thread that classifies photos: decodes each once and runs one model, or several, on the same pixels.
import { workerData } from 'node:worker_threads';
import { GraftError } from '../base/errors.ts';
import { serve } from '../base/worker-pool.ts';
import { type Latency, makeNoise, timeRuns } from '../engine/latency.ts';
import { type LiteRtModel, type LiteRtValues, loadLiteRt } from '../engine/litert.ts';
import { measureLatency } from '../engine/litert-latency.ts';
import { startLiteRt } from '../engine/litert-runtime.ts';
import { loadRuntime, openSession } from '../engine/session.ts';
import type { CameraChoice } from '../image/camera.ts';
import type { Preprocess } from '../image/preprocess.ts';
import { readTflite } from '../tflite/read.ts';
import type { ModelFile } from './read-model.ts';
import { readPixels, type UnreadPhoto } from './read-pixels.ts';
import { signedPixels } from './signed-pixels.ts';

/** What a thread opens. All models want their photos the same way. */
export interface ClassifySetup {
  readonly models: readonly ModelFile[];
  readonly preprocess: Preprocess;
  /** What sees the photos. Default: none. */
  readonly camera?: CameraChoice;
  /** How many classes the models are said to know. */
  readonly classes: number;
}

/** A photo's file, or the model (by its place among the models) whose speed is wanted. */
export type ClassifyQuestion = { readonly file: string } | { readonly latencyOf: number };

/** Per model the probability of each class (-1: the file does not tell it); or why the photo could not be read; or how long one run takes. */
export type ClassifyAnswer =
  | { readonly probabilities: readonly Float32Array[] }
  | UnreadPhoto
  | { readonly latency: Latency };

interface OpenModel {
  /** Probabilities per photo; undefined when the file does not say. */
  readonly width: number | undefined;
  readonly classify: (pixels: Uint8Array) => Promise<Float32Array>;
  readonly measure: () => Promise<Latency>;
}

const runtimes = workerData as readonly ModelFile['runtime'][];
if (runtimes.includes('tflite')) startLiteRt().catch(() => {});
if (runtimes.includes('onnx')) loadRuntime();

serve<ClassifySetup, ClassifyQuestion, ClassifyAnswer>(async ({ models, preprocess, camera = 'none', classes }) => {
  const open = { onnx: openOnnx, tflite: openTflite };
  const opened = await Promise.all(models.map(({ runtime, bytes }) => open[runtime](bytes, preprocess.size, classes)));
  for (const { width } of opened) {
    if (width === undefined || width === classes) continue;
    throw new GraftError(
      'label-mismatch',
      `The model gives ${width} probabilities, and its description names ${classes} classes.`,
      'Use a model and a description that were written together: graft train writes both.',
    );
  }
  return async question => {
    if ('latencyOf' in question) return { latency: await opened[question.latencyOf]!.measure() };
    const pixels = await readPixels(question.file, camera, preprocess);
    if ('reason' in pixels) return pixels;
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
    async measure() {
      const image = makeNoise('uint8', [1, size, size, 3]);
      return timeRuns(() => session.run({ image }));
    },
  };
}

/** A .tflite takes pixels as they are, or as programs on robots feed them to a float model. */
async function openTflite(bytes: Uint8Array, size: number, classes: number): Promise<OpenModel> {
  const model = await loadLiteRt(bytes);
  const [input] = model.inputs;
  const isKnown = input?.dtype === 'float32' || input?.dtype === 'uint8';
  if (model.inputs.length !== 1 || !isKnown || input.shape.join() !== `1,${size},${size},3`) {
    throw new GraftError(
      'bad-model',
      `The model's input is ${input?.dtype} [${input?.shape}], and its description says float32 or uint8 [1,${size},${size},3].`,
      'Use a .tflite file as graft wrote it.',
    );
  }
  const answer = readAnswer(model, bytes, classes);
  // One buffer for all photos: run copies it into the runtime's memory before it first waits.
  const signed = new Float32Array(size * size * 3);
  return {
    width: answer.width,
    classify: async pixels =>
      answer.read(await model.run([input.dtype === 'uint8' ? pixels : signedPixels(pixels, signed)])),
    measure: () => measureLatency(model),
  };
}

/** How the outputs of a file become probabilities. */
interface Answer {
  readonly width: number | undefined;
  readonly read: (outputs: readonly LiteRtValues[]) => Float32Array;
}

type Places = [boxes: number, classes: number, scores: number, count: number];

/** Rows of top, left, bottom, right inside of the picture. */
function areBoxes(values: LiteRtValues): boolean {
  for (let row = 0; row < values.length; row += 4) {
    const [top, left, bottom, right] = values.subarray(row, row + 4) as unknown as [number, number, number, number];
    if (!(top >= 0 && top <= bottom && bottom <= 1 && left >= 0 && left <= right && right <= 1)) return false;
  }
  return true;
}

function readAnswer(model: LiteRtModel, bytes: Uint8Array, classes: number): Answer {
  const place = (name: string) => model.outputs.findIndex(output => output.name === name);
  const [boxes, classIndexes, scores, count] = ['boxes', 'classes', 'scores', 'count'].map(place) as Places;
  if (model.outputs.length === 4 && Math.min(boxes, classIndexes, scores, count) >= 0) {
    // A detector tells of its best classes only; -1 stands for the others.
    const read = (outputs: readonly LiteRtValues[]) => {
      // A detector whose boxes are none answers nothing that could be relied on.
      const isSound = outputs[count]![0] === 1 && areBoxes(outputs[boxes]!);
      const probabilities = new Float32Array(classes).fill(isSound ? -1 : Number.NaN);
      if (!isSound) return probabilities;
      outputs[classIndexes]!.forEach((label, row) => {
        probabilities[label] = outputs[scores]![row]!;
      });
      return probabilities;
    };
    return { width: classes, read };
  }
  const { tensors, outputs } = readTflite(bytes);
  const { scale = [1], zeroPoint = [0] } = tensors[outputs[0]!]?.quantization ?? {};
  return {
    width: model.outputs[0]?.shape.at(-1),
    read: ([values]) =>
      values instanceof Float32Array
        ? values
        : Float32Array.from(values!, value => scale[0]! * (value - zeroPoint[0]!)),
  };
}
