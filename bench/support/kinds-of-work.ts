// Says what kind of work each node of a training graph is, and how many floating-point operations it takes.
import type { Graph, Node } from '../../src/onnx/graph.ts';
import { sizeOf } from '../../src/tensor/tensor.ts';

/** Kinds in the order in which they are told. */
export const kindsOfWork = [
  'forward: first convolution',
  'forward: pointwise convolutions',
  'forward: dense convolutions',
  'forward: depthwise convolutions',
  'dX: pointwise convolutions',
  'dX: dense convolutions',
  'dX: depthwise convolutions',
  'dW: first convolution',
  'dW: pointwise and dense convolutions',
  'dW: depthwise convolutions',
  'squeeze-and-excitation, head',
  'element-wise, forward',
  'element-wise, backward',
  'reductions',
  'reorders and transpositions',
  'padding and cutting',
  'the rest',
] as const;

/** One of them. */
export type KindOfWork = (typeof kindsOfWork)[number];

const reductions = new Set(['ReduceSum', 'ReduceMean', 'ReduceMax', 'GlobalAveragePool']);
const reorders = new Set(['ReorderInput', 'ReorderOutput', 'Transpose']);
const cuts = new Set(['Pad', 'Slice', 'Split', 'Concat', 'Expand', 'Gather']);
const copies = new Set(['Reshape', 'Identity', 'Cast', 'LogSoftmax', 'Softmax']);

/** A node as the runtime ran it. */
export interface RanNode {
  readonly name: string;
  readonly op: string;
  /** Shapes of its inputs and outputs. */
  readonly inputs: readonly (readonly number[])[];
  readonly outputs: readonly (readonly number[])[];
  /** Whether it ran before the loss. */
  readonly early: boolean;
}

/**
 * Sorts the nodes of `graph`, a training graph. Nodes keep their names in the runtime; those that it
 * makes itself, of ops that it has no kernel for, belong to the side of the loss on which they run.
 * @param before the part of the graph before the loss.
 */
export function sortWork(graph: Graph, before: Graph): (node: RanNode) => KindOfWork {
  const forward = new Set(before.nodes.map(({ name }) => name));
  const nodes = new Map<string, Node>(graph.nodes.map(node => [node.name, node]));
  return ({ name, op, inputs, outputs, early }) => {
    const node = nodes.get(name);
    const isForward = node ? forward.has(name) : early;
    if (op === 'Conv') {
      const w = inputs[1]!;
      const group = node?.op === 'nchwc.Conv' || node?.op === 'Conv' ? node.attributes.group : 1;
      const [channels, small] = [inputs[0]![1]!, w[2]! <= outputs[0]![2]!];
      if (group > 1) {
        if (isForward) return 'forward: depthwise convolutions';
        // A filter's gradient is a convolution whose kernel is dY, larger than the filter that comes out.
        return small ? 'dX: depthwise convolutions' : 'dW: depthwise convolutions';
      }
      if (w[2]! * w[3]! === 1) {
        if (isForward) return 'forward: pointwise convolutions';
        // The product over positions is a picture of one row.
        const isProduct = inputs[0]![0] === 1 && inputs[0]![2] === 1;
        return isProduct ? 'dW: pointwise and dense convolutions' : 'dX: pointwise convolutions';
      }
      if (isForward) return channels > 4 ? 'forward: dense convolutions' : 'forward: first convolution';
      return small ? 'dX: dense convolutions' : 'dW: first convolution';
    }
    if (op === 'FusedMatMul') return 'squeeze-and-excitation, head';
    if (op === 'Gemm' || op === 'MatMul') return 'squeeze-and-excitation, head';
    if (reductions.has(op)) return 'reductions';
    if (reorders.has(op)) return 'reorders and transpositions';
    if (cuts.has(op)) return 'padding and cutting';
    if (copies.has(op)) return 'the rest';
    return isForward ? 'element-wise, forward' : 'element-wise, backward';
  };
}

/** Floating-point operations of a convolution or a matrix product, with channels that only fill a block up; else 0. */
export function countOperations({ op, inputs, outputs }: RanNode): number {
  const [a, b, out] = [inputs[0], inputs[1], outputs[0]];
  if (!a || !b || !out) return 0;
  if (op === 'Conv') return 2 * sizeOf(out) * sizeOf(b.slice(1));
  // Of [m, k] and [k, n], however transposed: 2 m k n = 2 sqrt(mk kn mn).
  if (['Gemm', 'MatMul', 'FusedMatMul'].includes(op)) return 2 * Math.sqrt(sizeOf(a) * sizeOf(b) * sizeOf(out));
  return 0;
}
