// Files whose input and output are uint8, as programs with 8-bit cameras like them, around any inside.
import { floatsOf, startDraft } from './draft.ts';
import type { KnownOperator, TfliteModel } from './model.ts';
import { Activation } from './schema.ts';

/** A pixel p stands for p / 127.5 at the uint8 input; the range -1..1 that the model wants is that minus one. */
const PIXEL = 1 / 127.5;
/** Probabilities in steps of 1/256, as TFLite's own SOFTMAX gives them. */
const PROBABILITY = 1 / 256;

/**
 * The model with pixels 0..255 as its input, in place of float32 (x - 127.5) / 127.5. The subtraction joins the first
 * addition where there is one.
 */
export function takeUint8(model: TfliteModel): TfliteModel {
  const draft = startDraft(model);
  const input = model.inputs[0]!;
  const { name, shape } = model.tensors[input]!;
  const quantization = { scale: [PIXEL], zeroPoint: [0], axis: 0 };
  const readers = (model.operators as readonly KnownOperator[]).filter(operator => operator.inputs.includes(input));
  const [first] = readers;
  const shift = first?.op === 'ADD' ? model.tensors[first.inputs[1]!]! : undefined;
  const joins = readers.length === 1 && shift?.data !== undefined;
  draft.tensors[input] = { name, shape, type: 'UINT8', quantization };
  const pixels = draft.addTensor({ name: `${name}.float`, shape, type: 'FLOAT32' });
  draft.emit('DEQUANTIZE', [input], pixels, {});
  let signed = pixels;
  if (!joins) {
    signed = draft.addTensor({ name: `${name}.signed`, shape, type: 'FLOAT32' });
    const none = { fused_activation_function: Activation.NONE };
    draft.emit('ADD', [pixels, draft.addFloats('minus-one', [1], [-1])], signed, none);
  }
  for (const operator of model.operators as readonly KnownOperator[]) {
    const inputs = operator.inputs.map(index => (index === input ? signed : index));
    if (joins && operator === first) {
      inputs[1] = draft.addFloats(
        shift.name,
        shift.shape,
        floatsOf(shift).map(value => value - 1),
      );
    }
    draft.operators.push({ ...operator, inputs });
  }
  return draft.finish();
}

/** The model with uint8 probabilities, p = stored / 256, in place of its one float32 output. */
export function giveUint8(model: TfliteModel): TfliteModel {
  const draft = startDraft(model);
  draft.operators.push(...(model.operators as readonly KnownOperator[]));
  const output = model.outputs[0]!;
  const { name, shape } = model.tensors[output]!;
  const float = draft.addTensor({ name: `${name}.float`, shape, type: 'FLOAT32' });
  const swap = (index: number) => (index === output ? float : index);
  for (const [i, step] of draft.operators.entries()) {
    draft.operators[i] = { ...step, inputs: step.inputs.map(swap), outputs: step.outputs.map(swap) };
  }
  const quantization = { scale: [PROBABILITY], zeroPoint: [0], axis: 0 };
  draft.tensors[output] = { name, shape, type: 'UINT8', quantization };
  draft.emit('QUANTIZE', [float], output, {});
  return draft.finish();
}
