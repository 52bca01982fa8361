// MobileNetV2 (Sandler et al. 2018, table 2).
import type { BackboneCard } from '../card.ts';
import type { InvertedResidualNetwork } from '../families/inverted-residual.ts';
import { makeDivisible, type RepeatedRow, scaleRows } from './scale-rows.ts';
import { imageNet, timm, timmWeights, torchvision } from './variants.ts';

const paper = 'https://arxiv.org/abs/1801.04381';

const table: readonly RepeatedRow[] = [
  { kernel: 3, expansion: 1, out: 16, repeats: 1, stride: 1 },
  { kernel: 3, expansion: 6, out: 24, repeats: 2, stride: 2 },
  { kernel: 3, expansion: 6, out: 32, repeats: 3, stride: 2 },
  { kernel: 3, expansion: 6, out: 64, repeats: 4, stride: 2 },
  { kernel: 3, expansion: 6, out: 96, repeats: 3, stride: 1 },
  { kernel: 3, expansion: 6, out: 160, repeats: 3, stride: 2 },
  { kernel: 3, expansion: 6, out: 320, repeats: 1, stride: 1 },
];

/** The last convolution stays as it is in networks that are narrower. */
function network(width: number): InvertedResidualNetwork {
  const stem = makeDivisible(32 * width);
  return {
    family: 'inverted_residual',
    naming: 'mobilenet_v2',
    stem: { out: stem, activation: 'Relu6' },
    groups: scaleRows(table, { activation: 'Relu6', stem, width }),
    last: { out: 1280, activation: 'Relu6' },
  };
}

export const mobileNetV2: readonly BackboneCard[] = [
  {
    name: 'mobilenet_v2',
    title: 'MobileNetV2',
    paper,
    architecture: network(1),
    stageWidths: [32, 16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320, 1280],
    classifier: [{ out: 1000, with: 'bias' }],
    preprocess: { size: 224, fit: 'squash', kernel: 'cubic', ...imageNet },
    variants: [timm('mobilenetv2_100'), torchvision('mobilenet_v2')],
    weights: timmWeights(
      'mobilenetv2_100.ra_in1k',
      "timm's MobileNetV2 (recipe ra_in1k), trained on ImageNet-1k by Ross Wightman with RandAugment.",
    ),
    figures: {
      top1: { percent: 72.91, weights: 'timm/mobilenetv2_100.ra_in1k', size: 224 },
      parameters: 3_504_872,
      backboneParameters: 2_223_872,
      multiplyAdds: 300_774_272,
    },
  },
  {
    name: 'mobilenet_v2_050',
    title: 'MobileNetV2 0.5',
    paper,
    architecture: network(0.5),
    stageWidths: [16, 8, 16, 16, 16, 16, 16, 32, 32, 32, 32, 48, 48, 48, 80, 80, 80, 160, 1280],
    classifier: [{ out: 1000, with: 'bias' }],
    preprocess: { size: 224, fit: 'squash', kernel: 'cubic', ...imageNet },
    variants: [timm('mobilenetv2_050'), torchvision('mobilenet_v2')],
    weights: timmWeights(
      'mobilenetv2_050.lamb_in1k',
      "timm's MobileNetV2 of half the width (recipe lamb_in1k), trained on ImageNet-1k by Ross Wightman.",
    ),
    figures: {
      top1: { percent: 65.928, weights: 'timm/mobilenetv2_050.lamb_in1k', size: 224 },
      parameters: 1_968_680,
      backboneParameters: 687_680,
      multiplyAdds: 97_131_840,
    },
  },
];
