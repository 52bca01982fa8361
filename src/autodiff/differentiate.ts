// Reverse-mode differentiation of a graph: walks it backwards once and appends the nodes that compute the gradients.
import type { Emitter } from '../onnx/emitter.ts';
import type { Node } from '../onnx/graph.ts';
import { broadcastShapes, type Shape } from '../onnx/shapes.ts';
import { sizeOf } from '../tensor/tensor.ts';
import { add, type Gradient, scale } from './gradient.ts';
import { gradients } from './gradients.ts';

/**
 * Appends to `g` the gradients of `loss` with respect to `wanted`.
 * @param loss a value with one element that the graph computes.
 * @param wanted inputs, constants or any other values of the graph.
 * @returns the names of the gradients in the order of `wanted`, each with the shape of its value.
 * @throws RangeError when an op on the way has no gradient, or when the loss does not depend on something wanted.
 */
export function differentiate(g: Emitter, loss: string, wanted: readonly string[]): string[] {
  if (sizeOf(g.shapeOf(loss)) !== 1)
    throw new RangeError(`${loss} has the shape [${g.shapeOf(loss)}]; a loss is one number.`);
  const forward = [...g.nodes()];
  const dependent = reachFrom(forward, wanted);
  // What is summed to a value's gradient so far; it may be smaller than the value and broadcast to it.
  const found = new Map<string, string>([[loss, g.reshape(g.scalar(1), g.shapeOf(loss))]]);
  for (const node of forward.toReversed()) {
    const y = node.outputs[0]!;
    const dy = found.get(y);
    const wants = node.inputs.map(input => dependent.has(input));
    if (dy === undefined || !wants.includes(true)) continue;
    applyRule(g, node, dy, wants).forEach((gradient, i) => {
      const input = node.inputs[i]!;
      if (gradient === null || !wants[i]) return;
      const known = found.get(input);
      found.set(input, known === undefined ? gradient : add(g, known, gradient));
    });
  }
  return wanted.map(value => {
    const gradient = found.get(value);
    if (gradient === undefined) throw new RangeError(`${loss} does not depend on ${value}.`);
    return widen(g, gradient, g.shapeOf(value));
  });
}

/** The values that depend on one of `sources`, themselves included. */
function reachFrom(nodes: readonly Node[], sources: readonly string[]): Set<string> {
  const reached = new Set(sources);
  for (const { inputs, outputs } of nodes) {
    if (inputs.some(input => reached.has(input))) for (const output of outputs) reached.add(output);
  }
  return reached;
}

/** Gradients of a node's inputs, each no larger than its input. */
function applyRule(g: Emitter, node: Node, dy: string, wants: readonly boolean[]): (string | null)[] {
  const row = gradients[node.op] as Gradient<Node['op']>;
  if ('none' in row) throw new RangeError(`${node.op} ${node.name} cannot be differentiated: ${row.none}.`);
  const shape = g.shapeOf(node.outputs[0]!);
  const entries = row.rule(g, node, row.dy === 'full' ? widen(g, dy, shape) : dy, wants);
  if (entries.length !== node.inputs.length && entries.slice(node.inputs.length).some(entry => entry !== null)) {
    throw new RangeError(
      `The gradient of ${node.op} gives ${entries.length} entries for ${node.inputs.length} inputs.`,
    );
  }
  return node.inputs.map((input, i) => {
    const entry = entries[i] ?? null;
    if (entry === null || !wants[i]) return null;
    return narrow(g, entry, row.dy === 'broadcast' ? shape : g.shapeOf(entry), g.shapeOf(input));
  });
}

/** Repeats a gradient that only broadcasts to `shape`. */
function widen(g: Emitter, value: string, shape: Shape): string {
  if (g.shapeOf(value).join() === shape.join()) return value;
  return g.emit('Expand', [value, g.ints(shape)], {});
}

/**
 * Undoes broadcasting: sums over the axes along which an input of shape `target` was repeated to `repeated`. Where the
 * gradient was not repeated yet, the sum is a multiplication.
 */
function narrow(g: Emitter, value: string, repeated: Shape, target: Shape): string {
  const rank = Math.max(repeated.length, target.length);
  const align = (shape: Shape) => [...new Array<number>(rank - shape.length).fill(1), ...shape];
  const [wide, own, goal] = [align(broadcastShapes(repeated, target)), align(g.shapeOf(value)), align(target)];
  const axes = goal.flatMap((dim, axis) => (dim === 1 && own[axis]! > 1 ? [axis] : []));
  const factor = goal.reduce(
    (product, dim, axis) => (dim === 1 && own[axis] === 1 ? product * wide[axis]! : product),
    1,
  );
  const summed = scale(g, g.reduceSum(g.reshape(value, own), axes, 1), factor);
  // Leading axes that the target does not have are 1 now.
  return g.reshape(summed, g.shapeOf(summed).slice(rank - target.length));
}
