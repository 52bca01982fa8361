// Blocked convolutions against plain ones: the same outputs and the same gradients, whatever the sizes are.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { differentiate } from '../../src/autodiff/differentiate.ts';
import { liftConstants } from '../../src/autodiff/lift-constants.ts';
import { makeRng, type Rng } from '../../src/base/rng.ts';
import { blockChannels } from '../../src/engine/block-channels.ts';
import { measureChannelBlock } from '../../src/engine/measure-channel-block.ts';
import { openSession } from '../../src/engine/session.ts';
import { type GraphBuilder, graphBuilder } from '../../src/onnx/builder.ts';
import { type Emitter, startEmitter } from '../../src/onnx/emitter.ts';
import type { Graph } from '../../src/onnx/graph.ts';
import type { OpAttributes, Pads, SupportedOp } from '../../src/onnx/ops.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, int64, sizeOf, type Tensor } from '../../src/tensor/tensor.ts';
import { buildTrainingGraph } from '../../src/train/training-graph.ts';
import { assertClose, largestNumber } from '../support/reference.ts';

/** Of the largest number that is compared. */
const TOLERANCE = 2e-5;
const block = await measureChannelBlock();

interface ConvSpec {
  readonly out: number;
  readonly kernel?: number;
  readonly stride?: number;
  readonly pads?: Pads;
  readonly dilation?: number;
  readonly group?: number;
  readonly bias?: boolean;
}

/** A graph of convolutions whose parameters are all trained. */
interface Network {
  readonly graph: GraphBuilder;
  /** Appends a convolution; padding is (kernel - 1) / 2 unless said otherwise. */
  conv(name: string, x: string, channels: number, spec: ConvSpec): string;
  /** A trained constant. */
  parameter(name: string, shape: readonly number[]): string;
}

interface Problem {
  readonly graph: Graph;
  readonly parameters: readonly string[];
}

function noise(rng: Rng, shape: readonly number[], scale = 1): Tensor<'float32'> {
  return float32(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => scale * rng.normal()),
  );
}

/** The network that `body` builds on the input `x`; it gives the names of the outputs. */
function network(shape: readonly number[], body: (net: Network, x: string) => string | readonly string[]): Problem {
  const graph = graphBuilder('network');
  const rng = makeRng(1, 'network');
  const parameters: string[] = [];
  const parameter = (name: string, dims: readonly number[], scale = 1) => {
    parameters.push(name);
    return graph.constant(name, noise(rng, dims, scale));
  };
  const conv: Network['conv'] = (name, x, channels, spec) => {
    const { out, kernel = 1, stride = 1, dilation = 1, group = 1, bias = true } = spec;
    const side = ((kernel - 1) / 2) * dilation;
    const dims = [out, channels / group, kernel, kernel];
    const inputs = [x, parameter(`${name}.weight`, dims, 1 / Math.sqrt(sizeOf(dims.slice(1))))];
    if (bias) inputs.push(parameter(`${name}.bias`, [out], 0.5));
    return graph.node('Conv', name, inputs, {
      kernel_shape: [kernel, kernel],
      strides: [stride, stride],
      pads: spec.pads ?? [side, side, side, side],
      dilations: [dilation, dilation],
      group,
    });
  };
  const x = graph.input({ name: 'x', dtype: 'float32', shape });
  const outputs = [body({ graph, conv, parameter }, x)].flat();
  return { graph: graph.build(outputs.map(name => ({ name, dtype: 'float32', shape: [] }))), parameters };
}

