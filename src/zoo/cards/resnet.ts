// ResNet (He et al. 2015, table 1).
import type { BackboneCard } from '../card.ts';
import { imageNet, timm, timmWeights, torchvision } from './variants.ts';

const paper = 'https://arxiv.org/abs/1512.03385';

export const resNets: readonly BackboneCard[] = [
  {
    name: 'resnet18',
    title: 'ResNet-18',
    paper,
    architecture: {
      family: 'resnet',
      block: 'basic',
      groups: [
        { width: 64, blocks: 2 },
        { width: 128, blocks: 2 },
        { width: 256, blocks: 2 },
        { width: 512, blocks: 2 },
      ],
    },
    stageWidths: [64, 64, 64, 128, 128, 256, 256, 512, 512],
    classifier: [{ out: 1000, with: 'bias' }],
    preprocess: { size: 224, fit: 'squash', kernel: 'cubic', ...imageNet },
    variants: [timm('resnet18'), torchvision('resnet18')],
    weights: timmWeights(
      'resnet18.a1_in1k',
      'timm\'s ResNet-18 (recipe a1_in1k of "ResNet strikes back"), trained on ImageNet-1k by Ross Wightman.',
    ),
    figures: {
      top1: { percent: 71.504, weights: 'timm/resnet18.a1_in1k', size: 224 },
      parameters: 11_689_512,
      backboneParameters: 11_176_512,
      multiplyAdds: 1_814_073_344,
    },
  },
  {
    name: 'resnet50',
    title: 'ResNet-50',
    paper,
    architecture: {
      family: 'resnet',
      block: 'bottleneck',
      groups: [
        { width: 64, blocks: 3 },
        { width: 128, blocks: 4 },
        { width: 256, blocks: 6 },
        { width: 512, blocks: 3 },
      ],
    },
    stageWidths: [64, 256, 256, 256, 512, 512, 512, 512, 1024, 1024, 1024, 1024, 1024, 1024, 2048, 2048, 2048],
    classifier: [{ out: 1000, with: 'bias' }],
    preprocess: { size: 224, fit: 'squash', kernel: 'cubic', ...imageNet },
    variants: [timm('resnet50'), torchvision('resnet50')],
    weights: timmWeights(
      'resnet50.a1_in1k',
      'timm\'s ResNet-50 (recipe a1_in1k of "ResNet strikes back"), trained on ImageNet-1k by Ross Wightman.',
    ),
    figures: {
      top1: { percent: 80.38, weights: 'timm/resnet50.a1_in1k', size: 224 },
      parameters: 25_557_032,
      backboneParameters: 23_508_032,
      multiplyAdds: 4_089_184_256,
    },
  },
];
