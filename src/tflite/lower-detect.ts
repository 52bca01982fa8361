// What a detector picks: the best classes, what belongs to them, and their places as numbers.
import { sizeOf, toNumbers } from '../tensor/tensor.ts';
import { fileAxis, getValue, int32, type Lowering, scalarConstant } from './plan.ts';
import { tensorTypes } from './schema.ts';

/** TopK along the last axis of the file -> TOPK_V2, whose second output holds int32. */
export const lowerTopK: Lowering<'TopK'> = {
  infer(node, facts) {
    const input = getValue(facts, node.inputs[0]);
    const last = input.shape.length - 1;
    const k = scalarConstant(facts, node.inputs[1]);
    const fits = k !== undefined && k >= 1 && k <= input.shape[last]!;
    if (!fits || fileAxis(input, node.attributes.axis) !== last || !node.outputs[0] || !node.outputs[1]) {
      return {
        problem: 'it does not take a constant number of the classes, or has less than two outputs',
        remedy: 'Use axis 1, as k a constant from 1 to the number of classes, and name values and places.',
      };
    }
    const best = { ...input, shape: input.shape.with(last, k) };
    return [best, { ...best, type: 'INT32' }];
  },
  emit(node, plan) {
    const [values, indices] = node.outputs as readonly [string, string];
    const { shape } = getValue(plan, values);
    const k = plan.store(`${node.name}.k`, int32([], [shape.at(-1)!]));
    plan.emit('TOPK_V2', [plan.tensor(node.inputs[0]!), k], values, shape, {}, 1, [indices]);
  },
};

/** Gather by a list of whole numbers -> GATHER. */
export const lowerGather: Lowering<'Gather'> = {
  infer(node, facts) {
    const input = getValue(facts, node.inputs[0]);
    const axis = fileAxis(input, node.attributes.axis);
    const constant = facts.constant(node.inputs[1]);
    const indices = constant ?? getValue(facts, node.inputs[1]);
    const isComputed = 'type' in indices && indices.type === 'INT32';
    const size = input.shape[axis]!;
    const isInside = constant && toNumbers(constant).every(index => index >= -size && index < size);
    if (axis < 1 || indices.shape.length !== 1 || !(isComputed || isInside)) {
      return {
        problem: 'it does not take a list of places along one axis',
        remedy: 'Give the places as [count], from TopK or as a constant, along axis 1 or later.',
      };
    }
    return { ...input, shape: input.shape.with(axis, sizeOf(indices.shape)) };
  },
  emit(node, plan) {
    const input = getValue(plan, node.inputs[0]);
    const axis = fileAxis(input, node.attributes.axis);
    const constant = plan.constant(node.inputs[1]);
    const places = constant && toNumbers(constant).map(index => (index < 0 ? index + input.shape[axis]! : index));
    const indices = places ? plan.store(node.inputs[1]!, int32([places.length], places)) : plan.tensor(node.inputs[1]!);
    const { shape } = getValue(plan, node.outputs[0]);
    plan.emit('GATHER', [plan.tensor(node.inputs[0]!), indices], node.outputs[0]!, shape, { axis, batch_dims: 0 });
  },
};

/** Cast of whole numbers to float32 -> CAST. */
export const lowerCast: Lowering<'Cast'> = {
  infer(node, facts) {
    const { layout, shape, type } = getValue(facts, node.inputs[0]);
    return type === 'INT32' && node.attributes.to === 'float32'
      ? { layout, shape }
      : {
          problem: 'the file computes in float32 from its input on',
          remedy: 'Build the graph for a float32 image (input "signed").',
        };
  },
  emit(node, plan) {
    const { shape } = getValue(plan, node.outputs[0]);
    const options = { in_data_type: tensorTypes.INT32[0], out_data_type: tensorTypes.FLOAT32[0] };
    plan.emit('CAST', [plan.tensor(node.inputs[0]!)], node.outputs[0]!, shape, options);
  },
};
