// What a terminal shows: bars and colour where they are wanted, plain lines where not; Ctrl-C in the head; a full disk.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { drawSmallDataset, graft } from '../support/graft.ts';

let set: Awaited<ReturnType<typeof drawSmallDataset>>;
before(async () => {
  set = await drawSmallDataset(60);
});
after(() => set.remove());

/** Makes both streams of the process say that they are terminals. */
const asTerminal = {
  NODE_OPTIONS: '--import "data:text/javascript,process.stderr.isTTY=true;process.stdout.isTTY=true"',
  TERM: 'xterm-256color',
};
const ESC = String.fromCharCode(27);
const coloured = new RegExp(`${ESC}\\[\\d+m`);

test('a terminal gets bars and colour, NO_COLOR takes the colour away, a pipe gets lines', async () => {
  const words = ['train', './leaves', '--epochs', '4', '--fine-tune-epochs', '0'];
  const terminal = await graft(words, { cwd: set.folder, env: asTerminal });
  assert.equal(terminal.status, 0, terminal.stderr);
  assert.match(terminal.stderr, /features +\[=+\] 60\/60 photos/);
  assert.match(terminal.stdout, coloured);
  const plain = await graft(words, { cwd: set.folder, env: { ...asTerminal, NO_COLOR: '1' } });
  assert.doesNotMatch(plain.stdout, coloured);
  const piped = await graft(words, { cwd: set.folder });
  assert.doesNotMatch(piped.stdout + piped.stderr, new RegExp(ESC));
  assert.match(piped.stderr, /^features: 60\/60 photos$/m);
});

test('Ctrl-C is heard while the head trains', async () => {
  let asked = false;
  const stopped = await graft(
    ['train', './leaves', '--epochs', '100000', '--patience', '100000', '--name', 'endless'],
    {
      cwd: set.folder,
      watch: (child, stderr) => {
        if (asked || !stderr.includes('features: 60/60')) return;
        asked = true;
        setTimeout(() => child.kill('SIGINT'), 700);
      },
    },
  );
  assert.equal(stopped.status, 130, stopped.stderr);
  assert.match(stopped.stderr, /Stopped\.\n.*graft train --resume runs\/endless\n$/);
  assert.deepEqual(readdirSync(join(set.folder, 'runs/endless')).sort(), ['args.json', 'manifest.json']);
});

test('a disk that fills up while the model is written: one sentence, and nothing that looks whole', () => {
  const bin = fileURLToPath(new URL('../../bin/graft.js', import.meta.url));
  const words = [
    process.execPath,
    bin,
    'train',
    './leaves',
    '--epochs',
    '2',
    '--fine-tune-epochs',
    '0',
    '--name',
    'full',
  ];
  // Files may have 3 MB here (512-byte blocks): features fit, models do not.
  const limited = ['-c', 'trap "" XFSZ; ulimit -f 6000; exec "$@"', 'sh', ...words];
  const { status, stderr } = spawnSync('sh', limited, { cwd: set.folder, encoding: 'utf8' });
  assert.equal(status, 1, stderr);
  assert.match(stderr, /model\.onnx could not be written: the disk is full/);
  assert.doesNotMatch(stderr, /\n\s+at /);
  const left = readdirSync(join(set.folder, 'runs/full'));
  for (const name of ['model.onnx', 'model.tflite', 'metrics.json']) assert.ok(!left.includes(name), `${left}`);
});

test('after that the run goes on', async () => {
  const again = await graft(['train', '--resume', 'runs/full'], { cwd: set.folder });
  assert.equal(again.status, 0, again.stderr);
  assert.ok(existsSync(join(set.folder, 'runs/full/model.tflite')));
});

test('a disk that fills up while a checkpoint is written: one sentence, and the run goes on', async () => {
  const bin = fileURLToPath(new URL('../../bin/graft.js', import.meta.url));
  const small = ['--imgsz', '64', '--views', '0', '--epochs', '2', '--fine-tune-epochs', '1', '--freeze', '11'];
  const words = [process.execPath, bin, 'train', './leaves', ...small, '--name', 'checkpoint'];
  // Files may have 3 MB here: the weights of the stages that are trained fit, not with all that the optimiser keeps.
  const limited = ['-c', 'trap "" XFSZ; ulimit -f 6000; exec "$@"', 'sh', ...words];
  const { status, stderr } = spawnSync('sh', limited, { cwd: set.folder, encoding: 'utf8' });
  assert.equal(status, 1, stderr);
  assert.match(stderr, /last\.safetensors could not be written: the disk is full/);
  assert.doesNotMatch(stderr, /\n\s+at /);
  const left = readdirSync(join(set.folder, 'runs/checkpoint/weights')).sort();
  assert.deepEqual(left, ['best.safetensors', 'head.safetensors']);
  const again = await graft(['train', '--resume', 'runs/checkpoint'], { cwd: set.folder });
  assert.equal(again.status, 0, again.stderr);
});
