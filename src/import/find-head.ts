// Finds where a classifier's backbone ends: the last value with positions, behind which there are only pooling, dense layers
// and what goes with them.
import { GraftError } from '../base/errors.ts';
import type { Graph, Node } from '../onnx/graph.ts';
import { pruneGraph } from '../onnx/prune.ts';
import { MAX_OUTPUTS } from '../onnx/read-model.ts';
import { inferShapes, type Shape } from '../onnx/shapes.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { refuseDense } from './refuse-dense.ts';
import { channelsLastValues, depthFirst, makersOf, positionsOf } from './walk-graph.ts';

/** A network without its head. */
export interface Headless {
  /** Its one output is the last value with positions: [N, C, H, W] or [N, tokens, C]. */
  readonly graph: Graph;
  /** A sentence about what was cut off, or that no head was found; undefined where nothing but pooling was cut off. */
  readonly note: string | undefined;
}

/** Ops that only move numbers. */
const movements: ReadonlySet<Node['op']> = new Set([
  'Cast',
  'Flatten',
  'Identity',
  'Reshape',
  'Squeeze',
  'Transpose',
  'Unsqueeze',
]);

/** Ops with weights. */
const weighted: ReadonlySet<Node['op']> = new Set(['Conv', 'Gemm', 'MatMul']);

/** What may stand between a classifier before the pool and the pool, beside a bias. */
const behindClassifier: ReadonlySet<Node['op']> = new Set(['Clip', 'Identity', 'Relu', 'Sigmoid', 'Softmax']);

/** What features have behind them as well: with it, something else has to tell that it is a classifier. */
const activations: ReadonlySet<Node['op']> = new Set(['Clip', 'Relu']);

/** What tells a classifier. */
const scores: ReadonlySet<Node['op']> = new Set(['LogSoftmax', 'Sigmoid', 'Softmax']);

/** Classes of ImageNet, with and without the background. */
const IMAGENET_CLASSES: readonly number[] = [1000, 1001];

/**
 * Cuts the head off. Of several outputs the one that most nodes lead to counts; the others are auxiliary heads.
 * @param dims sizes of the named dimensions, of one photo.
 * @throws GraftError `unsupported-op` when no value of the network has positions, and for segmenters, detectors and whatever
 * else says something of each position.
 */
export function findHead(graph: Graph, dims: Readonly<Record<string, number>>): Headless {
  if (graph.outputs.length > MAX_OUTPUTS) {
    throw new GraftError(
      'unsupported-op',
      `The network has ${graph.outputs.length} outputs, and up to ${MAX_OUTPUTS} are looked at.`,
      'Name an image classifier.',
    );
  }
  const shapes = inferShapes(graph, dims);
  const sizes = graph.outputs.map(({ name }) => depthFirst(graph, name).length);
  const main = graph.outputs[sizes.indexOf(Math.max(...sizes))]!.name;
  const nodes = depthFirst(graph, main);
  const whole: Graph = { ...graph, nodes, outputs: graph.outputs.filter(({ name }) => name === main) };
  const makers = makersOf(whole);
  const channelsLast = channelsLastValues(whole, shapes);
  const area = (value: string) => positionsOf(value, shapes, channelsLast);
  refuseDense(graph, shapes, dims);

  let found = walkBack(whole, main, shapes, value => hasPositions(value, shapes.get(value)!, area, makers));
  // A network whose image shrinks to one position before its last blocks: those belong to it.
  const shrinks = found.head.some(node => node.op === 'Conv' && isSpatial(node) && area(node.inputs[0]!) === 1);
  if (shrinks) found = walkBack(whole, main, shapes, value => shapes.get(value)!.length === 4);
  if (found.end === undefined) {
    throw new GraftError(
      'unsupported-op',
      'The network has no value with positions, height and width, that a backbone could end with.',
      'Name an image classifier.',
    );
  }
  const dropped = found.head.filter(node => weighted.has(node.op));
  const classifier = dropped.length === 0 ? classifierBefore(found, main, shapes, makers, graph.constants) : undefined;
  const end = classifier?.inputs[0] ?? found.end;
  if (classifier) dropped.push(classifier);
  const note = found.head.length === 0 ? describeWhole(shapes.get(end)!, channelsLast.has(end)) : undefined;
  return {
    graph: endWith(whole, end, shapes, channelsLast.has(end)),
    note: note ?? describe(dropped, shapes, graph.outputs.length - 1, classifier !== undefined),
  };
}

interface Walk {
  /** The last value with positions in the order of execution. */
  readonly end: string | undefined;
  /** The nodes behind it, and behind earlier such values that are pooled too. */
  readonly head: readonly Node[];
}

