// Raises a TFLite model to a graph, the inverse of lowering: NCHW images, float32 throughout, paddings and activations as
// nodes and attributes of their own.
import { GraftError } from '../base/errors.ts';
import { graphBuilder } from '../onnx/builder.ts';
import type { Graph, ValueInfo } from '../onnx/graph.ts';
import { pruneGraph } from '../onnx/prune.ts';
import { inferShapes } from '../onnx/shapes.ts';
import { operatorName } from './costs.ts';
import type { TfliteModel, TfliteOperator } from './model.ts';
import { realConstant, wholeNumbers } from './raise-constants.ts';
import { type RaisePlan, type Step, startRaisePlan, TO_NCHW } from './raise-plan.ts';
import { dataInputs, raisings } from './raise-table.ts';
import { badModel } from './read-flatbuffer.ts';
import type { TensorTypeName } from './schema.ts';

/** Most refusals that an error message lists. */
const MAX_LISTED = 12;

/** Element types of computed values: floats, and whole numbers that stand for floats by their scale. */
const floatTypes: ReadonlySet<TensorTypeName> = new Set(['FLOAT32', 'FLOAT16']);
const quantisedTypes: ReadonlySet<TensorTypeName> = new Set(['INT8', 'UINT8', 'INT16']);

/**
 * The graph that computes what the model's main subgraph computes, in float32, for any number of photos.
 * Inputs keep the file's shape but for the batch, which becomes 'N': an image is [N, H, W, C] with a Transpose to NCHW behind
 * it. Values and constants have the names of their tensors; outputs with four axes are NCHW. Quantised files become float
 * networks: constants are the real numbers that are stored, QUANTIZE and DEQUANTIZE vanish. Where an operator applies no
 * activation and the range of its quantised output begins at 0, the range is the activation that the converter took away
 * (ReLU, ReLU6), and stays as a Clip to that range.
 * @throws GraftError `unsupported-op` that lists every operator which has no place in the graph.
 */
export function raiseTflite(model: TfliteModel): Graph {
  const graph = graphBuilder(model.description || 'model');
  const needed = neededOperators(model);
  const makers = new Map(needed.flatMap(operator => operator.outputs.map(index => [index, operator] as const)));
  const problems: string[] = [];

  /** A constant, behind DEQUANTIZE, by which weights of float16 or int8 become float32. */
  const sourceOf = (index: number): number => {
    const maker = makers.get(index);
    const from = maker && operatorName(maker) === 'DEQUANTIZE' ? maker.inputs[0]! : -1;
    return from >= 0 && model.tensors[from]!.data ? from : index;
  };
  const plan = startRaisePlan(graph, model.tensors, {
    constant: (index, scale) =>
      index === undefined || index < 0 ? undefined : realConstant(model.tensors[sourceOf(index)]!, scale),
    integers: index => (index === undefined || index < 0 ? undefined : wholeNumbers(model.tensors[index]!)),
  });
  const refused = new Set<number>();
  for (const index of model.inputs) {
    const problem = addInput(index, plan, graph);
    if (problem) {
      problems.push(`input ${plan.name(index)}: ${problem}`);
      refused.add(index);
    }
  }
  for (const operator of needed) {
    const name = operatorName(operator);
    const isConstant = operator.outputs.length === 1 && sourceOf(operator.outputs[0]!) !== operator.outputs[0];
    if (isConstant) continue;
    const data = dataInputs[name]?.map(i => operator.inputs[i]!) ?? operator.inputs;
    // What stands behind a refused operator is passed over in silence.
    const problem = data.some(index => refused.has(index)) ? null : raiseOperator(operator, name, plan, makers);
    if (problem === undefined) continue;
    for (const output of operator.outputs) refused.add(output);
    if (problem) problems.push(`${name} ${plan.name(operator.outputs[0] ?? -1) ?? ''}: ${problem}`);
  }
  const outputs = model.outputs.flatMap(index => (refused.has(index) ? [] : [addOutput(index, plan)]));
  if (problems.length > 0) throw refusal(problems);
  const raised = graph.build(outputs);
  checkShapes(raised, model, plan);
  return pruneGraph(raised);
}

