// Checkpoints come back bit for bit; what is damaged or belongs to another training is refused with what differs; and a
// disk that fills up while one is written leaves the one before.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { GraftError } from '../../src/base/errors.ts';
import { makeRng } from '../../src/base/rng.ts';
import { readSafetensors, writeSafetensors } from '../../src/tensor/safetensors.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import {
  type CheckpointIdentity,
  checkpointFiles,
  type HeadCheckpoint,
  loadCheckpoint,
  loadHead,
  saveCheckpoint,
  saveHead,
} from '../../src/train/checkpoint.ts';
import type { FineTuneState } from '../../src/train/fine-tune.ts';
import { temporaryFolder } from '../support/reference.ts';

const spans = [
  { name: 'head.weight', shape: [2, 3], start: 0 },
  { name: 'head.bias', shape: [2], start: 6 },
  { name: 'features.0.0.weight', shape: [4, 1, 1, 1], start: 8 },
];
const identity: CheckpointIdentity = {
  graft: '0.1.0',
  classes: ['healthy', 'unhealthy'],
  dataset: 'a'.repeat(64),
  fine_tuning: { lr: 0.001, seed: 0 },
};

const rng = makeRng(1, 'checkpoint');
const draw = () => Float32Array.from({ length: 12 }, () => rng.normal());
// Numbers of which no decimal text may lose a bit.
const [third, tiny] = [1 / 3, 1.1e-310];
const score = { validationLoss: third, validationAccuracy: 2 / 3 };
const record = { epoch: 1, learningRate: 0.1 + 0.2, trainLoss: third, trainAccuracy: third, ...score };
const state: FineTuneState = {
  epoch: 2,
  step: 3,
  lossSum: tiny + third,
  correct: 17,
  records: [record],
  start: score,
  best: { epoch: 1, ...score },
  steps: 10,
  vectors: {
    parameter: draw(),
    first: Float32Array.from([-0, 1e-45, 3.4e38, ...draw().subarray(3)]),
    second: draw(),
    average: draw(),
  },
  bestParameters: draw(),
};

test('a state comes back bit for bit, and equal states make equal files', async t => {
  const folder = await temporaryFolder(t);
  assert.equal(await loadCheckpoint(folder, spans, identity), undefined);
  await saveCheckpoint(folder, spans, identity, state, true);
  assert.deepEqual(readdirSync(folder).sort(), [checkpointFiles.best, checkpointFiles.last].sort());
  assert.deepEqual(await loadCheckpoint(folder, spans, identity), state);
  const bytes = readFileSync(join(folder, checkpointFiles.last));
  await saveCheckpoint(folder, spans, identity, structuredClone(state), true);
  assert.deepEqual(readFileSync(join(folder, checkpointFiles.last)), bytes);
});

test('the best parameters are written only when they are new', async t => {
  const folder = await temporaryFolder(t);
  await saveCheckpoint(folder, spans, identity, state, true);
  const later = { ...state, step: 4, bestParameters: draw() };
  await saveCheckpoint(folder, spans, identity, later, false);
  assert.deepEqual(await loadCheckpoint(folder, spans, identity), { ...later, bestParameters: state.bestParameters });
});

test('best.safetensors is a plain file of weights that other software can read', async t => {
  const folder = await temporaryFolder(t);
  await saveCheckpoint(folder, spans, identity, state, true);
  const { tensors, metadata } = readSafetensors(readFileSync(join(folder, checkpointFiles.best)), 'best');
  assert.deepEqual([...tensors.keys()].sort(), spans.map(({ name }) => name).sort());
  assert.deepEqual(tensors.get('head.bias'), float32([2], state.bestParameters.subarray(6, 8)));
  assert.equal(metadata.format, 'pt');
});

const head: HeadCheckpoint = {
  weights: { weight: draw().slice(0, 6), bias: draw().slice(0, 2) },
  scaling: { mean: draw().slice(0, 3), inverse: draw().slice(0, 3) },
  records: [record],
  bestEpoch: 1,
};

test('the head comes back bit for bit', async t => {
  const folder = await temporaryFolder(t);
  assert.equal(await loadHead(folder, identity), undefined);
  await saveHead(folder, identity, head);
  assert.deepEqual(await loadHead(folder, identity), head);
});

/** Asserts that loading is refused, and what is said. */
async function refuses(work: Promise<unknown>, ...patterns: readonly RegExp[]): Promise<void> {
  await assert.rejects(work, (error: GraftError) => {
    assert.equal(error.code, 'bad-checkpoint', error.stack);
    for (const pattern of patterns) assert.match(error.message, pattern);
    assert.match(error.hint ?? '', /Train anew without --resume/);
    return true;
  });
}

test('a checkpoint that was cut short is refused, wherever it was cut', async t => {
  const folder = await temporaryFolder(t);
  await saveCheckpoint(folder, spans, identity, state, true);
  await saveHead(folder, identity, head);
  for (const name of Object.values(checkpointFiles)) {
    const file = join(folder, name);
    const whole = readFileSync(file);
    const load = () => (name === checkpointFiles.head ? loadHead : loadAll)(folder, identity);
    for (const length of [0, 4, 8, 100, Math.floor(whole.length / 2), whole.length - 4, whole.length - 1]) {
      writeFileSync(file, whole.subarray(0, length));
      await refuses(load(), new RegExp(`${name} is not a usable safetensors file`));
    }
    writeFileSync(file, Buffer.concat([whole, Buffer.alloc(4)]));
    await refuses(load(), new RegExp(name), /of data/);
    writeFileSync(file, whole);
    await load();
  }
});
const loadAll = (folder: string, wanted: CheckpointIdentity) => loadCheckpoint(folder, spans, wanted);

