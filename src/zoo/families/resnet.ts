// ResNet (He et al. 2015) of basic or bottleneck blocks; where a bottleneck shrinks the picture, its 3 x 3 convolution does
// (version 1.5). timm and torchvision name the parameters alike.
import type { Feature, Layers, Name } from './layers.ts';

/** A network: a 7 x 7 stem of stride 2, max-pooling, and four groups of blocks. */
export interface ResNet {
  readonly family: 'resnet';
  /** `basic`: two 3 x 3 convolutions. `bottleneck`: 1 x 1, 3 x 3 and 1 x 1 to four times the channels. */
  readonly block: 'basic' | 'bottleneck';
  readonly groups: readonly { readonly width: number; readonly blocks: number }[];
}

/** Channels of a block's output per channel of its 3 x 3 convolutions. */
const expansion = { basic: 1, bottleneck: 4 } as const;

const same = (name: string): Name => ({ timm: name, torchvision: name });

/** Adds the network behind `image`; what the stem with its pooling and each block give. */
export function addResNet(layers: Layers, { block, groups }: ResNet, image: Feature): Feature[] {
  const names = { conv: same('conv1'), norm: same('bn1') };
  const stem = layers.convolve(image, { ...names, out: 64, kernel: 7, stride: 2, activation: 'Relu' });
  const stages = [layers.maxPool(stem, 'maxpool')];
  for (const [group, { width, blocks }] of groups.entries()) {
    for (let i = 0; i < blocks; i++) {
      const stride = group > 0 && i === 0 ? 2 : 1;
      stages.push(addBlock(layers, block, stages.at(-1)!, `layer${group + 1}.${i}`, width, stride));
    }
  }
  return stages;
}

function addBlock(
  layers: Layers,
  block: ResNet['block'],
  input: Feature,
  at: string,
  width: number,
  stride: 1 | 2,
): Feature {
  const names = (part: number) => ({ conv: same(`${at}.conv${part}`), norm: same(`${at}.bn${part}`) });
  const out = width * expansion[block];
  const activation = 'Relu';
  let value: Feature;
  if (block === 'basic') {
    value = layers.convolve(input, { ...names(1), out: width, kernel: 3, stride, activation });
    value = layers.convolve(value, { ...names(2), out, kernel: 3 });
  } else {
    value = layers.convolve(input, { ...names(1), out: width, kernel: 1, activation });
    value = layers.convolve(value, { ...names(2), out: width, kernel: 3, stride, activation });
    value = layers.convolve(value, { ...names(3), out, kernel: 1 });
  }
  let shortcut = input;
  if (stride !== 1 || input.channels !== out) {
    const shrink = { conv: same(`${at}.downsample.0`), norm: same(`${at}.downsample.1`) };
    shortcut = layers.convolve(input, { ...shrink, out, kernel: 1, stride });
  }
  return layers.activate(layers.add(`${at}.skip`, value, shortcut), at, activation);
}
