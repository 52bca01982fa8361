// MobileNetV3 (Howard et al. 2019, tables 1 and 2).
import type { BackboneCard } from '../card.ts';
import type { InvertedResidualNetwork } from '../families/inverted-residual.ts';
import { imageNet, tensorFlow, timm, timmWeights, torchvision } from './variants.ts';

const paper = 'https://arxiv.org/abs/1905.02244';

const small: InvertedResidualNetwork = {
  family: 'inverted_residual',
  naming: 'mobilenet_v3',
  stem: { out: 16, activation: 'HardSwish' },
  groups: [
    [{ kernel: 3, expanded: 16, out: 16, squeeze: 8, activation: 'Relu', stride: 2 }],
    [
      { kernel: 3, expanded: 72, out: 24, squeeze: 0, activation: 'Relu', stride: 2 },
      { kernel: 3, expanded: 88, out: 24, squeeze: 0, activation: 'Relu', stride: 1 },
    ],
    [
      { kernel: 5, expanded: 96, out: 40, squeeze: 24, activation: 'HardSwish', stride: 2 },
      { kernel: 5, expanded: 240, out: 40, squeeze: 64, activation: 'HardSwish', stride: 1 },
      { kernel: 5, expanded: 240, out: 40, squeeze: 64, activation: 'HardSwish', stride: 1 },
    ],
    [
      { kernel: 5, expanded: 120, out: 48, squeeze: 32, activation: 'HardSwish', stride: 1 },
      { kernel: 5, expanded: 144, out: 48, squeeze: 40, activation: 'HardSwish', stride: 1 },
    ],
    [
      { kernel: 5, expanded: 288, out: 96, squeeze: 72, activation: 'HardSwish', stride: 2 },
      { kernel: 5, expanded: 576, out: 96, squeeze: 144, activation: 'HardSwish', stride: 1 },
      { kernel: 5, expanded: 576, out: 96, squeeze: 144, activation: 'HardSwish', stride: 1 },
    ],
  ],
  last: { out: 576, activation: 'HardSwish' },
  excite: { activation: 'Relu', gate: 'HardSigmoid' },
};

const large: InvertedResidualNetwork = {
  family: 'inverted_residual',
  naming: 'mobilenet_v3',
  stem: { out: 16, activation: 'HardSwish' },
  groups: [
    [{ kernel: 3, expanded: 16, out: 16, squeeze: 0, activation: 'Relu', stride: 1 }],
    [
      { kernel: 3, expanded: 64, out: 24, squeeze: 0, activation: 'Relu', stride: 2 },
      { kernel: 3, expanded: 72, out: 24, squeeze: 0, activation: 'Relu', stride: 1 },
    ],
    [
      { kernel: 5, expanded: 72, out: 40, squeeze: 24, activation: 'Relu', stride: 2 },
      { kernel: 5, expanded: 120, out: 40, squeeze: 32, activation: 'Relu', stride: 1 },
      { kernel: 5, expanded: 120, out: 40, squeeze: 32, activation: 'Relu', stride: 1 },
    ],
    [
      { kernel: 3, expanded: 240, out: 80, squeeze: 0, activation: 'HardSwish', stride: 2 },
      { kernel: 3, expanded: 200, out: 80, squeeze: 0, activation: 'HardSwish', stride: 1 },
      { kernel: 3, expanded: 184, out: 80, squeeze: 0, activation: 'HardSwish', stride: 1 },
      { kernel: 3, expanded: 184, out: 80, squeeze: 0, activation: 'HardSwish', stride: 1 },
    ],
    [
      { kernel: 3, expanded: 480, out: 112, squeeze: 120, activation: 'HardSwish', stride: 1 },
      { kernel: 3, expanded: 672, out: 112, squeeze: 168, activation: 'HardSwish', stride: 1 },
    ],
    [
      { kernel: 5, expanded: 672, out: 160, squeeze: 168, activation: 'HardSwish', stride: 2 },
      { kernel: 5, expanded: 960, out: 160, squeeze: 240, activation: 'HardSwish', stride: 1 },
      { kernel: 5, expanded: 960, out: 160, squeeze: 240, activation: 'HardSwish', stride: 1 },
    ],
  ],
  last: { out: 960, activation: 'HardSwish' },
  excite: { activation: 'Relu', gate: 'HardSigmoid' },
};

export const mobileNetV3: readonly BackboneCard[] = [
  {
    name: 'mobilenet_v3_small',
    title: 'MobileNetV3-Small',
    paper,
    architecture: small,
    stageWidths: [16, 16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96, 576],
    classifier: [
      { out: 1024, with: 'bias' },
      { out: 1000, with: 'bias' },
    ],
    preprocess: { size: 224, fit: 'squash', kernel: 'linear', ...imageNet },
    variants: [
      torchvision('mobilenet_v3_small', 1e-3),
      timm('mobilenetv3_small_100'),
      tensorFlow('tf_mobilenetv3_small_100'),
    ],
    weights: {
      from: {
        kind: 'npm',
        package: '@qvac/classification-ggml',
        version: '0.26.3',
        integrity: 'sha512-y7kL/DHwG4AmZs67lBUuwoQwIQUg4iVSRLwmCmHGFKSDdrDb5xNhugnX5FXdIsgGcr50sOYxRdfMn2Ev7zoc4g==',
        bytes: 6525225,
        file: 'weights/mobilenetv3_3class_v3_fp16.gguf',
        licenceFiles: ['LICENSE', 'NOTICE'],
      },
      format: 'gguf',
      sha256: 'faaa680c62f989d642032114c8892e9f43e9f2487ff7a350941715c7de9ffb6c',
      bytes: 3084800,
      licence: 'Apache-2.0',
      origin:
        "torchvision's ImageNet MobileNetV3-Small (BSD-3-Clause), tuned by Tether Operations Limited to tell food, reports and other pictures apart, in float16; published in the npm package @qvac/classification-ggml.",
    },
    figures: {
      top1: { percent: 67.668, weights: "torchvision's IMAGENET1K_V1, before they were tuned", size: 224 },
      parameters: 2_542_856,
      backboneParameters: 927_008,
      multiplyAdds: 56_510_400,
    },
  },
  {
    name: 'mobilenet_v3_large',
    title: 'MobileNetV3-Large',
    paper,
    architecture: large,
    stageWidths: [16, 16, 24, 24, 40, 40, 40, 80, 80, 80, 80, 112, 112, 160, 160, 160, 960],
    classifier: [
      { out: 1280, with: 'bias' },
      { out: 1000, with: 'bias' },
    ],
    preprocess: { size: 224, fit: 'squash', kernel: 'cubic', ...imageNet },
    variants: [
      timm('mobilenetv3_large_100'),
      tensorFlow('tf_mobilenetv3_large_100'),
      torchvision('mobilenet_v3_large', 1e-3),
    ],
    weights: timmWeights(
      'mobilenetv3_large_100.ra_in1k',
      "timm's MobileNetV3-Large (recipe ra_in1k), trained on ImageNet-1k by Ross Wightman with RandAugment.",
    ),
    figures: {
      top1: { percent: 75.784, weights: 'timm/mobilenetv3_large_100.ra_in1k', size: 224 },
      parameters: 5_483_032,
      backboneParameters: 2_971_952,
      multiplyAdds: 216_589_760,
    },
  },
];
