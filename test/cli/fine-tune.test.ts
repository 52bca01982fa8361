// Fine-tuning through the real command line: both phases, runs that are killed and go on to the same bytes, and what is
// refused. The drawn leaves are few and small, so that a run takes seconds.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { makeRng } from '../../src/base/rng.ts';
import type { TrainResult } from '../../src/index.ts';
import { resolveTrainOptions } from '../../src/project/train-options.ts';
import { readSafetensors } from '../../src/tensor/safetensors.ts';
import { readShown } from '../support/events.ts';
import { type CallOptions, drawSmallDataset, type Finished, graft } from '../support/graft.ts';
import { assertClose } from '../support/reference.ts';

let set: Awaited<ReturnType<typeof drawSmallDataset>>;
before(async () => {
  set = await drawSmallDataset(24);
});
after(() => set.remove());

/** The smallest training that has everything: 20 train photos in three steps an epoch, 4 validation photos. */
const small = ['--imgsz', '64', '--views', '1', '--epochs', '3', '--fine-tune-epochs', '3', '--fine-tune-batch', '8'];
/** The same with most stages frozen, which starts sooner. */
const tiny = [...small, '--freeze', '9', '--cut-views', '0'];

const at = (...path: readonly string[]) => join(set.folder, ...path);
const run = (words: readonly string[], options: CallOptions = {}) => graft(words, { cwd: set.folder, ...options });
const train = (name: string, ...words: readonly string[]) =>
  run(['train', './leaves', ...tiny, '--name', name, ...words]);

/** Asserts how a run ended, that it said so in one place, and never with a stack trace. */
function ended(finished: Finished, status: number, ...patterns: readonly RegExp[]): void {
  assert.equal(finished.status, status, finished.stderr);
  assert.doesNotMatch(finished.stderr, /\n\s+at |defect in graft/);
  for (const pattern of patterns) assert.match(finished.stderr, pattern);
  if (status !== 0) assert.equal(finished.stderr.match(/^graft: /gm)?.length, 1, finished.stderr);
}

/** Every file below a folder, with its content. */
function snapshot(folder: string): Map<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(name =>
    statSync(join(folder, name)).isFile(),
  );
  return new Map(files.sort().map(name => [name, readFileSync(join(folder, name), 'base64')]));
}

/** What a run wrote that does not tell of clocks. */
const results = [
  'weights/best.safetensors',
  'results.csv',
  'model.tflite',
  'model.onnx',
  'labels.txt',
  'manifest.json',
];

function assertSameRun(name: string, wanted: string): void {
  for (const file of results) {
    const [found, want] = [name, wanted].map(folder => readFileSync(at('runs', folder, file)));
    assert.equal(Buffer.compare(found!, want!), 0, `${file} of ${name} is that of ${wanted}`);
  }
}

/** The description in a checkpoint. */
const describe = (file: string) => JSON.parse(readSafetensors(readFileSync(file), file).metadata.graft!);

/** Calls `act` once `file` has appeared or been replaced so many times, after a moment. */
function onWritten(child: ChildProcess, file: string, times: number, delay: number, act: () => void): void {
  const look = () => statSync(file, { throwIfNoEntry: false })?.ino;
  let [seen, count] = [look(), 0];
  const timer = setInterval(() => {
    if (child.exitCode !== null || child.signalCode !== null) return clearInterval(timer);
    const now = look();
    if (now === seen) return;
    seen = now;
    if (++count < times) return;
    clearInterval(timer);
    setTimeout(act, delay);
  }, 2);
}

