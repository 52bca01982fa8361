// The docs say what is so: every command in the README runs, the example is the README's, figures are the bench's, links lead somewhere.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildOnnx } from '../../src/project/onnx-file.ts';
import { buildTflite, plainFile } from '../../src/project/tflite-file.ts';
import { writeSafetensors } from '../../src/tensor/safetensors.ts';
import type { HubSource } from '../../src/zoo/card.ts';
import { findCard } from '../../src/zoo/cards.ts';
import { drawSmallDataset, graft } from '../support/graft.ts';
import { startHub } from '../support/hub-server.ts';
import { makeClassifier } from '../support/random-classifier.ts';
import { randomParameters } from '../support/random-weights.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const readme = read('README.md');

/** Lines of the `sh` blocks of the pages that users read, without their comments; the README's first. */
const commands = [readme, ...['export', 'models', 'evaluation'].map(name => read(`docs/${name}.md`))].flatMap(page =>
  [...page.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block]) =>
    block!
      .split('\n')
      .map(line => line.replace(/\s+#.*$/, '').trim())
      .filter(Boolean),
  ),
);
/** The set-up commands, which run everything from nothing: .ci/run types them, not this test, which they run. */
const setUp = commands.filter(command => command.startsWith('npm ci'));

/** Side of the pictures that the commands train on. */
const SIZE = 64;

let set: Awaited<ReturnType<typeof drawSmallDataset>>;
let env: Readonly<Record<string, string>>;
const cleanUps: (() => unknown)[] = [];
before(async () => {
  set = await drawSmallDataset(60);
  // A Hub with random weights in the place of the trained ones.
  const hub = await startHub({ after: (cleanUp: () => unknown) => cleanUps.push(cleanUp) });
  env = { HF_ENDPOINT: hub.url, HF_HOME: join(set.folder, 'hub'), HF_TOKEN: '' };
  for (const name of ['mobilenet_v3_large', 'mobilenet_v4_conv_small']) {
    const card = findCard(name);
    const { mean, std } = card.preprocess;
    const { architecture } = card.variants[0];
    hub.push((card.weights.from as HubSource).repo, {
      'model.safetensors': writeSafetensors(await randomParameters(card, 1)),
      'config.json': JSON.stringify({ architecture, pretrained_cfg: { input_size: [3, 224, 224], mean, std } }),
    });
  }
  // Somebody's classifiers, of the size that the commands are given here.
  const network = await makeClassifier(SIZE);
  writeFileSync(join(set.folder, 'anything.onnx'), buildOnnx(network));
  writeFileSync(join(set.folder, 'mobilenet_v2.tflite'), buildTflite(network, plainFile));
  cpSync(set.data, join(set.folder, 'other-photos'), { recursive: true });
  cpSync(join(set.data, 'healthy/leaf-0001.jpg'), join(set.folder, 'a.jpg'));
  cpSync(join(set.data, 'unhealthy/leaf-0001.jpg'), join(set.folder, 'b.jpg'));
});
after(async () => {
  for (const cleanUp of cleanUps) await cleanUp();
  await set.remove();
});

test('CI types the two set-up commands exactly as the README gives them', () => {
  assert.deepEqual(setUp, ['npm ci && npx graft demo', 'npm ci && npm test']);
  const lines = read('.ci/run').split('\n');
  for (const command of setUp) assert.ok(lines.includes(command), command);
});

for (const command of new Set(commands.filter(line => !setUp.includes(line)))) {
  test(`as the docs say: ${command}`, async () => {
    const words = command.split(' ');
    assert.deepEqual(words.slice(0, 2), ['npx', 'graft']);
    // As typed, but on small images and for two epochs where it trains: seconds instead of minutes.
    const quickly: Readonly<Record<string, readonly string[]>> = {
      train: ['--imgsz', String(SIZE), ...(words.includes('--fine-tune-epochs') ? [] : ['--fine-tune-epochs', '2'])],
      'find-lr': ['--imgsz', String(SIZE)],
    };
    const { status, stderr } = await graft([...words.slice(2), ...(quickly[words[2]!] ?? [])], {
      cwd: set.folder,
      env,
    });
    assert.equal(status, 0, stderr);
  });
}

test('the library example in the README is examples/train.mjs, and it runs', () => {
  const example = read('examples/train.mjs').replace(/^\/\/.*\n+/, '');
  assert.ok(readme.includes(`\`\`\`js\n${example}\`\`\``));
  rmSync(join(set.folder, 'runs'), { recursive: true, force: true });
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'examples/train.mjs')], {
    cwd: set.folder,
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /runs\/train: \d+\.\d % right, proven on \d+ photos/);
});

