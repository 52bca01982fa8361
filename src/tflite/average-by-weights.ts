// Averages over windows as depthwise convolutions with equal weights: XNNPACK averages floats only, and convolves in int8.
import { startDraft } from './draft.ts';
import type { KnownOperator, TfliteModel, TfliteOperator } from './model.ts';
import { Padding } from './schema.ts';

/**
 * The same function without AVERAGE_POOL_2D among `part` of the operators, but for windows that reach over the edge, which
 * average what is inside. Default: all operators.
 */
export function averageByWeights(
  model: TfliteModel,
  part: ReadonlySet<TfliteOperator> = new Set(model.operators),
): TfliteModel {
  const draft = startDraft(model);
  for (const operator of model.operators as readonly KnownOperator[]) {
    if (operator.op !== 'AVERAGE_POOL_2D' || !part.has(operator) || operator.options.padding !== Padding.VALID) {
      draft.operators.push(operator);
      continue;
    }
    const { filter_height, filter_width, ...options } = operator.options;
    const { name, shape } = model.tensors[operator.outputs[0]!]!;
    const channels = shape[3]!;
    const area = filter_height * filter_width;
    const weight = new Float32Array(area * channels).fill(1 / area);
    const inputs = [
      operator.inputs[0]!,
      draft.addFloats(`${name}.weight`, [1, filter_height, filter_width, channels], weight),
      draft.addFloats(`${name}.bias`, [channels], new Float32Array(channels)),
    ];
    const more = { depth_multiplier: 1, dilation_w_factor: 1, dilation_h_factor: 1 };
    draft.emit('DEPTHWISE_CONV_2D', inputs, operator.outputs[0]!, { ...options, ...more });
  }
  return draft.finish();
}
