// Seconds and peak memory of opening ONNX files as backbones, each in a process of its own: the files that are named, or models of 100 MB
// that are made for it, with their weights as bytes and as lists of numbers.
//
//   node --import tsx bench/onnx-import.bench.ts [FILE.onnx ...]
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { clearField, fromBinary, toBinary } from '@bufbuild/protobuf';
import { openModelFile } from '../src/import/open-model.ts';
import { ModelProtoSchema, TensorProtoSchema } from '../src/onnx/generated/onnx_pb.ts';
import { floatTensor, onnxFile } from '../test/support/onnx-file.ts';
import { peakMegabytes } from './support/peak-memory.ts';
import { saveResults } from './support/save-results.ts';
import { round } from './support/statistics.ts';

/** Layers of 1,024 channels in a row, 4.2 MB each: 24 are 100 MB. */
const LAYERS = 24;
const CHANNELS = 1024;

const self = fileURLToPath(import.meta.url);
const [first, ...rest] = process.argv.slice(2);
if (first === '--one') await importOne(rest[0]!);
else importAll(first ? [first, ...rest] : undefined);

/** In a process of its own: opens the file as a backbone and prints one JSON line. */
async function importOne(path: string): Promise<void> {
  const before = peakMegabytes();
  const start = performance.now();
  const { graph } = await openModelFile(path, { pixels: 'unit' });
  const seconds = (performance.now() - start) / 1000;
  console.log(JSON.stringify({ seconds, megabytes: peakMegabytes() - before, nodes: graph.nodes.length }));
}

function importAll(given: string[] | undefined): void {
  const work = mkdtempSync(join(tmpdir(), 'graft-onnx-import-'));
  const rows = (given ?? makeModels(work)).map(path => {
    const told = execFileSync(process.execPath, ['--import', 'tsx', self, '--one', path], { encoding: 'utf8' });
    const { seconds, megabytes, nodes } = JSON.parse(told) as { seconds: number; megabytes: number; nodes: number };
    const size = statSync(path).size / 2 ** 20;
    return {
      file: basename(path),
      file_megabytes: round(size, 1),
      nodes,
      seconds: round(seconds, 2),
      peak_megabytes: round(megabytes, 0),
      times_the_file: round(megabytes / size, 2),
    };
  });
  rmSync(work, { recursive: true });
  console.table(rows);
  saveResults('onnx-import', rows);
}

/** Two files of the same network. */
function makeModels(folder: string): string[] {
  const names = Array.from({ length: LAYERS }, (_, i) => `layer.${i}.weight`);
  const bytes = onnxFile({
    opset: 13,
    nodes: [
      ['Conv', 'x stem', 'a.0'],
      ...names.map((name, i) => ['Conv', `a.${i} ${name}`, `a.${i + 1}`] as const),
      ['GlobalAveragePool', `a.${LAYERS}`, 'pool'],
      ['Flatten', 'pool', 'flat'],
      ['Gemm', 'flat end', 'y', { transB: 1 }],
    ],
    constants: [
      floatTensor('stem', [CHANNELS, 3, 1, 1]),
      ...names.map(name => floatTensor(name, [CHANNELS, CHANNELS, 1, 1])),
      floatTensor('end', [10, CHANNELS]),
    ],
  });
  const model = fromBinary(ModelProtoSchema, bytes);
  for (const tensor of model.graph!.initializer) {
    tensor.floatData = [...new Float32Array(tensor.rawData.slice().buffer)];
    clearField(tensor, TensorProtoSchema.field.rawData);
  }
  const files = { 'bytes.onnx': bytes, 'lists.onnx': toBinary(ModelProtoSchema, model) };
  return Object.entries(files).map(([name, content]) => {
    const path = join(folder, name);
    writeFileSync(path, content);
    return path;
  });
}
