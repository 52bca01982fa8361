// Weights for any backbone of the zoo without a download: seeded, and such that every layer works at unit scale.
import { makeRng } from '../../src/base/rng.ts';
import { openSession } from '../../src/engine/session.ts';
import type { Graph, Node } from '../../src/onnx/graph.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, sizeOf, type Tensor } from '../../src/tensor/tensor.ts';
import type { Backbone } from '../../src/zoo/backbone.ts';
import { buildBackbone } from '../../src/zoo/build-backbone.ts';
import type { BackboneCard } from '../../src/zoo/card.ts';
import { outlineNetwork } from '../../src/zoo/outline-network.ts';
import type { Parameters } from '../../src/zoo/parameters.ts';

/** Pictures that the statistics of BatchNormalization are measured on, and their size. */
const PICTURES = 4;
const SIZE = 64;

/**
 * Parameters of a card by the names that graft uses, without a classifier: convolutions as He et al. start them, gamma near 1,
 * beta near 0, and the mean and variance that each BatchNormalization meets on random pictures.
 * @param seed equal seeds give equal weights on every machine, but for the last digits of means and variances.
 * @param shift middle of beta. With 1, most values are above the zero of their ReLU, and no layer enlarges small differences.
 */
export async function randomParameters(card: BackboneCard, seed: number, shift = 0): Promise<Parameters> {
  const parameters = new Map<string, Tensor<'float32'>>();
  for (const { name, shape } of outlineNetwork(card).parameters) {
    const words = new Uint32Array(sizeOf(shape));
    makeRng(seed, 'weights', name).fill(words);
    const { middle, reach } = rangeOf(name, shape, shift);
    const numbers = new Float32Array(words.length);
    for (let i = 0; i < numbers.length; i++) numbers[i] = middle + reach * (words[i]! / 2 ** 31 - 1);
    parameters.set(name, float32(shape, numbers));
  }
  const sized = { ...card, preprocess: { ...card.preprocess, size: SIZE } };
  const measured = measureNorms(buildBackbone(sized, { parameters, origin: originOf(seed) }).graph);
  const session = await openSession(writeOnnx(measured), { threads: 2 });
  const found = await session.run({ image: makePictures(seed) });
  await session.close();
  for (const [name, { data }] of Object.entries(found)) {
    parameters.set(name, float32([data.length], data as Float32Array));
  }
  return parameters;
}

/** A backbone of the zoo with such weights. */
export async function randomBackbone(card: BackboneCard, seed: number, shift = 0): Promise<Backbone> {
  const parameters = await randomParameters(card, seed, shift);
  return buildBackbone(card, { parameters, origin: originOf(seed) });
}

const originOf = (seed: number) => ({ file: `random-${seed}`, sha256: String(seed).padStart(64, '0') });

/**
 * Uniform around `middle`, `reach` far; for filters with the variance 2 / inputs. Squeeze-and-excitation has a tenth of it:
 * gates that swing from shut to open multiply the differences between pictures from block to block.
 */
function rangeOf(
  name: string,
  shape: readonly number[],
  shift: number,
): { readonly middle: number; readonly reach: number } {
  if (shape.length !== 4) return { middle: name.endsWith('.weight') ? 1 : shift, reach: 0.1 };
  const isGate = /\.(fc[12]|conv_reduce|conv_expand)\.weight$/.test(name);
  return { middle: 0, reach: Math.sqrt((isGate ? 0.6 : 6) / sizeOf(shape.slice(1))) };
}

/** The graph with BatchNormalization as in training: by the mean and variance of what it reads, which are its outputs. */
function measureNorms(graph: Graph): Graph {
  const constants = new Map(graph.constants);
  const nodes: Node[] = [];
  const outputs: Graph['outputs'][number][] = [];
  const emit = (op: Node['op'], name: string, inputs: readonly string[], attributes: object = {}): string => {
    nodes.push({ op, name, inputs, outputs: [name], attributes } as unknown as Node);
    return name;
  };
  for (const node of graph.nodes) {
    if (node.op !== 'BatchNormalization') {
      nodes.push(node);
      continue;
    }
    const [x, gamma, beta, mean, variance] = node.inputs as [string, string, string, string, string];
    const wide = (name: string): string => {
      const { data } = graph.constants.get(name) as Tensor<'float32'>;
      constants.set(`${name}.wide`, float32([1, data.length, 1, 1], data));
      return `${name}.wide`;
    };
    constants.delete(mean);
    constants.delete(variance);
    constants.set(`${node.name}.epsilon`, float32([], [node.attributes.epsilon]));
    const average = emit('ReduceMean', `${node.name}.average`, [x], { axes: [0, 2, 3], keepdims: 1 });
    const centred = emit('Sub', `${node.name}.centred`, [x, average]);
    const squares = emit('Mul', `${node.name}.squares`, [centred, centred]);
    const spread = emit('ReduceMean', `${node.name}.spread`, [squares], { axes: [0, 2, 3], keepdims: 1 });
    const above = emit('Add', `${node.name}.above`, [spread, `${node.name}.epsilon`]);
    const deviation = emit('Sqrt', `${node.name}.deviation`, [above]);
    const even = emit('Div', `${node.name}.even`, [centred, deviation]);
    const scaled = emit('Mul', `${node.name}.scaled`, [even, wide(gamma)]);
    emit('Add', node.outputs[0]!, [scaled, wide(beta)]);
    for (const [output, value] of [
      [mean, average],
      [variance, spread],
    ] as const) {
      emit('Identity', output, [value]);
      outputs.push({ name: output, dtype: 'float32', shape: [1, constants.get(`${gamma}.wide`)!.shape[1]!, 1, 1] });
    }
  }
  return { ...graph, constants, nodes, outputs };
}

/** Random pictures, normalised: the first is of waves, the last of noise, and those between are mixed. */
function makePictures(seed: number): Tensor<'float32'> {
  const rng = makeRng(seed, 'pictures');
  const data = new Float32Array(PICTURES * 3 * SIZE * SIZE);
  for (let plane = 0; plane < PICTURES * 3; plane++) {
    const noise = Math.floor(plane / 3) / (PICTURES - 1);
    const waves = Array.from({ length: 8 }, () => {
      const [angle, pitch] = [rng.uniform(0, Math.PI), 2 ** rng.uniform(-5, 0)];
      return { x: pitch * Math.cos(angle), y: pitch * Math.sin(angle), phase: rng.uniform(0, 2 * Math.PI) };
    });
    for (let i = 0; i < SIZE * SIZE; i++) {
      const [x, y] = [i % SIZE, Math.floor(i / SIZE)];
      const sum = waves.reduce((total, wave) => total + Math.sin(wave.x * x + wave.y * y + wave.phase), 0);
      data[plane * SIZE * SIZE + i] = 0.5 * (1 - noise) * sum + 2 * noise * rng.uniform(-1, 1);
    }
  }
  return float32([PICTURES, 3, SIZE, SIZE], data);
}
