// Writes a TfliteModel as a .tflite file. Equal models give equal bytes.
import { createHash } from 'node:crypto';
import { Builder } from 'flatbuffers';
import type { KnownOperator, TfliteModel, TfliteTensor } from './model.ts';
import {
  CODE_PLACEHOLDER,
  FILE_IDENTIFIER,
  type OperatorName,
  operators,
  SCHEMA_VERSION,
  type TableData,
  tensorTypes,
} from './schema.ts';
import { writeTable } from './write-flatbuffer.ts';

/** Name of the metadata entry with the oldest runtime that can run the model; 16 bytes, padded with NUL. */
export const RUNTIME_VERSION_ENTRY = 'min_runtime_version';
const RUNTIME_VERSION_BYTES = 16;

/**
 * The bytes of the model's file: one subgraph, constants aligned to 16 bytes and stored once when equal, and the oldest
 * runtime that has all operators as metadata (unless the model brings that entry itself).
 * @throws Error when the model has an operator that graft cannot write.
 */
export function writeTflite(model: TfliteModel): Uint8Array {
  const steps = model.operators.map((operator): KnownOperator => {
    if (operator.op === 'OTHER') throw new Error(`Operator ${operator.code} has no table to write it with.`);
    return operator;
  });
  const buffers = collectBuffers();
  const tensors = model.tensors.map(tensor => tensorTable(tensor, tensor.data ? buffers.add(tensor.data) : 0));
  const entries = model.metadata.some(entry => entry.name === RUNTIME_VERSION_ENTRY)
    ? model.metadata
    : [...model.metadata, { name: RUNTIME_VERSION_ENTRY, data: runtimeVersion(steps) }];
  const metadata = entries.map(entry => ({ name: entry.name, buffer: buffers.add(entry.data) }));

  const codes = new Map<string, { index: number; table: TableData<'OperatorCode'> }>();
  const codeOf = ({ op, version }: KnownOperator) => {
    const key = `${op} ${version}`;
    const { code } = operators[op];
    const table = { deprecated_builtin_code: Math.min(code, CODE_PLACEHOLDER), version, builtin_code: code };
    const entry = codes.get(key) ?? { index: codes.size, table };
    codes.set(key, entry);
    return entry.index;
  };
  const operatorTables = steps.map(step => ({
    opcode_index: codeOf(step),
    inputs: step.inputs,
    outputs: step.outputs,
    builtin_options: optionsOf(step),
  }));
  const { signature } = model;
  const toMaps = (list: readonly { name: string; tensor: number }[]) =>
    list.map(({ name, tensor }) => ({ name, tensor_index: tensor }));

  const builder = new Builder(buffers.size() + 65_536);
  const root = writeTable(builder, 'Model', {
    version: SCHEMA_VERSION,
    operator_codes: [...codes.values()].map(entry => entry.table),
    subgraphs: [{ tensors, inputs: model.inputs, outputs: model.outputs, operators: operatorTables, name: 'main' }],
    description: model.description,
    buffers: buffers.tables(),
    metadata,
    signature_defs: signature && [
      {
        inputs: toMaps(signature.inputs),
        outputs: toMaps(signature.outputs),
        signature_key: signature.key,
        subgraph_index: 0,
      },
    ],
  });
  builder.finish(root, FILE_IDENTIFIER);
  return builder.asUint8Array().slice();
}

/** The oldest runtime release that has every operator in the version that the model uses, e.g. '2.9.0'. */
export function oldestRuntime(steps: readonly KnownOperator[]): string {
  const releases = steps.map(({ op, version }) => {
    const release = (operators[op].versions as Readonly<Record<number, string>>)[version];
    if (release === undefined) throw new Error(`graft does not write version ${version} of ${op}.`);
    return release;
  });
  const rank = (release: string) => release.split('.').reduce((sum, part) => sum * 1000 + Number(part), 0);
  return releases.reduce((oldest, release) => (rank(release) > rank(oldest) ? release : oldest), '1.5.0');
}

function runtimeVersion(steps: readonly KnownOperator[]): Uint8Array {
  const data = new Uint8Array(RUNTIME_VERSION_BYTES);
  data.set(new TextEncoder().encode(oldestRuntime(steps)));
  return data;
}

/** Buffer 0 is the empty one that tensors without data point to; equal contents share a buffer. */
function collectBuffers() {
  const contents: Uint8Array[] = [];
  const places = new Map<string, number>();
  return {
    add(data: Uint8Array): number {
      const key = createHash('sha256').update(data).digest('base64');
      const known = places.get(key);
      if (known !== undefined) return known;
      places.set(key, contents.push(data));
      return contents.length;
    },
    tables: (): TableData<'Buffer'>[] => [{ offset: 0 }, ...contents.map(data => ({ data, offset: 0 }))],
    size: () => contents.reduce((sum, data) => sum + data.length + 64, 0),
  };
}

function tensorTable(tensor: TfliteTensor, buffer: number): TableData<'Tensor'> {
  const { quantization } = tensor;
  return {
    shape: tensor.shape,
    type: tensorTypes[tensor.type][0],
    buffer,
    name: tensor.name,
    quantization: quantization && {
      scale: quantization.scale,
      zero_point: quantization.zeroPoint,
      quantized_dimension: quantization.axis,
    },
  };
}

function optionsOf({ op, options }: KnownOperator<OperatorName>): TableData<'Operator'>['builtin_options'] {
  const { optionsType, options: table } = operators[op];
  return optionsType === 0 ? undefined : { type: optionsType, table, value: options };
}
