// What the cards say is what their networks are, and a name that is not there lists the near ones.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GraftError } from '../../src/base/errors.ts';
import { inferShapes } from '../../src/onnx/shapes.ts';
import { sizeOf } from '../../src/tensor/tensor.ts';
import { makeDivisible } from '../../src/zoo/cards/scale-rows.ts';
import { cards, DEFAULT_BACKBONE, findCard, findTimmCard } from '../../src/zoo/cards.ts';
import { outlineNetwork } from '../../src/zoo/outline-network.ts';
import { choosePooled } from '../../src/zoo/pool-stages.ts';

for (const card of cards) {
  const { figures, preprocess, stageWidths, classifier, variants } = card;
  const { graph, stages, parameters } = outlineNetwork(card);
  const shapes = inferShapes(graph, { N: 1, H: preprocess.size, W: preprocess.size });

  test(`${card.name}: the stages have the widths and sizes that the card and the builder say`, () => {
    const measured = stages.map(({ value }) => shapes.get(value)!);
    assert.deepEqual(
      measured.map(shape => shape[1]),
      stageWidths,
    );
    assert.deepEqual(
      measured,
      stages.map(({ channels, side }) => [1, channels, side, side]),
    );
    assert.equal(graph.outputs[0]!.name, stages.at(-1)!.value);
  });

  test(`${card.name}: a stage reads nothing but what the stage before gives`, () => {
    let [before, stage] = ['image', 0];
    let made = new Set<string>();
    for (const { name, inputs, outputs } of graph.nodes) {
      const foreign = inputs.filter(input => input !== before && !made.has(input) && !graph.constants.has(input));
      assert.deepEqual(foreign, [], name);
      made.add(outputs[0]!);
      if (outputs[0] !== stages[stage]!.value) continue;
      [before, made] = [outputs[0]!, new Set()];
      stage++;
    }
    assert.equal(stage, stages.length);
  });

  test(`${card.name}: parameters and multiply-adds are those on the card`, () => {
    const own = parameters.filter(({ name }) => !/\.running_(mean|var)$/.test(name));
    const backboneParameters = own.reduce((sum, { shape }) => sum + sizeOf(shape), 0);
    let [all, multiplyAdds, width] = [backboneParameters, 0, stageWidths.at(-1)!];
    for (const layer of classifier) {
      all += (width + (layer.with === 'bias' ? 1 : 2)) * layer.out;
      multiplyAdds += width * layer.out;
      width = layer.out;
    }
    for (const { op, inputs, outputs } of graph.nodes) {
      if (op !== 'Conv') continue;
      multiplyAdds += sizeOf(shapes.get(outputs[0]!)!) * sizeOf(shapes.get(inputs[1]!)!.slice(1));
    }
    assert.equal(width, 1000);
    assert.deepEqual(
      { parameters: all, backboneParameters, multiplyAdds },
      {
        parameters: figures.parameters,
        backboneParameters: figures.backboneParameters,
        multiplyAdds: figures.multiplyAdds,
      },
    );
  });

  test(`${card.name}: what weights of other names were trained with is known`, () => {
    const [own] = variants;
    assert.deepEqual([preprocess.mean, preprocess.std], [own.mean, own.std]);
    // A file with other names is recognised by them; the card's preprocessing then has to be right for it too.
    for (const naming of ['timm', 'torchvision'] as const) {
      const usual = variants.find(variant => variant.naming === naming);
      if (usual && naming !== own.naming) assert.deepEqual([usual.mean, usual.std], [own.mean, own.std]);
    }
    for (const { names } of parameters) {
      assert.equal(
        names.torchvision !== undefined,
        variants.some(({ naming }) => naming === 'torchvision'),
      );
    }
  });
}

