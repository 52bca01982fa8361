// What a row of the gradient table is, and the few helpers that rules share.
import type { Emitter } from '../onnx/emitter.ts';
import type { Node } from '../onnx/graph.ts';
import type { SupportedOp } from '../onnx/ops.ts';
import type { Shape } from '../onnx/shapes.ts';

/**
 * Emits the gradients of a node's inputs from that of its output, one entry per input, null where nothing flows.
 * An entry may have a smaller shape that broadcasts to the input's, or a larger one, which is then summed to it.
 * @param dy gradient of the loss with respect to the node's first output.
 * @param wants which inputs are on a path to something wanted; the entries of others are ignored.
 */
export type Rule<O extends SupportedOp> = (
  g: Emitter,
  node: Node<O>,
  dy: string,
  wants: readonly boolean[],
) => readonly (string | null)[];

/** A row: a rule, and whether it takes a dy that only broadcasts to the output's shape; or why there is none. */
export type Gradient<O extends SupportedOp> =
  | { readonly dy: 'full' | 'broadcast'; readonly rule: Rule<O> }
  | { readonly none: string };

/** A row whose rule needs dy in the output's full shape. */
export const full = <O extends SupportedOp>(rule: Rule<O>): Gradient<O> => ({ dy: 'full', rule });

/** A row whose rule computes element by element, so that dy may have any shape that broadcasts to the output's. */
export const elementwise = <O extends SupportedOp>(rule: Rule<O>): Gradient<O> => ({ dy: 'broadcast', rule });

/** A row without a gradient, and the reason. */
export const none = <O extends SupportedOp>(reason: string): Gradient<O> => ({ none: reason });

export const mul = (g: Emitter, a: string, b: string) => g.emit('Mul', [a, b], {});
export const add = (g: Emitter, a: string, b: string) => g.emit('Add', [a, b], {});
export const sub = (g: Emitter, a: string, b: string) => g.emit('Sub', [a, b], {});
export const scale = (g: Emitter, a: string, factor: number) => (factor === 1 ? a : mul(g, a, g.scalar(factor)));

/** 2^100: multiplying by it is exact, and makes a step out of a ramp. */
const STEEP = 2 ** 100;

/** 1 where x > threshold (or x < threshold, when `below`), else 0, in one pass: clip((x - threshold) * 2^100, 0, 1). */
export function step(g: Emitter, x: string, threshold = 0, below = false): string {
  const slope = below ? -STEEP : STEEP;
  return g.emit('HardSigmoid', [x], { alpha: slope, beta: -slope * threshold });
}

/** Slice along some axes. */
export function slice(
  g: Emitter,
  x: string,
  axes: readonly number[],
  starts: readonly number[],
  ends: readonly number[],
  steps: readonly number[] = axes.map(() => 1),
): string {
  return g.emit('Slice', [x, g.ints(starts), g.ints(ends), g.ints(axes), g.ints(steps)], {});
}

/** Reverses the order of elements along some axes. */
export function flip(g: Emitter, x: string, axes: readonly number[]): string {
  const far = axes.map(() => -(2 ** 31));
  return slice(
    g,
    x,
    axes,
    axes.map(() => -1),
    far,
    axes.map(() => -1),
  );
}

/** Appends zeros: `before` and `after` per axis. */
export function pad(g: Emitter, x: string, before: Shape, after: Shape): string {
  if ([...before, ...after].every(count => count === 0)) return x;
  return g.emit('Pad', [x, g.ints([...before, ...after])], { mode: 'constant' });
}

/** Puts `factor - 1` zeros behind every element along some axes: the axis grows from n to n * factor. */
export function spread(g: Emitter, x: string, axes: readonly number[], factors: readonly number[]): string {
  const shape = g.shapeOf(x);
  const factorOf = (axis: number) => factors[axes.indexOf(axis)] ?? 1;
  if (shape.every((_, axis) => factorOf(axis) === 1)) return x;
  const split = shape.flatMap((dim, axis) => (axes.includes(axis) ? [dim, 1] : [dim]));
  const after = shape.flatMap((_, axis) => (axes.includes(axis) ? [0, factorOf(axis) - 1] : [0]));
  const wide = pad(
    g,
    g.reshape(x, split),
    split.map(() => 0),
    after,
  );
  return g.reshape(
    wide,
    shape.map((dim, axis) => dim * factorOf(axis)),
  );
}
