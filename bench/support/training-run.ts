// The graph that one thread of fine-tuning runs, for so many photos, with everything that it is fed.
import { gradientOf } from '../../src/autodiff/split-parameters.ts';
import { openSession } from '../../src/engine/session.ts';
import type { Graph } from '../../src/onnx/graph.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, type Tensor } from '../../src/tensor/tensor.ts';
import { buildTrainingGraphs } from '../../src/train/training-graph.ts';
import { CLASSES, LOSS, type OpenBackbone } from './open-backbone.ts';
import { median } from './statistics.ts';

/** A graph and its inputs. */
export interface TrainingRun {
  readonly graph: Graph;
  /** The part of it before the loss. */
  readonly forward: Graph;
  /** Milliseconds of what is done once per step: folding and laying out the filters, and their gradients' way back. */
  readonly prologueMs: number;
  readonly pullbackMs: number;
  readonly inputs: Readonly<Record<string, Tensor>>;
}

/** The training graph for `photos` photos of soft noise. */
export async function makeTrainingRun(
  opened: OpenBackbone,
  photos: number,
  channelBlock: number | undefined,
): Promise<TrainingRun> {
  const { backbone, model, parameters } = opened;
  const { size } = backbone.preprocess;
  const pixels = Uint8Array.from({ length: photos * size * size * 3 }, (_, i) => 128 + 100 * Math.sin(i * i * 1e-6));
  const targets = Float32Array.from({ length: photos * CLASSES }, (_, i) =>
    i % CLASSES === Math.floor(i / CLASSES) % CLASSES ? 1 : 0,
  );
  const graphs = buildTrainingGraphs({ model, parameters, batch: photos, loss: LOSS, channelBlock });
  const values = Object.fromEntries(parameters.map(name => [name, model.constants.get(name)!]));
  const prologue = await timeGraph(graphs.prologue, values);
  const slopes = Object.fromEntries(graphs.prepared.map(({ name }) => [gradientOf(name), prologue.outputs[name]!]));
  const pullback = await timeGraph(graphs.pullback, { ...values, ...slopes });
  return {
    graph: graphs.step,
    forward: graphs.evaluation,
    prologueMs: prologue.milliseconds,
    pullbackMs: pullback.milliseconds,
    inputs: {
      image: { dtype: 'uint8', shape: [photos, size, size, 3], data: pixels },
      targets: float32([photos, CLASSES], targets),
      shares: float32([photos], new Float32Array(photos).fill(1 / photos)),
      ...prologue.outputs,
    },
  };
}

/** Runs a graph a few times in one thread. */
async function timeGraph(graph: Graph, inputs: Readonly<Record<string, Tensor>>) {
  const session = await openSession(writeOnnx(graph), { threads: 1 });
  const times: number[] = [];
  let outputs: Record<string, Tensor> = {};
  for (let i = 0; i < 8; i++) {
    const start = performance.now();
    outputs = await session.run(inputs);
    times.push(performance.now() - start);
  }
  await session.close();
  return { outputs, milliseconds: median(times.slice(2)) };
}