/** Runs the network and its gradients: those of a weighted sum of all outputs. */
async function run(g: Emitter, { graph, parameters }: Problem): Promise<Record<string, Tensor<'float32'>>> {
  const rng = makeRng(2, 'run');
  const image = noise(rng, g.shapeOf('x'));
  const sums = graph.outputs.map(({ name }) => {
    const shape = g.shapeOf(name);
    const weighted = g.emit('Mul', [name, g.constant(noise(rng, shape))], {});
    return g.reduceSum(
      weighted,
      shape.map((_, axis) => axis),
      0,
    );
  });
  const loss = sums.reduce((a, b) => g.emit('Add', [a, b], {}));
  const slopes = differentiate(g, loss, parameters);
  const names = [...graph.outputs.map(({ name }) => name), ...slopes];
  const model = g.build([...new Set(names)].map(name => ({ name, dtype: 'float32', shape: g.shapeOf(name) })));
  const session = await openSession(writeOnnx(model), { threads: 1 });
  const values = parameters.map(name => [name, graph.constants.get(name)!]);
  const found = (await session.run({ x: image, ...Object.fromEntries(values) })) as Record<string, Tensor<'float32'>>;
  await session.close();
  const keys = [...graph.outputs.map(({ name }) => name), ...parameters.map(name => `gradient of ${name}`)];
  return Object.fromEntries(keys.map((key, i) => [key, found[names[i]!]!]));
}

/** Asserts that the blocked network does what the plain one does, with `convolutions` blocked ones in it. */
async function agree(problem: Problem, convolutions: number): Promise<void> {
  const lifted = liftConstants(problem.graph, problem.parameters);
  const g = blockChannels(lifted, {}, block!, problem.parameters);
  assert.equal(g.nodes().filter(({ op }) => op === 'nchwc.Conv').length, convolutions, 'blocked convolutions');
  const wanted = await run(startEmitter(lifted), problem);
  const found = await run(g, problem);
  for (const [name, { shape, data }] of Object.entries(wanted)) {
    assert.deepEqual(found[name]!.shape, shape, name);
    assert.ok(largestNumber(data) > 0.01, `${name} is all zero, which proves nothing`);
    assertClose(found[name]!.data, data, TOLERANCE, name);
  }
}

type Row = readonly [title: string, shape: readonly number[], convolutions: number, Parameters<typeof network>[1]];

/** Relu, a depthwise convolution and a pointwise one behind a pointwise one, as blocks of a network have them. */
const depthwise =
  (channels: number, spec: Omit<ConvSpec, 'out' | 'group'>) =>
  ({ graph, conv }: Network, x: string) => {
    const wide = graph.node('Relu', 'relu', [conv('expand', x, 6, { out: channels })], {});
    const deep = conv('deep', wide, channels, { out: channels, group: channels, ...spec });
    return conv('project', deep, channels, { out: 5 });
  };

/** Something on 10 channels, which is no whole number of blocks, with pointwise convolutions before and behind it. */
const between =
  (body: (net: Network, value: string) => string) =>
  (net: Network, x: string): string => {
    const before = net.conv('before', net.conv('first', x, 6, { out: 12 }), 12, { out: 10 });
    return net.conv('after', body(net, before), 10, { out: 7 });
  };

const none: Pads = [0, 0, 0, 0];
const behind: Pads = [0, 0, 1, 1];
const photos = block ?? 8;
const positions = { axes: [2, 3], keepdims: 0 } as const;

const stem =
  (channels: number, spec: ConvSpec) =>
  ({ conv }: Network, x: string): string =>
    conv('stem', x, channels, spec);

const pointwise =
  (channels: number, spec: ConvSpec) =>
  ({ conv }: Network, x: string): string =>
    conv('second', conv('first', x, channels, spec), spec.out, { out: 12 });

/** A node of one input without constants. */
const node =
  <O extends SupportedOp>(op: O, attributes: OpAttributes[O]) =>
  ({ graph }: Network, x: string): string =>
    graph.node(op, 'op', [x], attributes);

const filters =
  (spec: ConvSpec) =>
  ({ conv }: Network, x: string): string =>
    conv('conv', x, 10, spec);

/** A dense convolution of 12 channels with pointwise ones before and behind it. */
const widened =
  (spec: ConvSpec) =>
  ({ conv }: Network, x: string): string =>
    conv('project', conv('dense', conv('expand', x, 6, { out: 12 }), 12, spec), spec.out, { out: 5 });

