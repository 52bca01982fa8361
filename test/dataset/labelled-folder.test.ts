// Folders to examine a model with: which part is taken, and whether the labels are the model's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labelledFolder } from '../../src/dataset/labelled-folder.ts';
import { makeFolder, run } from './draw-photos.ts';

const paths = (items: readonly { path: string }[]) => items.map(item => item.path);

test('a flat folder is taken whole; classes without photos are reported', async t => {
  const root = await makeFolder(t, { 'b/1.jpg': 1, 'b/copy.jpg': 1, 'a/1.jpg': 2, 'a/bad.jpg': 'x' });
  const { result, said } = await run(labelledFolder(root, ['c', 'b', 'a', 'd']));
  assert.equal(result.used, 'everything');
  assert.deepEqual(paths(result.photos), ['a/1.jpg', 'b/1.jpg']);
  assert.deepEqual(result.missing, ['c', 'd']);
  assert.deepEqual(paths(result.excluded), ['a/bad.jpg', 'b/copy.jpg']);
  assert.equal(said.at(-1), 'warning: No photos of "c", "d": nothing is said about these classes.');
});

test('test first, then validation, then everything, and it says which', async t => {
  const train = { 'train/a/1.jpg': 1 };
  const validation = { ...train, 'val/a/1.jpg': 2 };
  const cases = [
    [{ ...validation, 'test/a/1.jpg': 3 }, 'test', 'test/a/1.jpg', 'note: Taking the test photos.'],
    [validation, 'validation', 'val/a/1.jpg', 'note: Taking the validation photos.'],
    [train, 'everything', 'train/a/1.jpg', 'warning: Taking the train photos: the only ones there are.'],
  ] as const;
  for (const [files, used, path, sentence] of cases) {
    const { result, said } = await run(labelledFolder(await makeFolder(t, files), ['a']));
    assert.equal(result.used, used);
    assert.deepEqual(paths(result.photos), [path]);
    assert.ok(said.includes(sentence), said.join('\n'));
  }
});

test('labels that the model does not know are refused, all of them named', async t => {
  const root = await makeFolder(t, { 'test/cat/1.jpg': 1, 'train/Dog/1.jpg': 2, 'test/dog/1.jpg': 3 });
  await assert.rejects(run(labelledFolder(root, ['dog', 'fish'])), {
    code: 'label-mismatch',
    message: 'The model does not know "Dog", "cat"; its classes are "dog", "fish".',
    hint: /Rename or remove these folders/,
  });
});

test('no usable photo is an error', async t => {
  const broken = await makeFolder(t, { 'a/1.jpg': 'x' });
  await assert.rejects(run(labelledFolder(broken, ['a'])), { code: 'empty-dataset', message: /None of the 1 files/ });
  const ambiguous = await makeFolder(t, { 'a/1.jpg': 1, 'b/1.jpg': 1 });
  await assert.rejects(run(labelledFolder(ambiguous, ['a', 'b'])), { code: 'empty-dataset', message: /the same file/ });
});
