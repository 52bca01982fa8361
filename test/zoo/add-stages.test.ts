// Stages of a backbone with BatchNormalization folded, frozen or trained, against ONNX Runtime on the graph as it stands.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeRng } from '../../src/base/rng.ts';
import { openSession } from '../../src/engine/session.ts';
import { graphBuilder } from '../../src/onnx/builder.ts';
import type { Graph } from '../../src/onnx/graph.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, int64, sizeOf, type Tensor } from '../../src/tensor/tensor.ts';
import { addStages } from '../../src/zoo/add-stages.ts';
import type { Backbone } from '../../src/zoo/backbone.ts';
import { stageParameters, stageShapes, withParameters } from '../../src/zoo/stages.ts';
import { assertClose } from '../support/reference.ts';
import { withSize } from '../support/with-size.ts';

const SIZE = 16;
const rng = makeRng(5, 'stages');
const noise = (shape: readonly number[], scale = 1, around = 0) =>
  float32(
    shape,
    Float32Array.from({ length: sizeOf(shape) }, () => around + scale * rng.normal()),
  );

/**
 * Three stages with every place in which a BatchNormalization may stand: behind a convolution without and with a bias, behind
 * one that others read too, alone before an activation (DenseNet), and on a list of features. `group` is that of the first
 * convolution.
 */
function makeBackbone(group: 1 | 3): Backbone {
  const g = graphBuilder('sample');
  const image = g.input({ name: 'image', dtype: 'float32', shape: ['N', 3, 'H', 'W'] });
  const conv = (name: string, input: string, [out, perGroup, kernel]: number[], hasBias: boolean, groups = 1) => {
    const weight = g.constant(`${name}.weight`, noise([out!, perGroup!, kernel!, kernel!], 0.4));
    const bias = hasBias ? [g.constant(`${name}.bias`, noise([out!]))] : [];
    const pad = (kernel! - 1) / 2;
    return g.node('Conv', name, [input, weight, ...bias], {
      kernel_shape: [kernel!, kernel!],
      strides: [1, 1],
      pads: [pad, pad, pad, pad],
      dilations: [1, 1],
      group: groups,
    });
  };
  const norm = (name: string, input: string, channels: number) => {
    const parts = ['weight', 'bias', 'running_mean', 'running_var'].map(part =>
      g.constant(`${name}.${part}`, part === 'running_var' ? noise([channels], 0.1, 1) : noise([channels])),
    );
    return g.node('BatchNormalization', name, [input, ...parts], { epsilon: 1e-3 });
  };
  const first = g.node('Relu', 'a.relu', [norm('a.norm', conv('a', image, [6, 3 / group, 3], false, group), 6)], {});
  const shared = conv('b', first, [6, 6, 1], true);
  const normed = norm('b.norm', shared, 6);
  const sum = g.node('Add', 'b.sum', [shared, normed], {});
  const alone = g.node('Relu', 'c.relu', [norm('c.norm', sum, 6)], {});
  const last = norm('d.norm', conv('d', alone, [4, 6, 3], true), 4);
  const scaled = g.node('Mul', 'd.scaled', [last, g.constant('d.scale', noise([4, 1, 1]))], {});
  const halved = g.node('Mul', 'd.halved', [scaled, g.scalar('half', 0.5)], {});
  const flat = g.node('ReduceMean', 'e.mean', [halved], { axes: [2, 3], keepdims: 0 });
  const list = norm('e.norm', flat, 4);
  return {
    name: 'sample',
    title: 'Sample',
    preprocess: { size: SIZE, fit: 'squash', kernel: 'linear', mean: [0, 0, 0], std: [1, 1, 1] },
    graph: g.build([{ name: list, dtype: 'float32', shape: ['N', 4] }]),
    stages: [first, halved, list].map(value => ({ value, pooled: true })),
    weights: { file: 'none', sha256: '' },
  };
}

async function run(graph: Graph, inputs: Record<string, Tensor>): Promise<Record<string, Tensor>> {
  const session = await openSession(writeOnnx(graph), { threads: 1 });
  const found = await session.run(inputs);
  await session.close();
  return found;
}

const scale = [0.5, 2, -1.5];

