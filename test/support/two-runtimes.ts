// Judges lowerings by two runtimes: LiteRT must say what ONNX Runtime says of the same graph.
import assert from 'node:assert/strict';
import { makeRng, type Rng } from '../../src/base/rng.ts';
import { loadLiteRt } from '../../src/engine/litert.ts';
import { openSession } from '../../src/engine/session.ts';
import { type GraphBuilder, graphBuilder } from '../../src/onnx/builder.ts';
import type { Graph } from '../../src/onnx/graph.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, sizeOf, type Tensor, transpose } from '../../src/tensor/tensor.ts';
import { lowerToTflite } from '../../src/tflite/lower.ts';
import type { KnownOperator, TfliteModel } from '../../src/tflite/model.ts';
import { readTflite } from '../../src/tflite/read.ts';
import { writeTflite } from '../../src/tflite/write.ts';

const TOLERANCE = 1e-5;

/** Normal numbers. */
export function noise(rng: Rng, shape: readonly number[], scale = 1): Tensor<'float32'> {
  return float32(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => scale * rng.normal()),
  );
}

/** A graph with an NHWC image as input; `body` gets it as NCHW, and names the outputs with their graph shapes. */
export function imageGraph(
  [height, width, channels]: readonly [number, number, number],
  body: (graph: GraphBuilder, image: string, rng: Rng) => Record<string, readonly (number | string)[]>,
): Graph {
  const graph = graphBuilder('test');
  const image = graph.input({ name: 'image', dtype: 'float32', shape: ['N', height, width, channels] });
  const nchw = graph.node('Transpose', 'nchw', [image], { perm: [0, 3, 1, 2] });
  const outputs = body(graph, nchw, makeRng(1, 'graph'));
  return graph.build(
    Object.entries(outputs).map(([name, shape]) => ({ name, dtype: 'float32', shape: ['N', ...shape] })),
  );
}

/** What a lowering makes: no operators that graft does not know. */
export type LoweredModel = Omit<TfliteModel, 'operators'> & {
  readonly operators: KnownOperator[];
  /** Whether XNNPACK takes all of it. */
  readonly isAccelerated: boolean;
};

/** Runs the graph in both runtimes on noise, compares every output, and returns the lowered model. */
export async function agree(graph: Graph, tolerance = TOLERANCE): Promise<LoweredModel> {
  const model = lowerToTflite(graph);
  const file = writeTflite(model);
  assert.deepEqual(operatorsOf(readTflite(file)), operatorsOf(model));
  const session = await openSession(writeOnnx(graph), { threads: 1 });
  const litert = await loadLiteRt(file);
  const rng = makeRng(2, 'input');
  const inputs = graph.inputs.map(({ shape }) => noise(rng, [1, ...(shape.slice(1) as number[])]));
  const wanted = await session.run(Object.fromEntries(graph.inputs.map(({ name }, i) => [name, inputs[i]!])));
  const found = await litert.run(inputs.map(input => input.data));
  graph.outputs.forEach(({ name }, i) => {
    const expected = wanted[name] as Tensor<'float32'>;
    // An output with four dimensions is NHWC in the file.
    const { shape, data } = expected.shape.length === 4 ? transpose(expected, [0, 2, 3, 1]) : expected;
    assert.equal(litert.outputs[i]!.name, name);
    assert.deepEqual(litert.outputs[i]!.shape, [...shape]);
    const worst = data.reduce((most, value, j) => Math.max(most, Math.abs(value - found[i]![j]!)), 0);
    assert.ok(worst <= tolerance, `${name} differs by ${worst}`);
    const spread = data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    assert.ok(spread > 0.01, `${name} is all zero, which proves nothing`);
  });
  const { isAccelerated } = litert;
  litert.close();
  await session.close();
  return { ...model, isAccelerated } as LoweredModel;
}

const operatorsOf = (model: Pick<TfliteModel, 'operators'>) => model.operators;
/** The operators' names, in order. */
export const opsOf = (model: Pick<TfliteModel, 'operators'>) => model.operators.map(operator => operator.op);