test('train does both phases, keeps the better epoch, and proves the file', async () => {
  const more = await drawSmallDataset(60);
  const words = ['--imgsz', '96', '--views', '1', '--epochs', '5', '--fine-tune-epochs', '3'];
  const finished = await run(['train', more.data, ...words, '--name', 'whole', '--json']);
  await more.remove();
  ended(finished, 0);
  const result = JSON.parse(finished.stdout) as TrainResult;
  assert.deepEqual(readdirSync(at('runs/whole/weights')).sort(), [
    'best.safetensors',
    'head.safetensors',
    'last.safetensors',
  ]);
  const [header, ...rows] = readFileSync(at('runs/whole/results.csv'), 'utf8').trim().split('\n');
  assert.equal(header, 'phase,epoch,learning_rate,train_loss,train_accuracy,validation_loss,validation_accuracy');
  const phases = rows.map(row => row.split(',').slice(0, 2).join(' '));
  const count = (phase: string, epochs: number) => Array.from({ length: epochs }, (_, i) => `${phase} ${i + 1}`);
  assert.deepEqual(phases, [...count('head', result.epochs), ...count('fine-tuning', 3)]);
  for (const row of rows) for (const value of row.split(',').slice(1)) assert.ok(Number.isFinite(Number(value)), row);
  const [, , , , trained] = rows.at(-1)!.split(',');
  assert.ok(Number(trained) > 0.7, `${trained} of the photos that were trained on are right`);

  const { fine_tuning: tuned, validation, proof } = result;
  assert.equal(tuned!.epochs, 3);
  assert.ok(tuned!.best.accuracy >= tuned!.head.accuracy);
  const { content } = describe(at('runs/whole/weights/best.safetensors'));
  assert.deepEqual(content, {
    epoch: tuned!.best_epoch,
    validationLoss: tuned!.best.loss,
    validationAccuracy: tuned!.best.accuracy,
  });
  // What was trained is what was exported: the trainer's graph and the exported one say the same of the photos.
  assert.equal(validation.accuracy, tuned!.best.accuracy);
  assert.equal(proof.top_class_agreement, 1);
  assert.ok(proof.max_difference < 1e-4, `${proof.max_difference}`);
  assert.deepEqual(Object.keys(result.seconds), [
    'scan',
    'features',
    'head',
    'fine_tuning',
    'calibrate',
    'export',
    'proof',
    'total',
  ]);
});

interface Kill {
  readonly file: string;
  readonly times?: number;
  /** Milliseconds after that; default: drawn. */
  readonly delay?: number;
  /** Words of the run that is killed. */
  readonly words?: readonly string[];
}

/**
 * Kills a run at each of these moments, goes on after each, lets it finish at last, and holds it against `wanted`.
 * @param words that the run is started with; `more` are said every time.
 */
async function killAndGoOn(
  name: string,
  wanted: string,
  kills: readonly Kill[],
  words: readonly string[],
  more: readonly string[],
): Promise<void> {
  const rng = makeRng(6, name);
  const folder = at('runs', name);
  let killed = 0;
  for (const { file, times = 1, delay = rng.int(60), words: now = [] } of [...kills, { file: 'never' }]) {
    const start = existsSync(join(folder, 'args.json'))
      ? ['--resume', join('runs', name)]
      : ['./leaves', ...tiny, '--name', name, ...words];
    const finished = await run(['train', ...start, ...more, ...now], {
      start: child => onWritten(child, join(folder, file), times, delay, () => child.kill('SIGKILL')),
    });
    if (finished.status === null) killed++;
    else ended(finished, 0);
    if (existsSync(join(folder, 'metrics.json'))) break;
  }
  assert.ok(killed >= kills.length / 2, `${killed} of ${kills.length} runs were killed in time`);
  assertSameRun(name, wanted);
}

const last = 'weights/last.safetensors';

test('a run that saves after every step goes on exactly, wherever it is killed', async () => {
  ended(await train('a', '--no-flip'), 0);
  const kills: Kill[] = [
    { file: 'args.json' },
    // The first one is written before the first step: here the epoch's last step is done.
    { file: last, times: 4, delay: 0 },
    { file: last },
    { file: last, times: 3 },
    { file: 'model.onnx' },
  ];
  await killAndGoOn('b', 'a', kills, ['--no-flip'], ['--save-every', '0']);
});

