// Every network of the zoo against another program's: same weights, same picture, same numbers behind every stage.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openSession } from '../../src/engine/session.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, sizeOf, type Tensor } from '../../src/tensor/tensor.ts';
import { buildBackbone } from '../../src/zoo/build-backbone.ts';
import type { BackboneCard, WeightVariant } from '../../src/zoo/card.ts';
import { cards, findCard } from '../../src/zoo/cards.ts';
import { outlineNetwork } from '../../src/zoo/outline-network.ts';
import { assertClose, readReference } from '../support/reference.ts';

interface Stage {
  readonly shape: readonly number[];
  readonly norm: number;
  readonly pooledNorm: number;
  readonly pooled: readonly number[];
  readonly entries: readonly number[];
}

interface Case {
  readonly card: string;
  readonly variant: string;
  readonly size: number;
  readonly epsilon: number;
  readonly parameters: number;
  readonly multiplyAdds: number;
  readonly variances: Readonly<Record<string, number>>;
  readonly stages: readonly Stage[];
}

const { entries: ENTRIES, cases } = readReference<{ entries: number; cases: readonly Case[] }>('zoo.json');

/** Of the largest of the numbers that are compared: float32 through 50 layers. */
const TOLERANCE = 5e-5;

/** 32-bit FNV-1a of ASCII. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (const byte of Buffer.from(text, 'ascii')) value = Math.imul(value ^ byte, 0x01000193);
  return value >>> 0;
}

/** `middle` + `reach` * u, with the numbers u in [-1, 1) that belong to a parameter's name: mulberry32. */
function makeNumbers(name: string, count: number, middle: number, reach: number): Float32Array {
  const numbers = new Float32Array(count);
  let state = hash(name);
  for (let i = 0; i < count; i++) {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    numbers[i] = middle + reach * (((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1);
  }
  return numbers;
}

/** The same parameter as in scripts/reference/make_zoo.py. */
function makeParameter(name: string, shape: readonly number[], variances: Case['variances']): Tensor<'float32'> {
  const [, layer, part] = /^(.*)\.(\w+)$/.exec(name) as unknown as [string, string, string];
  const make = (middle: number, reach: number) => float32(shape, makeNumbers(name, sizeOf(shape), middle, reach));
  if (shape.length === 4) return make(0, Math.sqrt(6 / sizeOf(shape.slice(1))));
  if (part === 'running_mean') return make(0, 0.3 * Math.sqrt(variances[layer]!));
  if (part === 'running_var') return make(variances[layer]!, 0.5 * variances[layer]!);
  return make(part === 'weight' ? 1 : 0, 0.3);
}

function makePicture(size: number, { mean, std }: WeightVariant): Tensor<'float32'> {
  const data = new Float32Array(3 * size * size);
  for (let c = 0, i = 0; c < 3; c++) {
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        const pixel = (x * 7 + y * 13 + c * 29 + ((x * y) % 31) * 5) % 256;
        data[i++] = (pixel / 255 - mean[c]!) / std[c]!;
      }
    }
  }
  return float32([1, 3, size, size], data);
}

/** The card as it is for a variant; the parameters have the names that the variant's publisher gives them. */
function chooseVariant(card: BackboneCard, { variant: architecture, size }: Case) {
  const variant = card.variants.find(one => one.architecture === architecture);
  assert.ok(variant, `${card.name} has no variant ${architecture}`);
  const rest = card.variants.filter(one => one !== variant);
  return { ...card, variants: [variant, ...rest], preprocess: { ...card.preprocess, size } } as BackboneCard;
}

for (const wanted of cases) {
  test(`${wanted.card} with the weights of ${wanted.variant}`, async () => {
    const card = chooseVariant(findCard(wanted.card), wanted);
    const [variant] = card.variants;
    assert.equal(variant.epsilon, wanted.epsilon);
    const parameters = new Map(
      outlineNetwork(card).parameters.map(({ name, names, shape }) => {
        // What graft calls a parameter is what the reference's module calls it.
        return [names[variant.naming]!, makeParameter(name, shape, wanted.variances)];
      }),
    );
    const { graph, stages } = buildBackbone(card, { parameters, origin: { file: 'made up', sha256: '' } });
    const outputs = stages.map(({ value }, i) => ({
      name: value,
      dtype: 'float32' as const,
      shape: ['N', wanted.stages[i]!.shape[0]!, `h${i}`, `w${i}`],
    }));
    const session = await openSession(writeOnnx({ ...graph, outputs }), { threads: 2 });
    const found = await session.run({ image: makePicture(wanted.size, variant) });
    await session.close();
    assert.equal(stages.length, wanted.stages.length);
    for (const [i, { shape, norm, pooledNorm, pooled, entries }] of wanted.stages.entries()) {
      const name = `stage ${i}, ${stages[i]!.value}`;
      const output = found[stages[i]!.value]! as Tensor<'float32'>;
      assert.deepEqual(output.shape, [1, ...shape], name);
      const means = poolPositions(output);
      const norms = [output.data, means].map(data => Math.hypot(...data));
      assertClose([...pick(output.data), ...pick(means)], [...entries, ...pooled], TOLERANCE, name);
      assertClose(norms, [norm, pooledNorm], TOLERANCE, `norms of ${name}`);
    }
  });
}

function poolPositions({ shape, data }: Tensor<'float32'>): Float64Array {
  const area = shape[2]! * shape[3]!;
  return Float64Array.from({ length: shape[1]! }, (_, c) => {
    return data.subarray(c * area, (c + 1) * area).reduce((sum, value) => sum + value, 0) / area;
  });
}

const pick = (data: ArrayLike<number>): number[] =>
  Array.from({ length: ENTRIES }, (_, i) => data[Math.floor((i * data.length) / ENTRIES)]!);

test('the reference has every card, and agrees on parameters and multiply-adds', () => {
  assert.deepEqual([...new Set(cases.map(({ card }) => card))].sort(), cards.map(({ name }) => name).sort());
  for (const { card, parameters, multiplyAdds } of cases) {
    const { figures } = findCard(card);
    assert.equal(figures.parameters, parameters, card);
    assert.equal(figures.multiplyAdds, multiplyAdds, card);
  }
});
