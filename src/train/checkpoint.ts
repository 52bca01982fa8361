// Checkpoints of fine-tuning on disk: weights/last.safetensors holds everything that training needs to go on exactly,
// weights/best.safetensors the parameters of the best epoch, weights/head.safetensors the head that it started from.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { writeWhole } from '../base/files.ts';
import { readSafetensors, writeSafetensors } from '../tensor/safetensors.ts';
import { float32, sizeOf, type Tensor } from '../tensor/tensor.ts';
import type { FineTuneState } from './fine-tune.ts';
import { type ParameterSpan, viewTensors } from './flat-vector.ts';
import { type EpochRecord, foldScaling, type HeadWeights, type Scaling } from './head.ts';

/** Files inside the folder of a run's weights. */
export const checkpointFiles = {
  last: 'last.safetensors',
  best: 'best.safetensors',
  head: 'head.safetensors',
} as const;

/** Grows when a checkpoint means something else than before. */
const FORMAT = 1;

/** What a checkpoint belongs to, by name: it is of use only where all of this is the same. */
export type CheckpointIdentity = Readonly<Record<string, unknown>>;

/** The head of phase one, on standardised features, with its history. */
export interface HeadCheckpoint {
  readonly weights: HeadWeights;
  readonly scaling: Scaling;
  readonly records: readonly EpochRecord[];
  readonly bestEpoch: number;
}

/** The small part of a state, as it stands in the file's metadata. */
type Position = Omit<FineTuneState, 'vectors' | 'bestParameters'>;

/** Key of the JSON text among a file's metadata. */
const KEY = 'graft';

function encode(identity: CheckpointIdentity, content: unknown): Record<string, string> {
  return { format: 'pt', [KEY]: JSON.stringify({ format: FORMAT, identity, content }) };
}

/**
 * Writes a state. The best parameters go first: if the second file is not written, the first one belongs to an epoch that
 * training will come to again.
 * @throws GraftError `disk-full` or `no-access`; the files before survive.
 */
export async function saveCheckpoint(
  folder: string,
  spans: readonly ParameterSpan[],
  identity: CheckpointIdentity,
  state: FineTuneState,
  improved: boolean,
): Promise<void> {
  const { vectors, bestParameters, ...position } = state;
  if (improved) {
    const tensors = new Map(Object.entries(viewTensors({ spans }, bestParameters)));
    await writeWhole(join(folder, checkpointFiles.best), writeSafetensors(tensors, encode(identity, position.best)));
  }
  const tensors = new Map<string, Tensor>();
  for (const [vector, values] of Object.entries(vectors)) {
    const views = viewTensors({ spans }, values, name => `${vector}/${name}`);
    for (const [name, tensor] of Object.entries(views)) tensors.set(name, tensor);
  }
  await writeWhole(join(folder, checkpointFiles.last), writeSafetensors(tensors, encode(identity, position)));
}

/**
 * Reads the last state; undefined when there is none.
 * @throws GraftError `bad-checkpoint` when it is damaged, or does not belong to what is trained now.
 */
export async function loadCheckpoint(
  folder: string,
  spans: readonly ParameterSpan[],
  identity: CheckpointIdentity,
): Promise<FineTuneState | undefined> {
  const last = await readCheckpoint<Position>(join(folder, checkpointFiles.last), identity);
  if (!last) return undefined;
  const bestFile = join(folder, checkpointFiles.best);
  const best = await readCheckpoint<unknown>(bestFile, identity);
  if (!best) throw damaged(bestFile, 'it is missing');
  const vectors: Record<string, Float32Array> = {};
  for (const key of last.tensors.keys()) {
    const vector = key.slice(0, key.indexOf('/'));
    vectors[vector] ??= gather(last.tensors, spans, `${vector}/`, join(folder, checkpointFiles.last));
  }
  return { ...last.content, vectors, bestParameters: gather(best.tensors, spans, '', bestFile) };
}

/** Writes the head of phase one. */
export async function saveHead(folder: string, identity: CheckpointIdentity, head: HeadCheckpoint): Promise<void> {
  const { weights, scaling, records, bestEpoch } = head;
  const [classes, width] = [weights.bias.length, scaling.mean.length];
  const tensors = new Map<string, Tensor>([
    ['weight', float32([classes, width], weights.weight)],
    ['bias', float32([classes], weights.bias)],
    ['mean', float32([width], scaling.mean)],
    ['inverse', float32([width], scaling.inverse)],
  ]);
  const metadata = encode(identity, { records, bestEpoch });
  await writeWhole(join(folder, checkpointFiles.head), writeSafetensors(tensors, metadata));
}

/** Reads the head of phase one; undefined when there is none. Throws GraftError `bad-checkpoint`. */
export async function loadHead(folder: string, identity: CheckpointIdentity): Promise<HeadCheckpoint | undefined> {
  const file = join(folder, checkpointFiles.head);
  const read = await readCheckpoint<Pick<HeadCheckpoint, 'records' | 'bestEpoch'>>(file, identity);
  if (!read) return undefined;
  const values = (name: string) => floats(read.tensors, name, file);
  const weights = { weight: values('weight'), bias: values('bias') };
  return { weights, scaling: { mean: values('mean'), inverse: values('inverse') }, ...read.content };
}

