// MobileNetV4 (Qin et al. 2024, appendix D).
import type { BackboneCard } from '../card.ts';
import type { UniversalBottleneckNetwork } from '../families/universal-bottleneck.ts';
import { imageNet, timm, timmWeights } from './variants.ts';

const convSmall: UniversalBottleneckNetwork = {
  family: 'universal_bottleneck',
  stem: 32,
  activation: 'Relu',
  groups: [
    [
      { kind: 'conv', kernel: 3, out: 32, stride: 2 },
      { kind: 'conv', kernel: 1, out: 32, stride: 1 },
    ],
    [
      { kind: 'conv', kernel: 3, out: 96, stride: 2 },
      { kind: 'conv', kernel: 1, out: 64, stride: 1 },
    ],
    [
      { kind: 'uib', start: 5, middle: 5, expanded: 192, out: 96, stride: 2 },
      { kind: 'uib', start: 0, middle: 3, expanded: 192, out: 96, stride: 1 },
      { kind: 'uib', start: 0, middle: 3, expanded: 192, out: 96, stride: 1 },
      { kind: 'uib', start: 0, middle: 3, expanded: 192, out: 96, stride: 1 },
      { kind: 'uib', start: 0, middle: 3, expanded: 192, out: 96, stride: 1 },
      { kind: 'uib', start: 3, middle: 0, expanded: 384, out: 96, stride: 1 },
    ],
    [
      { kind: 'uib', start: 3, middle: 3, expanded: 576, out: 128, stride: 2 },
      { kind: 'uib', start: 5, middle: 5, expanded: 512, out: 128, stride: 1 },
      { kind: 'uib', start: 0, middle: 5, expanded: 512, out: 128, stride: 1 },
      { kind: 'uib', start: 0, middle: 5, expanded: 384, out: 128, stride: 1 },
      { kind: 'uib', start: 0, middle: 3, expanded: 512, out: 128, stride: 1 },
      { kind: 'uib', start: 0, middle: 3, expanded: 512, out: 128, stride: 1 },
    ],
    [{ kind: 'conv', kernel: 1, out: 960, stride: 1 }],
  ],
};

export const mobileNetV4: readonly BackboneCard[] = [
  {
    name: 'mobilenet_v4_conv_small',
    title: 'MobileNetV4-Conv-Small',
    paper: 'https://arxiv.org/abs/2404.10518',
    architecture: convSmall,
    stageWidths: [32, 32, 32, 96, 64, 96, 96, 96, 96, 96, 96, 128, 128, 128, 128, 128, 128, 960],
    classifier: [
      { out: 1280, with: 'norm' },
      { out: 1000, with: 'bias' },
    ],
    preprocess: { size: 224, fit: 'squash', kernel: 'cubic', ...imageNet },
    variants: [timm('mobilenetv4_conv_small')],
    weights: timmWeights(
      'mobilenetv4_conv_small.e2400_r224_in1k',
      "timm's MobileNetV4-Conv-Small (recipe e2400_r224_in1k), trained on ImageNet-1k by Ross Wightman for 2,400 epochs.",
    ),
    figures: {
      top1: { percent: 73.756, weights: 'timm/mobilenetv4_conv_small.e2400_r224_in1k', size: 224 },
      parameters: 3_774_024,
      backboneParameters: 1_261_664,
      multiplyAdds: 186_005_568,
    },
  },
];
