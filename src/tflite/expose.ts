// A model that also gives its inner values, for calibration and for comparing two precisions layer by layer.
import { startDraft } from './draft.ts';
import type { TfliteModel } from './model.ts';

/** Names of the values that operators compute, in order of execution. */
export function computedTensors(model: TfliteModel): string[] {
  return model.operators.flatMap(operator => operator.outputs.map(index => model.tensors[index]!.name));
}

/** The same model with the tensors of these names as its outputs, in float32; no signature. */
export function exposeTensors(model: TfliteModel, names: readonly string[]): TfliteModel {
  const draft = startDraft(model);
  for (const operator of model.operators) {
    if (operator.op === 'OTHER') throw new Error('exposeTensors wants a model that graft can write.');
    draft.operators.push(operator);
  }
  const places = new Map(model.tensors.map((tensor, index) => [tensor.name, index]));
  const outputs = names.map(name => {
    const index = places.get(name);
    const tensor = index === undefined ? undefined : model.tensors[index]!;
    if (!tensor) throw new Error(`The model has no tensor ${name}.`);
    if (tensor.type === 'FLOAT32') return index!;
    const float = draft.addTensor({ name: `${name}.exposed`, type: 'FLOAT32', shape: tensor.shape });
    draft.emit('DEQUANTIZE', [index!], float, {}, tensor.type === 'UINT8' ? 1 : 2);
    return float;
  });
  const { signature, ...rest } = draft.finish({ outputs });
  return rest;
}