/** Pages that are checked. */
const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'CHANGELOG.md',
  'docs/architecture.md',
  'docs/evaluation.md',
  'docs/export.md',
  'docs/models.md',
  'docs/performance.md',
  'docs/dependencies.md',
  'bench/README.md',
  'bench/datasets/README.md',
];

test('figures in the README are those that the benchmarks wrote down', () => {
  const results = <T>(name: string) => JSON.parse(read(`bench/results/${name}.json`)) as T;
  type Summary = Record<string, number>;
  const percent = (part: number) => `${(100 * part).toFixed(1)} %`;
  const tuned = results<{ summary: Summary & { to_peer_last_mean: Summary } }>('fine-tune').summary;
  const head = results<{ summary: Summary }>('phase-one').summary;
  const [speed] = results<{ summary: Summary[] }>('throughput').summary;
  const memory = results<{ photos: number; megabytes: number }[]>('memory');
  const reached = tuned.to_peer_last_mean;
  const file = new Map(
    results<{ rows: ({ file: string } & Summary)[] }>('quantise').rows.map(row => [row.file, row] as const),
  );
  const evaluation = read('docs/evaluation.md');
  for (const name of ['calibration', 'calibration-head']) {
    const { ece_before, ece_after, precision_99, coverage_99, precision_95, coverage_95 } = results<{
      summary: Summary;
    }>(name).summary;
    for (const part of [ece_before, ece_after, precision_99, coverage_99, precision_95, coverage_95]) {
      assert.ok(evaluation.includes(percent(part!)), `${name}: ${percent(part!)}`);
    }
  }
  const { validation, all } = results<Record<'validation' | 'all', Summary>>('report');
  for (const page of [validation, all]) {
    assert.ok(evaluation.includes(`weighs ${page.megabytes} MB and opens in ${page.seconds_to_open} s`));
  }
  const { summary: val, memory: flat } = results<{ summary: Summary; memory: Summary[] }>('val');
  for (const figure of [
    `takes ${val.graft_first} s for 1,034 photos`,
    `and photos ${val.peer} s`,
    `(${val.ratio_first}x;`,
    ...flat.map(({ photos, megabytes }) => `${megabytes} MB for ${photos}`),
  ]) {
    assert.ok(evaluation.replace(/\s+/g, ' ').includes(figure), figure);
  }
  const megabytes = (name: string) => `${(file.get(name)!.kilobytes! / 1000).toFixed(1)}`;
  const lost = (name: string) => (-file.get(name)!.accuracy_points!).toFixed(1);
  const latency = results<{ rows: ({ file: string; beside: string } & Summary)[] }>('export-latency').rows;
  const ratio = (name: string, beside: string) =>
    latency.find(row => row.file === name && row.beside === beside)!.ratio_of_medians!.toFixed(2);
  assert.equal(file.get('float16')!.agreement_validation, 1);
  for (const figure of [
    `${percent(tuned.graft_accuracy!)} validation accuracy`,
    `ends at ${percent(tuned.peer_accuracy_last!)} and has ${percent(tuned.peer_accuracy_best!)} at its best`,
    `${reached.graft_seconds!.toFixed(1)} s until it is as good as the recipe is after its ${tuned.peer_seconds!.toFixed(0)} s (${reached.times_faster!.toFixed(1)}x)`,
    `${tuned.graft_seconds!.toFixed(0)} s for the whole run`,
    `after the last epoch it is ${percent(tuned.graft_accuracy_last!)}`,
    `The head alone takes ${head.graft_seconds!.toFixed(1)} s, ${head.graft_warm_seconds!.toFixed(1)} s when run again (${percent(head.graft_accuracy!)}`,
    `frozen epochs: ${head.peer_seconds!.toFixed(1)} s, ${percent(head.peer_accuracy_last!)})`,
    `at ${speed!.graft_photos_per_second!.toFixed(0)} photos/s, PyTorch at its fastest ${speed!.peer_photos_per_second!.toFixed(0)} (${speed!.ratio!.toFixed(2)}x)`,
    `the head alone takes ${memory[0]!.megabytes} MB`,
    `a float16 file has ${megabytes('float16')} MB instead of ${megabytes('float32')} and the same best class on every photo`,
    `${megabytes('int8')} MB and is right on ${lost('int8')} points fewer`,
    `is right on ${lost('int8, scales per channel and nothing else')} fewer`,
    `takes ${ratio('float32', 'by hand')} times as long`,
    `int8 ${ratio('int8', 'float32')} times as long as float32`,
    `and ${memory[1]!.megabytes} MB for`,
  ]) {
    assert.ok(readme.includes(figure), figure);
  }
});

