// Runs the test models of the ONNX project through the import: each is converted, runs in ONNX Runtime and gives the numbers
// that the project expects, or is refused with a reason. Anything else is a defect. Every model is run three times: with its
// inputs as inputs; with its inputs as constants, which the import then has to compute; and with the first one as input.
//
//   apt-get install libonnx-testdata
//   node --import tsx scripts/onnx-corpus.ts /usr/share/libonnx-testdata/data [--all]
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fromBinary, toBinary } from '@bufbuild/protobuf';
import { GraftError } from '../src/base/errors.ts';
import { openSession } from '../src/engine/session.ts';
import { finishGraph } from '../src/onnx/convert.ts';
import { convertNodes } from '../src/onnx/convert-graph.ts';
import type { Value } from '../src/onnx/convert-node.ts';
import { startDraft } from '../src/onnx/draft.ts';
import { externalFiles } from '../src/onnx/external-data.ts';
import { ModelProtoSchema, TensorProtoSchema } from '../src/onnx/generated/onnx_pb.ts';
import type { Literal, OnnxModel, OnnxTensor } from '../src/onnx/model.ts';
import { readOnnxModel } from '../src/onnx/read-model.ts';
import { readTensor, widened } from '../src/onnx/read-tensor.ts';
import { writeOnnx } from '../src/onnx/write.ts';
import { float32, type Tensor } from '../src/tensor/tensor.ts';

const [folder, ...flags] = process.argv.slice(2);
if (!folder) throw new Error('Usage: onnx-corpus.ts FOLDER [--all]');

/** Relative to 1 or to the expected number; half precision is rounded to 11 bits. */
const TOLERANCE = 1e-4;
const HALF_TOLERANCE = 4e-3;

/** Which inputs of a model stay inputs. */
const kinds = ['inputs', 'constants', 'weights'] as const;
type Kind = (typeof kinds)[number];
const isInput = (kind: Kind, i: number) => kind === 'inputs' || (kind === 'weights' && i === 0);

/** Opset 6, in which much of the corpus is, differs in what broadcasts: a model whose nodes do not say is read as 7. */
const READ_AS = 7n;

const models = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  .filter(file => basename(file) === 'model.onnx')
  .map(file => join(folder, file, '..'))
  .sort();
const counts = { equal: 0, refused: 0, defect: 0 };
const reasons = new Map<string, number>();
for (const model of models) {
  for (const kind of kinds) {
    const told = await tryModel(model, kind);
    const outcome = told === '' ? 'equal' : told.startsWith('refused') ? 'refused' : 'defect';
    counts[outcome]++;
    const line = `${basename(model)} (${kind}): ${told}`;
    if (outcome === 'defect') console.log(line);
    else if (flags.includes('--all') && told !== '') console.log(line);
    // Reasons are counted without the names and numbers in them.
    const reason = told.replace(/"[^"]*"|\[[^\]]*\]|\d+/g, '...');
    if (outcome === 'refused') reasons.set(reason, (reasons.get(reason) ?? 0) + 1);
  }
}
for (const [reason, count] of [...reasons].sort(([, a], [, b]) => b - a)) console.log(`${count} x ${reason}`);
console.log(
  `${models.length} models, each three times: ${counts.equal} equal, ${counts.refused} refused, ${counts.defect} DEFECTS`,
);
process.exitCode = counts.defect > 0 ? 1 : 0;

/** '' when the model gives what is expected, or why it was refused, or what is wrong with it. */
async function tryModel(path: string, kind: Kind): Promise<string> {
  const bytes = raiseOpset(readFileSync(join(path, 'model.onnx')));
  let model: OnnxModel;
  try {
    model = readOnnxModel(bytes);
  } catch (error) {
    return tell(error);
  }
  const sets = readdirSync(path).filter(name => name.startsWith('test_data_set_'));
  if (sets.length === 0) return 'refused: it has no data';
  for (const set of sets) {
    const told = await tryData(bytes, model, join(path, set), kind);
    if (told !== '') return told;
  }
  return '';
}

/** The file with opset 6 called 7, where no node has an attribute of which that changes the meaning. */
function raiseOpset(bytes: Uint8Array): Uint8Array {
  const model = fromBinary(ModelProtoSchema, bytes);
  const [opset] = model.opsetImport;
  const old = ['broadcast', 'is_test', 'axis'];
  const plain = ['Concat', 'Softmax', 'LogSoftmax', 'Flatten', 'Split', 'Gather'];
  const isOld = model.graph?.node.some(
    node => !plain.includes(node.opType) && node.attribute.some(({ name }) => old.includes(name)),
  );
  if (!opset || model.opsetImport.length > 1 || opset.version !== READ_AS - 1n || isOld) return bytes;
  opset.version = READ_AS;
  return toBinary(ModelProtoSchema, model);
}

function tell(error: unknown): string {
  return error instanceof GraftError
    ? `refused (${error.code}): ${error.message}`
    : `DEFECT: ${(error as Error).stack}`;
}

function readData(file: string): OnnxTensor {
  return readTensor(fromBinary(TensorProtoSchema, readFileSync(file)), externalFiles(undefined));
}

