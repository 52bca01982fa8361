// What an ONNX file says, before anything is made of it: values, nodes in order, and constants that are read when they are wanted.
import { GraftError } from '../base/errors.ts';

/** Element types of ONNX tensors that are read; float16 and bfloat16 are widened when they are. */
export type ElementType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'bfloat16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint64'
  | 'uint32'
  | 'uint16'
  | 'uint8'
  | 'bool'
  | 'string';

/** The numbers of a constant. Whole numbers and booleans are float64, which is exact up to 2^53; floats are float32. */
export interface Literal {
  /** float16 and bfloat16 have become float32. */
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  readonly data: Float32Array | Float64Array;
}

/** A constant in the file. */
export interface OnnxTensor {
  readonly name: string;
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  /** Its numbers, a view of the file where the format allows it. Throws GraftError `bad-model` when they are not all there. */
  read(): Literal;
}

/** An input or output of the graph. */
export interface OnnxValueInfo {
  readonly name: string;
  /** Undefined for sequences and whatever else is no tensor. */
  readonly dtype: ElementType | undefined;
  /** A named or unknown dimension is a string, '' when it has no name; the whole is undefined when nothing is said. */
  readonly shape: readonly (number | string)[] | undefined;
}

/** An attribute by its kind. What no supported op has is `other`, by the name of its type. */
export type OnnxAttribute =
  | { readonly kind: 'int' | 'float'; readonly value: number }
  | { readonly kind: 'ints' | 'floats'; readonly value: readonly number[] }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'strings'; readonly value: readonly string[] }
  | { readonly kind: 'tensor'; readonly value: OnnxTensor }
  | { readonly kind: 'other'; readonly value: string };

/** A node. */
export interface OnnxNode {
  /** With its domain in front, unless that is ONNX's own: `Conv`, `com.microsoft.Gelu`. */
  readonly op: string;
  /** May be empty. */
  readonly name: string;
  /** '' for one that is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, OnnxAttribute>;
}

/** An ONNX model. */
export interface OnnxModel {
  /** Version of ONNX's own operators. */
  readonly opset: number;
  /** Who wrote it, as the file says. */
  readonly producer: string;
  /** Without those that have a constant. */
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
  /** Each after the nodes that it reads from. */
  readonly nodes: readonly OnnxNode[];
  readonly constants: ReadonlyMap<string, OnnxTensor>;
  /** Files that hold tensors, as the model names them, sorted: each a path below its folder; `findExternalFile` finds it. */
  readonly externalFiles: readonly string[];
  readonly metadata: Readonly<Record<string, string>>;
}

/** Longest name in a sentence, longest sentence, and most names that one lists. */
const MAX_NAME = 60;
const MAX_PROBLEM = 600;
const MAX_NAMES = 12;

/** Text of a file as a part of a sentence: on one line, and cut off. */
export function shortName(text: string, length = MAX_NAME): string {
  const line = text.slice(0, length + 1).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
  return line.length > length ? `${line.slice(0, length)}...` : line;
}

/** Names of a file in a sentence. */
export function listNames(names: readonly string[], separator = ', ', length = MAX_NAME): string {
  const more = names.length > MAX_NAMES ? `${separator}and ${names.length - MAX_NAMES} more` : '';
  return (
    names
      .slice(0, MAX_NAMES)
      .map(name => shortName(name, length))
      .join(separator) + more
  );
}

/** The error for a file that is damaged or contradicts itself. */
export function badOnnx(problem: string, hint?: string, cause?: unknown): GraftError {
  return new GraftError(
    'bad-model',
    `The file is not a sound ONNX model: ${shortName(problem, MAX_PROBLEM)}.`,
    hint ?? 'The file may be damaged or cut off; export or download it again.',
    cause,
  );
}

/** How a node is called in errors: by its name, or by its first output where it has none. */
export const nameOf = (node: OnnxNode): string =>
  `${shortName(node.op)} "${shortName(node.name || (node.outputs[0] ?? ''))}"`;

/** The error for a node that is sound and that graft does not take. */
export function unsupportedNode(node: OnnxNode, reason: string): GraftError {
  return new GraftError(
    'unsupported-op',
    `The model's node ${nameOf(node)} cannot be imported: ${shortName(reason, MAX_PROBLEM)}.`,
    'Export the model for inference, in float32, or choose a backbone without this operation.',
  );
}

type Kind = OnnxAttribute['kind'];
/** What the value of each kind is. */
type AttributeValues = { readonly [A in OnnxAttribute as A['kind']]: A['value'] };

/** The value of an attribute, undefined where it is left out. Throws GraftError `bad-model` for another kind. */
export function readAttribute<K extends Kind>(node: OnnxNode, name: string, kind: K): AttributeValues[K] | undefined {
  const found = node.attributes.get(name);
  if (!found) return undefined;
  if (found.kind !== kind)
    throw badOnnx(`the attribute ${name} of ${nameOf(node)} is of kind ${found.kind}, not ${kind}`);
  return found.value as AttributeValues[K];
}
