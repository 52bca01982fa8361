// Moves weights of ONNX files into files beside them.
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  ModelProtoSchema,
  type StringStringEntryProto,
  StringStringEntryProtoSchema,
  TensorProto_DataLocation,
  TensorProto_DataType,
  TensorProtoSchema,
} from '../../src/onnx/generated/onnx_pb.ts';

/** A model in two files. */
export interface SplitOnnx {
  readonly model: Uint8Array;
  readonly data: Uint8Array;
}

/** The model with the raw numbers of its constants in a file called `location`. */
export function splitOnnx(bytes: Uint8Array, location: string): SplitOnnx {
  const model = fromBinary(ModelProtoSchema, bytes);
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const tensor of model.graph!.initializer) {
    const { rawData } = tensor;
    if (rawData.length === 0) continue;
    tensor.rawData = new Uint8Array(0);
    tensor.dataLocation = TensorProto_DataLocation.EXTERNAL;
    tensor.externalData = entriesOf({ location, offset, length: rawData.length });
    parts.push(rawData);
    offset += rawData.length;
  }
  return { model: toBinary(ModelProtoSchema, model), data: Buffer.concat(parts) };
}

/** The model with one more constant of a single number, which nothing reads, in a file at `location`. */
export function addUnused(bytes: Uint8Array, location: string): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes);
  const unused = create(TensorProtoSchema, {
    name: 'unused',
    dims: [1n],
    dataType: TensorProto_DataType.FLOAT,
    dataLocation: TensorProto_DataLocation.EXTERNAL,
    externalData: entriesOf({ location }),
  });
  model.graph!.initializer.push(unused);
  return toBinary(ModelProtoSchema, model);
}

const entriesOf = (entries: Readonly<Record<string, string | number>>): StringStringEntryProto[] =>
  Object.entries(entries).map(([key, value]) => create(StringStringEntryProtoSchema, { key, value: String(value) }));
