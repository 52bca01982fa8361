// Programs of others sort a model's outputs by the index of their tensors: the order of the outputs has to be that of the indexes.
import type { SignatureEntry, TfliteModel } from './model.ts';

/** The model with ascending indexes of its outputs; one whose indexes ascend already comes back as it is. */
export function numberOutputs(model: TfliteModel): TfliteModel {
  const outputs = new Set(model.outputs);
  if (model.outputs.every((index, i) => i === 0 || index > model.outputs[i - 1]!)) return model;
  const order = [...model.tensors.keys()].filter(index => !outputs.has(index)).concat(...outputs);
  const places = new Map(order.map((index, place) => [index, place]));
  const renumber = (indexes: readonly number[]) => indexes.map(index => places.get(index) ?? index);
  const entries = (list: readonly SignatureEntry[]) =>
    list.map(entry => ({ ...entry, tensor: places.get(entry.tensor)! }));
  return {
    ...model,
    tensors: order.map(index => model.tensors[index]!),
    operators: model.operators.map(operator => ({
      ...operator,
      inputs: renumber(operator.inputs),
      outputs: renumber(operator.outputs),
    })),
    inputs: renumber(model.inputs),
    outputs: renumber(model.outputs),
    signature: {
      ...model.signature!,
      inputs: entries(model.signature!.inputs),
      outputs: entries(model.signature!.outputs),
    },
  };
}
