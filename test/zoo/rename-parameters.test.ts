// Weights are told by the names of timm and torchvision; those of another network are refused with a sentence.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GraftError } from '../../src/base/errors.ts';
import type { Node } from '../../src/onnx/graph.ts';
import { float32, sizeOf } from '../../src/tensor/tensor.ts';
import { buildBackbone } from '../../src/zoo/build-backbone.ts';
import { findCard } from '../../src/zoo/cards.ts';
import type { Naming } from '../../src/zoo/families/layers.ts';
import { outlineNetwork } from '../../src/zoo/outline-network.ts';
import type { Parameters } from '../../src/zoo/parameters.ts';
import { renameParameters } from '../../src/zoo/rename-parameters.ts';

/** Parameters as a file of that publisher has them: the i-th is full of i, and a classifier and counters are there too. */
function makeFile(
  name: string,
  naming: Naming,
  extra: readonly string[] = [],
): Map<string, ReturnType<typeof float32>> {
  const file = new Map(
    outlineNetwork(findCard(name)).parameters.map(({ names, shape }, i) => {
      return [names[naming]!, float32(shape, new Float32Array(sizeOf(shape)).fill(i))];
    }),
  );
  for (const other of extra) file.set(other, float32([1], [0]));
  return file;
}

const heads = {
  timm: ['conv_head.weight', 'conv_head.bias', 'classifier.weight', 'classifier.bias', 'bn1.num_batches_tracked'],
  torchvision: ['classifier.0.weight', 'classifier.3.bias', 'features.0.1.num_batches_tracked'],
};

/** A few names of each scheme, as the files of both publishers have them. */
const pairs: Readonly<Record<string, readonly (readonly [timm: string, torchvision: string])[]>> = {
  mobilenet_v3_small: [
    ['conv_stem.weight', 'features.0.0.weight'],
    ['bn1.running_mean', 'features.0.1.running_mean'],
    ['blocks.0.0.conv_dw.weight', 'features.1.block.0.0.weight'],
    ['blocks.0.0.se.conv_reduce.bias', 'features.1.block.1.fc1.bias'],
    ['blocks.0.0.se.conv_expand.weight', 'features.1.block.1.fc2.weight'],
    ['blocks.0.0.conv_pw.weight', 'features.1.block.2.0.weight'],
    ['blocks.0.0.bn2.bias', 'features.1.block.2.1.bias'],
    ['blocks.1.1.conv_pw.weight', 'features.3.block.0.0.weight'],
    ['blocks.1.1.bn3.running_var', 'features.3.block.2.1.running_var'],
    ['blocks.4.2.conv_pwl.weight', 'features.11.block.3.0.weight'],
    ['blocks.5.0.conv.weight', 'features.12.0.weight'],
    ['blocks.5.0.bn1.weight', 'features.12.1.weight'],
  ],
  mobilenet_v3_large: [
    ['blocks.4.0.se.conv_reduce.weight', 'features.11.block.2.fc1.weight'],
    ['blocks.6.0.conv.weight', 'features.16.0.weight'],
  ],
  mobilenet_v2: [
    ['blocks.0.0.conv_dw.weight', 'features.1.conv.0.0.weight'],
    ['blocks.0.0.bn1.weight', 'features.1.conv.0.1.weight'],
    ['blocks.0.0.conv_pw.weight', 'features.1.conv.1.weight'],
    ['blocks.0.0.bn2.weight', 'features.1.conv.2.weight'],
    ['blocks.1.0.conv_pw.weight', 'features.2.conv.0.0.weight'],
    ['blocks.1.0.bn2.weight', 'features.2.conv.1.1.weight'],
    ['blocks.6.0.conv_pwl.weight', 'features.17.conv.2.weight'],
    ['blocks.6.0.bn3.bias', 'features.17.conv.3.bias'],
    ['conv_head.weight', 'features.18.0.weight'],
    ['bn2.weight', 'features.18.1.weight'],
  ],
  efficientnet_b0: [
    ['blocks.0.0.conv_pw.weight', 'features.1.0.block.2.0.weight'],
    ['blocks.2.1.se.conv_expand.bias', 'features.3.1.block.2.fc2.bias'],
    ['blocks.6.0.conv_pwl.weight', 'features.7.0.block.3.0.weight'],
    ['conv_head.weight', 'features.8.0.weight'],
  ],
  resnet50: [
    ['conv1.weight', 'conv1.weight'],
    ['layer2.0.downsample.1.running_var', 'layer2.0.downsample.1.running_var'],
    ['layer4.2.bn3.weight', 'layer4.2.bn3.weight'],
  ],
};

