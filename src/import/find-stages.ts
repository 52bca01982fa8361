// Cuts a backbone into stages: at values through which every path runs, where a block of layers ends.
import type { Graph, Node } from '../onnx/graph.ts';
import type { Shape } from '../onnx/shapes.ts';
import type { Stage } from '../zoo/backbone.ts';
import { choosePooled } from '../zoo/pool-stages.ts';
import { channelsLastValues, depthFirst } from './walk-graph.ts';

/** Most stages of a backbone. */
const MAX_STAGES = 30;

/** Nodes in the order of the stages, and the stages. */
export interface FoundStages {
  readonly nodes: readonly Node[];
  readonly stages: readonly Stage[];
}

/** A value at which the network may be cut, with the nodes since the one before. */
interface Unit {
  readonly value: string;
  readonly shape: Shape;
  readonly nodes: readonly Node[];
}

/**
 * Stages of a graph whose one output is a value with positions. A stage ends with a block: activations, normalisation, pools
 * and squeeze-and-excitation belong to the convolution before them, what is inside of an inverted residual block or a
 * separable convolution is no end.
 * @param shapes of all values, for one photo.
 */
export function findStages(graph: Graph, shapes: ReadonlyMap<string, Shape>): FoundStages {
  const output = graph.outputs[0]!.name;
  const nodes = depthFirst(graph, output);
  const units = thin(joinBlocks(joinLight(unitsOf(graph, nodes, shapes), shapes), shapes));
  const pooled = choosePooled(units.map(({ shape }) => ({ channels: channelsOf(shape), side: positionsAlong(shape) })));
  const stages = units.map(({ value }, i) => ({ value, pooled: pooled[i]! }));
  return { nodes, stages };
}

const channelsOf = (shape: Shape): number => (shape.length === 4 ? shape[1]! : shape.at(-1)!);
/** Images are square. */
const positionsAlong = (shape: Shape): number => (shape.length === 4 ? shape[2]! : shape[1]!);
const resolutionOf = (shape: Shape): string => (shape.length === 4 ? shape.slice(2) : shape.slice(1, 2)).join();

/** Ops whose results have their numbers in another order than images and lists of tokens. */
const movements: ReadonlySet<Node['op']> = new Set(['Flatten', 'Reshape', 'Squeeze', 'Transpose', 'Unsqueeze']);

/** The network in pieces, between values that alone are alive: everything behind reads them, and nothing before. */
function unitsOf(graph: Graph, nodes: readonly Node[], shapes: ReadonlyMap<string, Shape>): Unit[] {
  const output = graph.outputs[0]!.name;
  const channelsLast = channelsLastValues({ ...graph, nodes }, shapes);
  const lastUse = new Map<string, number>([[output, nodes.length]]);
  for (const [i, node] of nodes.entries()) {
    for (const input of node.inputs) if (input !== output) lastUse.set(input, i);
  }
  const alive = new Set(graph.inputs.map(({ name }) => name));
  const units: Unit[] = [];
  let since: Node[] = [];
  for (const [i, node] of nodes.entries()) {
    since.push(node);
    for (const value of node.outputs) if (lastUse.has(value)) alive.add(value);
    for (const value of node.inputs) if (lastUse.get(value) === i) alive.delete(value);
    const value = node.outputs[0]!;
    const shape = shapes.get(value)!;
    const isEnd = value === output;
    const isReadable =
      !movements.has(node.op) && !channelsLast.has(value) && (shape.length === 4 || shape.length === 3);
    if (alive.size !== 1 || !alive.has(value) || !(isEnd || isReadable)) continue;
    units.push({ value, shape, nodes: since });
    since = [];
  }
  return units;
}

const heavyOps: ReadonlySet<Node['op']> = new Set(['Conv', 'Gemm', 'MatMul']);

/** The layers with weights, but for those inside of squeeze-and-excitation, which see one position. */
function heavyNodes({ nodes }: Unit, shapes: ReadonlyMap<string, Shape>): Node[] {
  return nodes.filter(node => {
    const shape = shapes.get(node.outputs[0]!)!;
    const isPointwise = node.op !== 'Conv' || node.attributes.kernel_shape.every(side => side === 1);
    return heavyOps.has(node.op) && !(isPointwise && (shape.length === 2 || isNarrow(shape)));
  });
}

const joined = (a: Unit, b: Unit): Unit => ({ ...b, nodes: [...a.nodes, ...b.nodes] });