test('links inside the project lead to files', () => {
  for (const file of pages) {
    for (const [, target] of read(file).matchAll(/\]\(([^)#]+)[^)]*\)/g)) {
      if (target!.includes('://')) continue;
      assert.ok(existsSync(join(root, dirname(file), target!)), `${file} links to ${target}`);
    }
  }
});

test('nothing speaks of a place or a person that a reader cannot know', () => {
  for (const file of pages) {
    assert.doesNotMatch(read(file), /\bGAP_|\b(?:[A-Z]+_(?:TABLE|SECONDS)|EXAMPLE)\b/, `${file} has a gap`);
    assert.doesNotMatch(read(file), /\/(work|root|home\/\w+)\/|localhost|TODO|FIXME/, file);
  }
});

test('help and README name the defaults that are used', async () => {
  const { defaultHeadOptions } = await import('../../src/train/head.ts');
  const { splitDefaults } = await import('../../src/dataset/split-photos.ts');
  const { defaultAugmentation, strongAugmentation } = await import('../../src/image/augment.ts');
  const { CACHED_UP_TO, DEFAULT_CUT_VIEWS } = await import('../../src/project/fit-settings.ts');
  const { resolveTrainOptions } = await import('../../src/project/train-options.ts');
  const { stdout } = await graft(['train', '--help']);
  const help = stdout.replace(/\s+/g, ' ');
  const settings = resolveTrainOptions({ data: 'x' });
  const { flip: _, verticalFlip: __, ...strengths } = defaultAugmentation;
  const { fineTune } = settings;
  const defaults: Record<string, number | string> = {
    epochs: defaultHeadOptions.epochs,
    batch: defaultHeadOptions.batch,
    lr: defaultHeadOptions.lr,
    'weight-decay': defaultHeadOptions.weightDecay,
    dropout: defaultHeadOptions.dropout,
    'label-smoothing': defaultHeadOptions.labelSmoothing,
    patience: defaultHeadOptions.patience,
    seed: defaultHeadOptions.seed,
    val: splitDefaults.validationFraction,
    views: settings.views,
    ...strengths,
    'fine-tune-epochs': fineTune.epochs,
    freeze: settings.freeze,
    'fine-tune-lr': fineTune.lr,
    'fine-tune-batch': fineTune.batch,
    'fine-tune-patience': fineTune.patience,
    'fine-tune-weight-decay': fineTune.weightDecay,
    'layer-decay': fineTune.layerDecay,
    schedule: fineTune.schedule,
    warmup: fineTune.warmup,
    optimiser: fineTune.optimiser,
    mixup: fineTune.mixup,
    'clip-norm': fineTune.clipNorm,
    'average-decay': fineTune.averageDecay,
    'save-every': settings.saveEvery,
    device: settings.device,
  };
  for (const [flag, value] of Object.entries(defaults)) {
    assert.match(help, new RegExp(`--${flag} <[^>]+> [^<]*\\(default: ${value}[;)]`), `--${flag} ${value}`);
  }
  // Fine-tuning sees stronger views: where its strength is another one, the help has both.
  for (const [flag, value] of Object.entries(strengths)) {
    const strong = strongAugmentation[flag as keyof typeof strengths];
    if (strong === value) continue;
    assert.match(help, new RegExp(`--${flag} <[^>]+> [^<]*; fine-tuning: ${strong}\\)`), `--${flag} ${strong}`);
  }
  assert.ok(help.includes(`(default: ${DEFAULT_CUT_VIEWS} where they take at most ${CACHED_UP_TO / 1024} KB, else 0)`));
  // Every option of the library says its default, and the same one.
  const comments = read('src/project/train-options.ts');
  for (const [flag, value] of Object.entries(defaults)) {
    const name = flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
    const comment = comments
      .split(`\n  readonly ${name}?:`)[0]!
      .split('/**')
      .at(-1)!
      .replace(/[\s*]+/g, ' ');
    const said = /Default: (.*)\. \/$/.exec(comment)?.[1];
    if (said !== undefined) assert.ok(said.split(/[, ]/).includes(String(value)), `${name}: ${value}, and "${said}"`);
    else assert.ok(flag in strengths, `${name} has no default in its comment`);
  }
});
