// graft inspect and graft benchmark as they are typed: tables for people, one JSON object for programs.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { BenchmarkResult, InspectResult } from '../../src/index.ts';
import { foreignFile } from '../support/foreign-model.ts';
import { graftFile } from '../support/fuzz.ts';
import { graft } from '../support/graft.ts';
import { writeSmallRun } from '../support/small-run.ts';

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'graft-inspect-'));
  writeSmallRun(join(folder, 'run'));
  writeFileSync(join(folder, 'foreign.tflite'), foreignFile);
  writeFileSync(join(folder, 'page.tflite'), '<html>not found</html>');
});
after(() => rmSync(folder, { recursive: true, force: true }));

const run = async (...words: string[]) => {
  const { status, stdout, stderr } = await graft(words, { cwd: folder });
  assert.equal(status, 0, stderr);
  return stdout;
};

test('inspect shows a run folder: what it takes, what it gives, what it needs', async () => {
  const shown = await run('inspect', 'run');
  for (const line of [
    new RegExp(`^run/model\\.tflite: TFLite model, ${graftFile().length} bytes$`, 'm'),
    /^precision +float32$/m,
    /^runtime +TFLite 1\.15\.0 or later \(the file says 1\.15\.0\)$/m,
    /^parameters +122$/m,
    /^multiply-adds +1,736 a run$/m,
    /^inputs +image: float32 \[1, 8, 8, 3\]$/m,
    /^licence +Apache-2\.0$/m,
    /^normalisation +\(x - 127\.5\) \/ 127\.5$/m,
    /^labels +healthy; sick$/m,
    /^attached files +labels\.txt \(13 bytes\)$/m,
    /^made by +graft 0\.0\.0, backbone small$/m,
    /^HARD_SWISH +1 +1 +1\.15\.0$/m,
  ]) {
    assert.match(shown, line);
  }
});

test("inspect shows another program's file, and every operator with --ops", async () => {
  const shown = await run('inspect', 'foreign.tflite');
  assert.match(shown, /^runtime +unknown, because of TFLite_Detection_PostProcess 4 \(the file says 2\.4\.0\)$/m);
  assert.match(shown, /^subgraphs +main, body$/m);
  assert.match(shown, /^inputs +in: float32 \[\?, 4\]$/m);
  const table = (await run('inspect', 'foreign.tflite', '--ops')).trim().split('\n');
  assert.equal(table.length, 6);
  assert.match(table[1]!, /^0\.1 {2}TFLite_Detection_PostProcess 4 {2}float32 \[1, 4\], - -> float32 \[1, 4\]/);
  assert.match(table[2]!, /^0\.2 {2}CONV_2D 5 .* padding=VALID stride_w=2 .*fused_activation_function=RELU6/);
  const result = JSON.parse(await run('inspect', 'foreign.tflite', '--json')) as InspectResult;
  assert.equal(result.operator_table.length, 6);
  assert.equal(result.bytes, foreignFile.length);
});

test('inspect refuses a page with one sentence', async () => {
  const { status, stdout, stderr } = await graft(['inspect', 'page.tflite'], { cwd: folder });
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.match(
    stderr,
    /page\.tflite is no \.tflite model: it seems to be an HTML page.*\nDownload the file itself\.\n$/,
  );
});

test('benchmark prints a row for each model, and JSON', async () => {
  const shown = await run('benchmark', 'run', '--runs', '3');
  assert.match(shown, /^run\/model\.tflite +LiteRT +1 +[\d.]+ ms +[\d.]+ ms +\d+ ms .* \d+ bytes$/m);
  assert.match(shown, /^run\/model\.onnx +ONNX Runtime +1 +[\d.]+ ms .* 1\.0 MB$/m);
  assert.match(shown, /3 timed runs each/);
  const { models } = JSON.parse(await run('benchmark', 'run', '--runs', '3', '--json')) as BenchmarkResult;
  assert.deepEqual(
    models.map(({ latency_ms }) => latency_ms.runs),
    [3, 3],
  );
  const refused = await graft(['benchmark', 'run', '--threads', '2'], { cwd: folder });
  assert.equal(refused.status, 2);
  assert.match(refused.stderr, /2 threads are for ONNX Runtime.*\nMeasure the other file alone: graft benchmark /);
});