test('names of cards, and of the architectures of timm, are of one card each', () => {
  const names = cards.map(({ name }) => name);
  assert.deepEqual(new Set(names).size, names.length);
  assert.ok(names.includes(DEFAULT_BACKBONE));
  const variants = cards.flatMap(card => card.variants.filter(({ naming }) => naming === 'timm'));
  const architectures = variants.map(({ architecture }) => architecture);
  assert.deepEqual(new Set(architectures).size, architectures.length);
  for (const card of cards) {
    const { from } = card.weights;
    if (from.kind === 'npm') continue;
    const [, architecture] = /^timm\/(\w+)\.\w+$/.exec(from.repo)!;
    assert.deepEqual(findTimmCard(architecture!), card, 'the default weights are of the first variant');
  }
});

test('a card for TensorFlow weights in timm has their padding and their pixels', () => {
  const card = findTimmCard('tf_mobilenetv3_large_100')!;
  assert.equal(card.name, 'mobilenet_v3_large');
  const { padding, epsilon } = card.variants[0];
  assert.deepEqual({ padding, epsilon }, { padding: 'same', epsilon: 1e-3 });
  assert.deepEqual(card.preprocess.mean, [0.5, 0.5, 0.5]);
  assert.deepEqual(findCard('mobilenet_v3_large').preprocess.mean, [0.485, 0.456, 0.406]);
  assert.equal(findTimmCard('mobilenetv9_huge'), undefined);
});

test('an unknown name lists the near ones, and none where none is near', () => {
  const hintFor = (name: string) => {
    try {
      findCard(name);
    } catch (error) {
      assert.equal((error as GraftError).code, 'usage');
      assert.match((error as GraftError).message, /There is no backbone called "/);
      return (error as GraftError).hint;
    }
    return assert.fail(`${name} was found`);
  };
  assert.match(hintFor('mobilenetv3_large_100')!, /^Near names: mobilenet_v3_large, /);
  assert.match(hintFor('ResNet18')!, /^Near names: resnet18, resnet50\./);
  assert.match(hintFor('efficientnet-lite2')!, /^Near names: efficientnet_lite2, /);
  assert.equal(hintFor('vit_base_patch16_224.augreg_in21k'), 'graft models lists all.');
  assert.equal(hintFor('x'.repeat(1e6)), 'graft models lists all.');
});

test('all stages are pooled while they are few, else the last one of each resolution', () => {
  const stages = (...sizes: readonly (readonly [number, number])[]) =>
    sizes.map(([channels, side]) => ({ channels, side }));
  assert.deepEqual(choosePooled(stages([1000, 4], [1000, 4], [1000, 2])), [true, true, true]);
  assert.deepEqual(choosePooled(stages([1000, 4], [1001, 4], [500, 2], [500, 2])), [false, true, false, true]);
  const widths = cards.map(card => {
    const outline = outlineNetwork(card).stages;
    const pooled = choosePooled(outline);
    assert.equal(pooled.at(-1), true);
    return [card.name, outline.reduce((sum, { channels }, i) => sum + (pooled[i] ? channels : 0), 0)] as const;
  });
  assert.deepEqual(Object.fromEntries(widths), {
    mobilenet_v3_small: 1160,
    mobilenet_v3_large: 2184,
    mobilenet_v2: 2816,
    mobilenet_v2_050: 2056,
    mobilenet_v4_conv_small: 2560,
    efficientnet_b0: 16 + 24 + 40 + 112 + 1280,
    efficientnet_lite0: 16 + 24 + 40 + 112 + 1280,
    efficientnet_lite1: 16 + 24 + 40 + 112 + 1280,
    efficientnet_lite2: 16 + 24 + 48 + 120 + 1280,
    efficientnet_lite3: 24 + 32 + 48 + 136 + 1280,
    efficientnet_lite4: 24 + 32 + 56 + 160 + 1280,
    resnet18: 1984,
    resnet50: 256 + 512 + 1024 + 2048,
  });
});

test('channels are rounded to multiples of 8, by at most a tenth down', () => {
  assert.deepEqual([1, 8, 12, 17.6, 18, 26.4, 44, 123.2].map(makeDivisible), [8, 8, 16, 16, 24, 24, 48, 120]);
});
