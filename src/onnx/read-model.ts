// Reads an ONNX file, anybody's, into an OnnxModel; nothing in the file is trusted.
import { readFileSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { fromBinary } from '@bufbuild/protobuf';
import { explainSystemError, GraftError } from '../base/errors.ts';
import { checkWire, withFloatsAsBytes } from './check-wire.ts';
import { type ExternalFiles, externalFiles } from './external-data.ts';
import {
  type AttributeProto,
  AttributeProto_AttributeType as AttributeType,
  type GraphProto,
  type ModelProto,
  ModelProtoSchema,
  type NodeProto,
  type ValueInfoProto,
} from './generated/onnx_pb.ts';
import {
  badOnnx,
  nameOf,
  type OnnxAttribute,
  type OnnxModel,
  type OnnxNode,
  type OnnxTensor,
  type OnnxValueInfo,
} from './model.ts';
import { elementType, readTensor } from './read-tensor.ts';

/** The largest file: protobuf's own limit. Weights of more than that are in files beside it. */
const MAX_FILE_BYTES = 2 ** 31;
/** More nodes than any classifier has; DenseNet-201 has 700. */
const MAX_NODES = 20_000;
/** More outputs than any classifier, detector or extractor has. */
export const MAX_OUTPUTS = 100;

/** Versions of ONNX's operators that are read: with 7, broadcasting became NumPy's. */
const OLDEST_OPSET = 7;
const NEWEST_OPSET = 22;

/** ONNX's own operators have this domain, or none. */
const OWN_DOMAINS: readonly string[] = ['', 'ai.onnx'];

/**
 * Reads a model from a file, or from bytes. Constants are views of the bytes, which must not change.
 * @param folder where files beside the model are that hold weights; default: the file's folder, none for bytes.
 * @throws GraftError `bad-model` when it is damaged, contradicts itself or is of another opset; `not-found`, `no-access`.
 */
export function readOnnxModel(file: string | Uint8Array, folder?: string): OnnxModel {
  const bytes = typeof file === 'string' ? readFile(file) : file;
  if (bytes.length > MAX_FILE_BYTES) throw badOnnx(`it has ${bytes.length} bytes, more than ${MAX_FILE_BYTES}`);
  const floatLists = checkWire(ModelProtoSchema, bytes);
  const model = withFloatsAsBytes(bytes, floatLists, () => decode(bytes));
  const { graph } = model;
  if (!graph) throw badOnnx('it has no graph');
  if (graph.node.length > MAX_NODES) throw badOnnx(`it has ${graph.node.length} nodes, more than ${MAX_NODES}`);
  if (graph.output.length > MAX_OUTPUTS)
    throw badOnnx(`it has ${graph.output.length} outputs, more than ${MAX_OUTPUTS}`);
  const opset = readOpset(model);
  const external = externalFiles(folder ?? (typeof file === 'string' ? dirname(file) : undefined));
  const constants = readConstants(graph, external);
  const inputs = graph.input.map(readValueInfo).filter(({ name }) => !constants.has(name));
  const nodes = graph.node.map(node => readNode(node, external));
  return {
    opset,
    producer: [model.producerName, model.producerVersion].join(' ').trim().slice(0, 200),
    inputs,
    outputs: graph.output.map(readValueInfo),
    nodes: sortNodes(graph, nodes, inputs, constants),
    constants,
    externalFiles: [...external.locations].sort(),
    metadata: Object.fromEntries(model.metadataProps.map(({ key, value }) => [key, value])),
  };
}

function readFile(path: string): Uint8Array {
  try {
    const { size } = statSync(path);
    if (size > MAX_FILE_BYTES) throw badOnnx(`${path} has ${size} bytes, more than ${MAX_FILE_BYTES}`);
    const { buffer, byteOffset, length } = readFileSync(path);
    return new Uint8Array(buffer, byteOffset, length);
  } catch (error) {
    throw explainSystemError(error, path);
  }
}

function decode(bytes: Uint8Array): ModelProto {
  try {
    return fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false });
  } catch (error) {
    throw badOnnx(`it is no protobuf message (${(error as Error).message})`, undefined, error);
  }
}

function readOpset(model: ModelProto): number {
  const found = model.opsetImport.find(({ domain }) => OWN_DOMAINS.includes(domain));
  const opset = Number(found?.version ?? 1n);
  if (opset >= OLDEST_OPSET && opset <= NEWEST_OPSET) return opset;
  throw new GraftError(
    'bad-model',
    `The model uses opset ${opset} of ONNX; ${OLDEST_OPSET} to ${NEWEST_OPSET} are read.`,
    'Export it again with opset_version=17.',
  );
}

