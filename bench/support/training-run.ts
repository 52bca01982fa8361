// The graph that one thread of fine-tuning runs, for so many photos, with everything that it is fed.

import type { Graph } from '../../src/onnx/graph.ts';
import { float32, type Tensor } from '../../src/tensor/tensor.ts';
import { buildTrainingGraph } from '../../src/train/training-graph.ts';
import { CLASSES, LOSS, type OpenBackbone } from './open-backbone.ts';

/** A graph and its inputs. */
export interface TrainingRun {
  readonly graph: Graph;
  readonly inputs: Readonly<Record<string, Tensor>>;
}

/** The training graph for `photos` photos of soft noise. */
export function makeTrainingRun(backbone: OpenBackbone, photos: number, channelBlock: number | undefined): TrainingRun {
  const { card, model, parameters } = backbone;
  const { size } = card.preprocess;
  const pixels = Uint8Array.from({ length: photos * size * size * 3 }, (_, i) => 128 + 100 * Math.sin(i * i * 1e-6));
  const targets = Float32Array.from({ length: photos * CLASSES }, (_, i) =>
    i % CLASSES === Math.floor(i / CLASSES) % CLASSES ? 1 : 0,
  );
  return {
    graph: buildTrainingGraph({ model, parameters, batch: photos, loss: LOSS, channelBlock }),
    inputs: {
      image: { dtype: 'uint8', shape: [photos, size, size, 3], data: pixels },
      targets: float32([photos, CLASSES], targets),
      shares: float32([photos], new Float32Array(photos).fill(1 / photos)),
      ...Object.fromEntries(parameters.map(name => [name, model.constants.get(name)!])),
    },
  };
}
