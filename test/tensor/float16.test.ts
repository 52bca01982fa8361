// Half precision against its definition, against a search for the nearest value, and against ONNX Runtime's conversion.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeRng } from '../../src/base/rng.ts';
import { openSession } from '../../src/engine/session.ts';
import { graphBuilder } from '../../src/onnx/builder.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { narrowToFloat16, widenFloat16 } from '../../src/tensor/float16.ts';

const patterns = Uint16Array.from({ length: 65536 }, (_, pattern) => pattern);
const widened = widenFloat16(patterns);
const narrow = (value: number) => narrowToFloat16(Float32Array.of(value))[0]!;
/** Patterns of the positive finite halves: their values ascend. */
const LARGEST = 0x7bff;
const INFINITE = 0x7c00;

/** A half by its definition: sign, five bits of exponent, ten of fraction. */
function halfByDefinition(pattern: number): number {
  const bits = pattern.toString(2).padStart(16, '0');
  const [sign, exponent, fraction] = [bits[0] === '1' ? -1 : 1, bits.slice(1, 6), Number.parseInt(bits.slice(6), 2)];
  if (exponent === '11111') return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  if (exponent === '00000') return (sign * fraction) / 1024 / 2 ** 14;
  return sign * (1 + fraction / 1024) * 2 ** (Number.parseInt(exponent, 2) - 15);
}

/** The nearest finite pattern of a positive number by bisection; at a tie the even one; infinite from 65520 on. */
function nearestBySearch(value: number): number {
  if (value >= 65520) return INFINITE;
  let [low, high] = [0, LARGEST];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (widened[middle]! <= value) low = middle;
    else high = middle - 1;
  }
  if (low === LARGEST) return low;
  const [below, above] = [value - widened[low]!, widened[low + 1]! - value];
  if (below === above) return low % 2 === 0 ? low : low + 1;
  return below < above ? low : low + 1;
}

test('every pattern has the value of its definition and comes back from it', () => {
  const back = narrowToFloat16(widened);
  for (const pattern of patterns) {
    assert.ok(Object.is(widened[pattern], halfByDefinition(pattern)), `${pattern}: ${widened[pattern]}`);
    // A NaN may lose what else it says, and stays one.
    const isNone = (pattern & 0x7fff) > INFINITE;
    if (isNone) assert.ok((back[pattern]! & 0x7fff) > INFINITE);
    else assert.equal(back[pattern], pattern);
  }
});

test('between two halves the nearer one is taken, and the even one in the middle', () => {
  for (let pattern = 0; pattern < LARGEST; pattern++) {
    const [low, high] = [widened[pattern]!, widened[pattern + 1]!];
    const middle = (low + high) / 2;
    const bits = new Uint32Array(Float32Array.of(middle).buffer)[0]!;
    const [before, after] = new Float32Array(Uint32Array.of(bits - 1, bits + 1).buffer);
    const even = pattern % 2 === 0 ? pattern : pattern + 1;
    assert.deepEqual([narrow(before!), narrow(middle), narrow(after!)], [pattern, even, pattern + 1], `at ${middle}`);
    assert.equal(narrow(-middle), 0x8000 | even);
  }
});

test('too large becomes infinite, too small zero; signs and NaN stay', () => {
  const smallest = 2 ** -24;
  const beyond = (value: number) => value * (1 + 2 ** -23);
  const cases: readonly [number, number][] = [
    [65504, LARGEST],
    [65519.996, LARGEST],
    [65520, INFINITE],
    [3.4e38, INFINITE],
    [-3.4e38, 0x8000 | INFINITE],
    [Number.POSITIVE_INFINITY, INFINITE],
    [Number.NEGATIVE_INFINITY, 0x8000 | INFINITE],
    [smallest / 2, 0],
    [beyond(smallest / 2), 1],
    [-beyond(smallest / 2), 0x8001],
    [1.5 * smallest, 2],
    [2 ** -14, 0x0400],
    [2 ** -14 - 2 ** -26, 0x0400],
    [1e-45, 0],
    [-1e-45, 0x8000],
    [0, 0],
    [-0, 0x8000],
  ];
  for (const [value, pattern] of cases) assert.equal(narrow(value), pattern, `${value}`);
  const nans = Uint32Array.of(0x7fc00000, 0x7f800001, 0xffffffff);
  for (const pattern of narrowToFloat16(new Float32Array(nans.buffer))) assert.ok((pattern & 0x7fff) > INFINITE);
});

test('numbers of all sizes: what a search for the nearest finds, and what ONNX Runtime finds', async () => {
  const rng = makeRng(1, 'floats');
  const count = 50_000;
  // Exponents from below the smallest subnormal to above the largest half.
  const values = Float32Array.from({ length: count }, () => rng.uniform(-2, 2) * 2 ** rng.uniform(-27, 17));
  const found = narrowToFloat16(values);
  values.forEach((value, i) => {
    assert.equal(found[i], (value < 0 ? 0x8000 : 0) | nearestBySearch(Math.abs(value)), `${value}`);
  });
  const graph = graphBuilder('narrow');
  graph.node('Cast', 'half', [graph.input({ name: 'float', dtype: 'float32', shape: [count] })], { to: 'float16' });
  const session = await openSession(writeOnnx(graph.build([{ name: 'half', dtype: 'float16', shape: [count] }])), {
    threads: 1,
  });
  const { half } = await session.run({ float: { dtype: 'float32', shape: [count], data: values } });
  await session.close();
  const { buffer, byteOffset } = half!.data;
  assert.deepEqual(found, new Uint16Array(buffer as ArrayBuffer, byteOffset, count));
});
