// Which files beside an ONNX model hold its weights.
import { fromBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from './generated/onnx_pb.ts';

/**
 * Paths from the model's folder to the files in which it keeps tensors, sorted.
 * @param bytes of a model that readOnnxModel has read.
 */
export function externalFiles(bytes: Uint8Array): string[] {
  const { graph } = fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false });
  const attributes = graph?.node.flatMap(node => node.attribute.flatMap(({ t }) => (t ? [t] : []))) ?? [];
  const entries = [...(graph?.initializer ?? []), ...attributes].flatMap(({ externalData }) => externalData);
  return [...new Set(entries.filter(({ key }) => key === 'location').map(({ value }) => value))].sort();
}
