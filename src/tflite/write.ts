// Writes a TfliteModel as a .tflite file. Equal models give equal bytes.
import { createHash } from 'node:crypto';
import { compareReleases } from './builtin-operators.ts';
import {
  MAIN_SUBGRAPH,
  type Signature,
  type SignatureEntry,
  type Subgraph,
  subgraphsOf,
  type TfliteModel,
  type TfliteOperator,
} from './model.ts';
import { CODE_PLACEHOLDER, operators, SCHEMA_VERSION, type TableData, tfliteSchema } from './schema.ts';
import { writeRoot } from './write-flatbuffer.ts';
import { collectExternals, tensorTable, unwritable } from './write-tensor.ts';

/** Name of the metadata entry with the oldest runtime that can run the model; 16 bytes, padded with NUL. */
export const RUNTIME_VERSION_ENTRY = 'min_runtime_version';
const RUNTIME_VERSION_BYTES = 16;

/** Options of `writeTflite`. */
export interface WriteOptions {
  /**
   * Adds the oldest runtime that has all operators as metadata, unless the model brings that entry. Default: true. Without
   * it, a model that was read from another program's file is written as it was.
   */
  readonly stampRuntime?: boolean;
}

/**
 * The bytes of the model's file: constants aligned to 16 bytes and stored once when equal, also those that another
 * program's file kept behind its flatbuffer.
 * @throws GraftError `unsupported-op` when the model has an operator, options or a constant that cannot be written; Error
 * when `stampRuntime` meets an operator that graft does not make itself.
 */
export function writeTflite(model: TfliteModel, { stampRuntime = true }: WriteOptions = {}): Uint8Array {
  const subgraphs = subgraphsOf(model);
  const buffers = collectBuffers();
  const externals = collectExternals();
  const tensors = subgraphs.map(graph =>
    graph.tensors.map(tensor =>
      tensorTable(
        tensor,
        tensor.data ? buffers.add(tensor.data) : 0,
        tensor.external && externals.add(tensor.external),
      ),
    ),
  );
  const entries =
    !stampRuntime || model.metadata.some(entry => entry.name === RUNTIME_VERSION_ENTRY)
      ? model.metadata
      : [...model.metadata, { name: RUNTIME_VERSION_ENTRY, data: runtimeVersion(subgraphs) }];
  const metadata = entries.map(entry => ({
    name: entry.name,
    buffer: entry.data.length > 0 ? buffers.add(entry.data) : 0,
  }));
  const codes = collectCodes();
  const subgraphTables = subgraphs.map((graph, i) => ({
    tensors: tensors[i]!,
    inputs: graph.inputs,
    outputs: graph.outputs,
    operators: graph.operators.map(operator => operatorTable(operator, codes.add(operator))),
    name: graph.name ?? MAIN_SUBGRAPH,
  }));
  const signatures = [...(model.signature ? [model.signature] : []), ...(model.otherSignatures ?? [])];
  const root: TableData<'Model'> = {
    version: SCHEMA_VERSION,
    operator_codes: codes.tables(),
    subgraphs: subgraphTables,
    description: model.description,
    buffers: buffers.tables(),
    metadata,
    signature_defs: signatures.length > 0 ? signatures.map(signatureTable) : undefined,
    ...externals.tables(),
  };
  return writeRoot(tfliteSchema, 'Model', root, buffers.size() + 65_536);
}

/** The oldest runtime release that has every operator in the version that the model uses, e.g. '2.9.0'. */
export function oldestRuntime(steps: readonly TfliteOperator[]): string {
  const releases = steps.map(step => {
    const versions: Readonly<Record<number, string>> = step.op === 'OTHER' ? {} : operators[step.op].versions;
    const release = versions[step.version];
    if (release === undefined) throw new Error(`graft does not write version ${step.version} of ${nameOf(step)}.`);
    return release;
  });
  return releases.reduce((oldest, release) => (compareReleases(release, oldest) > 0 ? release : oldest), '1.5.0');
}

function runtimeVersion(subgraphs: readonly Subgraph[]): Uint8Array {
  const data = new Uint8Array(RUNTIME_VERSION_BYTES);
  data.set(new TextEncoder().encode(oldestRuntime(subgraphs.flatMap(graph => graph.operators))));
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

/** One code for each operator in each version, in the order of their first use. */
function collectCodes() {
  const codes = new Map<string, { index: number; table: TableData<'OperatorCode'> }>();
  return {
    add(operator: TfliteOperator): number {
      const code = operator.op === 'OTHER' ? operator.code : operators[operator.op].code;
      const custom_code = operator.op === 'OTHER' ? operator.customCode : undefined;
      const { version } = operator;
      const key = JSON.stringify([code, version, custom_code]);
      const table = {
        deprecated_builtin_code: Math.min(code, CODE_PLACEHOLDER),
        custom_code,
        version,
        builtin_code: code,
      };
      const entry = codes.get(key) ?? { index: codes.size, table };
      codes.set(key, entry);
      return entry.index;
    },
    tables: () => [...codes.values()].map(entry => entry.table),
  };
}

function operatorTable(operator: TfliteOperator, opcode_index: number): TableData<'Operator'> {
  const { inputs, outputs, intermediates, mutatingInputs: mutating_variable_inputs } = operator;
  const place = { opcode_index, inputs, outputs, intermediates, mutating_variable_inputs };
  if (operator.op !== 'OTHER') {
    const { optionsType: type, options: table } = operators[operator.op];
    return { ...place, builtin_options: type === 0 ? undefined : { type, table, value: operator.options } };
  }
  const { name, options: builtin_options, options2: builtin_options_2, customOptions: custom_options } = operator;
  if (name === undefined || builtin_options?.table === null || builtin_options_2?.table === null) {
    throw unwritable(`Operator ${nameOf(operator)} has no table to write it with.`);
  }
  return { ...place, builtin_options, builtin_options_2, custom_options };
}

function signatureTable({ key, inputs, outputs, subgraph = 0 }: Signature): TableData<'SignatureDef'> {
  const toMaps = (list: readonly SignatureEntry[]) => list.map(({ name, tensor }) => ({ name, tensor_index: tensor }));
  return { inputs: toMaps(inputs), outputs: toMaps(outputs), signature_key: key, subgraph_index: subgraph };
}

const nameOf = (operator: TfliteOperator): string =>
  operator.op === 'OTHER' ? (operator.customCode ?? operator.name ?? String(operator.code)) : operator.op;
