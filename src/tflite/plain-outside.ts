// Anybody's classifier with the outside that graft's own files have: pixels or -1 to 1 in, float32 probabilities out.
import { operatorName } from './costs.ts';
import { startDraft } from './draft.ts';
import type { KnownOperator, TfliteModel, TfliteOperator } from './model.ts';
import { Activation } from './schema.ts';

/** A way to scale pixels: the model reads (pixel / 255 - mean) / std per channel. */
export interface OuterScale {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** What makes the output of a classifier; `direction` is a vector of length 1, which is no classifier's. */
export type OutputKind = 'softmax' | 'sigmoid' | 'logits' | 'direction';

/** Operators whose output has the same numbers as their first input. */
const PASSES = new Set(['QUANTIZE', 'DEQUANTIZE', 'RESHAPE', 'SQUEEZE', 'EXPAND_DIMS']);

/** What the numbers of the one output are: told by the operator that makes them. */
export function outputKind(model: TfliteModel): OutputKind {
  const makerOf = (value: number) => model.operators.find(({ outputs }) => outputs.includes(value));
  const nameOf = (maker: TfliteOperator | undefined) => maker && operatorName(maker);
  let maker = makerOf(model.outputs[0]!);
  while (maker && PASSES.has(operatorName(maker))) maker = makerOf(maker.inputs[0]!);
  const name = nameOf(maker);
  if (name === 'SOFTMAX') return 'softmax';
  if (name === 'LOGISTIC') return 'sigmoid';
  if (name === 'L2_NORMALIZATION') return 'direction';
  if (name !== 'DIV') return 'logits';
  // Some converters write a softmax out: exp(x) / Σ exp(x).
  const [values, divisor] = maker!.inputs;
  const sum = makerOf(divisor!);
  return nameOf(sum) === 'SUM' && sum!.inputs[0] === values ? 'softmax' : 'logits';
}

const none = { fused_activation_function: Activation.NONE };

/**
 * The model with a uint8 input of pixels in place of an int8 one, a float32 input of (x - 127.5) / 127.5 in place of one that is
 * scaled otherwise, and a float32 output in place of an 8-bit one, with a SOFTMAX behind logits.
 * @param scale of the numbers that the input stands for. Default: float32 reads -1 to 1, int8 a pixel less 128.
 * @throws RangeError for a tensor of another type, or 8 bits without a scale.
 */
export function plainOutside(model: TfliteModel, scale: OuterScale | undefined): TfliteModel {
  const draft = startDraft(model);
  const [input, output] = [model.inputs[0]!, model.outputs[0]!];
  const [fed, given] = [model.tensors[input]!, model.tensors[output]!];
  const swaps = new Map<number, number>();

  const { name, shape } = fed;
  if (fed.type === 'INT8' && fed.quantization?.scale.length !== 1) throw new RangeError('the int8 input has no scale');
  if (fed.type === 'INT8' && !scale) {
    const quantization = fed.quantization!;
    const zeroPoint = [quantization.zeroPoint[0]! + 128];
    const inner = draft.addTensor({ ...fed, name: `${name}.int8` });
    draft.tensors[input] = { name, shape, type: 'UINT8', quantization: { ...quantization, zeroPoint } };
    draft.emit('QUANTIZE', [input], inner, {});
    swaps.set(input, inner);
  } else if (scale && (fed.type === 'INT8' || (fed.type === 'FLOAT32' && !isSigned(scale)))) {
    // x = (signed + 1) / 2, and (x - mean) / std.
    const factor = scale.std.map(std => 0.5 / std);
    const added = scale.mean.map((mean, c) => (0.5 - mean) / scale.std[c]!);
    const scaled = draft.addTensor({ name: `${name}.scaled`, shape, type: 'FLOAT32' });
    const inner = draft.addTensor({ name: `${name}.own`, shape, type: 'FLOAT32' });
    draft.emit('MUL', [input, draft.addFloats(`${name}.factor`, [3], factor)], scaled, none);
    draft.emit('ADD', [scaled, draft.addFloats(`${name}.added`, [3], added)], inner, none);
    swaps.set(input, inner);
    if (fed.type === 'INT8') {
      const stored = draft.addTensor({ ...fed, name: `${name}.int8` });
      draft.tensors[input] = { name, shape, type: 'FLOAT32' };
      draft.emit('QUANTIZE', [inner], stored, {});
      swaps.set(input, stored);
    }
  } else if (fed.type !== 'FLOAT32' && fed.type !== 'UINT8') {
    throw new RangeError(`the input is ${fed.type.toLowerCase()}`);
  }

  const is8Bit = given.type === 'INT8' || given.type === 'UINT8';
  if (given.type !== 'FLOAT32' && !is8Bit) throw new RangeError(`the output is ${given.type.toLowerCase()}`);
  const isLogits = outputKind(model) === 'logits';
  if (is8Bit || isLogits) swaps.set(output, draft.addTensor({ ...given, name: `${given.name}.own` }));
  const swap = (index: number) => swaps.get(index) ?? index;
  for (const operator of model.operators as readonly KnownOperator[]) {
    draft.operators.push({ ...operator, inputs: operator.inputs.map(swap), outputs: operator.outputs.map(swap) });
  }
  if (is8Bit || isLogits) {
    const own = swap(output);
    draft.tensors[output] = { name: given.name, shape: given.shape, type: 'FLOAT32' };
    const logits =
      is8Bit && isLogits ? draft.addTensor({ name: `${given.name}.float`, shape: given.shape, type: 'FLOAT32' }) : own;
    if (is8Bit) draft.emit('DEQUANTIZE', [own], isLogits ? logits : output, {});
    if (isLogits) draft.emit('SOFTMAX', [logits], output, { beta: 1 });
  }
  return draft.finish();
}

/** Whether a scale is what graft's own files are fed with. */
const isSigned = ({ mean, std }: OuterScale): boolean =>
  [...mean, ...std].every(value => Math.abs(value - 0.5) < 0.004);
