// Which files beside an ONNX model hold its weights.
import { fromBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, TensorProto_DataLocation } from './generated/onnx_pb.ts';

/**
 * Locations of the files in which a model keeps tensors, sorted, as it says them: `findExternalFile` checks each.
 * @param bytes of a model that readOnnxModel has read.
 */
export function externalFiles(bytes: Uint8Array): string[] {
  const { graph } = fromBinary(ModelProtoSchema, bytes, { readUnknownFields: false });
  const attributes = graph?.node.flatMap(node => node.attribute.flatMap(({ t }) => (t ? [t] : []))) ?? [];
  const entries = [...(graph?.initializer ?? []), ...attributes]
    .filter(({ dataLocation }) => dataLocation === TensorProto_DataLocation.EXTERNAL)
    .flatMap(({ externalData }) => externalData);
  return [...new Set(entries.filter(({ key }) => key === 'location').map(({ value }) => value))].sort();
}
