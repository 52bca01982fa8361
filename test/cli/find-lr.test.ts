// graft find-lr on real photos: a table with a suggestion, or JSON; nothing is left but caches.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { FindLrResult } from '../../src/index.ts';
import { drawSmallDataset, graft } from '../support/graft.ts';

let set: Awaited<ReturnType<typeof drawSmallDataset>>;
before(async () => {
  set = await drawSmallDataset(40);
});
after(() => set.remove());

const small = ['--imgsz', '64', '--epochs', '4', '--views', '1', '--freeze', '9', '--cut-views', '0', '--steps', '14'];

test('find-lr prints rates, losses and what to take', async () => {
  const { status, stdout, stderr } = await graft(['find-lr', './leaves', ...small], { cwd: set.folder });
  assert.equal(status, 0, stderr);
  assert.match(stdout, /rate +loss\n/);
  assert.match(stdout, /1\.0e-6 +\d\.\d{3}\n/);
  assert.match(stdout, /--fine-tune-lr 0?\.?\d[\d.e-]* is a third of the rate with the lowest loss/);
  assert.equal(existsSync(join(set.folder, 'runs')), false);
});

test('find-lr --json gives the trials', async () => {
  const { status, stdout, stderr } = await graft(['find-lr', './leaves', ...small, '--json'], { cwd: set.folder });
  assert.equal(status, 0, stderr);
  const { trials, suggestion } = JSON.parse(stdout) as FindLrResult;
  assert.equal(trials[0]!.rate, 1e-6);
  assert.ok(trials.length > 5 && suggestion > 0 && suggestion < 1);
});

test('find-lr refuses what has no meaning for it', async () => {
  const { status, stderr } = await graft(['find-lr', './leaves', '--fine-tune-lr', '0.1'], { cwd: set.folder });
  assert.equal(status, 2);
  assert.match(stderr, /unknown option '--fine-tune-lr'/);
});
