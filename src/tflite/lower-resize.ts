// Resizing an image, where TFLite samples at the same places as the graph.
import type { Node } from '../onnx/graph.ts';
import { toNumbers } from '../tensor/tensor.ts';
import { graphShape, IMAGE_ORDER, type Value } from './axes.ts';
import { type Facts, getValue, int32, type Lowering, type Refusal } from './plan.ts';

type Resize = Node<'Resize'>;

/** Size that the graph asks for, and the scale by which it computes places; undefined where they are no constants. */
function targetOf(node: Resize, facts: Facts): { shape: number[]; scales: number[] } | undefined {
  const given = graphShape(getValue(facts, node.inputs[0]));
  const [scales, sizes] = [2, 3].map(i => (node.inputs[i] ? facts.constant(node.inputs[i]) : undefined));
  if (sizes) {
    const shape = [given[0]!, ...toNumbers(sizes).slice(1)];
    return { shape, scales: shape.map((dim, axis) => dim / given[axis]!) };
  }
  if (!scales) return undefined;
  const factors = toNumbers(scales);
  return { shape: given.map((dim, axis) => Math.floor(dim * factors[axis]!)), scales: factors };
}

/** Whether TFLite, which knows the two sizes only, takes the same elements along an axis. */
function agrees(node: Resize, from: number, to: number, scale: number): boolean {
  const { mode, coordinate_transformation_mode: transformation, nearest_mode } = node.attributes;
  // Places follow from the scale in ONNX, and from the sizes in TFLite, but at aligned corners.
  if (transformation !== 'align_corners' && Math.abs(scale * from - to) > 1e-3) return false;
  if (mode === 'linear') return transformation !== 'align_corners' || to > 1;
  const places = Array.from({ length: to }, (_, i) => {
    const ratio = transformation === 'align_corners' ? (to > 1 ? (from - 1) / (to - 1) : 0) : from / to;
    const at = transformation === 'half_pixel' ? (i + 0.5) * ratio - 0.5 : i * ratio;
    const wanted = nearest_mode === 'floor' ? Math.floor(at) : Math.ceil(at - 0.5);
    const found = { half_pixel: Math.floor(at + 0.5), asymmetric: Math.floor(at), align_corners: Math.round(at) };
    return [wanted, found[transformation]].map(place => Math.max(0, Math.min(from - 1, place)));
  });
  return places.every(([wanted, found]) => wanted === found);
}

function inferResize(node: Resize, facts: Facts): Value | Refusal {
  const input = graphShape(getValue(facts, node.inputs[0]));
  const target = targetOf(node, facts);
  const isImage = input.length === 4 && target?.shape.length === 4 && target.shape[1] === input[1];
  const fits = isImage && [2, 3].every(axis => agrees(node, input[axis]!, target.shape[axis]!, target.scales[axis]!));
  return fits
    ? { order: IMAGE_ORDER, shape: IMAGE_ORDER.map(axis => target.shape[axis]!) }
    : {
        problem: 'it is not along height and width by constants, or takes other elements than TFLite does',
        remedy:
          'Resize by whole factors: linear with half_pixel, asymmetric or align_corners; nearest with asymmetric and floor.',
      };
}

/** Resize -> RESIZE_BILINEAR or RESIZE_NEAREST_NEIGHBOR. */
export const lowerResize: Lowering<'Resize'> = {
  infer: inferResize,
  emit(node, plan) {
    const output = node.outputs[0]!;
    const { shape } = getValue(plan, output);
    const size = plan.store(`${node.name}.size`, int32([2], shape.slice(1, 3)));
    const inputs = [plan.arrange(node.inputs[0]!, IMAGE_ORDER), size];
    const transformation = node.attributes.coordinate_transformation_mode;
    const options = {
      align_corners: transformation === 'align_corners',
      half_pixel_centers: transformation === 'half_pixel',
    };
    const version = options.half_pixel_centers ? 3 : 1;
    if (node.attributes.mode === 'linear') plan.emit('RESIZE_BILINEAR', inputs, output, shape, options, version);
    else plan.emit('RESIZE_NEAREST_NEIGHBOR', inputs, output, shape, options, version);
  },
};
