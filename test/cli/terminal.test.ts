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
  const words = ['train', './leaves', '--epochs', '4'];
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
  assert.match(stopped.stderr, /Stopped\./);
  assert.equal(existsSync(join(set.folder, 'runs/endless')), false);
});

test('a disk that fills up while the model is written: one sentence, and nothing that looks whole', () => {
  const bin = fileURLToPath(new URL('../../bin/graft.js', import.meta.url));
  const words = [process.execPath, bin, 'train', './leaves', '--epochs', '2', '--name', 'full'];
  // Files may have 3 MB here (512-byte blocks): features fit, models do not.
  const limited = ['-c', 'trap "" XFSZ; ulimit -f 6000; exec "$@"', 'sh', ...words];
  const { status, stderr } = spawnSync('sh', limited, { cwd: set.folder, encoding: 'utf8' });
  assert.equal(status, 1, stderr);
  assert.match(stderr, /model\.onnx could not be written: the disk is full/);
  assert.doesNotMatch(stderr, /\n\s+at /);
  const left = readdirSync(join(set.folder, 'runs/full'));
  for (const name of ['model.onnx', 'model.tflite', 'metrics.json']) assert.ok(!left.includes(name), `${left}`);
});

test('after that the same command goes on, since nothing finished is there', async () => {
  const again = await graft(['train', './leaves', '--epochs', '2', '--name', 'full'], { cwd: set.folder });
  assert.equal(again.status, 0, again.stderr);
});