/** The same from 40 channels to 12. */
const narrowed =
  (spec: Omit<ConvSpec, 'out'>) =>
  ({ conv }: Network, x: string): string =>
    conv('project', conv('dense', conv('expand', x, 6, { out: 40 }), 40, { out: 12, ...spec }), 12, { out: 5 });

/** x * sigmoid(x), whose gate is read once more. */
function silu({ graph }: Network, x: string): string {
  const gate = graph.node('Sigmoid', 'gate', [x], {});
  return graph.node('Add', 'sum', [graph.node('Mul', 'product', [gate, x], {}), gate], {});
}

/** Two filters a channel, whose outputs are added up. */
function addTwoFilters({ graph, conv }: Network, x: string): string {
  const both = conv('both', x, 10, { out: 20, kernel: 3, group: 10 });
  const list = (name: string, value: number) => graph.constant(name, int64([1], [value]));
  const half = (start: number) => {
    const name = `from${start}`;
    const inputs = [list(`${name}.start`, start), list(`${name}.end`, start + 10), list(`${name}.axis`, 1)];
    return graph.node('Slice', name, [both, ...inputs], {});
  };
  return graph.node('Add', 'sum', [half(0), half(10)], {});
}

function squeezeAndExcite({ graph, conv }: Network, x: string): string {
  const mean = graph.node('GlobalAveragePool', 'mean', [x], {});
  const squeezed = graph.node('Relu', 'squeezed', [conv('squeeze', mean, 10, { out: 3 })], {});
  const excited = conv('excite', squeezed, 3, { out: 10 });
  const gate = graph.node('HardSigmoid', 'gate', [excited], { alpha: 1 / 6, beta: 0.5 });
  return graph.node('Mul', 'scaled', [x, gate], {});
}

function addResidual({ graph, conv }: Network, x: string): string {
  const inner = conv('shrink', conv('grow', x, 10, { out: 24 }), 24, { out: 10 });
  return graph.node('Add', 'sum', [inner, x], {});
}

/** A pointwise convolution and a grouped one, which stays plain, read the input. */
function readTwice({ graph, conv }: Network, x: string): string {
  const sides = [conv('point', x, 20, { out: 10 }), conv('grouped', x, 20, { out: 10, kernel: 3, group: 5 })];
  const rows = sides.map(side => graph.node('ReduceMean', `${side}.rows`, [side], positions));
  return graph.node('Add', 'sum', rows, {});
}

function takeMeans({ graph, conv }: Network, x: string): string[] {
  const y = conv('point', x, 6, { out: 10 });
  return [
    graph.node('GlobalAveragePool', 'pooled', [y], {}),
    graph.node('ReduceMean', 'rows', [y], positions),
    graph.node('ReduceMean', 'kept', [y], { axes: [2, 3], keepdims: 1 }),
    graph.node('ReduceMean', 'channels', [y], { axes: [1], keepdims: 0 }),
  ];
}

function showMiddle({ graph, conv }: Network, x: string): string[] {
  const first = conv('first', x, 6, { out: 10 });
  const active = graph.node('HardSwish', 'active', [first], {});
  return [first, active, conv('second', active, 10, { out: 4 })];
}

function addHead({ graph, conv, parameter }: Network, x: string): string {
  const rows = graph.node('ReduceMean', 'rows', [conv('point', x, 6, { out: 10 })], positions);
  const constants = [parameter('head.weight', [3, 10]), parameter('head.bias', [3])];
  return graph.node('Gemm', 'logits', [rows, ...constants], { alpha: 1, beta: 1, transA: 0, transB: 1 });
}

function computeWeights({ graph, parameter }: Network, x: string): string {
  const parts = [parameter('raw', [10, 6, 1, 1]), parameter('gamma', [10, 1, 1, 1])];
  const weight = graph.node('Mul', 'weight', parts, {});
  const one = { kernel_shape: [1, 1], strides: [1, 1], pads: none, dilations: [1, 1], group: 1 } as const;
  return graph.node('Conv', 'conv', [x, weight, parameter('beta', [10])], one);
}