/** Every unit gets a layer with weights: activations, pools and the like join the unit before them, the first ones the next. */
function joinLight(units: readonly Unit[], shapes: ReadonlyMap<string, Shape>): Unit[] {
  const out: Unit[] = [];
  for (const unit of units) {
    const before = out.at(-1);
    // A unit that only prepares the image, or one that finishes what the one before has begun.
    const isJoined = before && (heavyNodes(unit, shapes).length === 0 || heavyNodes(before, shapes).length === 0);
    if (isJoined) out.pop();
    out.push(isJoined ? joined(before, unit) : unit);
  }
  return out;
}

const isMerge = ({ nodes }: Unit, shapes: ReadonlyMap<string, Shape>): boolean =>
  nodes.some(
    ({ op, inputs }) =>
      (op === 'Add' || op === 'Concat') &&
      inputs.every(
        input => (shapes.get(input)?.length ?? 0) >= 3 && shapes.get(input)![0] === 1 && !isNarrow(shapes.get(input)!),
      ),
  );

/** One position: a constant per channel, or what squeeze-and-excitation computes. */
const isNarrow = (shape: Shape): boolean => shape.length === 4 && shape[2]! * shape[3]! === 1;

/** Takes units that are no end of a block together with the next one. */
function joinBlocks(units: readonly Unit[], shapes: ReadonlyMap<string, Shape>): Unit[] {
  const isInside = [isDepthwise, isExpansion, isSqueeze];
  let list = [...units];
  for (const rule of isInside) {
    const out: Unit[] = [];
    let open: Unit | undefined;
    for (const [i, given] of list.entries()) {
      const unit = open ? joined(open, given) : given;
      const neighbours = { before: out.at(-1), after: list[i + 1] };
      const isDropped = neighbours.after && !isMerge(given, shapes) && rule(given, neighbours, shapes);
      if (isDropped) open = unit;
      else {
        out.push(unit);
        open = undefined;
      }
    }
    list = out;
  }
  return list;
}

interface Neighbours {
  readonly before: Unit | undefined;
  readonly after: Unit | undefined;
}

type Rule = (unit: Unit, neighbours: Neighbours, shapes: ReadonlyMap<string, Shape>) => boolean;

/** Only depthwise convolutions: the first half of a separable one. */
const isDepthwise: Rule = (unit, _, shapes) => {
  const heavy = heavyNodes(unit, shapes);
  return heavy.every(
    node =>
      node.op === 'Conv' && node.attributes.group > 1 && node.attributes.group === shapes.get(node.inputs[0]!)![1],
  );
};

const activations: ReadonlySet<Node['op']> = new Set([
  'Clip',
  'HardSwish',
  'HardSigmoid',
  'Relu',
  'Sigmoid',
  'Tanh',
  'microsoft.Gelu',
]);

/** More channels than before and behind, which a 1 x 1 convolution without activation brings down: an inverted residual block. */
const isExpansion: Rule = (unit, { before, after }, shapes) => {
  if (
    !before ||
    !after ||
    channelsOf(unit.shape) <= channelsOf(before.shape) ||
    channelsOf(unit.shape) <= channelsOf(after.shape)
  ) {
    return false;
  }
  const projection = heavyNodes(after, shapes).at(-1);
  if (projection?.op !== 'Conv' || projection.attributes.kernel_shape.some(side => side > 1)) return false;
  const behind = after.nodes.slice(after.nodes.indexOf(projection) + 1);
  return !behind.some(({ op }) => activations.has(op));
};

/** Fewer channels than before, and the branches behind are joined to more: the squeeze of SqueezeNet. */
const isSqueeze: Rule = (unit, { before, after }, shapes) =>
  before !== undefined &&
  after?.nodes.some(({ op }) => op === 'Concat') === true &&
  isMerge(after, shapes) &&
  channelsOf(unit.shape) < channelsOf(before.shape) &&
  channelsOf(unit.shape) < channelsOf(after.shape);

/** At most MAX_STAGES units: the last one of each resolution, and of the others as many at even distances. */
function thin(units: readonly Unit[]): Unit[] {
  if (units.length <= MAX_STAGES) return [...units];
  const isLast = (unit: Unit, i: number) => {
    const next = units[i + 1];
    return !next || resolutionOf(next.shape) !== resolutionOf(unit.shape);
  };
  const kept = new Set(units.filter(isLast).slice(-MAX_STAGES));
  const others = units.filter(unit => !kept.has(unit));
  const free = MAX_STAGES - kept.size;
  for (let i = 0; i < free; i++) kept.add(others[Math.floor(((i + 0.5) * others.length) / free)]!);
  const out: Unit[] = [];
  let open: Unit | undefined;
  for (const given of units) {
    const unit = open ? joined(open, given) : given;
    open = kept.has(given) ? undefined : unit;
    if (kept.has(given)) out.push(unit);
  }
  return out;
}
