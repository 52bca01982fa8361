// Networks of universal inverted bottlenecks: MobileNetV4 (Qin et al. 2024), its convolutional variants. timm names the
// parameters.
import type { Activation, Feature, Layers } from './layers.ts';

/** Kernel of a depthwise convolution; 0 for none. */
type OptionalKernel = 0 | 3 | 5;

/** A dense convolution with BatchNormalization and activation. */
export interface PlainConvolution {
  readonly kind: 'conv';
  readonly kernel: 1 | 3;
  readonly out: number;
  readonly stride: 1 | 2;
}

/**
 * A universal inverted bottleneck: depthwise, 1 x 1 to `expanded` channels, depthwise, 1 x 1 to `out` channels. The first
 * depthwise convolution and the last 1 x 1 have no activation. The stride is that of the second depthwise one, else of the first.
 */
export interface UniversalBottleneck {
  readonly kind: 'uib';
  readonly start: OptionalKernel;
  readonly middle: OptionalKernel;
  readonly expanded: number;
  readonly out: number;
  readonly stride: 1 | 2;
}

/** A network: a 3 x 3 stem of stride 2 and groups of blocks. */
export interface UniversalBottleneckNetwork {
  readonly family: 'universal_bottleneck';
  readonly stem: number;
  readonly activation: Activation;
  /** Blocks in the groups that timm numbers them by. */
  readonly groups: readonly (readonly (PlainConvolution | UniversalBottleneck)[])[];
}

/** Adds the network behind `image`; what the stem and each block give. */
export function addUniversalBottlenecks(
  layers: Layers,
  { stem, activation, groups }: UniversalBottleneckNetwork,
  image: Feature,
): Feature[] {
  const first = { conv: { timm: 'conv_stem' }, norm: { timm: 'bn1' } };
  const stages = [layers.convolve(image, { ...first, out: stem, kernel: 3, stride: 2, activation })];
  for (const [group, rows] of groups.entries()) {
    for (const [block, row] of rows.entries()) {
      const at = `blocks.${group}.${block}`;
      const input = stages.at(-1)!;
      if (row.kind === 'uib') {
        stages.push(addBottleneck(layers, row, activation, input, at));
        continue;
      }
      const { out, kernel, stride } = row;
      const names = { conv: { timm: `${at}.conv` }, norm: { timm: `${at}.bn1` } };
      stages.push(layers.convolve(input, { ...names, out, kernel, stride, activation }));
    }
  }
  return stages;
}

function addBottleneck(
  layers: Layers,
  { start, middle, expanded, out, stride }: UniversalBottleneck,
  activation: Activation,
  input: Feature,
  at: string,
): Feature {
  const names = (part: string) => ({ conv: { timm: `${at}.${part}.conv` }, norm: { timm: `${at}.${part}.bn` } });
  let value = input;
  if (start) {
    const first = { out: value.channels, kernel: start, stride: middle ? 1 : stride, kind: 'depthwise' } as const;
    value = layers.convolve(value, { ...names('dw_start'), ...first });
  }
  value = layers.convolve(value, { ...names('pw_exp'), out: expanded, kernel: 1, activation });
  if (middle) {
    const second = { out: expanded, kernel: middle, stride, kind: 'depthwise', activation } as const;
    value = layers.convolve(value, { ...names('dw_mid'), ...second });
  }
  value = layers.convolve(value, { ...names('pw_proj'), out, kernel: 1 });
  return stride === 1 && input.channels === out ? layers.add(`${at}.skip`, value, input) : value;
}
