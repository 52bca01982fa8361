// Reads a .tflite file, graft's own or another program's, into a TfliteModel; nothing in the file is trusted.
import { type ExternalData, MAIN_SUBGRAPH, type Signature, type Subgraph, type TfliteModel } from './model.ts';
import { badModel, readRoot } from './read-flatbuffer.ts';
import { readOperator } from './read-operator.ts';
import { readTensor, type TensorSources } from './read-tensor.ts';
import { SCHEMA_VERSION, type TableData, tfliteSchema } from './schema.ts';

/** The largest file, since offsets are 32 bits. */
const MAX_FILE_BYTES = 2 ** 31;

/**
 * The model in the bytes of a .tflite file; what follows the model, such as a zip archive, is left alone. Constants are
 * views of `bytes`. Operators that graft does not make itself come back as `OTHER`, by name when the name is known.
 * @throws GraftError `bad-model` when the file is damaged or contradicts itself.
 */
export function readTflite(bytes: Uint8Array): TfliteModel {
  if (bytes.length > MAX_FILE_BYTES) throw badModel(`it has ${bytes.length} bytes, more than ${MAX_FILE_BYTES}`);
  const root = readRoot(tfliteSchema, 'Model', bytes);
  if (root.version !== SCHEMA_VERSION) throw badModel(`its schema version is ${root.version}, not ${SCHEMA_VERSION}`);
  const sources = openSources(root, bytes);
  const codes = root.operator_codes ?? [];
  const [main, ...otherSubgraphs] = (root.subgraphs ?? []).map(table => readSubgraph(table, codes, sources));
  if (!main) throw badModel('it has no subgraph');
  const subgraphs = [main, ...otherSubgraphs];
  const [signature, ...otherSignatures] = (root.signature_defs ?? []).map(table => readSignature(table, subgraphs));
  return {
    description: root.description ?? '',
    ...main,
    ...(otherSubgraphs.length > 0 && { otherSubgraphs }),
    ...(signature && { signature }),
    ...(otherSignatures.length > 0 && { otherSignatures }),
    metadata: (root.metadata ?? []).map(({ name = '', buffer }) => ({
      name,
      data: sources.buffer(buffer, `metadata ${name}`) ?? new Uint8Array(0),
    })),
  };
}

/** Constants and options that stand behind the flatbuffer begin at an offset from the start of the file, if it is over 1. */
const FIRST_OFFSET = 2;

interface Sources extends TensorSources {
  /** Bytes of the file behind the flatbuffer. */
  slice(offset: number, size: number, what: string): Uint8Array;
}

function openSources(root: TableData<'Model'>, bytes: Uint8Array): Sources {
  const buffers = root.buffers ?? [];
  const groups = root.external_buffer_groups ?? [];
  const externals = new Map((root.external_buffers ?? []).map(table => [table.id, table] as const));
  const slice = (offset: number, size: number, what: string) => {
    if (offset + size <= bytes.length) return bytes.subarray(offset, offset + size);
    throw badModel(`${what} keeps ${size} bytes at byte ${offset}, outside of its ${bytes.length} bytes`);
  };
  return {
    slice,
    buffer(index, what) {
      const buffer = buffers[index];
      if (!buffer) throw badModel(`${what} names buffer ${index} of ${buffers.length}`);
      const { data, offset, size = 0 } = buffer;
      const found = offset < FIRST_OFFSET ? data : slice(offset, size, what);
      return found?.length ? found : undefined;
    },
    external(id, what): ExternalData {
      const found = externals.get(id);
      if (!found) throw badModel(`${what} names the external buffer ${id}, which is not there`);
      const { offset, length, packing = '' } = found;
      return { group: groups[found.group]?.name ?? '', offset, length, packing };
    },
  };
}

function readSubgraph(
  table: TableData<'SubGraph'>,
  codes: readonly TableData<'OperatorCode'>[],
  sources: Sources,
): Subgraph {
  const tensors = (table.tensors ?? []).map((tensor, index) => readTensor(tensor, index, sources));
  const known = (list: readonly number[] = [], what: string, least = 0) => {
    for (const index of list) checkTensor(index, tensors.length, what, least);
    return list;
  };
  const { name = '' } = table;
  return {
    ...(name !== MAIN_SUBGRAPH && { name }),
    tensors,
    operators: (table.operators ?? []).map((operator, i) => {
      const what = `operator ${i}`;
      const code = codes[operator.opcode_index];
      if (!code) throw badModel(`${what} names code ${operator.opcode_index} of ${codes.length}`);
      const { large_custom_options_offset: offset = 0, large_custom_options_size: size = 0 } = operator;
      return readOperator(operator, code, {
        // -1 is an optional tensor that is not there.
        inputs: known(operator.inputs, what, -1),
        outputs: known(operator.outputs, what),
        intermediates: known(operator.intermediates, what, -1),
        customOptions: offset < FIRST_OFFSET ? operator.custom_options : sources.slice(offset, size, what),
      });
    }),
    inputs: known(table.inputs, 'the list of inputs'),
    outputs: known(table.outputs, 'the list of outputs'),
  };
}

function readSignature(table: TableData<'SignatureDef'>, subgraphs: readonly Subgraph[]): Signature {
  const { signature_key: key = '', subgraph_index: subgraph } = table;
  const called = subgraphs[subgraph];
  if (!called) throw badModel(`the signature ${key} calls subgraph ${subgraph} of ${subgraphs.length}`);
  const readEntries = (list: TableData<'SignatureDef'>['inputs'] = []) =>
    list.map(({ name = '', tensor_index: tensor }) => {
      checkTensor(tensor, called.tensors.length, 'the signature', 0);
      return { name, tensor };
    });
  return {
    key,
    inputs: readEntries(table.inputs),
    outputs: readEntries(table.outputs),
    ...(subgraph > 0 && { subgraph }),
  };
}

function checkTensor(index: number, count: number, what: string, least: number): void {
  if (index < least || index >= count) throw badModel(`${what} names tensor ${index} of ${count}`);
}