test('so does one that saves after every epoch, with other numbers of threads, and TensorBoard shows each epoch once', async () => {
  const kills: Kill[] = [
    { file: 'weights/head.safetensors', words: ['--threads', '3'] },
    { file: last, words: ['--threads', '1'] },
    { file: last, words: ['--workers', '2'] },
    { file: 'model.tflite', delay: 0 },
  ];
  await killAndGoOn('c', 'a', kills, ['--no-flip'], ['--tensorboard']);
  const [, ...rows] = readFileSync(at('runs/c/results.csv'), 'utf8').trim().split('\n');
  const wanted = rows.map(row => row.split(',')).filter(([phase]) => phase === 'fine-tuning');
  const shown = readShown(at('runs/c/tensorboard'));
  assert.deepEqual(
    shown.map(({ step }) => step),
    wanted.map(row => Number(row[1])),
  );
  const losses = shown.map(({ values }) => values['loss/validation']!);
  assertClose(
    losses,
    wanted.map(row => Number(row[5])),
    1e-5,
    'validation losses',
  );
});

test('Ctrl-C saves the step that was reached and says how to go on; the same words go on too', async () => {
  const words = ['./leaves', ...tiny, '--name', 'cut', '--no-flip'];
  // Slowly, so that there is time to stop it in.
  const stopped = await run(['train', ...words, '--threads', '1'], {
    start: child => onWritten(child, at('runs/cut', last), 1, 0, () => child.kill('SIGINT')),
  });
  ended(stopped, 130, /Stopped\.\n.*graft train --resume runs\/cut\n$/);
  const { content } = describe(at('runs/cut', last));
  assert.ok(content.step > 0, 'a step was saved');
  assert.equal(existsSync(at('runs/cut/metrics.json')), false);
  cpSync(at('runs/cut'), at('runs/again'), { recursive: true });
  writeFileSync(at('runs/again/weights/last.safetensors.part-1-0'), 'what a killed process left');
  const resumed = await run(['train', '--resume', 'runs/again', ...words]);
  ended(resumed, 0, new RegExp(`Going on in epoch ${content.epoch} after step ${content.step}`));
  assertSameRun('again', 'a');
  assert.equal(existsSync(at('runs/again/weights/last.safetensors.part-1-0')), false);
});

/** Tries to go on with a copy of the run that was cut off, and sees that nothing in it was touched. */
async function refuse(status: number, words: readonly string[], ...patterns: readonly RegExp[]): Promise<Finished> {
  const before = snapshot(at('runs/cut'));
  const finished = await run(['train', ...words]);
  ended(finished, status, ...patterns);
  assert.equal(finished.stdout, '');
  assert.deepEqual(snapshot(at('runs/cut')), before, 'nothing in the run was touched');
  assert.doesNotMatch(finished.stderr, /undefined|NaN/);
  return finished;
}

test('a run does not go on with other settings: exactly those that differ are listed', async () => {
  cpSync(at('leaves'), at('other'), { recursive: true });
  const { fineTune } = resolveTrainOptions({ data: 'x' });
  const lr = `fineTune\\.lr: ${fineTune.lr} then, 0\\.1 now`;
  const seeds = 'head\\.seed: 0 then, 1 now\n  fineTune\\.seed: 0 then, 1 now';
  const data = 'data: "[^"]*leaves" then, "[^"]*other" now';
  const cases: readonly [readonly string[], string][] = [
    [['--fine-tune-lr', '0.1'], lr],
    [['--seed', '1'], seeds],
    [['./other'], data],
    [['--val', '0.3'], 'validationFraction: not set then, 0\\.3 now'],
    [['--name', 'b'], 'name: "cut" then, "b" now'],
    [
      ['./other', '--seed', '1', '--fine-tune-lr', '0.1', '--threads', '1'],
      `${data}\n  ${seeds.replace('\n', `\n  ${lr}\n`)}`,
    ],
  ];
  for (const [words, lines] of cases) {
    const said = `^graft: runs/cut was started with other settings:\n  ${lines}\nLeave these out`;
    await refuse(2, ['--resume', 'runs/cut', ...words], new RegExp(said));
  }
});

