// A classifier of random weights, as a run would have trained it: what files of models are made of where no run is needed.
import { makeRng } from '../../src/base/rng.ts';
import type { Provenance } from '../../src/project/provenance.ts';
import type { TrainedNetwork } from '../../src/project/trained-run.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import type { Backbone } from '../../src/zoo/backbone.ts';
import { findCard } from '../../src/zoo/cards.ts';
import { featureWidth } from '../../src/zoo/graphs.ts';
import { randomBackbone } from './random-weights.ts';
import { noise } from './two-runtimes.ts';
import { withSize } from './with-size.ts';

/** MobileNetV2 of half the width for two classes. */
export async function makeClassifier(size: number): Promise<TrainedNetwork> {
  const backbone = withSize(await randomBackbone(findCard('mobilenet_v2_050'), 1), size);
  const width = featureWidth(backbone);
  return {
    backbone,
    head: { weight: noise(makeRng(1, 'head'), [2, width], 1 / width), bias: float32([2], [0, 0]) },
    provenance: provenanceOf(backbone),
  };
}

/** What a classifier of healthy and unhealthy leaves says of itself. */
export function provenanceOf({ name, preprocess, weights }: Backbone): Provenance {
  return {
    format: 1,
    graft: '0.0.0',
    backbone: name,
    classes: ['healthy', 'unhealthy'],
    preprocess,
    weights: weights.sha256,
    dataset: '',
  };
}
