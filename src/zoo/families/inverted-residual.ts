// Networks of inverted residual blocks, with or without squeeze-and-excitation: MobileNetV2 (Sandler et al. 2018), MobileNetV3
// (Howard et al. 2019), EfficientNet (Tan and Le 2019) and EfficientNet-Lite.
import { type NetworkNaming, nameBlock, nameEnds, type Place } from './inverted-residual-names.ts';
import type { Activation, Feature, Layers, SqueezeExcite } from './layers.ts';

/** One block: 1 x 1 to `expanded` channels, depthwise, 1 x 1 to `out` channels without an activation. */
export interface InvertedResidual {
  readonly kernel: 3 | 5;
  /** Channels after the expansion; where they are those of the input, there is none. */
  readonly expanded: number;
  readonly out: number;
  /** Channels inside squeeze-and-excitation; 0 for none. */
  readonly squeeze: number;
  readonly activation: Activation;
  readonly stride: 1 | 2;
}

/** A network: a 3 x 3 stem of stride 2, groups of blocks, and a 1 x 1 convolution. */
export interface InvertedResidualNetwork {
  readonly family: 'inverted_residual';
  /** Whose parameter names it has. */
  readonly naming: NetworkNaming;
  readonly stem: { readonly out: number; readonly activation: Activation };
  /** Blocks in the groups that timm numbers them by. */
  readonly groups: readonly (readonly InvertedResidual[])[];
  readonly last: { readonly out: number; readonly activation: Activation };
  /** What is inside squeeze-and-excitation, where there is any. */
  readonly excite?: Pick<SqueezeExcite, 'activation' | 'gate'>;
}

/** Adds the network behind `image`; what the stem, each block and the last convolution give. */
export function addInvertedResiduals(layers: Layers, network: InvertedResidualNetwork, image: Feature): Feature[] {
  const { naming, stem, groups, last } = network;
  const names = nameEnds(naming, groups.length, groups.flat().length);
  const stages = [layers.convolve(image, { ...names.stem, ...stem, kernel: 3, stride: 2 })];
  for (const [group, rows] of groups.entries()) {
    for (const [block, row] of rows.entries()) {
      const place = { group, block, index: stages.length - 1 };
      stages.push(addBlock(layers, network, stages.at(-1)!, row, place));
    }
  }
  return [...stages, layers.convolve(stages.at(-1)!, { ...names.last, ...last, kernel: 1 })];
}

function addBlock(
  layers: Layers,
  { naming, excite }: InvertedResidualNetwork,
  input: Feature,
  { kernel, expanded, out, squeeze, activation, stride }: InvertedResidual,
  place: Place,
): Feature {
  const hasExpansion = expanded !== input.channels;
  const names = nameBlock(naming, place, hasExpansion, squeeze > 0);
  let value = input;
  if (hasExpansion) value = layers.convolve(value, { ...names.expand, out: expanded, kernel: 1, activation });
  const depthwise = { ...names.depthwise, out: expanded, kernel, stride, kind: 'depthwise', activation } as const;
  value = layers.convolve(value, depthwise);
  if (squeeze > 0) value = layers.squeezeExcite(value, { ...names.excite, ...excite!, squeeze });
  value = layers.convolve(value, { ...names.project, out, kernel: 1 });
  return stride === 1 && input.channels === out ? layers.add(names.skip, value, input) : value;
}
