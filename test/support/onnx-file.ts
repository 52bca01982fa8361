// Writes small ONNX files of any opset, and judges their import by ONNX Runtime, which runs the files themselves.
import assert from 'node:assert/strict';
import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf';
import { makeRng } from '../../src/base/rng.ts';
import { openSession } from '../../src/engine/session.ts';
import { type ConvertedModel, convertOnnx, IMAGE } from '../../src/onnx/convert.ts';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  ModelProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  TensorProto_DataType as Type,
  type ValueInfoProtoSchema,
} from '../../src/onnx/generated/onnx_pb.ts';
import { readOnnxModel } from '../../src/onnx/read-model.ts';
import { inferShapes } from '../../src/onnx/shapes.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { narrowToFloat16, widenFloat16 } from '../../src/tensor/float16.ts';
import { float32, sizeOf, type Tensor } from '../../src/tensor/tensor.ts';

export type AttributeValue = number | string | readonly number[] | TensorProto;

/** op, inputs, outputs, attributes; '' for an input that is left out. A dot before the op's name ends its domain. */
export type NodeSpec = readonly [
  op: string,
  inputs: string,
  output: string,
  attributes?: Readonly<Record<string, AttributeValue>>,
];

/** A file. The input `x` is [batch, 3, side, side], or as `shape` says; the output is `y`. */
export interface FileSpec {
  readonly opset: number;
  readonly nodes: readonly NodeSpec[];
  readonly constants?: readonly TensorProto[];
  /** Default: 'N', a batch of any size. */
  readonly batch?: number | string;
  /** What stands behind the batch; default [3, 8, 8]. */
  readonly shape?: readonly (number | string)[];
  readonly inputType?: Type;
  readonly outputs?: readonly string[];
  /** Element types of the outputs; default FLOAT. */
  readonly outputTypes?: readonly Type[];
}

/** Attributes that are floats even when their number is whole. */
const floats = new Set(['alpha', 'beta', 'gamma', 'epsilon', 'bias', 'min', 'max', 'value', 'value_float', 'momentum']);
/** Lists that are of floats. */
const floatLists = new Set(['scales', 'value_floats']);

function attribute(name: string, value: AttributeValue): AttributeProto {
  const make = (type: AttributeType, rest: object) => create(AttributeProtoSchema, { name, type, ...rest });
  if (typeof value === 'string') return make(AttributeType.STRING, { s: new TextEncoder().encode(value) });
  if (typeof value === 'number') {
    if (floats.has(name)) return make(AttributeType.FLOAT, { f: value });
    return make(AttributeType.INT, { i: BigInt(value) });
  }
  if ('$typeName' in value) return make(AttributeType.TENSOR, { t: value });
  if (floatLists.has(name)) return make(AttributeType.FLOATS, { floats: [...value] });
  return make(AttributeType.INTS, { ints: value.map(BigInt) });
}

/** A float32 constant, of noise where there are no numbers. */
export function floatTensor(name: string, dims: readonly number[], values?: readonly number[]): TensorProto {
  const rng = makeRng(3, name);
  const data = Float32Array.from({ length: sizeOf(dims) }, (_, i) => values?.[i] ?? rng.normal() / 2);
  return create(TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType: Type.FLOAT,
    rawData: new Uint8Array(data.buffer),
  });
}

/** An int64 constant. */
export function intTensor(
  name: string,
  values: readonly number[],
  dims: readonly number[] = [values.length],
): TensorProto {
  return create(TensorProtoSchema, {
    name,
    dims: dims.map(BigInt),
    dataType: Type.INT64,
    int64Data: values.map(BigInt),
  });
}

/** A constant of booleans. */
export function boolTensor(
  name: string,
  values: readonly number[],
  dims: readonly number[] = [values.length],
): TensorProto {
  return create(TensorProtoSchema, { name, dims: dims.map(BigInt), dataType: Type.BOOL, int32Data: [...values] });
}

/** An input or output of the graph. */
function valueInfo(
  name: string,
  elemType: Type,
  dims?: readonly (number | string)[],
): MessageInitShape<typeof ValueInfoProtoSchema> {
  const dim = dims?.map(size => ({
    value:
      typeof size === 'string'
        ? { case: 'dimParam' as const, value: size }
        : { case: 'dimValue' as const, value: BigInt(size) },
  }));
  return { name, type: { value: { case: 'tensorType', value: { elemType, ...(dim && { shape: { dim } }) } } } };
}

