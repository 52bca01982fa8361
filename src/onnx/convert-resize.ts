// Resize and Upsample of ONNX, for height and width.
import type { Conversion, NodeContext } from './convert-node.ts';
import { literal } from './literal.ts';
import type { OpAttributes } from './ops.ts';

type Resize = OpAttributes['Resize'];

/** A name out of those that the op has. */
function oneOf<T extends string>(n: NodeContext, what: string, found: string, known: readonly T[]): T {
  const name = known.find(one => one === found);
  return name ?? n.refuse(`its ${what} is ${found}, and ${known.join(' or ')} are read`);
}

/** Resizes by factors per axis; those of photos and channels are 1. */
function resize(n: NodeContext, scales: readonly number[], attributes: Resize): string {
  if (n.rank(0) !== 4 || scales.length !== 4 || scales[0] !== 1 || scales[1] !== 1) {
    n.refuse(`its scales are [${scales.join(', ')}], and those of height and width only may differ from 1`);
  }
  if (!scales.every(scale => scale > 0)) n.fail(`its scales are [${scales.join(', ')}]`);
  if (scales.every(scale => scale === 1)) return n.x();
  const inputs = [n.x(), '', n.constant(literal('float32', [4], scales), 'scales')];
  return n.emit('Resize', inputs, attributes);
}

/** The factor that makes `to` of `from`, as a float32 whose product does not fall below `to`. */
function factor(from: number, to: number): number {
  const scale = Math.fround(to / from);
  return Math.floor(from * scale) < to ? Math.fround(scale * (1 + 2 ** -23)) : scale;
}

/** Numbers per axis in the order of the image's axes; since opset 18 only some axes may be named. */
function perAxis(n: NodeContext, given: readonly number[], absent: (axis: number) => number): number[] {
  const axes = n.list('axes') ?? given.map((_, axis) => axis);
  const all = Array.from({ length: n.rank(0) }, (_, axis) => absent(axis));
  axes.forEach((axis, i) => {
    all[axis < 0 ? axis + all.length : axis] = given[i]!;
  });
  return all;
}

export const resizeConversions: Readonly<Record<string, Conversion>> = {
  Resize(n) {
    const nearest = n.opset < 11 ? 'floor' : n.text('nearest_mode', 'round_prefer_floor');
    const mode = oneOf(n, 'mode', n.text('mode', 'nearest'), ['nearest', 'linear']);
    for (const name of ['antialias', 'exclude_outside']) if (n.int(name, 0) !== 0) n.refuse(`it has ${name}`);
    const policy = n.text('keep_aspect_ratio_policy', 'stretch');
    if (policy !== 'stretch') n.refuse(`its keep_aspect_ratio_policy is ${policy}`);
    const given = n.opset < 11 ? 'asymmetric' : n.text('coordinate_transformation_mode', 'half_pixel');
    const attributes = (sizes: readonly number[]): Resize => ({
      mode,
      // PyTorch's differs for a size of 1 alone.
      coordinate_transformation_mode: oneOf(
        n,
        'coordinate_transformation_mode',
        given === 'pytorch_half_pixel' && sizes.every(size => size > 1) ? 'half_pixel' : given,
        ['half_pixel', 'asymmetric', 'align_corners'],
      ),
      nearest_mode: mode === 'linear' ? 'floor' : oneOf(n, 'nearest_mode', nearest, ['floor', 'round_prefer_floor']),
    });
    if (n.has(3)) {
      const [, , height, width] = perAxis(n, n.intsOfBoth(3)[0], axis => n.shapes(0)[0][axis]!) as [
        0,
        0,
        number,
        number,
      ];
      if (n.rank(0) !== 4) n.refuse('its input is no image');
      const scales = [1, 1, factor(n.dim(0, 2), height), factor(n.dim(0, 3), width)];
      return resize(n, scales, attributes([height, width]));
    }
    const scales = perAxis(n, n.ints(n.opset < 11 ? 1 : 2), () => 1);
    return resize(n, scales, attributes([2, 3].map(axis => Math.floor(n.dim(0, axis) * scales[axis]!))));
  },
  Upsample(n) {
    const mode = n.text('mode', 'nearest');
    const scales = n.opset < 9 ? (readFloats(n) ?? n.fail('it has no scales')) : n.ints(1);
    return resize(n, scales, {
      mode: oneOf(n, 'mode', mode, ['nearest', 'linear']),
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    });
  },
};

/** The scales of Upsample before opset 9. */
function readFloats(n: NodeContext): readonly number[] | undefined {
  const found = n.node.attributes.get('scales');
  return found?.kind === 'floats' ? found.value : undefined;
}
