// What a detector picks: the best classes, what belongs to them, and their places as numbers.
import { sizeOf, toNumbers } from '../tensor/tensor.ts';
import { fileAxis, withoutAxes } from './axes.ts';
import { emitSlice } from './lower-shape.ts';
import { getValue, int32, type Lowering, scalarConstant } from './plan.ts';
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

/** Gather by a list of whole numbers -> GATHER; by one constant number -> STRIDED_SLICE, RESHAPE. */
export const lowerGather: Lowering<'Gather'> = {
  infer(node, facts) {
    const input = getValue(facts, node.inputs[0]);
    const axis = fileAxis(input, node.attributes.axis);
    const constant = facts.constant(node.inputs[1]);
    const indices = constant ?? getValue(facts, node.inputs[1]);
    const isComputed = 'type' in indices && indices.type === 'INT32';
    const size = input.shape[axis]!;
    const isInside = constant && toNumbers(constant).every(index => index >= -size && index < size);
    const isOne = indices.shape.length === 0;
    if (axis < 0 || indices.shape.length > 1 || !(isInside || (isComputed && !isOne && input.order[axis]! > 0))) {
      return {
        problem: 'it does not take a list of places along one axis',
        remedy: 'Give the places as a constant, or as [count] from TopK along axis 1 or later.',
      };
    }
    if (!isOne) return { ...input, shape: input.shape.with(axis, sizeOf(indices.shape)) };
    const shape = input.shape.toSpliced(axis, 1);
    return { ...input, order: withoutAxes(input.order, [input.order[axis]!]), shape };
  },
  emit(node, plan) {
    const input = getValue(plan, node.inputs[0]);
    const axis = fileAxis(input, node.attributes.axis);
    const constant = plan.constant(node.inputs[1]);
    const places = constant && toNumbers(constant).map(index => (index < 0 ? index + input.shape[axis]! : index));
    const output = node.outputs[0]!;
    if (places && constant.shape.length === 0) {
      const start = input.shape.map((_, i) => (i === axis ? places[0]! : 0));
      const ranges = { start, length: input.shape.with(axis, 1), step: input.shape.map(() => 1) };
      const { shape } = getValue(plan, output);
      const slice = emitSlice(plan, node, ranges, `${output}.slice`);
      const target = plan.store(`${node.name}.shape`, int32([shape.length], shape));
      plan.emit('RESHAPE', [slice, target], output, shape, { new_shape: shape });
      return;
    }
    const indices = places ? plan.store(node.inputs[1]!, int32([places.length], places)) : plan.tensor(node.inputs[1]!);
    const { shape } = getValue(plan, output);
    plan.emit('GATHER', [plan.tensor(node.inputs[0]!), indices], output, shape, { axis, batch_dims: 0 });
  },
};

/** Cast of whole numbers to float32 -> CAST. */
export const lowerCast: Lowering<'Cast'> = {
  infer(node, facts) {
    const { order, shape, type } = getValue(facts, node.inputs[0]);
    return type === 'INT32' && node.attributes.to === 'float32'
      ? { order, shape }
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
