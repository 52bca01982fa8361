// Event files: byte for byte what TensorBoard's own classes write, checksums by the vectors of RFC 3720, and resuming.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { GraftError } from '../../src/base/errors.ts';
import { openEventFile } from '../../src/train/tensorboard.ts';
import { crc32c, readEvents } from '../support/events.ts';
import { readReference, temporaryFolder } from '../support/reference.ts';

interface ReferenceFile {
  readonly milliseconds: number;
  readonly firstStep: number;
  readonly steps: readonly { step: number; values: Record<string, number> }[];
  /** Base64. */
  readonly file: string;
}

test('the checksum of the reader here has the values of RFC 3720, B.4', () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, i) => i);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(ascending), 0x46dd794e);
  assert.equal(crc32c(ascending.reverse()), 0x113fdb5c);
});

test("a file has the bytes that TensorBoard's own classes write", async t => {
  const { milliseconds, firstStep, steps, file } = readReference<ReferenceFile>('event-file.json');
  t.mock.method(Date, 'now', () => milliseconds);
  const folder = join(await temporaryFolder(t), 'made/on/the/way');
  const events = await openEventFile(folder, firstStep);
  for (const { step, values } of steps) await events.scalars(step, values);
  await events.close();
  assert.deepEqual(readdirSync(folder), ['events.out.tfevents.1767225600.graft']);
  assert.equal(readFileSync(join(folder, 'events.out.tfevents.1767225600.graft'), 'base64'), file);
});

test('a record is on the disk when its call is done, and calls that overlap stay in order', async t => {
  const folder = await temporaryFolder(t);
  const events = await openEventFile(folder);
  const path = join(folder, readdirSync(folder)[0]!);
  assert.deepEqual(
    readEvents(path).map(({ step, what }) => [step, what]),
    [
      [0, 'fileVersion'],
      [0, 'sessionLog'],
    ],
  );
  await events.scalars(1, { loss: 0.5 });
  assert.deepEqual(readEvents(path).at(-1), { step: 1, what: 'summary', values: { loss: 0.5 } });
  const overlapping = Array.from({ length: 200 }, (_, i) => events.scalars(i + 2, { loss: i, rate: -i }));
  await events.close();
  await Promise.all(overlapping);
  const read = readEvents(path);
  assert.deepEqual(
    read.map(({ step }) => step),
    [0, ...Array.from({ length: 202 }, (_, i) => i)],
  );
  assert.deepEqual(read[202]!.values, { loss: 199, rate: -199 });
});

test('numbers that are no numbers, or none of float32, do not stop a run', async t => {
  const folder = await temporaryFolder(t);
  const events = await openEventFile(folder);
  await events.scalars(0, { nan: Number.NaN, up: Number.POSITIVE_INFINITY, down: -1e300, tiny: 1e-300 });
  await events.close();
  const last = readEvents(join(folder, readdirSync(folder)[0]!)).at(-1)!;
  assert.deepEqual(last.values, {
    nan: Number.NaN,
    up: Number.POSITIVE_INFINITY,
    down: Number.NEGATIVE_INFINITY,
    tiny: 0,
  });
});

test('a resumed run writes a file of its own behind the others, whatever the clock says', async t => {
  const folder = await temporaryFolder(t);
  const future = `events.out.tfevents.${Math.floor(Date.now() / 1000) + 1000}`;
  writeFileSync(join(folder, `${future}.graft`), 'torn');
  writeFileSync(join(folder, `${future}999.elsewhere`), '');
  const start = async (step?: number) => (await openEventFile(folder, step)).close();
  await start(5);
  await start(7);
  await start();
  const [first, second, third, fourth] = readdirSync(folder).filter(name => name.endsWith('.graft'));
  assert.equal(first, `${future}.graft`);
  assert.equal(readFileSync(join(folder, first), 'utf8'), 'torn');
  const started = (step: number) => [
    { step: 0, what: 'fileVersion', values: {} },
    { step, what: 'sessionLog', values: {} },
  ];
  assert.deepEqual(readEvents(join(folder, second!)), started(5));
  assert.deepEqual(readEvents(join(folder, third!)), started(7));
  assert.deepEqual(readEvents(join(folder, fourth!)), started(0).slice(0, 1));
});

/** Writes events of 20 KB where files may have 1 MB, until that is full, and then once more. */
const fillDisk = `
  import { openEventFile } from ${JSON.stringify(new URL('../../src/train/tensorboard.ts', import.meta.url).href)};
  const events = await openEventFile(process.argv[1]);
  const report = error => ({ code: error.code, message: error.message });
  const values = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => ['value/' + i, i]));
  let step = 0;
  let error;
  while (!error && step < 1000) await events.scalars(step++, values).catch(reason => (error = report(reason)));
  const next = await events.scalars(step, values).then(() => 'written', report);
  await events.close();
  console.log(JSON.stringify({ error, next }));
`;

test('when the disk is full it says so, and what was written before can be read', async t => {
  const folder = await temporaryFolder(t);
  const node = [process.execPath, '--import', 'tsx', '--input-type=module', '-e', fillDisk, folder];
  const output = execFileSync('sh', ['-c', 'trap "" XFSZ; ulimit -f 2000; exec "$@"', 'sh', ...node], {
    encoding: 'utf8',
  });
  const { error, next } = JSON.parse(output) as Record<'error' | 'next', GraftError>;
  assert.equal(error.code, 'disk-full', output);
  assert.match(error.message, /\.graft could not be written: the disk is full/);
  assert.deepEqual(next, error);
  const events = readEvents(join(folder, readdirSync(folder)[0]!));
  assert.ok(events.length > 40);
  assert.deepEqual(
    events.map(({ step }) => step),
    [0, 0, ...events.slice(2).map((_, i) => i)],
  );
});

test('where no folder can be made, the error names the place', async t => {
  const folder = await temporaryFolder(t);
  writeFileSync(join(folder, 'file'), '');
  const refused = openEventFile(join(folder, 'file/events'));
  await assert.rejects(refused, { name: 'GraftError', code: 'not-found', message: /file\/events .*no folder/ });
});
