// Builds MobileNetV3 as a graph from its table and torchvision's parameters, BatchNorm folded into the convolutions: ahead
// of time where a stage is frozen, by nodes of the graph where it is trained.
// Source: Howard et al., "Searching for MobileNetV3", arXiv:1905.02244; names and padding as torchvision has them.
import type { GraphBuilder } from '../onnx/builder.ts';
import type { MobileNetV3, MobileNetV3Row } from './card.ts';
import { addConv, addFoldedConv, addTrainedConv, type ConvSource } from './conv-norm.ts';
import { type Parameters, takeParameter } from './parameters.ts';

/** Which stages are added, and which of them are trained. Stage 0 is the stem, the last one the last convolution. */
export interface StageSpan {
  /** First stage that is added. */
  readonly from: number;
  /** Stage before which adding ends. */
  readonly to: number;
  /** First stage whose parameters are constants of their own, by torchvision's names, so that they can be trained. */
  readonly trainFrom: number;
}

/** Number of stages: the stem, the blocks and the last convolution. */
export function stageCount({ rows }: MobileNetV3): number {
  return rows.length + 2;
}

/** Name of what the last stage gives, in every graph that has it. */
export function lastStageValue(architecture: MobileNetV3): string {
  return `features.${stageCount(architecture) - 1}.0.activation`;
}

/** Channels of the output of each stage. */
export function stageChannels({ stem, rows, last }: MobileNetV3): number[] {
  return [stem, ...rows.map(row => row.out), last];
}

/** By how much height and width of the picture have shrunk after each stage. */
export function stageStrides({ rows }: MobileNetV3): number[] {
  const strides = [2];
  for (const row of rows) strides.push(strides.at(-1)! * row.stride);
  return [...strides, strides.at(-1)!];
}

/** Names of the parameters of `stage` that training changes: weights and biases, gamma and beta of BatchNorm. */
export function stageParameters(architecture: MobileNetV3, parameters: Parameters, stage: number): string[] {
  const prefix = `features.${stage}.`;
  if (stage < 0 || stage >= stageCount(architecture)) throw new RangeError(`There is no stage ${stage}.`);
  return [...parameters.keys()].filter(name => name.startsWith(prefix) && /\.(weight|bias)$/.test(name));
}

/**
 * Appends stages of the network to `graph`.
 * @param input NCHW value: what the stage before the first added one gives; for stage 0 an image with three channels, such
 * that the network should read `scale[c] * image`.
 * @param scale per-channel factor, folded into the first convolution (exact, zero padding included).
 * @param span default: all stages, all frozen.
 * @returns the output of each added stage: values of [N, featureWidths[i], h, w].
 */
export function addMobileNetV3(
  graph: GraphBuilder,
  architecture: MobileNetV3,
  parameters: Parameters,
  input: string,
  scale: readonly number[],
  span: StageSpan = { from: 0, to: stageCount(architecture), trainFrom: stageCount(architecture) },
): string[] {
  const { rows, batchNormEpsilon } = architecture;
  const channels = stageChannels(architecture);
  const lastStage = stageCount(architecture) - 1;
  const outputs: string[] = [];
  let value = input;
  for (let stage = span.from; stage < span.to; stage++) {
    const addNormed = stage >= span.trainFrom ? addTrainedConv : addFoldedConv;
    const convolve = (source: ConvSource, from: string, activation: 'Relu' | 'HardSwish' | null) => {
      const convolution = addNormed(graph, parameters, { ...source, epsilon: batchNormEpsilon }, from);
      return activation ? graph.node(activation, `${source.name}.activation`, [convolution], {}) : convolution;
    };
    if (stage === 0) {
      const stem = { name: 'features.0.0', shape: [architecture.stem, 3, 3, 3], stride: 2, group: 1 } as const;
      value = convolve({ ...stem, scaleInput: scale }, value, 'HardSwish');
    } else if (stage === lastStage) {
      const shape = [architecture.last, channels[stage - 1]!, 1, 1] as const;
      value = convolve({ name: `features.${stage}.0`, shape, stride: 1, group: 1 }, value, 'HardSwish');
    } else {
      value = addBlock(graph, parameters, convolve, value, channels[stage - 1]!, rows[stage - 1]!, stage);
    }
    outputs.push(value);
  }
  return outputs;
}

type Convolve = (source: ConvSource, from: string, activation: 'Relu' | 'HardSwish' | null) => string;

/** An inverted residual block. */
function addBlock(
  graph: GraphBuilder,
  parameters: Parameters,
  convolve: Convolve,
  input: string,
  inChannels: number,
  row: MobileNetV3Row,
  index: number,
): string {
  const prefix = `features.${index}.block`;
  const { activation, expanded, kernel, stride, squeeze, out } = row;
  let part = 0;
  let value = input;
  if (expanded !== inChannels) {
    const shape = [expanded, inChannels, 1, 1] as const;
    value = convolve({ name: `${prefix}.${part++}.0`, shape, stride: 1, group: 1 }, value, activation);
  }
  const depthwise = { name: `${prefix}.${part++}.0`, shape: [expanded, 1, kernel, kernel] as const };
  value = convolve({ ...depthwise, stride, group: expanded }, value, activation);
  if (squeeze > 0) value = addSqueezeExcite(graph, parameters, `${prefix}.${part++}`, value, expanded, squeeze);
  const project = { name: `${prefix}.${part}.0`, shape: [out, expanded, 1, 1] as const };
  value = convolve({ ...project, stride: 1, group: 1 }, value, null);
  const skip = stride === 1 && inChannels === out;
  return skip ? graph.node('Add', `features.${index}.skip`, [value, input], {}) : value;
}

/** Squeeze-and-excitation: x * hardSigmoid(fc2(relu(fc1(mean(x))))). */
function addSqueezeExcite(
  graph: GraphBuilder,
  parameters: Parameters,
  prefix: string,
  input: string,
  channels: number,
  squeeze: number,
): string {
  const dense = (source: string, value: string, outChannels: number, inChannels: number) => {
    const weight = takeParameter(parameters, `${source}.weight`, [outChannels, inChannels, 1, 1]);
    const bias = takeParameter(parameters, `${source}.bias`, [outChannels]);
    const constants = [graph.constant(`${source}.weight`, weight), graph.constant(`${source}.bias`, bias)] as const;
    return addConv(graph, source, value, constants, { kernel: 1, stride: 1, group: 1 });
  };
  const mean = graph.node('GlobalAveragePool', `${prefix}.mean`, [input], {});
  const squeezed = dense(`${prefix}.fc1`, mean, squeeze, channels);
  const active = graph.node('Relu', `${prefix}.relu`, [squeezed], {});
  const excited = dense(`${prefix}.fc2`, active, channels, squeeze);
  const gate = graph.node('HardSigmoid', `${prefix}.gate`, [excited], { alpha: 1 / 6, beta: 0.5 });
  return graph.node('Mul', `${prefix}.scaled`, [input, gate], {});
}
