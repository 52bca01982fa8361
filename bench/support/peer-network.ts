// A backbone and its head as throughput.py reads them: nodes as JSON, and every constant in one file of float32 numbers.
import { writeFileSync } from 'node:fs';
import type { Tensor } from '../../src/tensor/tensor.ts';
import type { Backbone } from '../../src/zoo/backbone.ts';
import { featureWidth } from '../../src/zoo/graphs.ts';
import { headWeights } from './open-backbone.ts';

/** Files of a network. */
export interface PeerNetwork {
  readonly json: string;
  readonly numbers: string;
}

/**
 * Writes `path`.json and `path`.f32.
 * @param head its weights. Default: those of the benchmarks of a single step.
 */
export function writePeerNetwork(
  backbone: Backbone,
  path: string,
  head: Tensor<'float32'> = headWeights(featureWidth(backbone)),
): PeerNetwork {
  const { graph, stages, preprocess } = backbone;
  const files = { json: `${path}.json`, numbers: `${path}.f32` };
  const tensors = [...graph.constants, ['head.weight', head] as const];
  const parts: Buffer[] = [];
  const constants: Record<string, { shape: readonly number[]; offset: number }> = {};
  let offset = 0;
  for (const [name, { dtype, shape, data }] of tensors) {
    if (dtype !== 'float32') throw new TypeError(`${name} is of ${dtype}; the peer reads float32.`);
    constants[name] = { shape, offset };
    offset += data.length;
    parts.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  }
  writeFileSync(files.numbers, Buffer.concat(parts));
  const nodes = graph.nodes.map(({ op, inputs, outputs, attributes }) => ({ op, inputs, outputs, attributes }));
  const pooled = stages.filter(stage => stage.pooled).map(({ value }) => value);
  writeFileSync(files.json, JSON.stringify({ nodes, constants, pooled, mean: preprocess.mean, std: preprocess.std }));
  return files;
}