for (const [name, wanted] of Object.entries(pairs)) {
  test(`${name}: both schemes give the same parameters, by torchvision's names`, () => {
    const infos = outlineNetwork(findCard(name)).parameters;
    for (const [timm, torchvision] of wanted) {
      assert.deepEqual(
        infos.filter(({ names }) => names.timm === timm).map(({ names }) => names.torchvision),
        [torchvision],
      );
    }
    const [own, other] = (['timm', 'torchvision'] as const).map(naming => {
      // timm calls a convolution behind the pooling like the last one before it of other networks.
      const extra = heads[naming].filter(one => !infos.some(({ names }) => names[naming] === one));
      return renameParameters(findCard(name), makeFile(name, naming, extra));
    }) as [Parameters, Parameters];
    assert.deepEqual(
      [...own.keys()],
      infos.map(info => info.names.torchvision),
    );
    for (const [parameter, { shape, data }] of own) {
      assert.deepEqual(other.get(parameter)!.shape, shape);
      assert.equal(other.get(parameter)!.data[0], data[0], parameter);
    }
  });
}

const epsilons = (name: string, parameters: Parameters): number[] => {
  const { graph } = buildBackbone(findCard(name), { parameters, origin: { file: 'made up', sha256: '' } });
  const norms = graph.nodes.filter((node): node is Node<'BatchNormalization'> => node.op === 'BatchNormalization');
  return [...new Set(norms.map(({ attributes }) => attributes.epsilon))];
};

test('the names tell what is added to variances', () => {
  for (const name of ['mobilenet_v3_small', 'mobilenet_v3_large']) {
    assert.deepEqual(epsilons(name, makeFile(name, 'timm')), [1e-5]);
    assert.deepEqual(epsilons(name, makeFile(name, 'torchvision')), [1e-3]);
  }
  assert.deepEqual(epsilons('efficientnet_b0', makeFile('efficientnet_b0', 'torchvision')), [1e-5]);
  assert.deepEqual(epsilons('efficientnet_lite1', makeFile('efficientnet_lite1', 'timm')), [1e-3]);
});

test('weights of another network are refused', () => {
  const refuses = (name: string, parameters: Parameters, message: RegExp, hint: RegExp) => {
    assert.throws(
      () => buildBackbone(findCard(name), { parameters, origin: { file: 'made up', sha256: '' } }),
      (error: unknown) => {
        const { code, message: text, hint: advice } = error as GraftError;
        assert.equal(code, 'bad-weights', String(error));
        assert.match(text, message);
        assert.match(advice!, hint);
        return true;
      },
    );
  };
  const deeper = makeFile('resnet18', 'timm', [
    'layer1.2.conv1.weight',
    'layer1.2.bn1.weight',
    'layer2.2.bn1.bias',
    'x',
  ]);
  refuses(
    'resnet18',
    deeper,
    /made for another network: ResNet-18 has no parameter layer1\.2\.conv1\.weight, layer1\.2\.bn1\.weight, layer2\.2\.bn1\.bias and 1 more\./,
    /--model/,
  );
  refuses(
    'mobilenet_v3_small',
    makeFile('mobilenet_v3_large', 'timm'),
    /blocks\.0\.0\.se\.conv_reduce\.weight/,
    /made for this backbone/,
  );
  refuses(
    'mobilenet_v3_large',
    makeFile('mobilenet_v3_small', 'torchvision'),
    /features\.1\.block\.1\.0\.weight/,
    /made for this backbone/,
  );
  refuses(
    'mobilenet_v2_050',
    makeFile('mobilenet_v2', 'timm'),
    /conv_stem\.weight has shape \[32, 3, 3, 3\].*\[16, 3, 3, 3\]/,
    /made for/,
  );
  refuses(
    'mobilenet_v2',
    new Map([['cls_token', float32([1], [0])]]),
    /no parameter of MobileNetV2: their names start with cls_token; wanted is conv_stem\.weight or features\.0\.0\.weight/,
    /names of timm or torchvision/,
  );
  refuses('resnet18', new Map(), /their names start with none; wanted is conv1\.weight\./, /weights of ResNet-18/);
  const incomplete = makeFile('mobilenet_v4_conv_small', 'timm');
  incomplete.delete('blocks.2.0.dw_mid.bn.running_var');
  refuses('mobilenet_v4_conv_small', incomplete, /no parameter blocks\.2\.0\.dw_mid\.bn\.running_var/, /made for/);
});
