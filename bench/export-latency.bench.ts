// How fast the exported files run in LiteRT, on one thread: the float32 file beside the smallest model that one can write by
// hand for the same network, and the other precisions beside float32.
//
//   node --import tsx bench/export-latency.bench.ts PHOTOS [WEIGHTS.gguf] [--runs FOLDER] [--rounds 100] [--loads 6]
//
// The network is the run seed-0 in FOLDER, of graft train with default settings; it is trained when it is not there. Two
// files at a time take turns, run by run; in every second round the other is first. They are loaded anew several times,
// since a runtime is faster or slower by where its memory happens to lie, the second file first in every second of them.
// float32 beside itself shows the noise. Prints two tables and writes bench/results/export-latency.json.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeNoise } from '../src/engine/latency.ts';
import { type LiteRtModel, loadLiteRt } from '../src/engine/litert.ts';
import { calibrate } from '../src/project/calibrate.ts';
import { defaultWorkers } from '../src/project/defaults.ts';
import { buildTflite, plainFile, precisions } from '../src/project/tflite-file.ts';
import { countCosts, operatorName } from '../src/tflite/costs.ts';
import { readTflite } from '../src/tflite/read.ts';
import { writeTflite } from '../src/tflite/write.ts';
import { drain } from './support/drain.ts';
import { openFinishedRun } from './support/finished-run.ts';
import { writeByHand } from './support/hand-written.ts';
import { describeMachine, saveResults } from './support/save-results.ts';
import { median, round } from './support/statistics.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string' },
    rounds: { type: 'string', default: '100' },
    loads: { type: 'string', default: '6' },
  },
});
const [photos, weights] = positionals;
if (!photos) throw new Error('Usage: export-latency.bench.ts PHOTOS [WEIGHTS.gguf]');
const [rounds, loads] = [Number(values.rounds), Number(values.loads)];
/** Runs of each file after it is loaded that are not timed. */
const WARM_UP = 10;

const folder = values.runs ?? mkdtempSync(join(tmpdir(), 'graft-export-latency-'));
const run = await openFinishedRun(photos, 0, folder, weights);
const calibration = await drain(calibrate(run, true, defaultWorkers()));
const files: Record<string, Uint8Array> = { 'by hand': writeTflite(writeByHand(run)) };
for (const precision of precisions) files[precision] = buildTflite(run, { ...plainFile, precision }, calibration);
if (!values.runs) rmSync(folder, { recursive: true });

/** Milliseconds of each run of two files that take turns. */
async function takeTurns(names: readonly [string, string], isSwapped: boolean): Promise<[number[], number[]]> {
  const order = isSwapped ? [1, 0] : [0, 1];
  const models: LiteRtModel[] = [];
  for (const which of order) models[which] = await loadLiteRt(files[names[which]!]!);
  const { size } = run.backbone.preprocess;
  const image = makeNoise('float32', [1, size, size, 3]).data;
  const times: [number[], number[]] = [[], []];
  for (let turn = -WARM_UP; turn < rounds; turn++) {
    for (const which of turn % 2 === 0 ? [0, 1] : [1, 0]) {
      const start = performance.now();
      await models[which]!.run([image]);
      if (turn >= 0) times[which]!.push(performance.now() - start);
    }
  }
  for (const model of models) model.close();
  return times;
}

const rows: Record<string, unknown>[] = [];
for (const names of [
  ['float32', 'by hand'],
  ['float32', 'float32'],
  ['float16', 'float32'],
  ['dynamic', 'float32'],
  ['int8', 'float32'],
] as const) {
  const [own, other]: [number[], number[]] = [[], []];
  const ratios: number[] = [];
  for (let load = 0; load < loads; load++) {
    const [a, b] = await takeTurns(names, load % 2 === 1);
    own.push(...a);
    other.push(...b);
    ratios.push(median(a) / median(b));
  }
  rows.push({
    file: names[0],
    beside: names[1],
    median_ms: round(median(own), 3),
    beside_median_ms: round(median(other), 3),
    ratio_of_medians: round(median(own) / median(other), 3),
    ratio_of_minima: round(Math.min(...own) / Math.min(...other), 3),
    lowest_ratio: round(Math.min(...ratios), 3),
    highest_ratio: round(Math.max(...ratios), 3),
  });
  console.error(JSON.stringify(rows.at(-1)));
}

const contents: Record<string, unknown>[] = [];
for (const [file, bytes] of Object.entries(files)) {
  const model = readTflite(bytes);
  const kinds: Record<string, number> = {};
  for (const name of model.operators.map(operatorName).sort()) kinds[name] = (kinds[name] ?? 0) + 1;
  const loaded = await loadLiteRt(bytes);
  contents.push({
    file,
    bytes: bytes.length,
    multiply_adds: countCosts(model).multiplyAdds,
    all_in_xnnpack: loaded.isAccelerated,
    operators: model.operators.length,
    ...kinds,
  });
  loaded.close();
}
console.table(rows);
console.table(contents);
saveResults('export-latency', { machine: describeMachine(), rounds, loads, rows, contents });
