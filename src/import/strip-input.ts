// Makes a network's input the one that backbones have, `image` [N, 3, H, W], and takes a normalisation that is in the graph
// out of it.
import { GraftError } from '../base/errors.ts';
import { IMAGE } from '../onnx/convert.ts';
import type { Graph, Node } from '../onnx/graph.ts';
import { pruneGraph } from '../onnx/prune.ts';
import { type Tensor, toNumbers } from '../tensor/tensor.ts';
import { readersOf, renameValues } from './walk-graph.ts';

/** Three numbers, one per channel in the order of the file's input. */
export type Channels = readonly [number, number, number];

/** A network whose input is `image`. */
export interface StrippedInput {
  readonly graph: Graph;
  /** Height and width; undefined where any is taken. */
  readonly size: readonly [height: number, width: number] | undefined;
  /** What was taken out: image = scale * input + shift. */
  readonly scale: Channels;
  readonly shift: Channels;
}

const TO_NCHW = '0,3,1,2';
const TO_NHWC = '0,2,3,1';

/**
 * The graph with `image` ['N', 3, 'H', 'W'] in place of its one input, an image [N, 3, H, W] or [N, H, W, 3]. Additions and
 * multiplications by a constant, or by one per channel, that come first are left out of it and reported.
 * @throws GraftError `unsupported-op` for other inputs: several of them, grey images, no images.
 */
export function stripInput(graph: Graph): StrippedInput {
  const [input, ...more] = graph.inputs;
  const { isLast, size } = checkInput(input, more.length);
  const readers = readersOf(graph);
  let value = input!.name;
  let channelsLast = isLast;
  let [scale, shift]: [Channels, Channels] = [
    [1, 1, 1],
    [0, 0, 0],
  ];
  const outputs = new Set(graph.outputs.map(({ name }) => name));
  for (;;) {
    const [reader, ...others] = readers.get(value) ?? [];
    if (!reader || others.length > 0 || outputs.has(reader.outputs[0]!)) break;
    const perm = reader.op === 'Transpose' ? reader.attributes.perm.join() : '';
    if (perm === (channelsLast ? TO_NCHW : TO_NHWC)) channelsLast = !channelsLast;
    else if (reader.op !== 'Identity' && !(reader.op === 'Cast' && reader.attributes.to === 'float32')) {
      const step = affineOf(reader, value, graph.constants, channelsLast ? 3 : 1);
      if (!step) break;
      shift = each(c => step.scale[c]! * shift[c]! + step.shift[c]!);
      scale = each(c => step.scale[c]! * scale[c]!);
    }
    value = reader.outputs[0]!;
  }
  return { graph: startWith(graph, value, channelsLast), size, scale, shift };
}

const each = (make: (channel: 0 | 1 | 2) => number): Channels => [make(0), make(1), make(2)];

function checkInput(input: Graph['inputs'][number] | undefined, more: number) {
  const hint = 'Name a classifier of colour images.';
  if (!input || more > 0) {
    throw new GraftError(
      'unsupported-op',
      `The network has ${input ? more + 1 : 'no'} inputs, and one is wanted.`,
      hint,
    );
  }
  const { name, shape } = input;
  const isLast = shape.length === 4 && shape[3] === 3 && shape[1] !== 3;
  if (shape.length !== 4 || (shape[1] !== 3 && !isLast)) {
    throw new GraftError(
      'unsupported-op',
      `The network's input ${name} is [${shape.join(', ')}], and a batch of images with three channels is wanted.`,
      hint,
    );
  }
  const [height, width] = isLast ? [shape[1], shape[2]] : [shape[2], shape[3]];
  // Images are square: the side that is known counts for the other.
  const [side] = [height, width].filter(known => typeof known === 'number');
  const sideOr = (known: number | string | undefined) => (typeof known === 'number' ? known : side!);
  const size = side === undefined ? undefined : ([sideOr(height), sideOr(width)] as const);
  return { isLast, size };
}