/** The root of x^2 + p^2, which is 0 in the channels that fill a block up. */
function takeRoot({ graph, parameter }: Network, x: string): string {
  const squares = [x, parameter('p', [1, 10, 1, 1])].map((v, i) => graph.node('Mul', `square${i}`, [v, v], {}));
  return graph.node('Sqrt', 'root', [graph.node('Add', 'sum', squares, {})], {});
}

const rows: readonly Row[] = [
  ['first convolution 3x3, stride 2', [2, 3, 9, 8], 1, stem(3, { out: 16, kernel: 3, stride: 2 })],
  ['first convolution 5x5, odd channels', [1, 3, 7, 6], 1, stem(3, { out: 10, kernel: 5 })],
  ['first convolution, rows left over', [2, 3, 8, 7], 1, stem(3, { out: 24, kernel: 3, stride: 3, pads: none })],
  ['first convolution, dilated', [2, 3, 8, 7], 1, stem(3, { out: 8, kernel: 3, dilation: 2 })],
  ['first convolution, padded behind', [2, 3, 8, 7], 1, stem(3, { out: 8, kernel: 3, stride: 2, pads: behind })],
  ['first convolution of one channel', [2, 1, 8, 7], 1, stem(1, { out: 8, kernel: 3 })],
  ['first convolution of one channel to one', [2, 1, 8, 7], 1, stem(1, { out: 1, kernel: 3 })],
  ['first convolution, as many photos as a block', [photos, 3, 5, 4], 1, stem(3, { out: 8, kernel: 3 })],
  ['first convolution, more photos', [2 * photos + 3, 3, 5, 4], 1, stem(3, { out: 8, kernel: 3, stride: 2 })],
  ['pointwise', [2, 16, 5, 6], 2, pointwise(16, { out: 32 })],
  ['pointwise, odd channels', [2, 10, 5, 6], 2, pointwise(10, { out: 21 })],
  ['pointwise, few channels, no bias', [2, 3, 5, 6], 2, pointwise(3, { out: 7, bias: false })],
  ['pointwise, one position', [3, 10, 1, 1], 0, pointwise(10, { out: 21 })],
  ['depthwise 3x3', [2, 6, 7, 8], 3, depthwise(16, { kernel: 3 })],
  ['depthwise 3x3, odd channels', [2, 6, 5, 6], 3, depthwise(20, { kernel: 3 })],
  ['depthwise 3x3, stride 2, odd sides', [2, 6, 7, 9], 3, depthwise(10, { kernel: 3, stride: 2 })],
  ['depthwise 3x3, stride 2, even sides', [2, 6, 8, 6], 3, depthwise(16, { kernel: 3, stride: 2 })],
  ['depthwise 5x5', [1, 6, 7, 6], 3, depthwise(18, { kernel: 5 })],
  ['depthwise 5x5, stride 2, odd sides', [3, 6, 7, 9], 3, depthwise(24, { kernel: 5, stride: 2 })],
  ['depthwise 5x5, stride 2, even sides', [2, 6, 6, 8], 3, depthwise(12, { kernel: 5, stride: 2 })],
  ['depthwise 5x5 on fewer positions', [2, 6, 3, 2], 3, depthwise(12, { kernel: 5 })],
  ['depthwise 3x3, stride 2, one position out', [2, 6, 2, 2], 2, depthwise(12, { kernel: 3, stride: 2 })],
  ['depthwise 3x3, rows left over', [2, 6, 8, 7], 3, depthwise(12, { kernel: 3, stride: 3, pads: none })],
  ['depthwise 3x3, padded behind', [2, 6, 6, 7], 3, depthwise(12, { kernel: 3, stride: 2, pads: behind })],
  ['depthwise 3x3, padded widely', [2, 6, 5, 4], 3, depthwise(12, { kernel: 3, pads: [3, 3, 4, 3] })],
  ['depthwise 3x3, dilated', [2, 6, 8, 7], 3, depthwise(12, { kernel: 3, dilation: 2 })],
  ['depthwise 3x3, dilated, stride 2', [2, 6, 8, 7], 3, depthwise(12, { kernel: 3, dilation: 2, stride: 2 })],
  ['depthwise 1x1', [2, 6, 4, 5], 3, depthwise(12, { kernel: 1 })],
  ['depthwise 3x3 on the input', [2, 6, 4, 5], 1, stem(6, { out: 6, kernel: 3, group: 6 })],
  ['dense 3x3', [2, 6, 5, 6], 4, between(filters({ out: 10, kernel: 3 }))],
  ['dense 3x3, more filters than channels', [2, 6, 5, 6], 3, widened({ out: 40, kernel: 3 })],
  ['dense 3x3, fewer filters than channels', [3, 6, 4, 4], 3, narrowed({ kernel: 3 })],
  ['dense 3x3, stride 2, odd sides', [2, 6, 7, 9], 3, widened({ out: 20, kernel: 3, stride: 2 })],
  ['dense 3x3, stride 2, even sides', [2, 6, 8, 6], 3, narrowed({ kernel: 3, stride: 2 })],
  ['dense 3x3, stride 2, one position out', [2, 6, 2, 2], 2, widened({ out: 20, kernel: 3, stride: 2 })],
  ['dense 3x3, stride 2, padded behind', [2, 6, 6, 7], 3, widened({ out: 20, kernel: 3, stride: 2, pads: behind })],
  ['dense 3x3, rows left over', [2, 6, 8, 7], 3, widened({ out: 20, kernel: 3, stride: 3, pads: none })],
  ['dense 3x3, padded widely', [2, 6, 5, 4], 3, widened({ out: 20, kernel: 3, pads: [3, 3, 4, 3] })],
  ['dense 3x3, dilated', [2, 6, 8, 7], 3, widened({ out: 20, kernel: 3, dilation: 2 })],
  ['dense 3x3, dilated, stride 2', [2, 6, 8, 7], 3, widened({ out: 20, kernel: 3, dilation: 2, stride: 2 })],
  ['dense 3x3, dilated by 3, stride 2', [2, 6, 9, 8], 3, widened({ out: 20, kernel: 3, dilation: 3, stride: 2 })],
  ['dense 5x5 on fewer positions', [2, 6, 2, 1], 3, widened({ out: 20, kernel: 5 })],
  ['dense 5x5, stride 2', [2, 6, 7, 6], 3, narrowed({ kernel: 5, stride: 2 })],
  ['dense 2x2, stride 2, patches', [2, 6, 6, 7], 3, widened({ out: 20, kernel: 2, stride: 2, pads: none })],
  [
    'dense 2x2, stride 3, gaps between patches',
    [2, 6, 8, 9],
    3,
    widened({ out: 20, kernel: 2, stride: 3, pads: none }),
  ],
  ['dense 4x4, padded behind', [2, 6, 5, 6], 3, widened({ out: 20, kernel: 4, pads: [1, 1, 2, 2] })],
  ['dense 1x1, padded', [2, 6, 4, 5], 3, widened({ out: 20, pads: [1, 1, 1, 1] })],
  ['dense 3x3 on the input', [2, 20, 5, 4], 1, stem(20, { out: 6, kernel: 3, stride: 2 })],
  ['a grouped 3x3 stays plain', [2, 6, 5, 6], 3, between(filters({ out: 10, kernel: 3, group: 5 }))],
  ['two filters a channel stay plain', [2, 6, 5, 6], 3, between(addTwoFilters)],
  ['a pointwise of stride 2', [2, 6, 5, 6], 4, between(filters({ out: 10, stride: 2 }))],
  ['a pointwise of stride 2, even sides', [2, 6, 6, 4], 4, between(filters({ out: 10, stride: 2 }))],
  ['a pointwise of stride 2 that leaves one position', [2, 6, 2, 2], 3, between(filters({ out: 10, stride: 2 }))],
  ['SiLU', [2, 6, 5, 6], 3, between(silu)],
  [
    'MaxPool stays plain',
    [2, 6, 5, 6],
    3,
    between(node('MaxPool', { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] })),
  ],
  ['Softmax over channels stays plain', [2, 6, 5, 6], 3, between(node('Softmax', { axis: 1 }))],
  ['squeeze-and-excitation', [2, 6, 5, 4], 3, between(squeezeAndExcite)],
  ['a residual', [2, 6, 5, 4], 5, between(addResidual)],
  ['a residual of the input', [2, 10, 5, 4], 2, addResidual],
  ['an input that is read in both layouts', [2, 20, 5, 4], 1, readTwice],
  ['means', [2, 6, 5, 4], 1, takeMeans],
  ['outputs in the middle', [2, 6, 5, 4], 2, showMiddle],
  ['a head on rows', [2, 6, 5, 4], 1, addHead],
  ['weights that are computed', [2, 6, 5, 4], 1, computeWeights],
  ['HardSigmoid', [2, 6, 5, 4], 3, between(node('HardSigmoid', { alpha: 0.4, beta: 0.3 }))],
  [
    'Clip',
    [2, 6, 5, 4],
    3,
    between(({ graph }, x) => graph.node('Clip', 'op', [x, '', graph.scalar('high', 0.7)], {})),
  ],
  ['Sqrt', [2, 6, 5, 4], 3, between(takeRoot)],
];