test('a checkpoint of another training is refused with all that differs, and nothing else', async t => {
  const folder = await temporaryFolder(t);
  await saveCheckpoint(folder, spans, identity, state, true);
  await saveHead(folder, identity, head);
  const cases: readonly [Partial<Record<string, unknown>>, readonly RegExp[]][] = [
    [{ dataset: 'b'.repeat(64) }, [/\n {2}dataset: "aaa.*\.\.\. there, "bbb.*\.\.\. here$/]],
    [
      { classes: ['unhealthy', 'healthy'] },
      [/\n {2}classes: \["healthy","unhealthy"\] there, \["unhealthy","healthy"\] here$/],
    ],
    [{ graft: '0.2.0' }, [/\n {2}graft: "0\.1\.0" there, "0\.2\.0" here$/]],
    [
      { graft: '0.2.0', fine_tuning: { lr: 0.1, seed: 0 } },
      [/\n {2}graft: /, /\n {2}fine_tuning: \{"lr":0\.001,"seed":0\} there, \{"lr":0\.1,"seed":0\} here$/],
    ],
    [{ device: 'cuda' }, [/\n {2}device: nothing there, "cuda" here$/]],
  ];
  for (const [change, patterns] of cases) {
    const wanted = { ...identity, ...change };
    const lines = Object.keys(change).length;
    for (const load of [loadAll, loadHead]) {
      await refuses(
        load(folder, wanted),
        /belongs to another training:/,
        ...patterns,
        new RegExp(`^.*(\\n  .*){${lines}}$`),
      );
    }
  }
  await refuses(
    loadAll(folder, Object.fromEntries(Object.entries(identity).slice(1))),
    /\n {2}graft: "0\.1\.0" there, nothing here$/,
  );
});

test('files that are sound but not ours are refused', async t => {
  const folder = await temporaryFolder(t);
  const tensors = new Map([['weight', float32([2], [1, 2])]]);
  for (const metadata of [
    {},
    { format: 'pt' },
    { graft: 'no JSON' },
    { graft: 'null' },
    { graft: '{"format":999,"identity":{},"content":{}}' },
    { graft: '{"format":1,"content":{}}' },
  ] as Record<string, string>[]) {
    for (const name of [checkpointFiles.last, checkpointFiles.head]) {
      writeFileSync(join(folder, name), writeSafetensors(tensors, metadata));
      const load = name === checkpointFiles.head ? loadHead(folder, identity) : loadAll(folder, identity);
      await refuses(load, new RegExp(`${name} cannot be used: this version of graft did not write it`));
    }
  }
});

test('a checkpoint that lacks a part is refused with its name', async t => {
  const folder = await temporaryFolder(t);
  await saveCheckpoint(folder, spans, identity, state, true);
  rmSync(join(folder, checkpointFiles.best));
  await refuses(loadAll(folder, identity), /best\.safetensors cannot be used: it is missing/);

  const without = async (name: string, tensor: string) => {
    await saveCheckpoint(folder, spans, identity, state, true);
    await saveHead(folder, identity, head);
    const file = join(folder, name);
    const { tensors, metadata } = readSafetensors(readFileSync(file), name);
    assert.ok(tensors.delete(tensor), `${name} has ${tensor}`);
    writeFileSync(file, writeSafetensors(tensors, metadata));
  };
  await without(checkpointFiles.last, 'second/head.bias');
  await refuses(
    loadAll(folder, identity),
    /last\.safetensors cannot be used: it has no tensor second\/head\.bias of \[2\]/,
  );
  await without(checkpointFiles.best, 'head.weight');
  await refuses(
    loadAll(folder, identity),
    /best\.safetensors cannot be used: it has no tensor head\.weight of \[2, 3\]/,
  );
  await without(checkpointFiles.head, 'mean');
  await refuses(loadHead(folder, identity), /head\.safetensors cannot be used: it has no tensor mean/);
});

/** Saves a state that takes 3 MB where files may have 1 MB: the write comes to an end in the middle, as on a full disk. */
const saveTooMuch = `
  import { saveCheckpoint } from ${JSON.stringify(new URL('../../src/train/checkpoint.ts', import.meta.url).href)};
  const { state, spans, identity, folder, length } = JSON.parse(process.argv[1]);
  const wide = new Float32Array(length).fill(0.5);
  const all = [{ name: 'head.weight', shape: [length], start: 0 }];
  const full = { ...state, vectors: { parameter: wide, average: wide }, bestParameters: wide };
  const error = await saveCheckpoint(folder, all, identity, full, false).then(() => null, reason => reason);
  console.log(JSON.stringify({ code: error?.code, message: error?.message }));
`;

test('a disk that fills up while a checkpoint is written leaves the one before', async t => {
  const folder = await temporaryFolder(t);
  await saveCheckpoint(folder, spans, identity, state, true);
  const { vectors: _, bestParameters: __, ...position } = state;
  const words = JSON.stringify({ state: { ...position, epoch: 3 }, identity, folder, length: 400_000 });
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', saveTooMuch, words];
  const output = execFileSync('sh', ['-c', 'trap "" XFSZ; ulimit -f 2000; exec "$@"', 'sh', ...node], {
    encoding: 'utf8',
  });
  const error = JSON.parse(output) as { code: string; message: string };
  assert.equal(error.code, 'disk-full', output);
  assert.match(error.message, /last\.safetensors could not be written: the disk is full/);
  assert.deepEqual(await loadCheckpoint(folder, spans, identity), state);
  assert.deepEqual(readdirSync(folder).sort(), [checkpointFiles.best, checkpointFiles.last].sort());
});
