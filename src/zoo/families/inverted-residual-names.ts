// What timm and torchvision call the layers of networks of inverted residual blocks.
import type { Name } from './layers.ts';

/** A convolution and the BatchNormalization behind it. */
export interface ConvNames {
  readonly conv: Name;
  readonly norm: Name;
}

/** Where a block stands, counted from 0; `index` counts through all groups. */
export interface Place {
  readonly group: number;
  readonly block: number;
  readonly index: number;
}

/** The layers of a block. */
export interface BlockNames {
  readonly expand: ConvNames;
  readonly depthwise: ConvNames;
  /** Squeeze-and-excitation. */
  readonly excite: { readonly at: string; readonly reduce: Name; readonly expand: Name };
  readonly project: ConvNames;
  /** What the sum with the input is called. */
  readonly skip: string;
}

/** How torchvision names a network. */
interface Style {
  readonly block: (place: Place) => string;
  /** The layers of a block lie in a list of this name. */
  readonly list: string;
  /** Whether the projection and its BatchNormalization lie in that list, too, rather than in a list of their own. */
  readonly isFlat: boolean;
  /** Number of the last convolution. */
  readonly last: (groups: number, blocks: number) => number;
}

/** The networks whose names differ. timm names all of them alike, but for the last convolution of MobileNetV3. */
export type NetworkNaming = 'mobilenet_v2' | 'mobilenet_v3' | 'efficientnet' | 'efficientnet_lite';

/** torchvision does not have EfficientNet-Lite. */
const styles: Readonly<Record<NetworkNaming, Style | undefined>> = {
  mobilenet_v2: {
    block: ({ index }) => `features.${index + 1}`,
    list: 'conv',
    isFlat: true,
    last: (_, blocks) => blocks + 1,
  },
  mobilenet_v3: {
    block: ({ index }) => `features.${index + 1}`,
    list: 'block',
    isFlat: false,
    last: (_, blocks) => blocks + 1,
  },
  efficientnet: {
    block: ({ group, block }) => `features.${group + 1}.${block}`,
    list: 'block',
    isFlat: false,
    last: groups => groups + 1,
  },
  efficientnet_lite: undefined,
};

/** The stem, and the last convolution behind `groups` groups with `blocks` blocks in all. */
export function nameEnds(
  naming: NetworkNaming,
  groups: number,
  blocks: number,
): { readonly stem: ConvNames; readonly last: ConvNames } {
  const style = styles[naming];
  const named = (timm: string, torchvision: string): Name => (style ? { timm, torchvision } : { timm });
  const number = style?.last(groups, blocks);
  const [conv, norm] =
    naming === 'mobilenet_v3' ? [`blocks.${groups}.0.conv`, `blocks.${groups}.0.bn1`] : ['conv_head', 'bn2'];
  return {
    stem: { conv: named('conv_stem', 'features.0.0'), norm: named('bn1', 'features.0.1') },
    last: { conv: named(conv, `features.${number}.0`), norm: named(norm, `features.${number}.1`) },
  };
}

/** The layers of a block, which may have no expansion and no squeeze-and-excitation. */
export function nameBlock(
  naming: NetworkNaming,
  place: Place,
  hasExpansion: boolean,
  hasExcitation: boolean,
): BlockNames {
  const style = styles[naming];
  const timm = `blocks.${place.group}.${place.block}`;
  const block = style?.block(place);
  const item = (part: number) => `${block}.${style?.list}.${part}`;
  const named = (own: string, torchvision: string): Name =>
    style ? { timm: `${timm}.${own}`, torchvision } : { timm: `${timm}.${own}` };
  // timm counts BatchNormalizations from 1, torchvision layers from 0; both count what is there.
  const first = hasExpansion ? 1 : 0;
  const convolution = (conv: string, norm: number, part: number): ConvNames => ({
    conv: named(conv, `${item(part)}.0`),
    norm: named(`bn${norm}`, `${item(part)}.1`),
  });
  const end = first + (hasExcitation ? 2 : 1);
  const projection = hasExpansion ? 'conv_pwl' : 'conv_pw';
  const flat = { conv: named(projection, item(end)), norm: named(`bn${first + 2}`, item(end + 1)) };
  return {
    expand: convolution('conv_pw', 1, 0),
    depthwise: convolution('conv_dw', first + 1, first),
    excite: {
      at: style ? item(first + 1) : `${timm}.se`,
      reduce: named('se.conv_reduce', `${item(first + 1)}.fc1`),
      expand: named('se.conv_expand', `${item(first + 1)}.fc2`),
    },
    project: style?.isFlat ? flat : convolution(projection, first + 2, end),
    skip: `${block ?? timm}.skip`,
  };
}
