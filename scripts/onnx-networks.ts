// Imports whole networks and compares the canonical graph, for one photo and for two, with what ONNX Runtime makes of the file
// itself. A file for a fixed batch is run once per photo. scripts/reference/make_onnx_models.py makes the files.
//
//   node --import tsx scripts/onnx-networks.ts FOLDER [NAME]
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { GraftError } from '../src/base/errors.ts';
import { makeRng } from '../src/base/rng.ts';
import { openSession } from '../src/engine/session.ts';
import { type ConvertedModel, convertOnnx, IMAGE } from '../src/onnx/convert.ts';
import { readOnnxModel } from '../src/onnx/read-model.ts';
import { inferShapes } from '../src/onnx/shapes.ts';
import { writeOnnx } from '../src/onnx/write.ts';
import { float32, sizeOf, type Tensor } from '../src/tensor/tensor.ts';

/** Largest difference, relative to the largest number of the output. */
const TOLERANCE = 1e-4;

const [folder, only = ''] = process.argv.slice(2);
if (!folder) throw new Error('Usage: onnx-networks.ts FOLDER [NAME]');
const rows: Record<string, string | number>[] = [];
for (const file of readdirSync(folder).sort()) {
  if (!file.endsWith('.onnx') || !file.includes(only)) continue;
  const start = performance.now();
  try {
    const bytes = readFileSync(join(folder, file));
    const model = convertOnnx(readOnnxModel(bytes));
    const seconds = (performance.now() - start) / 1000;
    const difference = Math.max(await compareFor(model, bytes, 1), await compareFor(model, bytes, 2));
    const ops = [...new Set(model.graph.nodes.map(({ op }) => op))].sort().join(' ');
    const outcome = difference <= TOLERANCE ? 'equal' : 'DEFECT';
    rows.push({ file, outcome, difference: difference.toExponential(1), import: seconds.toFixed(2), ops });
  } catch (error) {
    const outcome = error instanceof GraftError && !error.message.startsWith('ONNX Runtime') ? 'refused' : 'DEFECT';
    rows.push({ file, outcome, ops: (error as Error).message.slice(0, 400) });
  }
  const { outcome, difference = '', import: seconds = '', ops } = rows.at(-1)!;
  console.log([file, outcome, difference, seconds, ops].join('\t'));
}
const count = (outcome: string) => rows.filter(row => row.outcome === outcome).length;
console.log(`${rows.length} files: ${count('equal')} equal, ${count('refused')} refused, ${count('DEFECT')} DEFECTS`);
process.exitCode = count('DEFECT') > 0 ? 1 : 0;

async function compareFor(model: ConvertedModel, bytes: Uint8Array, photos: number): Promise<number> {
  const { graph, height, width, input } = model;
  const rng = makeRng(7, 'photos');
  const one = [3, height, width];
  const data = Float32Array.from({ length: photos * sizeOf(one) }, () => rng.normal());
  const image = float32([photos, ...one], data);
  // The shapes are those of any number of photos.
  inferShapes(graph, { N: photos, H: height, W: width });
  const session = await openSession(writeOnnx(graph), { threads: 2 });
  const found = await session.run({ [IMAGE]: image });
  await session.close();
  const original = await openSession(bytes, { threads: 2 });
  const isFixed = original.inputs[0]!.shape[0] !== null;
  const batches = isFixed ? Array.from({ length: photos }, (_, i) => slicePhoto(image, i)) : [image];
  let worst = 0;
  for (const { name } of graph.outputs) {
    const wanted: number[] = [];
    for (const batch of batches) {
      const answer = await original.run({ [input.name]: batch });
      for (const value of answer[name]!.data as Float32Array) wanted.push(value);
    }
    const values = found[name]!.data as Float32Array;
    if (values.length !== wanted.length) return Number.POSITIVE_INFINITY;
    const scale = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    if (!(scale > 1e-3)) throw new Error(`${name} is all zero, which proves nothing`);
    worst = Math.max(worst, ...wanted.map((value, i) => Math.abs(value - values[i]!) / scale));
  }
  await original.close();
  return worst;
}

function slicePhoto({ shape, data }: Tensor<'float32'>, i: number): Tensor<'float32'> {
  const size = sizeOf(shape.slice(1));
  return float32([1, ...shape.slice(1)], data.slice(i * size, (i + 1) * size));
}
