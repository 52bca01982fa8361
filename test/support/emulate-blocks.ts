// Computes blocked convolutions with ONNX's own ops, for any size of the blocks: what the engine's kernels do on machines
// that are not this one. Layouts as src/autodiff/gradients-blocked.ts describes them.
import { type Emitter, startEmitter } from '../../src/onnx/emitter.ts';
import type { Graph, Node } from '../../src/onnx/graph.ts';

type Four = [number, number, number, number];

/** The same graph without ops of the domain nchwc. */
export function emulateBlocks(graph: Graph): Graph {
  const g = startEmitter({ ...graph, nodes: [] }, {}, 'e');
  const block = graph.channelBlock!;
  for (const node of graph.nodes) {
    const made = emulate(g, node, block);
    if (made === undefined) g.append(node);
    else g.append({ op: 'Identity', name: node.name, inputs: [made], outputs: node.outputs, attributes: {} });
  }
  return g.build(graph.outputs);
}

function emulate(g: Emitter, node: Node, block: number): string | undefined {
  const [x, w, bias] = node.inputs as readonly [string, string, string?];
  if (node.op === 'nchwc.ReorderInput') {
    return toBlocks(g, node.attributes.channels_last ? g.transpose(x, [0, 3, 1, 2]) : x, block);
  }
  if (node.op === 'nchwc.ReorderOutput') {
    const { channels, channels_last } = node.attributes;
    const cut = [g.ints([0]), g.ints([channels]), g.ints([1]), g.ints([1])];
    const plain = g.emit('Slice', [fromBlocks(g, x, block), ...cut], {});
    return channels_last ? g.transpose(plain, [0, 2, 3, 1]) : plain;
  }
  if (node.op !== 'nchwc.Conv') return undefined;
  const { attributes } = node;
  const channels = g.shapeOf(x)[1]!;
  const picture = attributes.group === 1 && channels < block;
  const image = picture ? x : fromBlocks(g, x, block);
  const filter = filterFromBlocks(g, w, block, picture, attributes.group > 1);
  return toBlocks(g, g.emit('Conv', [image, filter, ...(bias ? [bias] : [])], attributes), block);
}

function fromBlocks(g: Emitter, value: string, block: number): string {
  const [n, c, h, w] = g.shapeOf(value) as Four;
  const turned = g.emit('Transpose', [g.reshape(value, [n, c / block, h, w, block])], { perm: [0, 1, 4, 2, 3] });
  return g.reshape(turned, [n, c, h, w]);
}

function toBlocks(g: Emitter, value: string, block: number): string {
  const [n, c, h, w] = g.shapeOf(value) as Four;
  const turned = g.emit('Transpose', [g.reshape(value, [n, c / block, block, h, w])], { perm: [0, 1, 3, 4, 2] });
  return g.reshape(turned, [n, c, h, w]);
}

function filterFromBlocks(g: Emitter, w: string, block: number, picture: boolean, depthwise: boolean): string {
  const [o, i, kh, kw] = g.shapeOf(w) as Four;
  const turn = (shape: readonly number[], perm: readonly number[]) =>
    g.reshape(g.emit('Transpose', [g.reshape(w, shape)], { perm }), [o, i, kh, kw]);
  if (depthwise) return turn([o / block, kh, kw, block], [0, 3, 1, 2]);
  if (picture) return turn([o / block, i, kh, kw, block], [0, 4, 1, 2, 3]);
  return turn([o / block, i / block, kh, kw, block, block], [0, 5, 1, 4, 2, 3]);
}
