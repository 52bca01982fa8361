// Holds the backbones that are made of whole ONNX classifiers against ONNX Runtime on the files themselves:
//
//   node --import tsx scripts/onnx-backbones.ts FILE.onnx ...
//
// Every pooled stage's features, of noise, have to be the means of the same value in the file. Ends with status 1 otherwise.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { makeRng } from '../src/base/rng.ts';
import { openSession } from '../src/engine/session.ts';
import { openModelFile } from '../src/import/open-model.ts';
import { ModelProtoSchema, ValueInfoProtoSchema } from '../src/onnx/generated/onnx_pb.ts';
import { writeOnnx } from '../src/onnx/write.ts';
import { float32, sizeOf, type Tensor } from '../src/tensor/tensor.ts';
import { buildFeatureGraph } from '../src/zoo/graphs.ts';
import { channelsOf, stageShapes } from '../src/zoo/stages.ts';

/** Largest difference of a feature, in parts of the largest feature of its stage. */
const TOLERANCE = 1e-4;

for (const file of process.argv.slice(2)) {
  try {
    const { compared, pooled, worst, stages } = await check(file);
    const sound = compared === pooled && worst <= TOLERANCE;
    if (!sound) process.exitCode = 1;
    const figures = `${stages} stages, ${compared} of ${pooled} pooled ones compared, off by ${worst.toExponential(1)}`;
    console.log(`${sound ? 'equal' : 'DEFECT'}  ${basename(file)}: ${figures}`);
  } catch (error) {
    process.exitCode = 1;
    console.log(`refused ${basename(file)}: ${(error as Error).message.split('\n', 1)[0]}`);
  }
}

async function check(file: string) {
  const backbone = await openModelFile(file, { pixels: 'imagenet' });
  const { size, mean, std } = backbone.preprocess;
  const model = fromBinary(ModelProtoSchema, readFileSync(file));
  const made = new Set(model.graph!.node.flatMap(({ output }) => output));
  // A last value that was turned is in the file as it was before.
  const inFile = backbone.stages.map(({ value }) => value.replace(/^net\./, '').replace(/\.nchw$/, ''));
  for (const name of inFile.filter(value => made.has(value))) {
    model.graph!.output.push(create(ValueInfoProtoSchema, { name }));
  }
  const whole = await openSession(toBinary(ModelProtoSchema, model));
  const features = await openSession(writeOnnx(buildFeatureGraph(backbone)));

  const rng = makeRng(1, 'pixels');
  const pixels = Uint8Array.from({ length: size * size * 3 }, () => rng.int(256));
  const planes = new Float32Array(pixels.length);
  pixels.forEach((pixel, i) => {
    planes[(i % 3) * size * size + Math.floor(i / 3)] = (pixel / 255 - mean[i % 3]!) / std[i % 3]!;
  });
  const wanted = await whole.run({ [whole.inputNames[0]!]: float32([1, 3, size, size], planes) });
  const image: Tensor = { dtype: 'uint8', shape: [1, size, size, 3], data: pixels };
  const found = (await features.run({ image })).features!.data as Float32Array;
  await Promise.all([whole.close(), features.close()]);

  const shapes = stageShapes(backbone);
  let [at, compared, pooled, worst] = [0, 0, 0, 0];
  for (const [i, stage] of backbone.stages.entries()) {
    if (!stage.pooled) continue;
    pooled++;
    const channels = channelsOf(shapes[i]!);
    const own = found.subarray(at, at + channels);
    at += channels;
    const value = made.has(inFile[i]!) ? wanted[inFile[i]!] : undefined;
    if (!value) continue;
    compared++;
    const means = meansOf(value as Tensor<'float32'>, channels, stage.value.endsWith('.nchw'));
    const largest = means.reduce((most, number) => Math.max(most, Math.abs(number)), 0);
    worst = means.reduce((most, number, c) => Math.max(most, Math.abs(number - own[c]!) / largest), worst);
  }
  return { compared, pooled, worst, stages: backbone.stages.length };
}

/** Means over the positions of an image [1, C, H, W], or over tokens [1, T, C]; or of an image with its channels last. */
function meansOf({ shape, data }: Tensor<'float32'>, channels: number, channelsLast: boolean): Float64Array {
  const positions = sizeOf(shape) / channels;
  const means = new Float64Array(channels);
  data.forEach((value, i) => {
    means[shape.length === 4 && !channelsLast ? Math.floor(i / positions) : i % channels]! += value / positions;
  });
  return means;
}
