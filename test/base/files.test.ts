// Files appear whole or not at all, also when the disk fills up in the middle of one.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeWhole } from '../../src/base/files.ts';
import { temporaryFolder } from '../support/reference.ts';

test('a file is written with the folders above it and replaces an older one', async t => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'a/b/c.txt');
  await writeWhole(file, 'one');
  await writeWhole(file, new Uint8Array([0x74, 0x77, 0x6f]));
  assert.equal(readFileSync(file, 'utf8'), 'two');
  assert.deepEqual(readdirSync(join(folder, 'a/b')), ['c.txt']);
});

test('where a folder cannot be made, the error names the path', async t => {
  const folder = await temporaryFolder(t);
  writeFileSync(join(folder, 'file'), '');
  await assert.rejects(writeWhole(join(folder, 'file/inside.txt'), 'x'), /file\/inside\.txt .*no folder/);
});

/** Writes 3 MB over `file` where files may have 1 MB: the write comes to an end in the middle, as on a full disk. */
const writeTooMuch = `
  import { writeWhole } from ${JSON.stringify(new URL('../../src/base/files.ts', import.meta.url).href)};
  const error = await writeWhole(process.argv[1], new Uint8Array(3_000_000)).then(() => null, reason => reason);
  console.log(JSON.stringify({ code: error?.code, message: error?.message }));
`;

test('when the disk is full the old file stays and nothing half-written is left', async t => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'model.bin');
  await writeWhole(file, 'old');
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', writeTooMuch, file];
  const output = execFileSync('sh', ['-c', 'trap "" XFSZ; ulimit -f 2000; exec "$@"', 'sh', ...node], {
    encoding: 'utf8',
  });
  const error = JSON.parse(output) as { code: string; message: string };
  assert.equal(error.code, 'disk-full', output);
  assert.match(error.message, /model\.bin could not be written: the disk is full/);
  assert.equal(readFileSync(file, 'utf8'), 'old');
  assert.deepEqual(readdirSync(folder), ['model.bin']);
});
