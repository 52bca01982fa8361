// Opening a page: a browser that stays, one that fails, and none. With no desktop, xdg-open asks mailcap and $BROWSER.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-open-'));
  await writeFile(join(folder, 'page.html'), '<p>page</p>');
});
after(() => rm(folder, { recursive: true, force: true }));

/** What a process says that does nothing else, and its exit status: it must not end before it knows. */
async function openIn(env: Readonly<Record<string, string>>): Promise<readonly [number | null, string]> {
  const module = new URL('../../src/project/open-page.ts', import.meta.url);
  const code = `import { openPage } from ${JSON.stringify(module.href)};
    console.log(JSON.stringify(await openPage(process.argv[1])));`;
  const words = ['--import', 'tsx', '--input-type=module', '-e', code, join(folder, 'page.html')];
  const cwd = fileURLToPath(new URL('../..', import.meta.url));
  const child = spawn(process.execPath, words, { cwd, env, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', chunk => {
    said += chunk;
  });
  return new Promise(done => child.on('close', status => done([status, said.trim()])));
}

/** The way to a browser that is this shell script. */
async function browserOf(script: string): Promise<Record<string, string>> {
  const program = join(folder, 'run-mailcap');
  await writeFile(program, `#!/bin/sh\n${script}\n`);
  await chmod(program, 0o755);
  return { PATH: [folder, process.env.PATH].join(delimiter), BROWSER: program };
}

test('a browser that stays open has opened the page, and is not waited for', async () => {
  const asked = join(folder, 'asked');
  const start = performance.now();
  assert.deepEqual(await openIn(await browserOf(`echo "$@" > '${asked}'; sleep 8`)), [0, 'null']);
  assert.ok(performance.now() - start < 7000);
  assert.match(await readFile(asked, 'utf8'), /page\.html/);
});

test('one that fails, or none at all, is a sentence and no error', async () => {
  for (const env of [await browserOf('exit 4'), { PATH: join(folder, 'nothing') }]) {
    const [status, said] = await openIn(env);
    assert.equal(status, 0);
    assert.match(said, /^"the program that opens pages ended with status [1-9]/);
  }
});
