// Fields of the JSON files that come with models, checked type by type: what is missing is undefined, what is wrong is refused.
import { GraftError } from '../base/errors.ts';

/** An object of a JSON file. */
export type Fields = Readonly<Record<string, unknown>>;

/** A number for each colour: red, green, blue. */
export type Triple = readonly [number, number, number];

/** Sides of an input that are taken, in pixels. */
const MIN_SIDE = 16;
const MAX_SIDE = 2048;

/** Longest name. */
const MAX_NAME = 200;

/**
 * The object that a file is.
 * @param where names the file in errors, here as in all that follow.
 * @throws GraftError `bad-model` for text that is no JSON or something else than an object.
 */
export function parseFields(text: string, where: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new GraftError('bad-model', `${where} is not JSON (${(error as Error).message}).`, HINT, error);
  }
  return readObject(value, 'the file', where);
}

export function readObject(value: unknown, key: string, where: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw wrongField(key, value, 'an object', where);
}

export function readNumber(value: unknown, key: string, where: string): number | undefined {
  if (isMissing(value)) return undefined;
  if (typeof value === 'number') return value;
  throw wrongField(key, value, 'a number', where);
}

/** Lists are what networks with two classifiers have: none that graft knows. */
export function readName(value: unknown, key: string, where: string): string | undefined {
  if (isMissing(value)) return undefined;
  if (typeof value === 'string' && value.length <= MAX_NAME) return value;
  throw wrongField(key, value, 'a name', where);
}

/** Three numbers, or one for all. */
export function readTriple(value: unknown, key: string, where: string): Triple | undefined {
  if (isMissing(value)) return undefined;
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  const all = list.length === 1 ? [list[0], list[0], list[0]] : list;
  if (all.length === 3 && all.every(item => Number.isFinite(item))) return all as unknown as Triple;
  throw wrongField(key, value, 'three numbers, one per colour', where);
}

/** What is divided by. */
export function readDeviations(value: unknown, key: string, where: string): Triple | undefined {
  const std = readTriple(value, key, where);
  if (std?.some(item => item <= 0)) throw wrongField(key, value, 'three numbers above 0', where);
  return std;
}

/** A side of an input, in pixels. */
export function readSide(value: unknown, key: string, where: string): number {
  if (Number.isInteger(value) && (value as number) >= MIN_SIDE && (value as number) <= MAX_SIDE) return value as number;
  throw wrongField(key, value, `${MIN_SIDE} to ${MAX_SIDE} pixels`, where);
}

const HINT = 'Correct that file, or use another model.';

export function wrongField(key: string, value: unknown, wanted: string, where: string): GraftError {
  const found = String(JSON.stringify(value)).slice(0, 80);
  return new GraftError('bad-model', `${where} has ${found} for ${key}; ${wanted} is wanted.`, HINT);
}

/** Both are ways to say nothing. */
export const isMissing = (value: unknown): boolean => value === undefined || value === null;