/** Ops of one input that may stay blocked. */
const unary = ['Relu', 'HardSwish', 'Sigmoid', 'Tanh', 'Abs', 'Neg', 'Exp', 'Erf', 'microsoft.Gelu'] as const;
const binary = ['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min'] as const;
/** Shapes of a trained constant that is the second input of such an op; the value is [2, 10, 4, 5]. */
const partners = [[], [1], [10, 1, 1], [1, 10, 1, 1], [1, 1, 1, 1], [2, 1, 4, 5], [1, 10, 4, 5], [4, 5]] as const;

test('a training graph needs no blocked kernels', async () => {
  const { graph, parameters } = network([2, 3, 9, 8], ({ conv, graph: builder }, x) => {
    const y = conv('stem', x, 3, { out: 4, kernel: 3 });
    return builder.node('ReduceMean', 'logits', [y], { axes: [2, 3], keepdims: 0 });
  });
  const plain = buildTrainingGraph({ model: graph, parameters, batch: 2, loss: {}, channelBlock: undefined });
  assert.ok(plain.nodes.every(({ op }) => !op.startsWith('nchwc.')));
  const session = await openSession(writeOnnx(plain), { threads: 1 });
  assert.ok(session.outputNames.includes('gradient.stem.weight'));
  await session.close();
});