/** The bytes of a file. */
export function onnxFile(spec: FileSpec): Uint8Array {
  const {
    opset,
    nodes,
    constants = [],
    batch = 'N',
    shape = [3, 8, 8],
    outputs = ['y'],
    inputType = Type.FLOAT,
  } = spec;
  const model = create(ModelProtoSchema, {
    irVersion: 8n,
    producerName: 'test',
    opsetImport: [
      { domain: '', version: BigInt(opset) },
      { domain: 'com.microsoft', version: 1n },
    ],
    graph: {
      name: 'test',
      input: [valueInfo('x', inputType, [batch, ...shape])],
      output: outputs.map((name, i) => valueInfo(name, spec.outputTypes?.[i] ?? Type.FLOAT)),
      initializer: [...constants],
      node: nodes.map(([op, inputs, output, attributes = {}], i) => {
        const dot = op.lastIndexOf('.');
        return {
          name: `node_${i}`,
          domain: op.slice(0, Math.max(0, dot)),
          opType: op.slice(dot + 1),
          input: inputs === '' ? [] : inputs.split(' ').map(name => (name === '-' ? '' : name)),
          output: output.split(' ').map(name => (name === '-' ? '' : name)),
          attribute: Object.entries(attributes).map(([name, value]) => attribute(name, value)),
        };
      }),
    },
  });
  return toBinary(ModelProtoSchema, model);
}

/** Largest difference, relative to the largest number; half precision has 11 bits. */
const TOLERANCE = 1e-5;
const HALF_TOLERANCE = 5e-3;

/** Imports a file and compares the graph for two photos with ONNX Runtime on the file itself, run per photo if it fixes the batch. */
export async function agreeWithFile(bytes: Uint8Array, size?: number): Promise<ConvertedModel> {
  const model = convertOnnx(readOnnxModel(bytes), size === undefined ? {} : { size });
  const { graph, height, width, input } = model;
  inferShapes(graph, { N: 5, H: height, W: width });
  const rng = makeRng(2, 'photos');
  const shape = [2, 3, height, width];
  const isWhole = input.dtype === 'uint8';
  const draw = () => (isWhole ? rng.int(256) : rng.normal());
  const image = float32(shape, Float32Array.from({ length: sizeOf(shape) }, draw));
  const session = await openSession(writeOnnx(graph), { threads: 1 });
  const found = await session.run({ [IMAGE]: image });
  const original = await openSession(bytes, { threads: 1 });
  const batch = original.inputs[0]!.shape[0] ?? 2;
  const wanted: Tensor[][] = [];
  for (let at = 0; at < 2; at += batch) {
    const part = input.layout === 'NHWC' ? channelsLast(image, at, batch) : photos(image, at, batch);
    const feed: Tensor = asType(part, input.dtype);
    const answer = await original.run({ [input.name]: feed });
    wanted.push(graph.outputs.map(({ name }) => answer[name]!));
  }
  for (const [i, { name }] of graph.outputs.entries()) {
    const isHalf = wanted[0]![i]!.dtype === 'float16';
    const expected = wanted.flatMap(answer => Array.from(toFloats(answer[i]!)));
    const values = found[name]!.data as Float32Array;
    assert.deepEqual(found[name]!.shape.slice(1), wanted[0]![i]!.shape.slice(1), `the shape of ${name}`);
    assert.equal(values.length, expected.length, `the size of ${name}`);
    const scale = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    assert.ok(scale > 1e-3, `${name} is all zero, which proves nothing`);
    const worst = expected.reduce((most, value, k) => Math.max(most, Math.abs(value - values[k]!)), 0);
    assert.ok(worst <= (isHalf ? HALF_TOLERANCE : TOLERANCE) * scale, `${name} differs by ${worst} of ${scale}`);
  }
  await session.close();
  await original.close();
  return model;
}

/** The image as the file takes it. */
function asType(image: Tensor<'float32'>, dtype: string): Tensor {
  const { shape, data } = image;
  if (dtype === 'uint8') return { dtype, shape, data: Uint8Array.from(data) };
  return dtype === 'float16' ? { dtype, shape, data: narrowToFloat16(data) } : image;
}

/** ONNX Runtime gives halves as patterns, or as an array of halves where the engine has one. */
function toFloats({ dtype, data }: Tensor): Float32Array {
  if (dtype !== 'float16') return data as Float32Array;
  return data instanceof Uint16Array ? widenFloat16(data) : Float32Array.from(data as ArrayLike<number>);
}

function photos({ shape, data }: Tensor<'float32'>, from: number, count: number): Tensor<'float32'> {
  const size = sizeOf(shape.slice(1));
  return float32([count, ...shape.slice(1)], data.slice(from * size, (from + count) * size));
}

function channelsLast(image: Tensor<'float32'>, from: number, count: number): Tensor<'float32'> {
  const [, , height, width] = image.shape as [number, number, number, number];
  const part = photos(image, from, count);
  const data = new Float32Array(part.data.length);
  for (let i = 0; i < data.length; i++) {
    const [photo, rest] = [Math.floor(i / (3 * height * width)), i % (3 * height * width)];
    const [position, channel] = [Math.floor(rest / 3), rest % 3];
    data[i] = part.data[photo * 3 * height * width + channel * height * width + position]!;
  }
  return float32([count, height, width, 3], data);
}
