// A run folder with small models, the same network for both runtimes, for what needs files and no training.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { emptyGraph, startEmitter } from '../../src/onnx/emitter.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import { graftFile } from './fuzz.ts';

/** Makes `folder` with model.tflite and model.onnx. */
export function writeSmallRun(folder: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'model.tflite'), graftFile());
  writeFileSync(join(folder, 'model.onnx'), onnxFile());
}

/** A dense layer of 1 MB. */
export function onnxFile(): Uint8Array {
  const g = startEmitter(emptyGraph('dense'));
  const x = g.input({ name: 'x', dtype: 'float32', shape: [1, 512] });
  const weights = float32(
    [512, 512],
    Float32Array.from({ length: 512 * 512 }, (_, i) => (i % 7) - 3),
  );
  const y = g.emit('MatMul', [x, g.constant(weights)], {});
  return writeOnnx(g.build([{ name: y, dtype: 'float32', shape: [1, 512] }]));
}
