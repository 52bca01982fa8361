// Per-channel factors and offsets of blocked maps as depthwise convolutions of one position: ONNX Runtime broadcasts 16
// numbers over a map five times as slowly as it computes element by element, and such a convolution is as fast. The numbers
// are the same: x * w is exact either way, and so is x * 1 + b.
import { startEmitter } from '../onnx/emitter.ts';
import type { Graph, Node } from '../onnx/graph.ts';
import { inferShapes, type Shape } from '../onnx/shapes.ts';
import { float32 } from '../tensor/tensor.ts';

/** The same graph with Mul and Add of [N, C / b, H, W, b] and [N, C / b, 1, 1, b] as convolutions; shapes are static. */
export function broadcastPerChannel(graph: Graph): Graph {
  const block = graph.channelBlock;
  if (block === undefined) return graph;
  const shapes = inferShapes(graph);
  const g = startEmitter({ ...graph, nodes: [] }, {}, 'c');
  const ones = new Map<number, string>();
  const onesOf = (count: number) => {
    const known = ones.get(count) ?? g.constant(float32([count, 1, 1, 1], new Float32Array(count).fill(1)));
    ones.set(count, known);
    return known;
  };
  for (const node of graph.nodes) {
    const operands = node.op === 'Mul' || node.op === 'Add' ? sortOperands(node, shapes, block) : undefined;
    if (!operands) {
      g.append(node);
      continue;
    }
    const [map, vector] = operands;
    const [n, blocks, h, w] = shapes.get(map)! as [number, number, number, number];
    const channels = n * blocks * block;
    const image = g.reshape(map, [1, channels, h, w]);
    const inputs =
      node.op === 'Mul'
        ? [image, g.reshape(vector, [channels, 1, 1, 1])]
        : [image, onesOf(channels), g.reshape(vector, [channels])];
    const one = { kernel_shape: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1] } as const;
    const made = g.emit('nchwc.Conv', inputs, { ...one, group: channels });
    const shape = g.ints([n, blocks, h, w, block]);
    g.append({ op: 'Reshape', name: node.name, inputs: [made, shape], outputs: node.outputs, attributes: {} });
  }
  return g.build(graph.outputs);
}

/** The map and the vector of such a node, whichever comes first. */
function sortOperands(
  { inputs }: Node,
  shapes: ReadonlyMap<string, Shape>,
  block: number,
): readonly [string, string] | undefined {
  const [a, b] = inputs as readonly [string, string];
  for (const [map, vector] of [
    [a, b],
    [b, a],
  ] as const) {
    const [large, small] = [shapes.get(map)!, shapes.get(vector)!];
    if (large.length !== 5 || small.length !== 5 || large[4] !== block) continue;
    const [n, blocks, h, w] = large as [number, number, number, number];
    if (h * w > 1 && small.join() === [n, blocks, 1, 1, block].join()) return [map, vector];
  }
  return undefined;
}
