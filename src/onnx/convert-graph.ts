// Converts the nodes of a model, one after the other: what is constant is computed, the rest goes through the tables of rows.
import { GraftError } from '../base/errors.ts';
import { denseConversions } from './convert-dense.ts';
import { elementwiseConversions } from './convert-elementwise.ts';
import { type Conversion, type Conversions, nodeContext, type Value } from './convert-node.ts';
import { resizeConversions } from './convert-resize.ts';
import { shapeConversions } from './convert-shape.ts';
import { windowConversions } from './convert-window.ts';
import type { Both, Draft } from './draft.ts';
import { evaluators, shapeEvaluators } from './evaluate.ts';
import {
  badOnnx,
  type ElementType,
  type Literal,
  listNames,
  nameOf,
  type OnnxModel,
  type OnnxNode,
  shortName,
  unsupportedNode,
} from './model.ts';
import { nodeReader } from './node-reader.ts';

/** How each op of ONNX becomes ops of the union. */
const conversions: Readonly<Record<string, Conversion>> = {
  ...elementwiseConversions,
  ...windowConversions,
  ...denseConversions,
  ...shapeConversions,
  ...resizeConversions,
  'com.microsoft.Gelu': elementwiseConversions.Gelu!,
};

/** Ops that only move numbers, and take any type. */
const moving: ReadonlySet<string> = new Set([...Object.keys(shapeConversions), 'Identity']);

/** The ops of ONNX that are imported. */
export const importedOps: readonly string[] = [
  ...new Set([...Object.keys(conversions), ...Object.keys(evaluators)]),
].sort();

/** Why an op is not imported, by what it belongs to; the first that fits. */
const families: readonly (readonly [RegExp, string])[] = [
  [/^(If|Loop|Scan|SequenceMap)$/, 'control flow'],
  [/^(LSTM|GRU|RNN)$/, 'a recurrent network'],
  [/Q(uantize)?Linear|Integer$|^DequantizeLinear$/, 'quantised: export the model in float32'],
  [/\./, 'of a domain of its own'],
  [/^(Sequence|SplitToSequence|ConcatFromSequence|Optional)/, 'a sequence'],
];

/** Most names of nodes that an error lists for one op. */
const MAX_LISTED = 4;

/** Names every op at once for which there is no row. */
function refuseUnknownOps(nodes: readonly OnnxNode[]): void {
  const unknown = new Map<string, string[]>();
  for (const node of nodes) {
    if (Object.hasOwn(conversions, node.op) || Object.hasOwn(evaluators, node.op)) continue;
    const names = unknown.get(node.op) ?? [];
    names.push(node.name || (node.outputs[0] ?? ''));
    unknown.set(node.op, names);
  }
  if (unknown.size === 0) return;
  const lines = [...unknown].map(([op, names]) => {
    const family = families.find(([pattern]) => pattern.test(op))?.[1];
    const more = names.length > MAX_LISTED ? ` and ${names.length - MAX_LISTED} more` : '';
    const listed = names.slice(0, MAX_LISTED).map(name => `"${shortName(name)}"`);
    return `${shortName(op)}${family ? ` (${family})` : ''} in ${listed.join(', ')}${more}`;
  });
  throw new GraftError(
    'unsupported-op',
    `The model has operations that graft does not import: ${listNames(lines, '; ', Number.POSITIVE_INFINITY)}.`,
    'Export the model for inference, in float32, or choose a backbone without these operations.',
  );
}

/** The nodes that some values need, in order. */
export function neededNodes(model: OnnxModel, outputs: readonly string[]): OnnxNode[] {
  const wanted = new Set(outputs);
  const needed: OnnxNode[] = [];
  for (const node of model.nodes.toReversed()) {
    if (!node.outputs.some(output => wanted.has(output))) continue;
    needed.push(node);
    for (const input of node.inputs) wanted.add(input);
  }
  return needed.reverse();
}

/**
 * Converts all that `outputs` need into a draft.
 * @param inputs the model's inputs as values of the draft.
 * @param fixedBatch the batch that the file's shapes are for; undefined where it leaves it open.
 * @returns the values of the outputs.
 * @throws GraftError `unsupported-op` for what is not imported, `bad-model` for a model that contradicts itself.
 */
