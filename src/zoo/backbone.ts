// A backbone as data: a network without its classifier, as one graph that is cut into stages. Cards and imported files alike
// become this, and everything else is made of it.
import type { Preprocess } from '../image/preprocess.ts';
import type { Graph } from '../onnx/graph.ts';

/** One stage: everything up to `value` and behind the value of the stage before. */
export interface Stage {
  /**
   * The value that it gives: [N, channels, height, width], [N, tokens, channels] or [N, channels]. It alone is read by later
   * stages: no other value made before it, and no input of the graph.
   */
  readonly value: string;
  /** Whether its mean over positions is among the features. That of the last stage is. */
  readonly pooled: boolean;
}

/** Where the parameters come from. */
export interface WeightsOrigin {
  readonly file: string;
  /** Of the whole file, and of the files that hold its constants. */
  readonly sha256: string;
  /** SPDX identifier or a sentence; undefined where nobody says. */
  readonly licence?: string;
  /** What the weights were trained on, and by whom; undefined where nobody says. */
  readonly origin?: string;
}

/** A backbone. */
export interface Backbone {
  /** As files and folders are named after it: letters, digits, dots, dashes and underscores. */
  readonly name: string;
  /** As people write it. */
  readonly title: string;
  readonly preprocess: Preprocess;
  /**
   * From the one input `image` ['N', 3, 'H', 'W'] (float32, normalised as `preprocess` says) to the one output, the last
   * stage's value. The nodes of each stage stand together, in the order of the stages. A BatchNormalization is a node of its
   * own; parameters are constants under the names that their source gives them.
   */
  readonly graph: Graph;
  readonly stages: readonly Stage[];
  readonly weights: WeightsOrigin;
}
