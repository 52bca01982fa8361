// Writes a Graph as an ONNX file (protobuf), through the schema generated from onnx.proto.
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import type { DataType, Tensor } from '../tensor/tensor.ts';
import {
  type AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  TensorProto_DataType,
  type TensorProtoSchema,
  type ValueInfoProtoSchema,
} from './generated/onnx_pb.ts';
import { type Graph, OPSET, type ValueInfo } from './graph.ts';

/** IR version 8 belongs to opset 17 and is read by ONNX Runtime 1.12 and later. */
const IR_VERSION = 8n;

const dataTypes: Record<DataType, TensorProto_DataType> = {
  float32: TensorProto_DataType.FLOAT,
  float16: TensorProto_DataType.FLOAT16,
  int64: TensorProto_DataType.INT64,
  int32: TensorProto_DataType.INT32,
  int8: TensorProto_DataType.INT8,
  uint8: TensorProto_DataType.UINT8,
  bool: TensorProto_DataType.BOOL,
};

const utf8 = new TextEncoder();

/** Attributes that the operator specification types as FLOAT; every other number is an INT. */
const floatAttributes = new Set(['alpha', 'beta', 'epsilon']);

/** Domains of ops that are not ONNX's own, by the part of our name before the dot. */
const domains: Readonly<Record<string, string>> = { microsoft: 'com.microsoft', nchwc: 'com.microsoft.nchwc' };

/** Domain and name of an op. */
function spell(op: string): { domain: string; opType: string } {
  const dot = op.indexOf('.');
  return dot < 0 ? { domain: '', opType: op } : { domain: domains[op.slice(0, dot)]!, opType: op.slice(dot + 1) };
}

/** The bytes of an ONNX model file. Equal graphs give equal bytes. */
export function writeOnnx(graph: Graph): Uint8Array {
  const model = create(ModelProtoSchema, {
    irVersion: IR_VERSION,
    producerName: 'graft',
    opsetImport: [
      { domain: '', version: BigInt(OPSET) },
      ...[...new Set(graph.nodes.map(({ op }) => spell(op).domain))]
        .filter(domain => domain !== '')
        .sort()
        .map(domain => ({ domain, version: 1n })),
    ],
    metadataProps: Object.entries(graph.metadata).map(([key, value]) => ({ key, value })),
    graph: {
      name: graph.name,
      input: graph.inputs.map(valueInfo),
      output: graph.outputs.map(valueInfo),
      initializer: [...graph.constants].map(([name, tensor]) => tensorProto(name, tensor)),
      node: graph.nodes.map(node => ({
        name: node.name,
        ...spell(node.op),
        input: [...node.inputs],
        output: [...node.outputs],
        attribute: Object.entries(node.attributes).map(([name, value]) => attribute(name, value)),
      })),
    },
  });
  return toBinary(ModelProtoSchema, model);
}

function attribute(name: string, value: unknown): MessageInitShape<typeof AttributeProtoSchema> {
  if (Array.isArray(value)) return { name, type: AttributeType.INTS, ints: value.map(BigInt) };
  if (name === 'to') return { name, type: AttributeType.INT, i: BigInt(dataTypes[value as DataType]) };
  if (typeof value === 'string') return { name, type: AttributeType.STRING, s: utf8.encode(value) };
  if (floatAttributes.has(name)) return { name, type: AttributeType.FLOAT, f: value as number };
  return { name, type: AttributeType.INT, i: BigInt(value as number) };
}

function tensorProto(name: string, tensor: Tensor): MessageInitShape<typeof TensorProtoSchema> {
  const { buffer, byteOffset, byteLength } = tensor.data;
  return {
    name,
    dataType: dataTypes[tensor.dtype],
    dims: tensor.shape.map(BigInt),
    rawData: new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength),
  };
}

function valueInfo(info: ValueInfo): MessageInitShape<typeof ValueInfoProtoSchema> {
  const dim = info.shape.map(size => ({
    value:
      typeof size === 'string'
        ? { case: 'dimParam' as const, value: size }
        : { case: 'dimValue' as const, value: BigInt(size) },
  }));
  return {
    name: info.name,
    type: { value: { case: 'tensorType', value: { elemType: dataTypes[info.dtype], shape: { dim } } } },
  };
}
