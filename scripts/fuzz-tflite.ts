// Fuzzes the reader of .tflite files: npm run fuzz -- [--files 10000] [--seed 1] [more.tflite ...]
// Ends with status 1 when a file made it do anything but read or refuse it.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { parseArgs } from 'node:util';
import { fuzz, makeSeed, ownSeeds } from '../test/support/fuzz.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { files: { type: 'string', default: '10000' }, seed: { type: 'string', default: '1' } },
});
const given = positionals.map(path => makeSeed(basename(path), new Uint8Array(readFileSync(path))));
const start = performance.now();
const report = await fuzz([...ownSeeds(), ...given], Number(values.files), Number(values.seed));
const seconds = ((performance.now() - start) / 1000).toFixed(0);
for (const defect of report.defects) console.error(defect);
console.log(
  `${report.files} files in ${seconds} s: ${report.refused} refused, ${report.read} read, ${report.partly} read without ` +
    `damaged parts, ${report.defects.length} defects; at most ${(report.mostMemory / 1e6).toFixed(1)} MB ` +
    `(${report.mostMemoryPerByte.toFixed(1)} bytes per byte of the file, beside 256 KiB) and ${report.slowest.toFixed(0)} ms a file`,
);
process.exitCode = report.defects.length > 0 ? 1 : 0;