/** A node as scale * x + shift per channel; undefined for everything else. */
function affineOf(
  { op, inputs }: Node,
  value: string,
  constants: Graph['constants'],
  channelAxis: number,
): { readonly scale: Channels; readonly shift: Channels } | undefined {
  if (inputs.length !== 2) return undefined;
  const isFirst = inputs[0] === value;
  const constant = constants.get(inputs[isFirst ? 1 : 0]!);
  const numbers = constant && perChannel(constant, channelAxis);
  if (!numbers) return undefined;
  // A factor of 0 hides a channel, and is no normalisation.
  const isFactor = numbers.every(number => number !== 0 && Number.isFinite(number));
  const [ones, zeros] = [each(() => 1), each(() => 0)];
  if (op === 'Add') return { scale: ones, shift: numbers };
  if (op === 'Mul' && isFactor) return { scale: numbers, shift: zeros };
  if (op === 'Sub' && isFirst) return { scale: ones, shift: each(c => -numbers[c]) };
  if (op === 'Div' && isFirst && isFactor) {
    return { scale: each(c => 1 / numbers[c]), shift: zeros };
  }
  return undefined;
}

/** A constant that is one number, or one per channel. */
function perChannel(tensor: Tensor, channelAxis: number): Channels | undefined {
  const numbers = toNumbers(tensor);
  if (numbers.length === 1) return each(() => numbers[0]!);
  const fromEnd = channelAxis - 4;
  if (numbers.length !== 3 || tensor.shape.at(fromEnd) !== 3 || tensor.shape.length > 4) return undefined;
  return each(c => numbers[c]!);
}

/** The graph with `image` as its input and in place of `value`. */
function startWith(graph: Graph, value: string, channelsLast: boolean): Graph {
  const taken = new Set([...graph.constants.keys(), ...graph.nodes.flatMap(node => node.outputs)]);
  let free = `${IMAGE}.of-file`;
  while (taken.has(free)) free += '.1';
  const clear = renameValues(graph, new Map([[IMAGE, free]]));
  const start = value === IMAGE ? free : value;
  const nodes = clear.nodes.filter(node => !node.outputs.includes(start));
  const turned = `${IMAGE}.nhwc`;
  const renamed = renameValues({ ...clear, nodes }, new Map([[start, channelsLast ? turned : IMAGE]]));
  const turn = {
    op: 'Transpose',
    name: turned,
    inputs: [IMAGE],
    outputs: [turned],
    attributes: { perm: [0, 2, 3, 1] },
  } as const;
  return pruneGraph({
    ...renamed,
    inputs: [{ name: IMAGE, dtype: 'float32', shape: ['N', 3, 'H', 'W'] }],
    nodes: channelsLast ? [turn, ...renamed.nodes] : renamed.nodes,
  });
}

/**
 * The network for images whose first and last channels are exchanged, RGB for BGR: the convolutions that read the image get
 * their weights' input channels exchanged; undefined when something else reads it.
 */
export function exchangeRedAndBlue(graph: Graph): Graph | undefined {
  const constants = new Map(graph.constants);
  const nodes = graph.nodes.map(node => {
    if (!node.inputs.includes(IMAGE)) return node;
    const weight = node.op === 'Conv' ? graph.constants.get(node.inputs[1]!) : undefined;
    if (node.op !== 'Conv' || node.attributes.group !== 1 || weight?.dtype !== 'float32') return undefined;
    const [, channels, height, width] = weight.shape as [number, number, number, number];
    const plane = height * width;
    const data = weight.data.map((_, i) => {
      const channel = Math.floor(i / plane) % channels;
      return weight.data[i + (channels - 1 - 2 * channel) * plane]!;
    });
    constants.set(node.inputs[1]!, { ...weight, data });
    return node;
  });
  return nodes.includes(undefined) ? undefined : { ...graph, constants };
}
