// What a model costs: its parameters, the bytes of its constants, and the multiply-adds of one run.
import { sizeOf } from '../tensor/tensor.ts';
import { type Subgraph, subgraphsOf, type TfliteModel, type TfliteOperator, type TfliteTensor } from './model.ts';
import { type TensorTypeName, tensorTypes } from './schema.ts';

/** What a model costs. */
export interface Costs {
  /** Stored numbers: weights, biases and other constants that are calculated with, not shapes and axes. */
  readonly parameters: number;
  /** Bytes of all constants, by element type. What two tensors share counts once. */
  readonly constantBytes: Readonly<Partial<Record<TensorTypeName, number>>>;
  /**
   * Multiply-adds of one run of all subgraphs: convolutions, dense layers and matrix products; bodies of loops count once,
   * dimensions that may change count as the 1 that the file gives them.
   */
  readonly multiplyAdds: number;
}

/** Counts what a model costs. */
export function countCosts(model: TfliteModel): Costs {
  const graphs = subgraphsOf(model);
  const seen = new Map<ArrayBufferLike, Set<string>>();
  const constantBytes: Partial<Record<TensorTypeName, number>> = {};
  let parameters = 0;
  for (const tensor of graphs.flatMap(graph => graph.tensors)) {
    const { data, type } = tensor;
    if (!data) continue;
    const places = seen.get(data.buffer) ?? new Set();
    const place = `${data.byteOffset} ${data.length}`;
    if (places.has(place)) continue;
    seen.set(data.buffer, places.add(place));
    constantBytes[type] = (constantBytes[type] ?? 0) + data.length;
    if (isParameter(tensor)) parameters += storedElements(tensor, data);
  }
  const multiplyAdds = graphs.reduce(
    (sum, graph) => sum + graph.operators.reduce((part, operator) => part + multiplyAddsOf(operator, graph), 0),
    0,
  );
  return { parameters, constantBytes, multiplyAdds };
}

/** Name of an operator: that of the built-in one, of the custom one, or its number. */
export function operatorName(operator: TfliteOperator): string {
  if (operator.op !== 'OTHER') return operator.op;
  return operator.customCode || (operator.name ?? `operator ${operator.code}`);
}

/** Types of numbers that are calculated with; of the others, whole numbers without a scale are shapes and axes. */
const floats: ReadonlySet<TensorTypeName> = new Set([
  'FLOAT32',
  'FLOAT16',
  'BFLOAT16',
  'FLOAT64',
  'FLOAT8_E4M3FN',
  'FLOAT8_E5M2',
]);

function isParameter({ type, quantization, quantizationDetails }: TfliteTensor): boolean {
  return floats.has(type) || quantization !== undefined || quantizationDetails !== undefined;
}

/** Elements per byte of the types that are narrower than one. */
const packed: Partial<Record<TensorTypeName, number>> = { INT4: 2, UINT4: 2, INT2: 4 };

function storedElements({ type, shape, sparsity }: TfliteTensor, data: Uint8Array): number {
  if (!sparsity) return sizeOf(shape);
  const width = tensorTypes[type][1];
  return width > 0 ? data.length / width : data.length * (packed[type] ?? 1);
}

/** Multiply-adds per operator; each gets the shapes of its inputs and of its first output. */
const counters: Readonly<
  Record<string, (inputs: readonly Shape[], output: Shape, operator: TfliteOperator) => number>
> = {
  // Weights are [out, kernel height, kernel width, in of the group].
  CONV_2D: ([, weights], output) => sizeOf(output) * sizeOf(weights!.slice(1)),
  // Weights are [1, kernel height, kernel width, out].
  DEPTHWISE_CONV_2D: ([, weights], output) => sizeOf(output) * sizeOf(weights!.slice(1, 3)),
  // Weights are [out, in].
  FULLY_CONNECTED: ([, weights], output) => sizeOf(output) * weights!.at(-1)!,
  // Inputs are the output's shape, weights [out, kernel height, kernel width, in], x: every element of x meets every kernel.
  TRANSPOSE_CONV: ([, weights, x]) => sizeOf(x!) * sizeOf(weights!.slice(0, 3)),
  // Weights are [depth, height, width, in, out].
  CONV_3D: ([, weights], output) => sizeOf(output) * sizeOf(weights!.slice(0, 4)),
  BATCH_MATMUL: ([x], output, operator) => {
    const options = operator.op === 'OTHER' ? operator.options?.value : operator.options;
    return sizeOf(output) * x!.at((options as { adj_x?: boolean } | undefined)?.adj_x ? -2 : -1)!;
  },
};

/** Inputs that a counter reads, and their least ranks. */
const wantedRanks: Readonly<Record<string, readonly number[]>> = {
  CONV_2D: [4, 4],
  DEPTHWISE_CONV_2D: [4, 4],
  FULLY_CONNECTED: [1, 2],
  TRANSPOSE_CONV: [1, 4, 4],
  CONV_3D: [5, 5],
  BATCH_MATMUL: [2, 2],
};

type Shape = readonly number[];

/** Multiply-adds of one operator; 0 for those that only move, compare or add numbers, and for impossible ones. */
export function multiplyAddsOf(operator: TfliteOperator, graph: Subgraph): number {
  const name = operatorName(operator);
  const counter = Object.hasOwn(counters, name) ? counters[name] : undefined;
  if (!counter) return 0;
  const inputs = operator.inputs.map(index => graph.tensors[index]?.shape ?? []);
  const output = graph.tensors[operator.outputs[0] ?? -1]?.shape;
  if (!output || wantedRanks[name]!.some((rank, i) => (inputs[i]?.length ?? 0) < rank)) return 0;
  return counter(inputs, output, operator);
}
