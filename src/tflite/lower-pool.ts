// Pools over windows of an image: averages and maxima.
import type { Node } from '../onnx/graph.ts';
import type { PoolAttributes } from '../onnx/ops.ts';
import { type Facts, getValue, type Lowering, type Plan, type Refusal, type Value } from './plan.ts';
import { Activation } from './schema.ts';
import { outSize, paddingName, padFor, type Window, windowsOf } from './windows.ts';

/** Smaller than every number in an image: the padding that a maximum does not see. */
const LOWEST = -(2 - 2 ** -23) * 2 ** 127;

type Pool = Node<'AveragePool' | 'MaxPool'>;

function inferPool(node: Pool, facts: Facts): Value | Refusal {
  const input = getValue(facts, node.inputs[0]);
  const { dilations = [1, 1] } = node.attributes as PoolAttributes;
  if (input.layout !== 'NCHW' || dilations.some(dilation => dilation !== 1) || node.outputs[1]) {
    return {
      problem: 'it does not read an NCHW image, has dilated windows, or gives indices',
      remedy: 'Put a Transpose with perm [0, 3, 1, 2] before it, and pool without dilations and indices.',
    };
  }
  const [, height, width, channels] = input.shape as [number, number, number, number];
  const [vertical, horizontal] = windowsOf(node.attributes);
  const shape = [1, outSize(height, vertical), outSize(width, horizontal), channels];
  return shape.every(dim => dim > 0)
    ? { layout: 'NCHW', shape }
    : {
        problem: `its window is larger than the ${height} x ${width} image it reads`,
        remedy: 'Use a larger input size.',
      };
}

function emitPool(
  operator: 'AVERAGE_POOL_2D' | 'MAX_POOL_2D',
  node: Pool,
  [vertical, horizontal]: readonly [Window, Window],
  { input, padding }: { readonly input: number; readonly padding: number },
  plan: Plan,
): void {
  const output = node.outputs[0]!;
  plan.emit(operator, [input], output, getValue(plan, output).shape, {
    padding,
    stride_w: horizontal.stride,
    stride_h: vertical.stride,
    filter_width: horizontal.kernel,
    filter_height: vertical.kernel,
    fused_activation_function: Activation.NONE,
  });
}

/** AveragePool -> [PAD +] AVERAGE_POOL_2D, which divides by the number of positions that are inside the image. */
export const lowerAveragePool: Lowering<'AveragePool'> = {
  infer(node, facts) {
    const value = inferPool(node, facts);
    if ('problem' in value) return value;
    const { shape } = getValue(facts, node.inputs[0]);
    const windows = windowsOf(node.attributes);
    const isRounded = windows.some(
      (window, i) => outSize(shape[i + 1]!, { ...window, ceil: false }) !== value.shape[i + 1],
    );
    return !isRounded && (node.attributes.count_include_pad === 1 || paddingName(shape, windows) !== undefined)
      ? value
      : {
          problem: 'it leaves out of its averages a padding that is not that of TFLite',
          remedy: 'Pool without padding and ceil_mode, or with count_include_pad 1.',
        };
  },
  emit(node, plan) {
    const windows = windowsOf(node.attributes);
    const padded = padFor(node, windows, plan, { counted: node.attributes.count_include_pad === 1 });
    emitPool('AVERAGE_POOL_2D', node, windows, padded, plan);
  },
};

/** MaxPool -> [PADV2 +] MAX_POOL_2D. */
export const lowerMaxPool: Lowering<'MaxPool'> = {
  infer: inferPool,
  emit(node, plan) {
    const windows = windowsOf(node.attributes);
    emitPool('MAX_POOL_2D', node, windows, padFor(node, windows, plan, { fill: LOWEST }), plan);
  },
};