test('what is no run, or a finished one, does not go on', async () => {
  const finished = /The run runs\/a is finished: there is nothing to go on with/;
  await refuse(1, ['--resume', 'runs/a'], finished);
  await refuse(1, ['--resume', 'leaves'], /leaves is not a run that could go on: it has no args\.json/);
  await refuse(1, ['--resume', 'nowhere'], /nowhere is not a run that could go on/);
  await refuse(1, ['--resume', 'leaves/healthy/leaf-0001.jpg'], /leaf-0001\.jpg/);
  await refuse(2, [], /No photos were named/);
  mkdirSync(at('runs/odd'));
  for (const text of ['no JSON', 'null', '{"options":{}}']) {
    writeFileSync(at('runs/odd/args.json'), text);
    await refuse(1, ['--resume', 'runs/odd'], /args\.json does not say how the run was started/);
  }
});

test('a checkpoint that was cut short, or that is not there in full, is refused', async () => {
  const copy = (name: string) => cpSync(at('runs/cut'), at('runs', name), { recursive: true });
  copy('torn');
  truncateSync(at('runs/torn', last), 1_000_000);
  const results = readFileSync(at('runs/torn/results.csv'), 'utf8');
  await refuse(1, ['--resume', 'runs/torn'], /last\.safetensors is not a usable safetensors file/, /\nTrain anew/);
  assert.equal(readFileSync(at('runs/torn/results.csv'), 'utf8'), results);
  copy('headless');
  rmSync(at('runs/headless/weights/best.safetensors'));
  await refuse(1, ['--resume', 'runs/headless'], /best\.safetensors cannot be used: it is missing/);
  copy('bare');
  rmSync(at('runs/bare/manifest.json'));
  await refuse(1, ['--resume', 'runs/bare'], /manifest\.json does not exist/);
});

