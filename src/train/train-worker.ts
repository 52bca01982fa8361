// A thread that trains: reads and renders its photos, runs the training graph on them, and leaves the gradients where the
// trainer sums them; between steps it renders ahead.
import { createHash } from 'node:crypto';
import { gradientOf } from '../autodiff/split-parameters.ts';
import { GraftError } from '../base/errors.ts';
import { makeRng } from '../base/rng.ts';
import { serve } from '../base/worker-pool.ts';
import type { Device } from '../engine/device.ts';
import { openSession, type Session } from '../engine/session.ts';
import type { Augmentation } from '../image/augment.ts';
import type { CameraChoice } from '../image/camera.ts';
import type { Preprocess } from '../image/preprocess.ts';
import { readPhoto } from '../image/read-photo.ts';
import { bytesForViews, decodeForViews, renderPhotoView } from '../image/render-photo-view.ts';
import { float32, sizeOf, type Tensor } from '../tensor/tensor.ts';
import { type FlatVector, viewTensors } from './flat-vector.ts';
import { openPlaces, type Places } from './places.ts';
import type { RecordPlace } from './record-cache.ts';

/** What the graphs start from. */
export type TrainSource =
  /** Decoded photos, of which views are rendered. */
  | { readonly kind: 'pixels'; readonly preprocess: Preprocess; readonly augmentation: Augmentation }
  /** Outputs of the frozen stages: `cut` of this shape and `pooled` of this width, as float16 side by side. */
  | { readonly kind: 'activations'; readonly cut: readonly number[]; readonly pooled: number };

/** What a thread opens. */
export interface TrainSetup {
  /** ONNX files of `buildTrainingGraphs`. */
  readonly prologue: Uint8Array;
  readonly step: Uint8Array;
  readonly evaluation: Uint8Array;
  /** Photos per run of either. */
  readonly batch: number;
  readonly classes: number;
  /** The parameters, and what the prologue makes of them. */
  readonly parameters: FlatVector;
  readonly prepared: FlatVector;
  /** Two vectors of parameters: those that are trained, and their average. */
  readonly values: SharedArrayBuffer;
  /** One vector of gradients of the prepared values per part of a batch. */
  readonly gradients: SharedArrayBuffer;
  readonly source: TrainSource;
  readonly device: Device;
}

/** A photo as the trainer wants it this time. */
export interface TrainSample {
  readonly file: string;
  readonly sha256: string;
  /** Where its decoded pixels, its frame or its activations are kept; without one, it is decoded from the file. */
  readonly place: RecordPlace | undefined;
  /** What sees the photo this time. Default: none. */
  readonly camera?: CameraChoice;
  /** Seed of the view that is rendered; null for the plain photo. */
  readonly view: readonly (string | number)[] | null;
  /** Another photo that is blended in: pixels = part * this + (1 - part) * other. */
  readonly blend?: { readonly with: TrainSample; readonly part: number };
}

/** What a thread is asked. Samples are at most a batch. */
export type TrainQuestion =
  | {
      readonly kind: 'train';
      readonly key: string;
      readonly samples: readonly TrainSample[];
      /** [samples, classes] and [samples]. */
      readonly targets: Float32Array;
      readonly shares: Float32Array;
      /** Which vector of gradients is written. */
      readonly slot: number;
      /** Changes whenever the parameters do. */
      readonly version: number;
    }
  | {
      readonly kind: 'evaluate';
      readonly samples: readonly TrainSample[];
      readonly average: boolean;
      readonly version: number;
    }
  /** Renders what will be asked for by this key. */
  | { readonly kind: 'prepare'; readonly key: string; readonly samples: readonly TrainSample[] };

/** Loss of the photos by their shares and their logits [samples, classes]; `prepare` answers with nothing. */
export interface TrainAnswer {
  readonly loss: number;
  readonly logits: Float32Array;
}

const nothing: TrainAnswer = { loss: 0, logits: new Float32Array() };

