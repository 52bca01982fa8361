// Joining values along an axis, and softmax along one.
import type { Node } from '../onnx/graph.ts';
import { resolveAxes } from '../onnx/shapes.ts';
import { transpose } from '../tensor/tensor.ts';
import { arranged, fileAxis, plainValue, type Value, withLast } from './axes.ts';
import { type Facts, floatConstant, getValue, type Lowering, type Plan, type Refusal } from './plan.ts';
import { Activation } from './schema.ts';

/** Most values that one CONCATENATION joins: XNNPACK takes no more, and older releases of it take four. */
const MAX_JOINED = 4;

/** What Concat joins, with all axes in the order of the first computed value; undefined where one is no float. */
function partsOf(
  node: Node<'Concat'>,
  facts: Facts,
): { readonly order: readonly number[]; parts: Value[] } | undefined {
  const computed = node.inputs.find(name => !facts.constant(name));
  if (computed === undefined) return undefined;
  const { order } = getValue(facts, computed);
  const parts = node.inputs.map(name => {
    const constant = floatConstant(facts, name);
    return facts.constant(name) ? constant && plainValue(constant.shape) : getValue(facts, name);
  });
  const isAlike = (part: Value | undefined): part is Value => part?.order.length === order.length;
  return parts.every(isAlike) ? { order, parts: parts.map(part => arranged(part, order)) } : undefined;
}

/** Concat -> CONCATENATION, several where there are many values. */
export const lowerConcat: Lowering<'Concat'> = {
  infer(node, facts) {
    const joined = partsOf(node, facts);
    const axis = joined ? fileAxis(joined.parts[0]!, node.attributes.axis) : -1;
    const outlines = joined?.parts.map(({ shape }) => shape.with(axis, 0).join());
    if (!joined || joined.order[axis] === 0 || outlines!.some(outline => outline !== outlines![0])) {
      return {
        problem: 'its inputs differ in shape or type, or it joins along the batch',
        remedy: 'Join float32 values that are equal in every other dimension, along axis 1 or later.',
      };
    }
    const { order, parts } = joined;
    const width = parts.reduce((sum, { shape }) => sum + shape[axis]!, 0);
    return { order, shape: parts[0]!.shape.with(axis, width) };
  },
  emit(node, plan) {
    const { order, shape } = getValue(plan, node.outputs[0]);
    const axis = fileAxis({ order, shape }, node.attributes.axis);
    const options = { axis, fused_activation_function: Activation.NONE };
    const output = node.outputs[0]!;
    const tensorOf = (name: string) => {
      const constant = floatConstant(plan, name);
      return constant ? plan.store(name, transpose(constant, order)) : plan.arrange(name, order);
    };
    const { parts: values } = partsOf(node, plan)!;
    let parts = node.inputs.map((name, i) => ({ tensor: tensorOf(name), shape: values[i]!.shape }));
    for (let level = 1; parts.length > MAX_JOINED; level++) {
      const groups = Array.from({ length: Math.ceil(parts.length / MAX_JOINED) }, (_, i) =>
        parts.slice(i * MAX_JOINED, (i + 1) * MAX_JOINED),
      );
      parts = groups.map((group, i) => {
        if (group.length === 1) return group[0]!;
        const width = group.reduce((sum, part) => sum + part.shape[axis]!, 0);
        const joined = group[0]!.shape.with(axis, width);
        const inputs = group.map(part => part.tensor);
        return {
          tensor: plan.emit('CONCATENATION', inputs, `${output}.join${level}.${i}`, joined, options),
          shape: joined,
        };
      });
    }
    const inputs = parts.map(part => part.tensor);
    plan.emit('CONCATENATION', inputs, output, shape, options);
  },
};

/** An op along one axis, which the file has last. */
function lowerAlong<O extends 'LogSoftmax' | 'Softmax'>(emit: (input: number, node: Node<O>, plan: Plan) => void) {
  return {
    infer(node: Node<O>, facts: Facts): Value | Refusal {
      const input = getValue(facts, node.inputs[0]);
      const axes = resolveAxes([node.attributes.axis], input.order.length);
      return axes[0]! > 0 && axes[0]! < input.order.length
        ? arranged(input, withLast(input.order, axes))
        : {
            problem: `it runs along axis ${node.attributes.axis}`,
            remedy: 'Use an axis of the value behind the batch.',
          };
    },
    emit(node: Node<O>, plan: Plan): void {
      emit(plan.arrange(node.inputs[0]!, getValue(plan, node.outputs[0]).order), node, plan);
    },
  };
}

/** Softmax -> SOFTMAX. */
export const lowerSoftmax: Lowering<'Softmax'> = lowerAlong((input, { outputs: [output] }, plan) => {
  // The schema's default for beta is 0, which would make every output equal.
  plan.emit('SOFTMAX', [input], output!, getValue(plan, output).shape, { beta: 1 });
});

/** LogSoftmax -> LOG_SOFTMAX. */
export const lowerLogSoftmax: Lowering<'LogSoftmax'> = lowerAlong((input, { outputs: [output] }, plan) => {
  plan.emit('LOG_SOFTMAX', [input], output!, getValue(plan, output).shape, {});
});