function readConstants(graph: GraphProto, external: ExternalFiles): Map<string, OnnxTensor> {
  if (graph.sparseInitializer.length > 0) throw badOnnx('it has sparse constants, which are not read');
  const constants = new Map<string, OnnxTensor>();
  for (const tensor of graph.initializer) {
    if (constants.has(tensor.name)) throw badOnnx(`two constants are called "${tensor.name}"`);
    constants.set(tensor.name, readTensor(tensor, external));
  }
  return constants;
}

function readValueInfo({ name, type }: ValueInfoProto): OnnxValueInfo {
  if (type?.value.case !== 'tensorType') return { name, dtype: undefined, shape: undefined };
  const { elemType, shape } = type.value.value;
  return {
    name,
    dtype: elementType(elemType),
    shape: shape?.dim.map(({ value }) => {
      if (value.case === 'dimValue') return Number(value.value) > 0 ? Number(value.value) : '';
      return value.case === 'dimParam' ? value.value : '';
    }),
  };
}

function readNode(node: NodeProto, external: ExternalFiles): OnnxNode {
  const { domain, opType, attribute, name, input, output } = node;
  return {
    op: OWN_DOMAINS.includes(domain) ? opType : `${domain}.${opType}`,
    name,
    inputs: input,
    outputs: output,
    attributes: new Map(attribute.map(entry => [entry.name, readAttributeProto(entry, external)] as const)),
  };
}

const utf8 = new TextDecoder();

function readAttributeProto(attribute: AttributeProto, external: ExternalFiles): OnnxAttribute {
  const { type, f, i, s, t, floats, ints, strings } = attribute;
  switch (type) {
    case AttributeType.FLOAT:
      return { kind: 'float', value: f };
    case AttributeType.INT:
      return { kind: 'int', value: Number(i) };
    case AttributeType.STRING:
      return { kind: 'string', value: utf8.decode(s) };
    case AttributeType.FLOATS:
      return { kind: 'floats', value: floats };
    case AttributeType.INTS:
      return { kind: 'ints', value: ints.map(Number) };
    case AttributeType.STRINGS:
      return { kind: 'strings', value: strings.map(text => utf8.decode(text)) };
    case AttributeType.TENSOR:
      return t ? { kind: 'tensor', value: readTensor(t, external) } : { kind: 'other', value: 'nothing' };
    default:
      return { kind: 'other', value: (AttributeType[type] ?? String(type)).toLowerCase() };
  }
}

/** The nodes, each after those that it reads from: in the file's order where that is one. */
function sortNodes(
  graph: GraphProto,
  nodes: readonly OnnxNode[],
  inputs: readonly OnnxValueInfo[],
  constants: ReadonlyMap<string, OnnxTensor>,
): OnnxNode[] {
  const makers = new Map<string, OnnxNode>();
  const given = new Set([...inputs.map(({ name }) => name), ...constants.keys()]);
  if (new Set(inputs.map(({ name }) => name)).size !== inputs.length) throw badOnnx('two inputs have one name');
  for (const node of nodes) {
    for (const output of node.outputs) {
      if (output === '') continue;
      if (makers.has(output) || given.has(output)) throw badOnnx(`two values are called "${output}"`);
      makers.set(output, node);
    }
  }
  if (new Set(graph.output.map(({ name }) => name)).size !== graph.output.length) {
    throw badOnnx('two outputs have one name');
  }
  for (const { name } of graph.output) {
    if (!makers.has(name) && !given.has(name)) throw badOnnx(`nothing makes its output "${name}"`);
  }
  const sorted: OnnxNode[] = [];
  const state = new Map<OnnxNode, 'open' | 'done'>();
  for (const first of nodes) {
    // A stack of our own: a network may be deeper than the stack of calls.
    const stack = [first];
    while (stack.length > 0) {
      const node = stack.at(-1)!;
      if (state.get(node) === 'done') {
        stack.pop();
        continue;
      }
      const pending: OnnxNode[] = [];
      for (const input of node.inputs) {
        const maker = makers.get(input);
        if (!maker && input !== '' && !given.has(input))
          throw badOnnx(`${nameOf(node)} reads "${input}", which nothing makes`);
        if (maker && state.get(maker) !== 'done') pending.push(maker);
      }
      if (pending.length === 0) {
        state.set(node, 'done');
        sorted.push(stack.pop()!);
        continue;
      }
      state.set(node, 'open');
      for (const maker of pending) {
        if (state.get(maker) === 'open') throw badOnnx(`its nodes run in a circle through ${nameOf(maker)}`);
        stack.push(maker);
      }
    }
  }
  return sorted;
}