/** The shapes that the file gives its tensors have to be those that its operators make. */
function checkShapes(graph: Graph, model: TfliteModel, plan: RaisePlan): void {
  try {
    const shapes = inferShapes(graph, { N: 1 });
    for (const [index, { name, shape }] of model.tensors.entries()) {
      const value = plan.value(index);
      if (value === undefined) continue;
      const wanted = shape.length === 4 ? TO_NCHW.map(axis => shape[axis]!) : shape;
      const found = shapes.get(value)!;
      if (found.join() !== wanted.join()) throw new RangeError(`${name} is [${wanted}], and [${found}] is made.`);
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw badModel(`its operators and its shapes contradict each other: ${error.message}`);
  }
}

/** Operators whose third input, a bias, may be absent. */
const withBias: ReadonlySet<string> = new Set(['CONV_2D', 'DEPTHWISE_CONV_2D', 'FULLY_CONNECTED']);
const BIAS = 2;

/** Appends the nodes of an operator. A problem is why it cannot be done. */
function raiseOperator(
  operator: TfliteOperator,
  name: string,
  plan: RaisePlan,
  makers: ReadonlyMap<number, TfliteOperator>,
): string | undefined {
  const row = Object.hasOwn(raisings, name) ? raisings[name]! : undefined;
  if (!row) return 'graft has no op for it';
  const isAbsent = (index: number, i: number) => index < 0 && !(i === BIAS && withBias.has(name));
  if (operator.inputs.length === 0 || operator.inputs.some(isAbsent)) return 'one of its inputs is absent';
  for (const index of operator.outputs) {
    if (plan.tensor(index).data) return `it writes over the constant ${plan.name(index)}`;
    if (plan.value(index) !== undefined) return `it makes ${plan.name(index)} a second time`;
    const { type, quantization } = plan.tensor(index);
    const isReal = floatTypes.has(type) || (quantisedTypes.has(type) && quantization !== undefined);
    if (!isReal) return `it makes ${type} without a scale`;
    const shape = plan.shape(index);
    if (shape.length < 2 && shape[0] !== 1) return `its output [${shape.join(', ')}] has lost the axis of the photos`;
  }
  const unmade = operator.inputs.find(
    index => index >= 0 && plan.value(index) === undefined && !plan.tensor(index).data && !makers.has(index),
  );
  if (unmade !== undefined) return `nothing makes its input ${plan.name(unmade)}`;
  return row(stepOf(operator, name), plan);
}

function stepOf(operator: TfliteOperator, op: string): Step {
  const options = operator.op === 'OTHER' ? (operator.options ?? operator.options2)?.value : operator.options;
  const { inputs, outputs } = operator;
  return { op, inputs, outputs, options: (options ?? {}) as Step['options'] };
}

/** The operators that the outputs need, in the file's order. What only tells a shape is not needed: outputs have theirs. */
function neededOperators(model: TfliteModel): TfliteOperator[] {
  const needed = new Set(model.outputs);
  const kept: TfliteOperator[] = [];
  for (const operator of model.operators.toReversed()) {
    if (!operator.outputs.some(index => needed.has(index))) continue;
    const data = dataInputs[operatorName(operator)]?.map(i => operator.inputs[i] ?? -1) ?? operator.inputs;
    for (const index of data) needed.add(index);
    kept.push(operator);
  }
  return kept.reverse();
}

/** Declares an input. A problem is what is wrong with it. */
function addInput(index: number, plan: RaisePlan, graph: ReturnType<typeof graphBuilder>): string | undefined {
  const { type, shape, shapeSignature, quantization, data } = plan.tensor(index);
  if (data || plan.value(index) !== undefined) return 'it is a constant, or listed twice';
  const isReal = floatTypes.has(type) || (quantisedTypes.has(type) && quantization);
  if (!isReal) return `it is ${type} without a scale, and numbers are wanted`;
  if (shape[0] !== 1) return `its shape is [${shape.join(', ')}], and a batch of 1 is wanted`;
  if (shapeSignature?.slice(1).some(dim => dim < 0)) {
    return `its shape [${shapeSignature.join(', ')}] is not fixed; convert it with a fixed input size`;
  }
  const name = plan.name(index);
  graph.input({ name, dtype: 'float32', shape: ['N', ...shape.slice(1)] });
  if (shape.length === 4) {
    const image = plan.node('Transpose', plan.fresh(`${name}.nchw`), [name], { perm: TO_NCHW });
    plan.inFileOrder.set(image, name);
    plan.set(index, image);
  } else plan.set(index, name);
  return undefined;
}

/** Declares an output under the name of its tensor. */
function addOutput(index: number, plan: RaisePlan): ValueInfo {
  const [name, value] = [plan.name(index), plan.value(index)];
  if (value === undefined) throw refusal([`output ${name}: no operator makes it`]);
  if (plan.shape(index)[0] !== 1) throw refusal([`output ${name}: [${plan.shape(index).join(', ')}] is no batch of 1`]);
  if (value !== name) plan.node('Identity', name, [value], {});
  const shape = plan.shape(index).slice(1);
  return { name, dtype: 'float32', shape: ['N', ...(shape.length === 3 ? [shape[2]!, shape[0]!, shape[1]!] : shape)] };
}

function refusal(problems: readonly string[]): GraftError {
  const listed = problems.slice(0, MAX_LISTED).map(problem => `\n  ${problem}`);
  const more = problems.length > MAX_LISTED ? `\n  and ${problems.length - MAX_LISTED} more` : '';
  return new GraftError(
    'unsupported-op',
    `This .tflite file cannot become a network that graft trains:${listed.join('')}${more}`,
    'Use a file of an image classifier made of convolutions, dense layers and pools, or one exported before its last steps.',
  );
}