async function tryData(bytes: Uint8Array, model: OnnxModel, data: string, kind: Kind): Promise<string> {
  const draft = startDraft();
  const values = new Map<string, Value>();
  const feeds: Record<string, Tensor> = {};
  const all: Record<string, Tensor> = {};
  const infos = [];
  try {
    for (const [i, { name, dtype: type }] of model.inputs.entries()) {
      const file = join(data, `input_${i}.pb`);
      if (!existsSync(file)) return 'refused: it has no data for an input that may be left out';
      if (type === undefined) return 'refused: it has an input that is no tensor';
      const tensor = readData(file);
      if (tensor.dtype !== type) return `refused: data of ${tensor.dtype} for an input of ${type}`;
      const literal = tensor.read();
      const feed = toTensor(literal);
      if (feed) all[name] = feed;
      if (!isInput(kind, i)) values.set(name, { kind: 'constant', name, read: () => literal });
      else {
        if (!feed || literal.data.length === 0) return `refused: inputs of ${tensor.dtype} of shape [${tensor.shape}]`;
        draft.reserve(name);
        draft.input(name, [literal.shape, literal.shape]);
        values.set(name, { kind: 'computed', name, dtype: feed.dtype });
        infos.push({ name, dtype: feed.dtype, shape: literal.shape });
        feeds[name] = feed;
      }
    }
    const names = model.outputs.map(({ name }) => name);
    const made = convertNodes(model, draft, values, names);
    const wanted = names.map((_, i) => readData(join(data, `output_${i}.pb`)));
    const other = wanted.findIndex(({ dtype }, i) => dtype !== model.outputs[i]!.dtype);
    if (other >= 0) return `refused: data of ${wanted[other]!.dtype} for an output of ${model.outputs[other]!.dtype}`;
    if (made.every(value => value.kind === 'constant')) {
      return made.map((value, i) => (value.kind === 'constant' ? compare(value.read(0), wanted[i]!) : '')).join('');
    }
    if (kind === 'constants') return 'refused: it is not computed on import';
    if (kind === 'weights' && model.inputs.length === 1) return 'refused: it has no other input than the first';
    const graph = finishGraph(
      draft,
      infos,
      names.map((name, i) => ({ name, value: made[i]! })),
      {},
    );
    const found = await runModel(writeOnnx(graph), names, feeds);
    const told = names.map((_, i) => compare(found[i]!, wanted[i]!)).join('');
    if (told === '') return told;
    // Some expectations are not those of ONNX Runtime, which is then asked itself.
    const original = await runModel(bytes, names, all);
    return names.map((_, i) => compare(found[i]!, { ...wanted[i]!, read: () => original[i]! })).join('');
  } catch (error) {
    // What ONNX Runtime says of a graph that was made is no refusal.
    if (error instanceof GraftError && error.message.startsWith('ONNX Runtime')) return `DEFECT: ${error.message}`;
    return tell(error);
  }
}

/** What ONNX Runtime makes of a file. */
async function runModel(
  bytes: Uint8Array,
  names: readonly string[],
  feeds: Record<string, Tensor>,
): Promise<Literal[]> {
  const session = await openSession(bytes, { threads: 1 });
  const found = await session.run(Object.fromEntries(session.inputNames.map(name => [name, feeds[name]!])));
  await session.close();
  return names.map(name => {
    const { dtype, shape, data } = found[name]!;
    const array = dtype === 'float32' ? (data as Float32Array) : Float64Array.from(data as Int32Array, Number);
    return { dtype, shape, data: array };
  });
}

/** '' where the numbers are those that are expected. */
function compare(found: Literal, tensor: OnnxTensor): string {
  const wanted = tensor.read();
  const isFloat = tensor.dtype.includes('float');
  if (widened(tensor.dtype) !== found.dtype && !(isFloat && found.dtype.includes('float'))) {
    return `DEFECT: ${found.dtype} instead of ${tensor.dtype}. `;
  }
  if (found.shape.join() !== wanted.shape.join()) return `DEFECT: [${found.shape}] instead of [${wanted.shape}]. `;
  const limit = tensor.dtype.endsWith('16') ? HALF_TOLERANCE : TOLERANCE;
  const wrong = found.data.findIndex((value, i) => {
    const expected = wanted.data[i]!;
    if (Object.is(value, expected) || value === expected) return false;
    return !(Math.abs(value - expected) <= limit * Math.max(1, Math.abs(expected)));
  });
  return wrong < 0 ? '' : `DEFECT: ${found.data[wrong]} instead of ${wanted.data[wrong]} at ${wrong}. `;
}

/** What ONNX Runtime is fed; undefined for types that graphs do not have. */
function toTensor({ dtype, shape, data }: Literal): Tensor | undefined {
  if (dtype.includes('float')) return float32(shape, Float32Array.from(data));
  if (dtype === 'int64') return { dtype, shape, data: BigInt64Array.from(data, BigInt) };
  if (dtype === 'int32') return { dtype, shape, data: Int32Array.from(data) };
  if (dtype === 'uint8' || dtype === 'bool') return { dtype, shape, data: Uint8Array.from(data) };
  return undefined;
}
