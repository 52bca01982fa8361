// Pools over windows of an image: averages and maxima.
import type { Node } from '../onnx/graph.ts';
import type { PoolAttributes } from '../onnx/ops.ts';
import { averagedPositions } from '../onnx/shapes.ts';
import { float32 } from '../tensor/tensor.ts';
import { arranged, IMAGE_ORDER, type Value } from './axes.ts';
import { type Facts, getValue, type Lowering, type Plan, type Refusal } from './plan.ts';
import { isNeverNegative } from './positive.ts';
import { Activation } from './schema.ts';
import { outSize, paddingName, padFor, type Window, windowsOf } from './windows.ts';

/** Smaller than every number in an image: the padding that a maximum does not see. */
const LOWEST = -(2 - 2 ** -23) * 2 ** 127;

type Pool = Node<'AveragePool' | 'MaxPool'>;

/** Shape of the image that is pooled, as the file has it. */
const imageShape = (node: Pool, facts: Facts) =>
  arranged(getValue(facts, node.inputs[0]), IMAGE_ORDER).shape as [number, number, number, number];

function inferPool(node: Pool, facts: Facts): Value | Refusal {
  const { dilations = [1, 1] } = node.attributes as PoolAttributes;
  const isImage = getValue(facts, node.inputs[0]).shape.length === 4;
  if (!isImage || dilations.some(dilation => dilation !== 1) || node.outputs[1]) {
    return {
      problem: 'it does not read an image, has dilated windows, or gives indices',
      remedy: 'Pool values [N, channels, height, width] without dilations and indices.',
    };
  }
  const [, height, width, channels] = imageShape(node, facts);
  const [vertical, horizontal] = windowsOf(node.attributes);
  const shape = [1, outSize(height, vertical), outSize(width, horizontal), channels];
  return shape.every(dim => dim > 0)
    ? { order: IMAGE_ORDER, shape }
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
  output = node.outputs[0]!,
): number {
  return plan.emit(operator, [input], output, getValue(plan, node.outputs[0]).shape, {
    padding,
    stride_w: horizontal.stride,
    stride_h: vertical.stride,
    filter_width: horizontal.kernel,
    filter_height: vertical.kernel,
    fused_activation_function: Activation.NONE,
  });
}

/**
 * AveragePool -> AVERAGE_POOL_2D, which divides by the number of positions that are inside the image. Where that is not what
 * the graph divides by: PAD with zeros, AVERAGE_POOL_2D of whole windows, and a factor per position where these differ.
 */
export const lowerAveragePool: Lowering<'AveragePool'> = {
  infer: inferPool,
  emit(node, plan) {
    const windows = windowsOf(node.attributes);
    const [, height, width] = imageShape(node, plan);
    const output = node.outputs[0]!;
    const [, rows, columns] = getValue(plan, output).shape as [number, number, number];
    const isCounted = node.attributes.count_include_pad === 1;
    if (!isCounted && paddingName([1, height, width], windows) !== undefined) {
      emitPool('AVERAGE_POOL_2D', node, windows, padFor(node, windows, plan), plan);
      return;
    }
    const vertical = averagedPositions(0, height, rows, node.attributes);
    const horizontal = averagedPositions(1, width, columns, node.attributes);
    const area = windows[0].kernel * windows[1].kernel;
    const factors = Float32Array.from(
      { length: rows * columns },
      (_, i) => area / (vertical[Math.floor(i / columns)]! * horizontal[i % columns]!),
    );
    const padded = padFor(node, windows, plan, { counted: true });
    if (factors.every(factor => factor === 1)) {
      emitPool('AVERAGE_POOL_2D', node, windows, padded, plan);
      return;
    }
    const whole = emitPool('AVERAGE_POOL_2D', node, windows, padded, plan, `${output}.whole`);
    const factor = plan.store(`${node.name}.factors`, float32([rows, columns, 1], factors));
    const none = { fused_activation_function: Activation.NONE };
    plan.emit('MUL', [whole, factor], output, getValue(plan, output).shape, none);
  },
};

/** MaxPool -> [PAD or PADV2 +] MAX_POOL_2D: zeros do where nothing is smaller. */
export const lowerMaxPool: Lowering<'MaxPool'> = {
  infer: inferPool,
  emit(node, plan) {
    const windows = windowsOf(node.attributes);
    const fill = isNeverNegative(node.inputs[0]!, plan) ? 0 : LOWEST;
    emitPool('MAX_POOL_2D', node, windows, padFor(node, windows, plan, { fill }), plan);
  },
};