for (const group of [1, 3] as const) {
  const backbone = makeBackbone(group);
  const pixels = noise([2, 3, SIZE, SIZE]);
  const shapeOf = new Map(backbone.stages.map(({ value }, i) => [value, ['N', ...stageShapes(backbone)[i]!]]));
  const area = SIZE * SIZE;
  const normalised = { ...pixels, data: pixels.data.map((x, i) => x * scale[Math.floor(i / area) % 3]!) };
  for (const trainFrom of [0, 1, 3]) {
    test(`a first convolution of ${group} groups, trained from stage ${trainFrom}: the same values, stage by stage`, async () => {
      const wanted = await run(
        {
          ...backbone.graph,
          outputs: backbone.stages.map(({ value }) => ({ name: value, dtype: 'float32', shape: shapeOf.get(value)! })),
        },
        { image: normalised },
      );
      const g = graphBuilder('folded');
      const value = g.input({ name: 'x', dtype: 'float32', shape: ['N', 3, SIZE, SIZE] });
      const values = addStages(g, backbone, { value, scale }, { from: 0, to: 3, trainFrom });
      const graph = g.build(values.map(name => ({ name, dtype: 'float32', shape: shapeOf.get(name)! })));
      assert.ok(graph.nodes.every(({ op }) => op !== 'BatchNormalization'));
      const found = await run(graph, { x: pixels });
      for (const name of values)
        assertClose(found[name]!.data as Float32Array, [...(wanted[name]!.data as Float32Array)], 1e-5, name);
      // What is trained is there by its name, as it is.
      for (const names of stageParameters(backbone).slice(trainFrom)) {
        for (const name of names) assert.equal(graph.constants.get(name), backbone.graph.constants.get(name), name);
      }
    });
  }
}

test('the parameters of a stage are its weights, gammas, betas and factors; numbers of a formula are none', () => {
  assert.deepEqual(stageParameters(makeBackbone(1)), [
    ['a.weight', 'a.norm.weight', 'a.norm.bias'],
    ['b.weight', 'b.bias', 'b.norm.weight', 'b.norm.bias', 'c.norm.weight', 'c.norm.bias', 'd.weight', 'd.bias'].concat(
      ['d.norm.weight', 'd.norm.bias', 'd.scale'],
    ),
    ['e.norm.weight', 'e.norm.bias'],
  ]);
});

test('shapes follow the size of the picture; other parameters take the place of those that there are', () => {
  const backbone = makeBackbone(1);
  assert.deepEqual(stageShapes(withSize(backbone, 8)), [[6, 8, 8], [4, 8, 8], [4]]);
  const bias = noise([6]);
  const changed = withParameters(backbone, new Map([['b.bias', bias]]));
  assert.equal(changed.graph.constants.get('b.bias'), bias);
  assert.throws(() => withParameters(backbone, new Map([['head.bias', bias]])), /sample has no parameter head\.bias/);
  assert.throws(() => withParameters(backbone, new Map([['b.bias', noise([5])]])), /no parameter b\.bias of \[5\]/);
  assert.notEqual(backbone.graph.constants.get('b.bias'), bias);
});

/** Two convolutions that share a filter whose name is what others are named after, and a list of positions that is normalised. */
function makeOddBackbone(): Backbone {
  const g = graphBuilder('odd');
  const image = g.input({ name: 'image', dtype: 'float32', shape: ['N', 3, 'H', 'W'] });
  const shared = g.constant('c.weight', noise([3, 3, 1, 1]));
  const window = { kernel_shape: [1, 1], strides: [1, 1], pads: [0, 0, 0, 0], dilations: [1, 1], group: 1 } as const;
  const first = g.node('Conv', 'c', [image, shared], window);
  const second = g.node('Conv', 'c.bias', [first, shared], window);
  const both = g.constant('gamma and variance', noise([3], 0.1, 1));
  const beta = g.constant('beta', noise([3]));
  const mean = g.constant('mean', noise([3]));
  const norm = g.node('BatchNormalization', 'n', [second, both, beta, mean, both], { epsilon: 1e-3 });
  const rows = g.node('Reshape', 'rows', [norm, g.constant('rows.shape', int64([3], [0, 3, -1]))], {});
  const parts = ['r.weight', 'r.bias', 'r.mean', 'r.var'].map(name =>
    g.constant(name, name === 'r.var' ? noise([3], 0.1, 1) : noise([3])),
  );
  const last = g.node('BatchNormalization', 'r', [rows, ...parts], { epsilon: 1e-3 });
  return {
    ...makeBackbone(1),
    graph: g.build([{ name: last, dtype: 'float32', shape: ['N', 3, 't'] }]),
    stages: [first, last].map(value => ({ value, pooled: true })),
  };
}

test('shared filters, names that look like made ones, a constant of two meanings, rows that are normalised', async () => {
  const backbone = makeOddBackbone();
  const pixels = noise([2, 3, SIZE, SIZE]);
  const outputs = [{ name: 'r', dtype: 'float32', shape: ['N', 3, SIZE * SIZE] }] as const;
  const wanted = await run({ ...backbone.graph, outputs }, { image: pixels });
  for (const trainFrom of [0, 1, 2]) {
    const g = graphBuilder('folded');
    const value = g.input({ name: 'x', dtype: 'float32', shape: ['N', 3, SIZE, SIZE] });
    addStages(g, backbone, { value }, { from: 0, to: 2, trainFrom });
    const found = await run(g.build(outputs), { x: pixels });
    assertClose(found.r!.data as Float32Array, [...(wanted.r!.data as Float32Array)], 1e-5, `from ${trainFrom}`);
  }
  assert.deepEqual(stageParameters(backbone), [['c.weight'], ['beta', 'r.weight', 'r.bias']]);
});
