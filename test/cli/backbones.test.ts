// Backbones other than the default one, from the command line: of the zoo, from the Hub, from model files, and chosen by itself.
import assert from 'node:assert/strict';
import { copyFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { writeSafetensors } from '../../src/tensor/safetensors.ts';
import { findCard } from '../../src/zoo/cards.ts';
import { drawSmallDataset, graft } from '../support/graft.ts';
import { type HubServer, startHub } from '../support/hub-server.ts';
import { randomParameters } from '../support/random-weights.ts';

/** The smallest backbone whose weights are on the Hub. */
const NAME = 'mobilenet_v2_050';
const REPO = 'timm/mobilenetv2_050.lamb_in1k';

const cleanUps: (() => unknown)[] = [];
let set: Awaited<ReturnType<typeof drawSmallDataset>>;
let hub: HubServer;
let env: Record<string, string>;
before(async () => {
  set = await drawSmallDataset(60);
  hub = await startHub({ after: (cleanUp: () => unknown) => cleanUps.push(cleanUp) });
  await pushWeights(1);
  env = { HF_ENDPOINT: hub.url, HF_HOME: join(set.folder, 'hub'), HF_TOKEN: '' };
});
after(async () => {
  for (const cleanUp of cleanUps) await cleanUp();
  await set.remove();
});

/** Makes a commit of weights by that seed. */
async function pushWeights(seed: number): Promise<void> {
  const parameters = await randomParameters(findCard(NAME), seed);
  const { mean, std } = findCard(NAME).preprocess;
  const config = {
    architecture: 'mobilenetv2_050',
    num_classes: 1000,
    pretrained_cfg: { input_size: [3, 224, 224], mean, std, first_conv: 'conv_stem', classifier: 'classifier' },
  };
  hub.push(REPO, {
    'model.safetensors': writeSafetensors(parameters),
    'config.json': JSON.stringify(config),
    'README.md': '---\nlicense: apache-2.0\n---\n# A model\n',
  });
}

const run = (...words: string[]) => graft(words, { cwd: set.folder, env });
/** Starts a training and kills it once it could go on. */
async function interrupt(...words: string[]): Promise<void> {
  const { status } = await graft(['train', './leaves', '--imgsz', '64', ...words], {
    cwd: set.folder,
    env,
    watch: (child, stderr) => {
      if (/fine-tuning: [1-9]/.test(stderr)) child.kill('SIGKILL');
    },
  });
  assert.equal(status, null, 'it was killed');
}
const train = (...words: string[]) => run('train', './leaves', '--imgsz', '64', '--fine-tune-epochs', '0', ...words);
const readJson = (...path: string[]) => JSON.parse(readFileSync(join(set.folder, ...path), 'utf8'));

test('a backbone of the zoo comes from the Hub once; its run is exported without a network', async () => {
  const { status, stderr } = await train('--model', NAME, '--fine-tune-epochs', '1', '--name', 'v2');
  assert.equal(status, 0, stderr);
  const sent = hub.requests.length;
  const { model, settings, backbone } = readJson('runs/v2/args.json');
  assert.equal(model.backbone, NAME);
  assert.match(settings.model, new RegExp(`^${NAME}@[0-9a-f]{40}$`), 'pinned to the commit that it was then');
  assert.equal(backbone.weights.licence, 'Apache-2.0');
  assert.equal(readJson('runs/v2/metrics.json').model, settings.model);
  const exported = await run('export', 'runs/v2', '--precision', 'float16,dynamic,int8', '--max-drop', '100');
  assert.equal(exported.status, 0, exported.stderr);
  const detector = await run('export', 'runs/v2', '--precision', 'float32', '--signature', 'detector');
  assert.equal(detector.status, 0, detector.stderr);
  assert.equal(hub.requests.length, sent, 'nothing was fetched again');
  // The repository goes on, and what it has now is cached; the run stays with its commit.
  await pushWeights(2);
  const later = await train('--model', `hf:${REPO}`, '--name', 'later');
  assert.equal(later.status, 0, later.stderr);
  const still = await run('export', 'runs/v2', '--precision', 'float16');
  assert.equal(still.status, 0, still.stderr);
});

test('any repository of a known architecture is a backbone, by its name', async () => {
  const { status, stderr } = await train('--model', `hf:${REPO}`, '--name', 'hf');
  assert.equal(status, 0, stderr);
  // Pinned to the commit that it was then.
  const { model } = readJson('runs/hf/args.json').settings;
  assert.match(model, /^hf:timm\/mobilenetv2_050\.lamb_in1k@[0-9a-f]{40}$/);
  const exported = await run('export', 'runs/hf', '--precision', 'float16');
  assert.equal(exported.status, 0, exported.stderr);
});

test('auto tries what is cached, prints a table and takes one', async () => {
  const { status, stdout, stderr } = await train(
    '--model',
    'auto',
    '--max-latency',
    '2s',
    '--name',
    'auto',
    '--offline',
  );
  assert.equal(status, 0, stderr);
  const { choice, model: pinned } = readJson('runs/auto/metrics.json');
  const [model] = pinned.split('@');
  assert.deepEqual(choice.candidates.map((candidate: { name: string }) => candidate.name).sort(), [
    NAME,
    'mobilenet_v3_small',
  ]);
  assert.ok(choice.missing.includes('resnet50'));
  for (const { accuracy, latency_ms, megabytes } of choice.candidates) {
    assert.ok(accuracy > 0 && accuracy <= 1 && latency_ms > 0 && megabytes > 1);
  }
  assert.ok(stdout.includes(`${model} (chosen)`), stdout);
  assert.match(stdout, /Not in the cache, and not tried: .*resnet50/);
});

test('a run that was cut off goes on with the model that it had, in the words that started it or in none', async () => {
  const words = ['--model', 'auto', '--max-latency', '2s', '--fine-tune-epochs', '2', '--save-every', '0'];
  await interrupt(...words, '--name', 'whole');
  for (const [name, again] of [
    ['same', words],
    ['none', []],
  ] as const) {
    cpSync(join(set.folder, 'runs/whole'), join(set.folder, 'runs', name), { recursive: true });
    const { status, stderr } = await run('train', './leaves', '--imgsz', '64', ...again, '--resume', `runs/${name}`);
    assert.equal(status, 0, stderr);
    const { choice, model } = readJson('runs', name, 'metrics.json');
    assert.ok(choice.candidates.some((candidate: { name: string }) => candidate.name === model.split('@')[0]));
  }
  const other = await run('train', './leaves', '--imgsz', '64', '--model', NAME, '--resume', 'runs/whole');
  assert.equal(other.status, 2);
  assert.match(other.stderr, /model: "auto" then, "mobilenet_v2_050" now/);
});

test('auto refuses limits that nothing keeps, with what each takes', async () => {
  const { status, stderr } = await train('--model', 'auto', '--max-size', '500KB', '--offline');
  assert.equal(status, 2);
  assert.match(
    stderr,
    /No cached backbone keeps the limits:\n {2}mobilenet_v3_small: \d\.\d MB, and 0\.5 MB are allowed/,
  );
});

test("graft's own models are backbones too: .onnx and .tflite, and the run remembers the file", async () => {
  const first = await train('--name', 'first');
  assert.equal(first.status, 0, first.stderr);
  for (const kind of ['onnx', 'tflite']) {
    const file = `leaves.${kind}`;
    copyFileSync(join(set.folder, `runs/first/model.${kind}`), join(set.folder, file));
    const { status, stderr } = await run(
      'train',
      './leaves',
      '--model',
      `./${file}`,
      '--fine-tune-epochs',
      '1',
      '--name',
      kind,
    );
    assert.equal(status, 0, stderr);
    const exported = await run('export', `runs/${kind}`, '--precision', 'int8', '--max-drop', '100');
    assert.equal(exported.status, 0, exported.stderr);
    // The file is another one now.
    writeFileSync(join(set.folder, file), readFileSync(join(set.folder, `runs/${kind}/model.${kind}`)));
    const refused = await run('export', `runs/${kind}`, '--precision', 'float16');
    assert.equal(refused.status, 1);
    assert.match(refused.stderr, /The run started from weights with the sha256 \w+, and .* has \w+\./);
  }
});

const refusals: readonly (readonly [words: string[], status: number, message: RegExp])[] = [
  [['--model', 'mobilenet_v3_lage'], 2, /no backbone called "mobilenet_v3_lage"[\s\S]*mobilenet_v3_large/],
  [['--model', 'resnet50', '--offline'], 1, /ResNet-50 are not in the cache[\s\S]*mobilenet_v3_small/],
  [['--model', './nothing.onnx'], 1, /nothing\.onnx/],
  [['--model', './leaves'], 1, /leaves/],
  [
    ['--model', 'timm/resnet18.a1_in1k'],
    1,
    /timm\/resnet18\.a1_in1k does not exist[\s\S]*--model hf:timm\/resnet18\.a1_in1k/,
  ],
  [['--model', 'hf:nonsense'], 2, /"nonsense" is not the name of a model on the Hub/],
  [['--model', 'resnet50.a1_in1k'], 2, /no backbone called "resnet50\.a1_in1k"/],
  [['--model', 'mobilenet_v3_small@0123456789012345678901234567890123456789'], 2, /no backbone called/],
  [['--pixels', 'caffe'], 2, /pixels is set, but the model mobilenet_v3_small/],
  [['--model', 'hf:timm/nothing'], 1, /timm\/nothing/],
  [['--max-latency', '5ms'], 2, /max-latency is set, but the model is mobilenet_v3_small/],
];
for (const [words, status, message] of refusals) {
  test(`refused with a sentence: train ${words.join(' ')}`, async () => {
    const refused = await train(...words);
    assert.equal(refused.status, status, refused.stderr);
    assert.match(refused.stderr, message);
    assert.doesNotMatch(refused.stderr, / {4}at |defect/);
  });
}
