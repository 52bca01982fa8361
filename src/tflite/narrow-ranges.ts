// Ranges without what 8 bits need not hold: where sigmoids are 0 or 1, and padding that a maximum does not see.
import { type ChannelRanges, mapRanges } from './channel-ranges.ts';
import type { TfliteModel } from './model.ts';

/** From here on a sigmoid is within 1/2900 of 0 or 1, a tenth of a step of its 8 bits. */
const SATURATED = 8;

/** What a sigmoid feels of x. */
export const clampGate = (value: number): number => Math.max(-SATURATED, Math.min(SATURATED, value));

/**
 * The ranges without the padding of PADV2, with those of values that only a LOGISTIC reads cut on both sides, and with those of values that are also
 * multiplied by it, x * sigmoid(x), cut below: there the product is zero.
 */
export function narrowRanges(
  model: TfliteModel,
  ranges: ReadonlyMap<string, ChannelRanges>,
): Map<string, ChannelRanges> {
  const narrowed = new Map(ranges);
  for (const { op, inputs, outputs } of model.operators) {
    const [before, after] = [inputs[0]!, outputs[0]!].map(index => model.tensors[index]?.name) as [string, string];
    if (op === 'PADV2' && narrowed.has(before)) narrowed.set(after, narrowed.get(before)!);
  }
  for (const logistic of model.operators.filter(({ op }) => op === 'LOGISTIC')) {
    const [input] = logistic.inputs as [number];
    const { name } = model.tensors[input]!;
    const range = ranges.get(name);
    const others = model.operators.filter(operator => operator !== logistic && operator.inputs.includes(input));
    const isItsProduct = ({ op, inputs }: (typeof others)[number]) =>
      op === 'MUL' && inputs.includes(logistic.outputs[0]!);
    if (!range || model.outputs.includes(input) || !others.every(isItsProduct)) continue;
    narrowed.set(name, mapRanges(range, others.length === 0 ? clampGate : value => Math.max(-SATURATED, value)));
  }
  return narrowed;
}