serve<TrainSetup, TrainQuestion, TrainAnswer>(async setup => {
  const { batch, classes, parameters, prepared, source, device } = setup;
  const places = openPlaces();
  const prologue = await openSession(setup.prologue, { threads: 1, device });
  const step = await openSession(setup.step, { threads: 1, device });
  let evaluation: Promise<Session> | undefined;
  const shared = new Float32Array(setup.values);
  const sums = new Float32Array(setup.gradients);
  // The engine takes no shared memory: the parameters are copied once a step.
  const own = new Float32Array(parameters.length);
  const ready = new Float32Array(prepared.length);
  const slopes = new Float32Array(prepared.length);
  const parameterTensors = viewTensors(parameters, own);
  const preparedTensors = viewTensors(prepared, ready);
  const gradientTensors = viewTensors(prepared, slopes, gradientOf);
  const loss = float32([], [0]);
  const logits = float32([batch, classes], new Float32Array(batch * classes));
  let loaded = '';
  const load = async (average: boolean, version: number) => {
    const wanted = `${average} ${version}`;
    if (wanted === loaded) return;
    const { length } = parameters;
    own.set(shared.subarray(average ? length : 0, average ? 2 * length : length));
    await prologue.run(parameterTensors, preparedTensors);
    loaded = wanted;
  };
  let [current, ahead] = [makeInputs(source, batch), makeInputs(source, batch)];
  let preparedKey: string | undefined;

  const answer = async (question: TrainQuestion): Promise<TrainAnswer> => {
    const { samples } = question;
    if (question.kind === 'prepare') {
      await fillInputs(ahead, samples, source, places);
      preparedKey = question.key;
      return nothing;
    }
    if (question.kind === 'train' && question.key === preparedKey) {
      [current, ahead] = [ahead, current];
      preparedKey = undefined;
    } else {
      await fillInputs(current, samples, source, places);
    }
    if (question.kind === 'evaluate') {
      await load(question.average, question.version);
      evaluation ??= openSession(setup.evaluation, { threads: 1, device });
      await (await evaluation).run({ ...current.tensors, ...preparedTensors }, { logits });
      return { loss: 0, logits: logits.data.slice(0, samples.length * classes) };
    }
    await load(false, question.version);
    const targets = new Float32Array(batch * classes);
    const shares = new Float32Array(batch);
    targets.set(question.targets);
    shares.set(question.shares);
    const inputs = { targets: float32([batch, classes], targets), shares: float32([batch], shares) };
    await step.run({ ...current.tensors, ...inputs, ...preparedTensors }, { ...gradientTensors, loss, logits });
    sums.set(slopes, question.slot * prepared.length);
    return { loss: loss.data[0]!, logits: logits.data.slice(0, samples.length * classes) };
  };
  // One question at a time: they share buffers.
  let last: Promise<unknown> = Promise.resolve();
  return question => {
    const answered = last.then(() => answer(question));
    last = answered.catch(() => {});
    return answered;
  };
});

/** Input tensors of a batch, filled row by row. */
interface Inputs {
  readonly tensors: Readonly<Record<string, Tensor>>;
  /** Bytes of one photo in each tensor, which a record holds side by side. */
  readonly rows: readonly { readonly bytes: Uint8Array; readonly size: number }[];
}

function makeInputs(source: TrainSource, batch: number): Inputs {
  if (source.kind === 'pixels') {
    const { size } = source.preprocess;
    const data = new Uint8Array(batch * size * size * 3);
    return {
      tensors: { image: { dtype: 'uint8', shape: [batch, size, size, 3], data } },
      rows: [{ bytes: data, size: size * size * 3 }],
    };
  }
  const half = (shape: readonly number[]) => {
    const data = new Uint16Array(batch * sizeOf(shape));
    return {
      tensor: { dtype: 'float16', shape: [batch, ...shape], data } as const,
      row: { bytes: new Uint8Array(data.buffer), size: sizeOf(shape) * 2 },
    };
  };
  const cut = half(source.cut);
  if (source.pooled === 0) return { tensors: { cut: cut.tensor }, rows: [cut.row] };
  const pooled = half([source.pooled]);
  return { tensors: { cut: cut.tensor, pooled: pooled.tensor }, rows: [cut.row, pooled.row] };
}

async function fillInputs(
  { rows }: Inputs,
  samples: readonly TrainSample[],
  source: TrainSource,
  places: Places,
): Promise<void> {
  for (const [index, sample] of samples.entries()) {
    let offset = 0;
    for (const { bytes, size } of rows) {
      const out = bytes.subarray(index * size, (index + 1) * size);
      if (source.kind === 'pixels') await renderSample(out, sample, source, places);
      else places.read({ ...sample.place!, position: sample.place!.position + offset }, out);
      offset += size;
    }
  }
}

async function renderSample(
  out: Uint8Array,
  sample: TrainSample,
  source: TrainSource & { readonly kind: 'pixels' },
  places: Places,
): Promise<void> {
  const { size } = source.preprocess;
  const { camera = 'none', view } = sample;
  const photo = await loadPhoto(sample, source.preprocess, places);
  const draw = view === null ? undefined : { augmentation: source.augmentation, rng: makeRng(0, ...view) };
  renderPhotoView(camera, photo, size, draw, out);
  if (!sample.blend) return;
  const other = new Uint8Array(out.length);
  await renderSample(other, sample.blend.with, source, places);
  // In 1/256: integers are twice as fast.
  const mine = Math.round(sample.blend.part * 256);
  for (let i = 0; i < out.length; i++) out[i] = (out[i]! * mine + other[i]! * (256 - mine) + 128) >> 8;
}

async function loadPhoto(sample: TrainSample, preprocess: Preprocess, places: Places): Promise<Uint8Array> {
  const { camera = 'none' } = sample;
  if (sample.place) {
    const photo = new Uint8Array(bytesForViews(camera, preprocess));
    places.read(sample.place, photo);
    return photo;
  }
  const bytes = await readPhoto(sample.file);
  if (createHash('sha256').update(bytes).digest('hex') !== sample.sha256) {
    throw new GraftError(
      'bad-photo',
      `${sample.file} has changed since training began.`,
      'Put the photo back as it was, or train anew.',
    );
  }
  return decodeForViews(camera, bytes, preprocess);
}
