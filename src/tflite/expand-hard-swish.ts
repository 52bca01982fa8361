// Hard-swish as two operators that have an 8-bit form everywhere: 6 hardSwish(x) = x * relu6(x + 3). The factor 1/6 goes
// into the weights that read the product. XNNPACK runs ADD and MUL in int8, and HARD_SWISH in float32 only.
import type { ChannelRanges } from './channel-ranges.ts';
import { floatsOf, type ModelDraft, startDraft } from './draft.ts';
import { keepsChannels, takesChannelFactors } from './linearity.ts';
import type { KnownOperator, TfliteModel } from './model.ts';
import { Activation } from './schema.ts';
import { weightChannels } from './weight-channels.ts';

/** A model and the ranges of its values, by name. */
export interface RangedModel {
  readonly model: TfliteModel;
  readonly ranges: ReadonlyMap<string, ChannelRanges>;
}

/** Below this, hard-swish is zero: its input may be cut off there. */
const HARD_SWISH_FLOOR = -3;

/**
 * The same function with every HARD_SWISH expanded. Where what reads it is not linear down to the next weights (a
 * residual addition, an output of the model), one more MUL divides by 6.
 * @param ranges as calibration found them on `model`.
 */
export function expandHardSwish(model: TfliteModel, ranges: ReadonlyMap<string, ChannelRanges>): RangedModel {
  const expanded = new Map(ranges);
  const change = (from: string, to: string, each: (value: number, c: number) => number) => {
    const range = ranges.get(from);
    if (!range) return;
    const [min, max, mean] = [range.min.map(each), range.max.map(each), range.mean.map(each)];
    expanded.set(to, { min, max, mean });
  };
  const draft = startDraft(model);
  /** Value of the graph = factor * what the tensor holds, one factor per channel. */
  const factors = new Map<number, Float64Array>();
  for (const operator of model.operators) {
    if (operator.op === 'OTHER') throw new Error('expandHardSwish wants a model that graft lowered.');
    if (operator.op !== 'HARD_SWISH') {
      draft.operators.push(absorbFactors(operator, draft, factors));
      continue;
    }
    const [input, output] = [operator.inputs[0]!, operator.outputs[0]!];
    const { name, shape } = draft.tensors[output]!;
    const gate = draft.addTensor({ name: `${name}.gate`, type: 'FLOAT32', shape });
    const three = draft.addFloats('three', [1], [3]);
    const none = { fused_activation_function: Activation.NONE };
    draft.emit('ADD', [input, three], gate, { fused_activation_function: Activation.RELU6 });
    const source = draft.tensors[input]!.name;
    change(source, `${name}.gate`, value => Math.max(0, Math.min(6, value + 3)));
    if (isOnlyReadBy(model, input, 'HARD_SWISH')) change(source, source, value => Math.max(HARD_SWISH_FLOOR, value));
    if (isAbsorbed(model, output)) {
      draft.emit('MUL', [input, gate], output, none);
      factors.set(output, new Float64Array(shape.at(-1)!).fill(1 / 6));
    } else {
      const product = draft.addTensor({ name: `${name}.times6`, type: 'FLOAT32', shape });
      change(name, `${name}.times6`, value => 6 * value);
      draft.emit('MUL', [input, gate], product, none);
      draft.emit('MUL', [product, draft.addFloats('one-sixth', [1], [1 / 6])], output, none);
    }
  }
  for (const [index, factor] of factors) {
    const { name } = model.tensors[index]!;
    change(name, name, (value, c) => value / factor[c]!);
  }
  return { model: draft.finish(), ranges: expanded };
}

/** True when every reader of the tensor, directly or through operators that hand a factor per channel on, is a weight. */
function isAbsorbed(model: TfliteModel, tensor: number): boolean {
  if (model.outputs.includes(tensor)) return false;
  const lastAxis = model.tensors[tensor]!.shape.length - 1;
  return model.operators.every(operator => {
    if (!operator.inputs.includes(tensor)) return true;
    switch (operator.op) {
      case 'CONV_2D':
      case 'DEPTHWISE_CONV_2D':
      case 'FULLY_CONNECTED':
        return takesChannelFactors(model, operator);
      case 'PAD':
      case 'AVERAGE_POOL_2D':
      case 'MAX_POOL_2D':
        return isAbsorbed(model, operator.outputs[0]!);
      case 'MEAN':
        return keepsChannels(model, operator) && isAbsorbed(model, operator.outputs[0]!);
      case 'CONCATENATION':
        return operator.options.axis === lastAxis && isAbsorbed(model, operator.outputs[0]!);
      case 'MUL':
        return (
          operator.options.fused_activation_function === Activation.NONE && isAbsorbed(model, operator.outputs[0]!)
        );
      default:
        return false;
    }
  });
}

const isOnlyReadBy = (model: TfliteModel, tensor: number, op: string): boolean =>
  !model.outputs.includes(tensor) &&
  model.operators.every(operator => !operator.inputs.includes(tensor) || operator.op === op);

/** The operator with the factors of what it reads in its weights, or handed on to what it makes. */
function absorbFactors(operator: KnownOperator, draft: ModelDraft, factors: Map<number, Float64Array>): KnownOperator {
  const found = operator.inputs.map(input => factors.get(input));
  if (found.every(factor => factor === undefined)) return operator;
  const ones = (tensor: number) => new Float64Array(draft.tensors[tensor]!.shape.at(-1)!).fill(1);
  const output = operator.outputs[0]!;
  const [input, weight] = operator.inputs as [number, number];
  switch (operator.op) {
    case 'CONV_2D':
    case 'FULLY_CONNECTED':
    case 'DEPTHWISE_CONV_2D': {
      const factor = found[0]!;
      const tensor = draft.tensors[weight]!;
      const { inputOf } = weightChannels(tensor.shape, operator.op);
      const scaled = floatsOf(tensor).map((value, i) => value * factor[inputOf(i, factor.length)]!);
      const weights = draft.addFloats(tensor.name, tensor.shape, scaled);
      return { ...operator, inputs: [input, weights, ...operator.inputs.slice(2)] };
    }
    case 'CONCATENATION': {
      const parts = operator.inputs.flatMap(tensor => [...(factors.get(tensor) ?? ones(tensor))]);
      factors.set(output, Float64Array.from(parts));
      return operator;
    }
    case 'MUL': {
      // A map of one channel has one factor for all.
      const of = (factor: Float64Array | undefined, c: number) => factor?.[c % factor.length] ?? 1;
      const product = ones(output).map((_, c) => found.reduce((value, factor) => value * of(factor, c), 1));
      factors.set(output, product);
      return operator;
    }
    default:
      factors.set(output, found[0]!);
      return operator;
  }
}
