// Fuzzes the readers of files: npm run fuzz -- [--format tflite|onnx|safetensors] [--files 10000] [--seed 1] [more files ...]
// Ends with status 1 when a file made a reader do anything but read or refuse it. Default: all formats.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { fuzz, makeSeed, ownSeeds } from '../test/support/fuzz.ts';
import { onnxSeeds, safetensorsSeeds } from '../test/support/fuzz-seeds.ts';
import type { FuzzFormat } from '../test/support/fuzz-worker.ts';
import type { Seed } from '../test/support/mutate.ts';

const seeds: Readonly<Record<FuzzFormat, () => Seed[]>> = {
  tflite: ownSeeds,
  onnx: onnxSeeds,
  safetensors: safetensorsSeeds,
};
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    format: { type: 'string' },
    files: { type: 'string', default: '10000' },
    seed: { type: 'string', default: '1' },
  },
});
const formats = (Object.keys(seeds) as FuzzFormat[]).filter(name => (values.format ?? name) === name);
if (formats.length === 0) throw new Error(`--format takes ${Object.keys(seeds).join(', ')}.`);
if (positionals.length > 0 && formats.length > 1) throw new Error('Name the --format of the files.');
const given = positionals.map(path => makeSeed(basename(path), new Uint8Array(readFileSync(path))));
for (const format of formats) {
  const start = performance.now();
  const report = await fuzz([...seeds[format](), ...given], Number(values.files), Number(values.seed), format);
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  for (const defect of report.defects) console.error(defect);
  console.log(
    `${format}: ${report.files} files in ${seconds} s: ${report.refused} refused, ${report.read} read, ${report.partly} read ` +
      `without damaged parts, ${report.defects.length} defects; at most ${(report.mostMemory / 1e6).toFixed(1)} MB and ` +
      `${report.slowest.toFixed(0)} ms a file`,
  );
  if (report.defects.length > 0) process.exitCode = 1;
}
