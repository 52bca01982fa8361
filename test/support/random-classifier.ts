// A classifier of random weights, as a run would have trained it: what files of models are made of where no run is needed.
import { makeRng } from '../../src/base/rng.ts';
import type { TrainedNetwork } from '../../src/project/trained-run.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import { findCard } from '../../src/zoo/cards.ts';
import { featureWidth } from '../../src/zoo/graphs.ts';
import { withSize } from '../../src/zoo/stages.ts';
import { randomBackbone } from './random-weights.ts';

/** MobileNetV2 of half the width for two classes. */
export async function makeClassifier(size: number): Promise<TrainedNetwork> {
  const backbone = withSize(await randomBackbone(findCard('mobilenet_v2_050'), 1), size);
  const width = featureWidth(backbone);
  const rng = makeRng(1, 'head');
  const weight = Float32Array.from({ length: 2 * width }, () => rng.normal() / width);
  return {
    backbone,
    head: { weight: float32([2, width], weight), bias: float32([2], [0, 0]) },
    provenance: {
      format: 1,
      graft: '0.0.0',
      backbone: backbone.name,
      classes: ['healthy', 'unhealthy'],
      preprocess: backbone.preprocess,
      weights: backbone.weights.sha256,
      dataset: '',
    },
  };
}
