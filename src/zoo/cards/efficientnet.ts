// EfficientNet (Tan and Le 2019, table 1) and EfficientNet-Lite (2020), which has the same rows without squeeze-and-excitation,
// with ReLU6, and with a stem and a last convolution that are not scaled.
import type { BackboneCard } from '../card.ts';
import type { InvertedResidualNetwork } from '../families/inverted-residual.ts';
import { type RepeatedRow, scaleRows } from './scale-rows.ts';
import { imageNet, signed, tensorFlow, timm, timmWeights, torchvision } from './variants.ts';

const paper = 'https://arxiv.org/abs/1905.11946';
const litePaper = 'https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite';

const table: readonly RepeatedRow[] = [
  { kernel: 3, expansion: 1, out: 16, repeats: 1, stride: 1 },
  { kernel: 3, expansion: 6, out: 24, repeats: 2, stride: 2 },
  { kernel: 5, expansion: 6, out: 40, repeats: 2, stride: 2 },
  { kernel: 3, expansion: 6, out: 80, repeats: 3, stride: 2 },
  { kernel: 5, expansion: 6, out: 112, repeats: 3, stride: 1 },
  { kernel: 5, expansion: 6, out: 192, repeats: 4, stride: 2 },
  { kernel: 3, expansion: 6, out: 320, repeats: 1, stride: 1 },
];

const b0: InvertedResidualNetwork = {
  family: 'inverted_residual',
  naming: 'efficientnet',
  stem: { out: 32, activation: 'Silu' },
  groups: scaleRows(table, { activation: 'Silu', stem: 32, squeeze: 1 / 4 }),
  last: { out: 1280, activation: 'Silu' },
  excite: { activation: 'Silu', gate: 'Sigmoid' },
};

const lite = (width: number, depth: number): InvertedResidualNetwork => ({
  family: 'inverted_residual',
  naming: 'efficientnet_lite',
  stem: { out: 32, activation: 'Relu6' },
  groups: scaleRows(table, { activation: 'Relu6', stem: 32, width, depth }),
  last: { out: 1280, activation: 'Relu6' },
});

const liteOrigin = (title: string) =>
  `Google's ${title}, trained on ImageNet-1k by its authors in TensorFlow, in timm's conversion (tag in1k).`;