export function convertNodes(
  model: OnnxModel,
  draft: Draft,
  inputs: ReadonlyMap<string, Value>,
  outputs: readonly string[],
  fixedBatch?: number,
): Value[] {
  const nodes = neededNodes(model, outputs);
  refuseUnknownOps(nodes);
  const values = new Map(inputs);
  for (const [name, tensor] of model.constants) {
    draft.reserve(name);
    values.set(name, { kind: 'constant', name, read: () => tensor.read() });
  }
  for (const node of nodes) for (const output of node.outputs) draft.reserve(output);
  const lookUp = (name: string): Value => {
    const value = values.get(name);
    if (!value) throw badOnnx(`nothing makes the value "${name}"`);
    return value;
  };
  const names = new Set<string>();
  const read = new Set([...outputs, ...nodes.flatMap(node => node.inputs)].filter(name => name !== ''));
  const all: Conversions = { opset: model.opset, draft, fixedBatch, lookUp, read };
  for (const node of nodes) {
    try {
      const made = evaluate(node, all) ?? convert(node, all, names);
      made.forEach((value, i) => {
        const output = node.outputs[i] ?? '';
        if (output !== '') values.set(output, value);
      });
    } catch (error) {
      throw explain(error, node);
    }
  }
  return outputs.map(lookUp);
}

/** What went wrong at a node, as an error that names it. */
function explain(error: unknown, node: OnnxNode): unknown {
  if (!(error instanceof RangeError)) return error;
  return badOnnx(`${nameOf(node)}: ${error.message.replace(/\.$/, '')}`, undefined, error);
}

/** The outputs of a node whose inputs are constant; undefined where they are not. */
function evaluate(node: OnnxNode, { opset, lookUp, draft }: Conversions): Value[] | undefined {
  const row = Object.hasOwn(evaluators, node.op) ? evaluators[node.op] : undefined;
  const values = node.inputs.map(input => (input === '' ? undefined : lookUp(input)));
  const byShape = Object.hasOwn(shapeEvaluators, node.op);
  if (!row || (!byShape && values.some(value => value?.kind === 'computed'))) return undefined;
  if (!byShape && values.length === 0) return undefined;
  const reader = nodeReader(node, opset);
  const need = (i: number) => values[i] ?? reader.fail(`its input ${i} is missing`);
  const compute = (which: 0 | 1): readonly Literal[] => {
    if (!byShape)
      for (const value of values) if (value?.kind === 'constant') draft.spend(value.read(which).data.length);
    const made = row({
      ...reader,
      literal(i) {
        const value = need(i);
        return value.kind === 'constant' ? value.read(which) : reader.fail(`its input ${i} is computed`);
      },
      shape(i) {
        const value = need(i);
        return value.kind === 'constant' ? value.read(which).shape : draft.shapesOf(value.name)[which];
      },
    });
    const list: readonly Literal[] = Array.isArray(made) ? made : [made as Literal];
    for (const { data } of list) draft.spend(data.length);
    return list;
  };
  const first = compute(0);
  const depends = values.some(value => {
    if (value?.kind === 'constant') return value.read(0) !== value.read(1);
    const [a, b] = value ? draft.shapesOf(value.name) : [[], []];
    return a.join() !== b.join();
  });
  const both: Both<readonly Literal[]> = [first, depends ? compute(1) : first];
  return first.map((_, i) => ({ kind: 'constant', name: node.outputs[i] ?? '', read: which => both[which][i]! }));
}

/** The outputs of a node by its row. The last node of what it emits gets the names of the file. */
function convert(node: OnnxNode, all: Conversions, names: Set<string>): Value[] {
  const { draft, lookUp } = all;
  const row = Object.hasOwn(conversions, node.op) ? conversions[node.op] : undefined;
  if (!row) throw unsupportedNode(node, 'it is imported for constants alone, and one of its inputs is computed');
  const computed = node.inputs.flatMap(input => {
    const value = input === '' ? undefined : lookUp(input);
    return value?.kind === 'computed' ? [value] : [];
  });
  const other = computed.find(({ dtype }) => dtype !== 'float32');
  if (other && !moving.has(node.op))
    throw unsupportedNode(node, `it computes with ${other.dtype}, and float32 is wanted`);
  const n = nodeContext(node, all);
  const before = draft.nodes.length;
  const made = row(n);
  const isNew = draft.nodes.length > before;
  const list = typeof made === 'string' ? [made] : made;
  return list.map((name, i) => {
    const output = node.outputs[i] ?? '';
    const dtype = dtypeOf(name, draft, computed[0]?.dtype ?? 'float32');
    if (!isNew || list.length > 1 || draft.nodes.at(-1)!.outputs[0] !== name) return { kind: 'computed', name, dtype };
    const wanted = node.name !== '' && !names.has(node.name) ? node.name : output;
    names.add(wanted);
    return { kind: 'computed', name: draft.renameLast(output, wanted), dtype };
  });
}

/** A value's type: that of its node's input, or what Cast makes. */
function dtypeOf(name: string, draft: Draft, input: ElementType): ElementType {
  const maker = draft.makerOf(name);
  return maker?.op === 'Cast' ? maker.attributes.to : input;
}