test('a block is 4, 8 or 16 channels, or there are no blocked kernels', () => {
  assert.ok(block === undefined || [4, 8, 16].includes(block), `${block}`);
});

if (block !== undefined) {
  for (const [title, shape, convolutions, body] of rows) {
    test(`blocked as plain: ${title}`, () => agree(network(shape, body), convolutions));
  }
  for (const op of unary) {
    test(`blocked as plain: ${op}`, () => agree(network([2, 6, 4, 5], between(node(op, {}))), 3));
  }
  for (const op of binary) {
    test(`blocked as plain: ${op} of a value and a constant of any shape`, async () => {
      for (const shape of partners) {
        for (const order of ['value first', 'constant first']) {
          const body = between(({ graph, parameter }, x) => {
            // Exp keeps divisors away from zero.
            const constant = graph.node('Exp', 'constant', [parameter('raw', shape)], {});
            const value = graph.node('Exp', 'value', [x], {});
            return graph.node(op, 'op', order === 'value first' ? [value, constant] : [constant, value], {});
          });
          await agree(network([2, 6, 4, 5], body), 3).catch(error => {
            throw new Error(`[${shape}], ${order}: ${error.message}`, { cause: error });
          });
        }
      }
    });
    test(`blocked as plain: ${op} of two values`, () => {
      const body = between(({ graph, conv }, x) => {
        const other = graph.node('Exp', 'other', [conv('conv', x, 10, { out: 10 })], {});
        return graph.node(op, 'op', [x, other], {});
      });
      return agree(network([2, 6, 4, 5], body), 4);
    });
  }
}
