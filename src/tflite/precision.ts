// Which numbers a model calculates with, deduced from the operators that carry its weights.
import { operatorName } from './costs.ts';
import { type Subgraph, subgraphsOf, type TfliteModel, type TfliteOperator } from './model.ts';
import type { TensorTypeName } from './schema.ts';

/** The precision of a model. */
export interface Precision {
  /** float32, float16 weights, dynamic range int8, int8, ...; 'mixed' when operators differ. */
  readonly name: string;
  /** How many of the operators with weights have each precision; all operators where none has weights. */
  readonly operators: Readonly<Record<string, number>>;
}

/** Operators with weights, and which input these are. */
const weightInputs: Readonly<Record<string, number>> = {
  CONV_2D: 1,
  DEPTHWISE_CONV_2D: 1,
  FULLY_CONNECTED: 1,
  TRANSPOSE_CONV: 1,
  CONV_3D: 1,
  BATCH_MATMUL: 1,
};

/** Deduces the precision. */
export function findPrecision(model: TfliteModel): Precision {
  const counts: Record<string, number> = {};
  const add = (name: string) => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  for (const graph of subgraphsOf(model)) for (const name of weightedPrecisions(graph)) add(name);
  if (Object.keys(counts).length === 0) {
    for (const graph of subgraphsOf(model)) {
      for (const operator of graph.operators) {
        const type = graph.tensors[operator.outputs[0] ?? -1]?.type;
        if (type) add(type.toLowerCase());
      }
    }
  }
  const names = Object.keys(counts);
  return { name: names.length === 1 ? names[0]! : names.length === 0 ? 'none' : 'mixed', operators: counts };
}

function weightedPrecisions(graph: Subgraph): string[] {
  const makers = new Map<number, TfliteOperator>();
  for (const operator of graph.operators) for (const index of operator.outputs) makers.set(index, operator);
  return graph.operators.flatMap(operator => {
    const name = operatorName(operator);
    const input = Object.hasOwn(weightInputs, name) ? weightInputs[name]! : undefined;
    if (input === undefined) return [];
    // The first input is the value, but for the transposed convolution, which has it third.
    const values = graph.tensors[operator.inputs[name === 'TRANSPOSE_CONV' ? 2 : 0] ?? -1];
    const weights = graph.tensors[operator.inputs[input] ?? -1];
    if (!values || !weights) return [];
    const stored = storedType(graph, makers, operator.inputs[input]!);
    return [describe(values.type, weights.type, stored)];
  });
}

/** The type in which weights are stored: behind DENSIFY and DEQUANTIZE, which unpack them before the run. */
function storedType(graph: Subgraph, makers: ReadonlyMap<number, TfliteOperator>, index: number): TensorTypeName {
  let at = index;
  // Each of the two at most once: a file may go in circles.
  for (let steps = 0; steps < 2; steps++) {
    const maker = makers.get(at);
    if (!maker || !['DEQUANTIZE', 'DENSIFY'].includes(operatorName(maker))) break;
    const before = maker.inputs[0] ?? -1;
    if (!graph.tensors[before]) break;
    at = before;
  }
  return graph.tensors[at]!.type;
}

function describe(values: TensorTypeName, weights: TensorTypeName, stored: TensorTypeName): string {
  const [value, weight, kept] = [values, weights, stored].map(type => type.toLowerCase()) as [string, string, string];
  if (kept !== weight) return `${kept} weights`;
  if (value === weight) return value;
  return value === 'float32' ? `dynamic range ${weight}` : `${value} with ${weight} weights`;
}
