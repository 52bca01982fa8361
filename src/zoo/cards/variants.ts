// What sets of weights were trained with, by publisher, and where timm's are.
import type { Preprocess } from '../../image/preprocess.ts';
import type { WeightsSource, WeightVariant } from '../card.ts';

type Pixels = Pick<Preprocess, 'mean' | 'std'>;

/** Mean and deviation of ImageNet's pixels. */
export const imageNet: Pixels = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** Pixels from -1 to 1. */
export const signed: Pixels = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] };

/** Trained by torchvision. */
export const torchvision = (architecture: string, epsilon = 1e-5): WeightVariant => ({
  naming: 'torchvision',
  architecture,
  epsilon,
  padding: 'symmetric',
  ...imageNet,
});

/** Trained in timm. */
export const timm = (architecture: string): WeightVariant => ({
  naming: 'timm',
  architecture,
  epsilon: 1e-5,
  padding: 'symmetric',
  ...imageNet,
});

/** Trained in TensorFlow and brought to timm, whose names for such architectures start with `tf_`. */
export const tensorFlow = (architecture: string, pixels: Pixels = signed): WeightVariant => ({
  naming: 'timm',
  architecture,
  epsilon: 1e-3,
  padding: 'same',
  ...pixels,
});

/**
 * Weights of timm on the Hugging Face Hub.
 * @param name architecture and recipe, e.g. `resnet18.a1_in1k`.
 * @param origin what they were trained on, and by whom.
 */
export const timmWeights = (name: string, origin: string): WeightsSource => ({
  from: { kind: 'hub', repo: `timm/${name}`, file: 'model.safetensors' },
  format: 'safetensors',
  licence: 'Apache-2.0',
  origin,
});
