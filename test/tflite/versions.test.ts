// No operator version that graft may write is newer than what the robot's runtime, tflite-runtime 2.14, accepts.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operators } from '../../src/tflite/schema.ts';

/** Newest version of each operator that tflite-runtime 2.14, the last one on PyPI, registers a kernel for. */
const accepted: Readonly<Record<string, number>> = {
  ABS: 5,
  ADD: 5,
  AVERAGE_POOL_2D: 3,
  BATCH_MATMUL: 4,
  CAST: 5,
  CONCATENATION: 4,
  CONV_2D: 7,
  DEPTHWISE_CONV_2D: 7,
  DEQUANTIZE: 5,
  DIV: 2,
  EXP: 2,
  FULLY_CONNECTED: 10,
  GATHER: 6,
  GELU: 2,
  HARD_SWISH: 1,
  LOG: 1,
  LOGISTIC: 3,
  LOG_SOFTMAX: 2,
  MAXIMUM: 4,
  MAX_POOL_2D: 3,
  MEAN: 3,
  MINIMUM: 4,
  MUL: 7,
  NEG: 1,
  PAD: 4,
  PADV2: 4,
  POW: 1,
  QUANTIZE: 3,
  RELU: 3,
  RELU6: 3,
  RESHAPE: 1,
  RESIZE_BILINEAR: 4,
  RESIZE_NEAREST_NEIGHBOR: 4,
  RSQRT: 2,
  SOFTMAX: 3,
  SQRT: 1,
  STRIDED_SLICE: 6,
  SUB: 5,
  SUM: 2,
  TANH: 3,
  TOPK_V2: 3,
  TRANSPOSE: 6,
};

test('every version in the table is known to tflite-runtime 2.14', () => {
  for (const [name, { versions }] of Object.entries(operators)) {
    const newest = accepted[name];
    assert.ok(newest !== undefined, `nothing says which versions of ${name} are accepted`);
    for (const [version, release] of Object.entries(versions)) {
      assert.ok(Number(version) <= newest, `${name} version ${version}; ${newest} is the newest`);
      const [major, minor] = release.split('.').map(Number) as [number, number];
      assert.ok(major < 2 || minor <= 14, `${name} version ${version} came with ${release}`);
    }
  }
});
