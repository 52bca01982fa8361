// Filling a folder with leaves: names, counts, equal bytes for any number of processes, refusals and interruption.
import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GraftError } from '../../src/base/errors.ts';
import type { Steps } from '../../src/base/events.ts';
import { drawLeafDataset, type LeafDataset } from '../../src/demo/draw-leaf-dataset.ts';
import { drawLeafPhoto } from '../../src/demo/draw-leaf-photo.ts';

const root = await mkdtemp(join(tmpdir(), 'graft-leaves-'));
after(() => rm(root, { recursive: true, force: true }));

async function runSteps(steps: Steps<LeafDataset>): Promise<{ result: LeafDataset; done: number[] }> {
  const done: number[] = [];
  for (;;) {
    const step = await steps.next();
    if (step.done) return { result: step.value, done };
    if (step.value.type === 'progress') done.push(step.value.done);
  }
}

const refusedAs = (code: string) => (error: unknown) => error instanceof GraftError && error.code === code;

test('one process and two draw the same photos', async () => {
  const [one, two] = [join(root, 'one'), join(root, 'two')];
  const options = { photos: 7, seed: 9, size: 80 };
  const { result, done } = await runSteps(drawLeafDataset(one, { ...options, workers: 1 }));
  assert.deepEqual(result, { folder: one, counts: { healthy: 4, unhealthy: 3 } });
  assert.equal(done[0], 0);
  assert.equal(done.at(-1), 7);
  const second = await runSteps(drawLeafDataset(two, { ...options, workers: 2 }));
  assert.equal(second.done.at(-1), 7);
  for (const folder of ['healthy', 'unhealthy']) {
    const names = (await readdir(join(one, folder))).sort();
    assert.deepEqual((await readdir(join(two, folder))).sort(), names);
    assert.deepEqual(names.slice(0, 3), ['leaf-0001.jpg', 'leaf-0002.jpg', 'leaf-0003.jpg']);
    for (const [index, name] of names.entries()) {
      const bytes = await readFile(join(two, folder, name));
      assert.ok(bytes.equals(await readFile(join(one, folder, name))));
      assert.ok(bytes.equals(await drawLeafPhoto({ seed: 9, index, healthy: folder === 'healthy', size: 80 })));
    }
  }
  // Drawing again into the same folder is no error: the files are the same.
  await runSteps(drawLeafDataset(one, { ...options, workers: 1 }));
});

test('what a killed run and a desktop leave among the photos does not stop the next drawing', async () => {
  const folder = join(root, 'left');
  await mkdir(join(folder, 'healthy'), { recursive: true });
  await writeFile(join(folder, 'healthy/leaf-0002.jpg.part-123-4'), 'half');
  await writeFile(join(folder, '.DS_Store'), '');
  const { result } = await runSteps(drawLeafDataset(folder, { photos: 4, size: 64, workers: 1 }));
  assert.deepEqual(result.counts, { healthy: 2, unhealthy: 2 });
});

test('a folder with other files is refused, as are numbers out of range', async () => {
  const folder = join(root, 'one', 'healthy');
  await writeFile(join(folder, 'holiday.jpg'), 'mine');
  await assert.rejects(runSteps(drawLeafDataset(join(root, 'one'), { photos: 8 })), refusedAs('exists'));
  for (const wrong of [{ photos: 1 }, { photos: 20_001 }, { photos: 2.5 }, { workers: 0 }, { workers: 17 }]) {
    await assert.rejects(runSteps(drawLeafDataset(join(root, 'wrong'), wrong)), refusedAs('usage'));
  }
});

test('a failure in a drawing process arrives with its code', async () => {
  await assert.rejects(
    runSteps(drawLeafDataset(join(root, 'tiny'), { photos: 4, size: 10, workers: 2 })),
    refusedAs('usage'),
  );
});

test('a file where the folder should be is an error that names it', async () => {
  const file = join(root, 'a-file');
  await writeFile(file, '');
  await assert.rejects(runSteps(drawLeafDataset(file, { photos: 4, workers: 1, size: 64 })));
});

test('the signal stops the drawing, and what was written is whole', async () => {
  for (const workers of [1, 2]) {
    const folder = join(root, `stopped-${workers}`);
    const stop = new AbortController();
    const steps = drawLeafDataset(folder, { photos: 400, size: 64, workers, signal: stop.signal });
    const loop = async () => {
      for await (const event of steps) if (event.type === 'progress' && event.done >= 3) stop.abort();
    };
    await assert.rejects(loop(), refusedAs('interrupted'));
    const files = (await readdir(folder, { recursive: true })).filter(name => name.endsWith('.jpg'));
    assert.ok(files.length > 0 && files.length < 400, `${files.length} files`);
    for (const name of files) assert.equal((await readFile(join(folder, name))).readUInt16BE(0), 0xffd8);
  }
});
