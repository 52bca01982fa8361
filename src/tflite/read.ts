// Reads a .tflite file, graft's own or another program's, into a TfliteModel; nothing in the file is trusted.
import { sizeOf } from '../tensor/tensor.ts';
import type { KnownOperator, Quantization, TfliteModel, TfliteOperator, TfliteTensor } from './model.ts';
import { badModel, readRoot } from './read-flatbuffer.ts';
import {
  FILE_IDENTIFIER,
  operatorByCode,
  operators,
  SCHEMA_VERSION,
  type TableData,
  type TableName,
  tables,
  tensorTypeByNumber,
  tensorTypes,
} from './schema.ts';

/** Most dimensions of a tensor, as in the runtime; and the largest file, since offsets are 32 bits. */
const MAX_RANK = 8;
const MAX_FILE_BYTES = 2 ** 31;

/** Most elements of a tensor. */
const MAX_ELEMENTS = 2 ** 31;

/**
 * The model in the bytes of a .tflite file. Constants are views of `bytes`. Options that the schema table lacks are left
 * out; operators that it lacks come back as `OTHER`.
 * @throws GraftError `bad-model` when the file is damaged or has more than one subgraph.
 */
export function readTflite(bytes: Uint8Array): TfliteModel {
  if (bytes.length > MAX_FILE_BYTES) throw badModel(`it has ${bytes.length} bytes, more than ${MAX_FILE_BYTES}`);
  const identifier = new TextDecoder('latin1').decode(bytes.subarray(4, 8));
  if (identifier !== FILE_IDENTIFIER) {
    throw badModel(`bytes 4 to 8 are ${JSON.stringify(identifier)}, not ${JSON.stringify(FILE_IDENTIFIER)}`);
  }
  const root = readRoot(bytes, 'Model');
  if (root.version !== SCHEMA_VERSION) throw badModel(`its schema version is ${root.version}, not ${SCHEMA_VERSION}`);
  const subgraphs = root.subgraphs ?? [];
  if (subgraphs.length !== 1) throw badModel(`it has ${subgraphs.length} subgraphs, and graft reads models with one`);
  const graph = subgraphs[0]!;
  const buffers = root.buffers ?? [];
  const tensors = (graph.tensors ?? []).map((tensor, index) => readTensor(tensor, index, buffers));
  const known = (list: readonly number[] | undefined, what: string, absent = false) =>
    (list ?? []).map(index => {
      if (index >= (absent ? -1 : 0) && index < tensors.length) return index;
      throw badModel(`${what} names tensor ${index} of ${tensors.length}`);
    });
  const codes = root.operator_codes ?? [];
  const readEntries = (list: TableData<'SignatureDef'>['inputs'], what: string) =>
    (list ?? []).map(entry => ({ name: entry.name ?? '', tensor: known([entry.tensor_index], what)[0]! }));
  const signature = root.signature_defs?.[0];
  return {
    description: root.description ?? '',
    tensors,
    operators: (graph.operators ?? []).map((operator, i) => {
      const code = codes[operator.opcode_index];
      if (!code) throw badModel(`operator ${i} names code ${operator.opcode_index} of ${codes.length}`);
      const inputs = known(operator.inputs, `operator ${i}`, true);
      return readOperator(operator, code, inputs, known(operator.outputs, `operator ${i}`));
    }),
    inputs: known(graph.inputs, 'the list of inputs'),
    outputs: known(graph.outputs, 'the list of outputs'),
    ...(signature && {
      signature: {
        key: signature.signature_key ?? '',
        inputs: readEntries(signature.inputs, 'the signature'),
        outputs: readEntries(signature.outputs, 'the signature'),
      },
    }),
    metadata: (root.metadata ?? []).map(entry => ({
      name: entry.name ?? '',
      data: bufferAt(buffers, entry.buffer, `metadata ${entry.name}`).data ?? new Uint8Array(0),
    })),
  };
}

type BufferTable = TableData<'Buffer'>;

function bufferAt(buffers: readonly BufferTable[], index: number, what: string): BufferTable {
  const buffer = buffers[index];
  if (!buffer) throw badModel(`${what} names buffer ${index} of ${buffers.length}`);
  if (buffer.offset > 1) throw badModel(`${what} keeps its data outside of the flatbuffer, which graft does not read`);
  return buffer;
}

function readTensor(table: TableData<'Tensor'>, index: number, buffers: readonly BufferTable[]): TfliteTensor {
  const name = table.name ?? '';
  const what = `tensor ${index} (${name})`;
  const type = tensorTypeByNumber(table.type);
  if (!type) throw badModel(`${what} has element type ${table.type}, which graft does not know`);
  const shape = table.shape ?? [];
  if (shape.length > MAX_RANK || shape.some(dim => dim < 0) || sizeOf(shape) > MAX_ELEMENTS) {
    throw badModel(`${what} has the impossible shape [${shape.slice(0, MAX_RANK + 1).join(', ')}]`);
  }
  const { data } = bufferAt(buffers, table.buffer, what);
  const width = tensorTypes[type][1];
  if (data && data.length > 0 && width > 0 && data.length !== sizeOf(shape) * width) {
    throw badModel(`${what} of shape [${shape.join(', ')}] has ${data.length} bytes of ${type} data`);
  }
  const quantization = table.quantization && readQuantization(table.quantization, shape, what);
  return { name, type, shape, ...(data?.length && { data }), ...(quantization && { quantization }) };
}

function readQuantization(
  table: TableData<'QuantizationParameters'>,
  shape: readonly number[],
  what: string,
): Quantization | undefined {
  const { scale = [], zero_point: zeroPoint = [], quantized_dimension: axis } = table;
  if (scale.length === 0) return undefined;
  const perSlice = scale.length > 1;
  if (scale.length !== zeroPoint.length || (perSlice && scale.length !== shape[axis])) {
    throw badModel(`${what} has ${scale.length} scales and ${zeroPoint.length} zero points for [${shape.join(', ')}]`);
  }
  return { scale, zeroPoint, axis };
}

function readOperator(
  table: TableData<'Operator'>,
  codeTable: TableData<'OperatorCode'>,
  inputs: readonly number[],
  outputs: readonly number[],
): TfliteOperator {
  // Old files have only the byte, new ones both; codes from 127 up are in the int32 alone.
  const code = Math.max(codeTable.deprecated_builtin_code, codeTable.builtin_code);
  const { version, custom_code: customCode } = codeTable;
  const op = operatorByCode(code);
  if (!op) return { op: 'OTHER', code, version, inputs, outputs, ...(customCode !== undefined && { customCode }) };
  const spec = operators[op];
  const options = table.builtin_options;
  const found = options && options.type === spec.optionsType ? options.value : absentOptions(spec.options);
  return { op, version, inputs, outputs, options: found } as KnownOperator;
}

/** An operator without options has the defaults of all its fields. */
function absentOptions(name: TableName): object {
  const defaults = Object.entries(tables[name]).map(([field, spec]) => [field, spec[2]] as const);
  return Object.fromEntries(defaults.filter(([, absent]) => absent !== undefined));
}