export const efficientNets: readonly BackboneCard[] = [
  {
    name: 'efficientnet_b0',
    title: 'EfficientNet-B0',
    paper,
    architecture: b0,
    stageWidths: [32, 16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320, 1280],
    classifier: [{ out: 1000, with: 'bias' }],
    preprocess: { size: 224, fit: 'squash', kernel: 'cubic', ...imageNet },
    variants: [timm('efficientnet_b0'), tensorFlow('tf_efficientnet_b0', imageNet), torchvision('efficientnet_b0')],
    weights: timmWeights(
      'efficientnet_b0.ra_in1k',
      "timm's EfficientNet-B0 (recipe ra_in1k), trained on ImageNet-1k by Ross Wightman with RandAugment.",
    ),
    figures: {
      top1: { percent: 77.694, weights: 'timm/efficientnet_b0.ra_in1k', size: 224 },
      parameters: 5_288_548,
      backboneParameters: 4_007_548,
      multiplyAdds: 385_814_752,
    },
  },
  {
    name: 'efficientnet_lite0',
    title: 'EfficientNet-Lite0',
    paper: litePaper,
    architecture: lite(1, 1),
    stageWidths: [32, 16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320, 1280],
    classifier: [{ out: 1000, with: 'bias' }],
    preprocess: { size: 224, fit: 'squash', kernel: 'cubic', ...imageNet },
    variants: [timm('efficientnet_lite0'), tensorFlow('tf_efficientnet_lite0')],
    weights: timmWeights(
      'efficientnet_lite0.ra_in1k',
      "timm's EfficientNet-Lite0 (recipe ra_in1k), trained on ImageNet-1k by Ross Wightman with RandAugment.",
    ),
    figures: {
      top1: { percent: 75.488, weights: 'timm/efficientnet_lite0.ra_in1k', size: 224 },
      parameters: 4_652_008,
      backboneParameters: 3_371_008,
      multiplyAdds: 385_187_552,
    },
  },
  {
    name: 'efficientnet_lite1',
    title: 'EfficientNet-Lite1',
    paper: litePaper,
    architecture: lite(1, 1.1),
    stageWidths: [
      32, 16, 24, 24, 24, 40, 40, 40, 80, 80, 80, 80, 112, 112, 112, 112, 192, 192, 192, 192, 192, 320, 1280,
    ],
    classifier: [{ out: 1000, with: 'bias' }],
    preprocess: { size: 240, fit: 'squash', kernel: 'cubic', ...signed },
    variants: [tensorFlow('tf_efficientnet_lite1'), timm('efficientnet_lite1')],
    weights: timmWeights('tf_efficientnet_lite1.in1k', liteOrigin('EfficientNet-Lite1')),
    figures: {
      top1: { percent: 76.644, weights: 'timm/tf_efficientnet_lite1.in1k', size: 240 },
      parameters: 5_416_680,
      backboneParameters: 4_135_680,
      multiplyAdds: 600_185_232,
    },
  },
  {
    name: 'efficientnet_lite2',
    title: 'EfficientNet-Lite2',
    paper: litePaper,
    architecture: lite(1.1, 1.2),
    stageWidths: [
      32, 16, 24, 24, 24, 48, 48, 48, 88, 88, 88, 88, 120, 120, 120, 120, 208, 208, 208, 208, 208, 352, 1280,
    ],
    classifier: [{ out: 1000, with: 'bias' }],
    preprocess: { size: 260, fit: 'squash', kernel: 'cubic', ...signed },
    variants: [tensorFlow('tf_efficientnet_lite2'), timm('efficientnet_lite2')],
    weights: timmWeights('tf_efficientnet_lite2.in1k', liteOrigin('EfficientNet-Lite2')),
    figures: {
      top1: { percent: 77.464, weights: 'timm/tf_efficientnet_lite2.in1k', size: 260 },
      parameters: 6_092_072,
      backboneParameters: 4_811_072,
      multiplyAdds: 859_736_272,
    },
  },
  {
    name: 'efficientnet_lite3',
    title: 'EfficientNet-Lite3',
    paper: litePaper,
    architecture: lite(1.2, 1.4),
    stageWidths: [
      32, 24, 32, 32, 32, 48, 48, 48, 96, 96, 96, 96, 96, 136, 136, 136, 136, 136, 232, 232, 232, 232, 232, 232, 384,
      1280,
    ],
    classifier: [{ out: 1000, with: 'bias' }],
    preprocess: { size: 280, fit: 'squash', kernel: 'linear', ...signed },
    variants: [tensorFlow('tf_efficientnet_lite3'), timm('efficientnet_lite3')],
    weights: timmWeights('tf_efficientnet_lite3.in1k', liteOrigin('EfficientNet-Lite3')),
    figures: {
      top1: { percent: 79.808, weights: 'timm/tf_efficientnet_lite3.in1k', size: 300 },
      parameters: 8_197_096,
      backboneParameters: 6_916_096,
      multiplyAdds: 1_383_321_872,
    },
  },
  {
    name: 'efficientnet_lite4',
    title: 'EfficientNet-Lite4',
    paper: litePaper,
    architecture: lite(1.4, 1.8),
    stageWidths: [
      32, 24, 32, 32, 32, 32, 56, 56, 56, 56, 112, 112, 112, 112, 112, 112, 160, 160, 160, 160, 160, 160, 272, 272, 272,
      272, 272, 272, 272, 272, 448, 1280,
    ],
    classifier: [{ out: 1000, with: 'bias' }],
    preprocess: { size: 300, fit: 'squash', kernel: 'linear', ...signed },
    variants: [tensorFlow('tf_efficientnet_lite4'), timm('efficientnet_lite4')],
    weights: timmWeights('tf_efficientnet_lite4.in1k', liteOrigin('EfficientNet-Lite4')),
    figures: {
      top1: { percent: 81.532, weights: 'timm/tf_efficientnet_lite4.in1k', size: 380 },
      parameters: 13_006_568,
      backboneParameters: 11_725_568,
      multiplyAdds: 2_553_034_336,
    },
  },
];
