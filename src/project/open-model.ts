// Opens a trained model for use: a run folder (ONNX Runtime) or a .tflite file (LiteRT), behind one function.
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { loadLiteRt } from '../engine/litert.ts';
import { openSession } from '../engine/session.ts';
import type { Preprocess } from '../image/preprocess.ts';
import { readTflite } from '../tflite/read.ts';
import { PROVENANCE_KEY, type Provenance, parseProvenance } from './provenance.ts';
import { runFiles } from './run-folder.ts';

/** A model that is ready to classify. */
export interface OpenModel {
  readonly file: string;
  readonly classes: readonly string[];
  readonly preprocess: Preprocess;
  /** Photos that `classify` likes to get at a time. */
  readonly batch: number;
  /**
   * @param pixels photos as decodePhoto gives them: size * size * 3 bytes each.
   * @returns per photo the probability of each class.
   */
  classify(pixels: readonly Uint8Array[]): Promise<Float32Array[]>;
  close(): Promise<void>;
}

/**
 * Opens a run folder or a .tflite file that graft wrote.
 * @throws GraftError `not-found`, `bad-run` or `bad-model`.
 */
export async function openModel(path: string, threads?: number): Promise<OpenModel> {
  const found = await stat(path).catch(error => {
    throw explainSystemError(error, path);
  });
  if (found.isDirectory()) return openRun(path, threads);
  if (path.endsWith('.tflite')) return openTflite(path);
  throw new GraftError(
    'bad-model',
    `${path} is neither a run folder nor a .tflite file.`,
    'Name the folder that graft train made, or its model.tflite.',
  );
}

async function openRun(folder: string, threads?: number): Promise<OpenModel> {
  const read = (name: string) =>
    readFile(join(folder, name)).catch(() => {
      throw new GraftError(
        'bad-run',
        `${folder} is not a finished run: it has no ${name}.`,
        'Name a folder that graft train finished.',
      );
    });
  await read(runFiles.metrics);
  const args = await read(runFiles.args);
  const model = await read(runFiles.onnx);
  const provenance = parseProvenance(pickProvenance(args.toString('utf8')), join(folder, runFiles.args));
  const session = await openSession(model, threads === undefined ? {} : { threads });
  const { size } = provenance.preprocess;
  return {
    ...describe(join(folder, runFiles.onnx), provenance),
    batch: 8,
    async classify(pixels) {
      const data = new Uint8Array(pixels.length * size * size * 3);
      pixels.forEach((photo, i) => {
        data.set(photo, i * size * size * 3);
      });
      const image = { dtype: 'uint8', shape: [pixels.length, size, size, 3], data } as const;
      const { probabilities } = await session.run({ image });
      const all = probabilities!.data as Float32Array;
      const classes = provenance.classes.length;
      return pixels.map((_, i) => all.slice(i * classes, (i + 1) * classes));
    },
    close: () => session.close(),
  };
}

function pickProvenance(args: string): string {
  try {
    return JSON.stringify((JSON.parse(args) as { model?: unknown }).model);
  } catch {
    return '';
  }
}

async function openTflite(path: string): Promise<OpenModel> {
  const bytes = await readFile(path);
  const entry = readTflite(bytes).metadata.find(({ name }) => name === PROVENANCE_KEY);
  if (!entry) {
    throw new GraftError(
      'bad-model',
      `${basename(path)} was not written by graft: it does not say which classes it knows and how it wants its photos.`,
      'Name a model.tflite that graft train made.',
    );
  }
  const provenance = parseProvenance(new TextDecoder().decode(entry.data), path);
  const model = await loadLiteRt(bytes);
  return {
    ...describe(path, provenance),
    batch: 1,
    async classify(pixels) {
      const results: Float32Array[] = [];
      for (const photo of pixels) results.push((await model.run([toSigned(photo)]))[0] as Float32Array);
      return results;
    },
    close: async () => model.close(),
  };
}

/** (x - 127.5) / 127.5 for every byte. */
const signedOf = Float32Array.from({ length: 256 }, (_, value) => (value - 127.5) / 127.5);

/** Pixels as programs on robots feed them to a float model: (x - 127.5) / 127.5. */
export function toSigned(pixels: Uint8Array): Float32Array {
  const signed = new Float32Array(pixels.length);
  for (let i = 0; i < signed.length; i++) signed[i] = signedOf[pixels[i]!]!;
  return signed;
}

function describe(file: string, { classes, preprocess }: Provenance) {
  return { file, classes, preprocess };
}
