// The zoo: every backbone that graft knows by name.
import { GraftError } from '../base/errors.ts';
import type { BackboneCard } from './card.ts';

/** Name of the backbone that is used unless another is asked for. */
export const DEFAULT_BACKBONE = 'mobilenet_v3_small';

const mobileNetV3Small: BackboneCard = {
  name: 'mobilenet_v3_small',
  title: 'MobileNetV3-Small',
  paper: 'https://arxiv.org/abs/1905.02244',
  architecture: {
    family: 'mobilenet_v3',
    stem: 16,
    rows: [
      { kernel: 3, expanded: 16, out: 16, squeeze: 8, activation: 'Relu', stride: 2 },
      { kernel: 3, expanded: 72, out: 24, squeeze: 0, activation: 'Relu', stride: 2 },
      { kernel: 3, expanded: 88, out: 24, squeeze: 0, activation: 'Relu', stride: 1 },
      { kernel: 5, expanded: 96, out: 40, squeeze: 24, activation: 'HardSwish', stride: 2 },
      { kernel: 5, expanded: 240, out: 40, squeeze: 64, activation: 'HardSwish', stride: 1 },
      { kernel: 5, expanded: 240, out: 40, squeeze: 64, activation: 'HardSwish', stride: 1 },
      { kernel: 5, expanded: 120, out: 48, squeeze: 32, activation: 'HardSwish', stride: 1 },
      { kernel: 5, expanded: 144, out: 48, squeeze: 40, activation: 'HardSwish', stride: 1 },
      { kernel: 5, expanded: 288, out: 96, squeeze: 72, activation: 'HardSwish', stride: 2 },
      { kernel: 5, expanded: 576, out: 96, squeeze: 144, activation: 'HardSwish', stride: 1 },
      { kernel: 5, expanded: 576, out: 96, squeeze: 144, activation: 'HardSwish', stride: 1 },
    ],
    last: 576,
    batchNormEpsilon: 1e-3,
  },
  preprocess: {
    size: 224,
    fit: 'squash',
    kernel: 'linear',
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  },
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
  featureWidths: [16, 16, 24, 24, 40, 40, 40, 48, 48, 96, 96, 96, 576],
};

const cards: readonly BackboneCard[] = [mobileNetV3Small];

/** The card called `name`. Throws GraftError `usage` that lists the known names. */
export function findCard(name: string): BackboneCard {
  const card = cards.find(candidate => candidate.name === name);
  if (card) return card;
  const known = cards.map(candidate => candidate.name).join(', ');
  throw new GraftError('usage', `There is no backbone called "${name}".`, `Known backbones: ${known}.`);
}