test('a photo that was replaced or has gone is named, and the run goes on when it is back', async () => {
  const photo = at('leaves/healthy/leaf-0003.jpg');
  renameSync(photo, at('aside.jpg'));
  const said = /Photos in .*leaves are not what they were when the run was started: "healthy\/leaf-0003\.jpg" has /;
  await refuse(1, ['--resume', 'runs/cut'], said, /leaf-0003\.jpg" has gone\.\nPut them back/);
  cpSync(at('leaves/healthy/leaf-0004.jpg'), photo);
  await refuse(1, ['--resume', 'runs/cut'], said, /leaf-0003\.jpg" has changed\.\n/);
  renameSync(at('aside.jpg'), photo);
});

test('a run that was cut off is not overwritten unless one says so', async () => {
  await refuse(1, ['./leaves', ...tiny, '--name', 'cut'], /The run folder runs\/cut exists\.\n.*--resume runs\/cut/);
  cpSync(at('runs/cut'), at('runs/anew'), { recursive: true });
  const words = ['--name', 'anew', '--exist-ok', '--fine-tune-epochs', '0', '--json'];
  const finished = await run(['train', './leaves', ...tiny, ...words]);
  ended(finished, 0);
  assert.equal((JSON.parse(finished.stdout) as TrainResult).fine_tuning, null);
  assert.deepEqual(readdirSync(at('runs/anew/weights')), ['head.safetensors'], 'nothing is left of the run before');
  assert.doesNotMatch(readFileSync(at('runs/anew/results.csv'), 'utf8'), /fine-tuning/);
});

test('training that diverges stops with advice, and the best weights so far are kept', async () => {
  const words = ['--fine-tune-lr', '10', '--optimiser', 'sgd', '--clip-norm', '1e9', '--warmup', '0'];
  const finished = await train('wild', ...words, '--save-every', '0');
  const said =
    /Fine-tuning diverged in step \d+ of epoch \d+: .* \(learning rate 10\)\.\n.*smaller --fine-tune-lr, for example 1\./;
  ended(finished, 1, said);
  assert.equal(finished.stdout, '');
  for (const file of ['model.tflite', 'model.tflite.rejected', 'metrics.json']) {
    assert.equal(existsSync(at('runs/wild', file)), false, file);
  }
  const { tensors, metadata } = readSafetensors(readFileSync(at('runs/wild/weights/best.safetensors')), 'best');
  const { content } = JSON.parse(metadata.graft!);
  assert.ok(Number.isFinite(content.validationLoss));
  for (const [name, { data }] of tensors) assert.ok((data as Float32Array).every(Number.isFinite), name);
  for (const row of readFileSync(at('runs/wild/results.csv'), 'utf8').trim().split('\n').slice(1)) {
    assert.match(row, /^(head|fine-tuning)(,[\d.e+-]+){6}$/);
  }
});

test('activations behind frozen stages are cached, and training on them goes on exactly', async () => {
  const words = ['--freeze', '6', '--cut-views', '2'];
  const finished = await train('cut-views', ...words, '--json');
  ended(finished, 0, /activations: 24\/24 photos/);
  const { fine_tuning: tuned, proof } = JSON.parse(finished.stdout) as TrainResult;
  assert.equal(tuned!.epochs, 3);
  assert.equal(proof.top_class_agreement, 1);
  await killAndGoOn('cut-views-on', 'cut-views', [{ file: last, times: 2 }], words, ['--save-every', '0']);
});

test('mixup and what else changes training, on the device that there is', async () => {
  const words = '--mixup 0.4 --average-decay 0 --layer-decay 0.7 --schedule one-cycle --optimiser adam --device auto';
  const finished = await train('mixup', ...words.split(' '), '--fine-tune-epochs', '2', '--json');
  ended(finished, 0);
  const { fine_tuning: tuned, proof } = JSON.parse(finished.stdout) as TrainResult;
  assert.equal(tuned!.epochs, 2);
  assert.equal(proof.top_class_agreement, 1);
});

const refused: readonly [string, readonly string[], number, RegExp][] = [
  [
    'cached activations of no frozen stage',
    ['--freeze', '0', '--cut-views', '2'],
    2,
    /cut-views is 2, but no stage is frozen.*\n.*--freeze/,
  ],
  ['cached activations with mixup', ['--freeze', '6', '--cut-views', '2', '--mixup', '1'], 2, /mixup blends photos/],
  ['an unknown schedule', ['--schedule', 'foo'], 2, /schedule is "foo"\.\n.*constant, cosine, one-cycle/],
  ['an unknown optimiser', ['--optimiser', 'foo'], 2, /optimiser is "foo"\.\n.*adamw, adam, sgd/],
  ['an unknown device', ['--device', 'tpu'], 2, /device is "tpu"\.\n.*cpu, cuda, webgpu, auto/],
  ['two numbers of threads', ['--threads', '1', '--workers', '2'], 2, /workers and threads are two names/],
  ['a rate out of range', ['--fine-tune-lr', '0'], 2, /'0'.*from 1e-8 to 10/],
];
for (const [name, words, status, message] of refused) {
  test(`refused: ${name}`, async () => {
    await refuse(status, ['./leaves', ...words, '--name', 'none'], message);
    assert.equal(existsSync(at('runs/none')), false);
  });
}

for (const [device, advice] of [
  [
    'cuda',
    /NVIDIA card, CUDA 12 with cuDNN 9.*ONNXRUNTIME_NODE_INSTALL=cuda12 npm install onnxruntime-node.*--device cpu/,
  ],
  ['webgpu', /driver for Vulkan.*--device cpu/],
] as const) {
  test(`--device ${device} works, or says in a sentence what it needs`, async () => {
    const finished = await train(device, '--device', device);
    if (finished.status === 0) return;
    ended(finished, 1, new RegExp(`^graft: The device ${device} cannot be used here: .*\\.\\nIt needs .*\\n$`), advice);
    assert.equal(existsSync(at('runs', device)), false);
  });
}