/** From the output back to the first values that `isEnd` says yes to. */
function walkBack(
  { nodes }: Graph,
  output: string,
  shapes: ReadonlyMap<string, Shape>,
  isEnd: (value: string) => boolean,
): Walk {
  const wanted = new Set([output]);
  const head: Node[] = [];
  let end: string | undefined;
  for (const node of nodes.toReversed()) {
    const value = node.outputs.find(name => wanted.has(name));
    if (value === undefined || !shapes.has(value)) continue;
    if (isEnd(value)) end ??= value;
    else {
      head.push(node);
      for (const input of node.inputs) wanted.add(input);
    }
  }
  return { end, head: head.reverse() };
}

/** Positions with channels: neither axis is one that is only there. */
const isList = (shape: Shape): boolean => shape.length === 3 && shape[1]! > 1 && shape[2]! > 1;

const isSpatial = ({ attributes }: Node<'Conv'>): boolean => attributes.kernel_shape.some(side => side > 1);

/** Whether a value is an image of more than one position, or a list of tokens that is no image written in another way. */
function hasPositions(
  value: string,
  shape: Shape,
  area: (value: string) => number,
  makers: ReadonlyMap<string, Node>,
): boolean {
  const maker = makers.get(value);
  const before = maker && movements.has(maker.op) ? area(maker.inputs[0]!) : 0;
  // An image that is turned to be flattened in another order counts before it is turned.
  if (shape.length === 4) return area(value) > 1 && before <= 1;
  return isList(shape) && before <= 1;
}

/**
 * A 1 x 1 convolution right before the pool that gives the classes, as fully convolutional networks have; undefined where there
 * is none. Behind a Relu it may as well be the last layer of features, unless there are as many as ImageNet has classes or
 * scores are made of them, as SqueezeNet does.
 */
function classifierBefore(
  { end, head }: Walk,
  output: string,
  shapes: ReadonlyMap<string, Shape>,
  makers: ReadonlyMap<string, Node>,
  constants: Graph['constants'],
): Node<'Conv'> | undefined {
  if (head.length === 0) return undefined;
  const classes = sizeOf(shapes.get(output)!.slice(1));
  const between: Node[] = [];
  const isBetween = ({ op, inputs }: Node) =>
    behindClassifier.has(op) || (op === 'Add' && inputs.some(input => constants.has(input)));
  let maker = makers.get(end!);
  while (maker && isBetween(maker)) {
    between.push(maker);
    maker = makers.get(maker.inputs.find(input => !constants.has(input))!);
  }
  const isTold = [...between, ...head].some(({ op }) => scores.has(op)) || IMAGENET_CLASSES.includes(classes);
  if (!isTold && between.some(({ op }) => activations.has(op))) return undefined;
  return maker?.op === 'Conv' && !isSpatial(maker) && shapes.get(maker.outputs[0]!)![1] === classes ? maker : undefined;
}

/** The graph up to `end`; a last value with its channels last gets turned. */
function endWith(graph: Graph, end: string, shapes: ReadonlyMap<string, Shape>, channelsLast: boolean): Graph {
  const shape = shapes.get(end)!;
  const name = channelsLast ? `${end}.nchw` : end;
  const turn = { op: 'Transpose', name, inputs: [end], outputs: [name], attributes: { perm: [0, 3, 1, 2] } } as const;
  const final = channelsLast ? [0, 3, 1, 2].map(axis => shape[axis]!) : shape;
  return pruneGraph({
    ...graph,
    nodes: channelsLast ? [...graph.nodes, turn] : graph.nodes,
    outputs: [{ name, dtype: 'float32', shape: ['N', ...final.slice(1)] }],
  });
}

function describeWhole(shape: Shape, channelsLast: boolean): string {
  const [channels, ...sides] =
    shape.length === 3 || channelsLast ? [shape.at(-1), ...shape.slice(1, -1)] : shape.slice(1);
  return `No head was found; all of the network is taken, up to its ${channels} channels of ${sides.join(' x ')} positions.`;
}

/** Most layers that the sentence lists. */
const MAX_LISTED = 6;

function describe(
  layers: readonly Node[],
  shapes: ReadonlyMap<string, Shape>,
  otherOutputs: number,
  isBeforePool: boolean,
): string | undefined {
  const widths = layers
    .map(({ outputs }) => shapes.get(outputs[0]!)!)
    .map(shape => (shape.length === 4 ? shape[1]! : shape.at(-1)!));
  const listed = widths.slice(-MAX_LISTED);
  const last = listed.pop();
  const parts = [
    last !== undefined &&
      (listed.length === 0
        ? `its last layer of ${last} outputs${isBeforePool ? ', a 1 x 1 convolution before the pool' : ''}`
        : `its last layers of ${listed.join(', ')} and ${last} outputs`),
    otherOutputs > 0 && `${otherOutputs} further ${otherOutputs === 1 ? 'output' : 'outputs'}`,
  ].filter(part => part !== false);
  return parts.length === 0 ? undefined : `Left out of the network: ${parts.join(', and ')}.`;
}