/** What a finished training left. */
export interface TrainedTensors {
  /** Logits = weight * features + bias, [classes, features] and [classes]. */
  readonly head: HeadWeights;
  /** The parameters that fine-tuning changed, by name; empty when there was none. */
  readonly tuned: ReadonlyMap<string, Tensor<'float32'>>;
}

/**
 * Reads the head and the parameters of the best epoch.
 * @param identity the part of the checkpoints' identity that has to be the same.
 * @param isTuned whether there was fine-tuning.
 * @throws GraftError `bad-checkpoint` when a file is damaged, missing or belongs to something else.
 */
export async function loadTrained(
  folder: string,
  identity: CheckpointIdentity,
  isTuned: boolean,
): Promise<TrainedTensors> {
  const headFile = join(folder, checkpointFiles.head);
  const head = await readCheckpoint<unknown>(headFile, identity, Object.keys(identity));
  if (!head) throw damaged(headFile, 'it is missing');
  const bestFile = join(folder, checkpointFiles.best);
  const best = isTuned ? await readCheckpoint<unknown>(bestFile, identity, Object.keys(identity)) : undefined;
  if (isTuned && !best) throw damaged(bestFile, 'it is missing');
  // Fine-tuning keeps the head as it trains it, on standardised features; phase one has folded their scaling in.
  const weights = best
    ? { weight: floats(best.tensors, 'head.weight', bestFile), bias: floats(best.tensors, 'head.bias', bestFile) }
    : { weight: floats(head.tensors, 'weight', headFile), bias: floats(head.tensors, 'bias', headFile) };
  const scaling = {
    mean: floats(head.tensors, 'mean', headFile),
    inverse: floats(head.tensors, 'inverse', headFile),
  };
  const { length: classes } = weights.bias;
  if (weights.weight.length !== classes * scaling.mean.length || scaling.inverse.length !== scaling.mean.length) {
    throw damaged(headFile, 'its tensors do not go together');
  }
  const tuned = new Map<string, Tensor<'float32'>>();
  for (const [name, tensor] of best?.tensors ?? []) {
    if (name.startsWith('head.')) continue;
    if (tensor.dtype !== 'float32') throw damaged(bestFile, `${name} is not float32`);
    tuned.set(name, tensor);
  }
  return { head: best ? foldScaling(weights, scaling) : weights, tuned };
}

function floats(tensors: ReadonlyMap<string, Tensor>, name: string, file: string): Float32Array {
  const tensor = tensors.get(name);
  if (tensor?.dtype !== 'float32') throw damaged(file, `it has no tensor ${name}`);
  return tensor.data;
}

/** Tensors and content of a checkpoint, once it is sure that it belongs here. */
async function readCheckpoint<T>(
  file: string,
  identity: CheckpointIdentity,
  names?: readonly string[],
): Promise<{ tensors: ReadonlyMap<string, Tensor>; content: T } | undefined> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw explainSystemError(error, file);
  }
  const { tensors, metadata } = parse(bytes, file);
  const described = parseDescription(metadata[KEY], file);
  const other = (names ?? Object.keys({ ...identity, ...described.identity })).filter(
    name => JSON.stringify(identity[name]) !== JSON.stringify(described.identity[name]),
  );
  if (other.length > 0) {
    const lines = other.map(
      name => `\n  ${name}: ${shorten(described.identity[name])} there, ${shorten(identity[name])} here`,
    );
    throw new GraftError(
      'bad-checkpoint',
      `${file} belongs to another training:${lines.join('')}`,
      'Train anew without --resume, or put back what has changed.',
    );
  }
  return { tensors, content: described.content as T };
}

function parse(bytes: Uint8Array, file: string) {
  try {
    return readSafetensors(bytes, file);
  } catch (error) {
    if (!(error instanceof GraftError)) throw error;
    throw new GraftError('bad-checkpoint', error.message, 'Train anew without --resume.', error);
  }
}

function parseDescription(
  text: string | undefined,
  file: string,
): { readonly identity: CheckpointIdentity; readonly content: unknown } {
  let value: { format?: unknown; identity?: CheckpointIdentity; content?: unknown } | null = null;
  try {
    value = JSON.parse(text ?? 'null');
  } catch {
    // Not ours.
  }
  if (value?.format !== FORMAT || typeof value.identity !== 'object' || value.identity === null || !value.content) {
    throw damaged(file, 'this version of graft did not write it');
  }
  return { identity: value.identity, content: value.content };
}

function damaged(file: string, what: string): GraftError {
  return new GraftError('bad-checkpoint', `${file} cannot be used: ${what}.`, 'Train anew without --resume.');
}

function shorten(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function gather(
  tensors: ReadonlyMap<string, Tensor>,
  spans: readonly ParameterSpan[],
  prefix: string,
  file: string,
): Float32Array {
  const last = spans.at(-1)!;
  const values = new Float32Array(last.start + sizeOf(last.shape));
  for (const { name, shape, start } of spans) {
    const tensor = tensors.get(`${prefix}${name}`);
    if (tensor?.dtype !== 'float32' || tensor.shape.join() !== shape.join()) {
      throw damaged(file, `it has no tensor ${prefix}${name} of [${shape.join(', ')}]`);
    }
    values.set(tensor.data, start);
  }
  return values;
}
