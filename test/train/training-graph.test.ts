// One training step of the whole backbone against torchvision's: loss, logits and the gradient of every parameter, from
// pictures and from what the frozen stages give, in plain layout and in the machine's blocks.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gradientOf } from '../../src/autodiff/split-parameters.ts';
import { measureChannelBlock } from '../../src/engine/measure-channel-block.ts';
import { openSession } from '../../src/engine/session.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32, sizeOf, type Tensor } from '../../src/tensor/tensor.ts';
import { buildTrainingGraph } from '../../src/train/training-graph.ts';
import {
  buildFrozenGraph,
  buildTrainedGraph,
  cutShape,
  pooledWidth,
  type StandardisedHead,
  trainedParameters,
} from '../../src/zoo/graphs.ts';
import { withParameters } from '../../src/zoo/stages.ts';
import { openDefaultBackbone } from '../support/default-backbone.ts';
import { assertClose, largestNumber, readReference } from '../support/reference.ts';

interface Gradient {
  readonly norm: number;
  readonly sum: number;
  readonly largest: number;
  readonly entries: readonly number[];
}

interface Step {
  readonly logits: readonly (readonly number[])[];
  readonly loss: number;
  readonly gradients: Readonly<Record<string, Gradient>>;
}

interface Reference {
  readonly seed: number;
  readonly size: number;
  readonly cut: number;
  readonly targets: readonly (readonly number[])[];
  readonly shares: readonly number[];
  readonly classWeights: readonly number[];
  readonly labelSmoothing: number;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly fromImage: Step;
  readonly fromCut: Step;
}

/** Of the largest number of a gradient; float32 through 13 stages and back. */
const TOLERANCE = 1e-4;
const reference = readReference<Reference>('training-gradients.json');
const { seed, size, cut, targets, shares, classWeights, labelSmoothing } = reference;
const batch = shares.length;
const block = await measureChannelBlock();

/** Numbers in [-1, 1): mulberry32, as the reference's notes say. */
function makeUniform(start: number, count: number): Float64Array {
  let state = start;
  return Float64Array.from({ length: count }, () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 31 - 1;
  });
}

function rangeOf(name: string, shape: readonly number[]): { readonly middle: number; readonly reach: number } {
  if (name === 'head.weight') return { middle: 0, reach: 0.05 };
  if (/\.(running_var|inverse)$/.test(name)) return { middle: 1, reach: 0.5 };
  if (shape.length === 4) return { middle: 0, reach: Math.sqrt(6 / sizeOf(shape.slice(1))) };
  return { middle: name.endsWith('.weight') ? 1 : 0, reach: 0.3 };
}

const parameters = new Map(
  Object.entries(reference.shapes).map(([name, shape], i): [string, Tensor<'float32'>] => {
    const { middle, reach } = rangeOf(name, shape);
    const numbers = makeUniform(seed + 1000 * i, sizeOf(shape)).map(u => middle + reach * u);
    return [name, float32(shape, numbers)];
  }),
);

const backbone = withParameters(
  await openDefaultBackbone(size),
  new Map([...parameters].filter(([name]) => !name.startsWith('head.'))),
);

const head = Object.fromEntries(
  ['weight', 'bias', 'mean', 'inverse'].map(part => [part, parameters.get(`head.${part}`)!]),
) as unknown as StandardisedHead;

type Inputs = Readonly<Record<string, Tensor>>;

function makeImages(): Inputs {
  const data = new Uint8Array(batch * size * size * 3);
  let i = 0;
  for (let n = 0; n < batch; n++) {
    for (let y = 0; y < size; y++) {
      for (let x = 0; x < size; x++) {
        for (let c = 0; c < 3; c++) data[i++] = (x * 7 + y * 13 + c * 29 + ((x * y) % 31) * 5 + n * 17) % 256;
      }
    }
  }
  return { image: { dtype: 'uint8', shape: [batch, size, size, 3], data } };
}

/** Made-up outputs of the stages before the cut. */
function makeCut(): Inputs {
  const make = (start: number, shape: readonly number[]): Tensor => {
    const bits = (u: number) => (u < 0 ? 0x8000 : 0) + 0x3400 + Math.floor(Math.abs(u) * 0xe00);
    return { dtype: 'float16', shape, data: Uint16Array.from(makeUniform(start, sizeOf(shape)), bits) };
  };
  return {
    cut: make(seed + 1, [batch, ...cutShape(backbone, cut)]),
    pooled: make(seed + 2, [batch, pooledWidth(backbone, cut)]),
  };
}

/** Runs one training step of the stages from `trainFrom` on; all inputs but the model's are the reference's. */
async function runStep(inputs: Inputs, trainFrom: number, channelBlock: number | undefined) {
  const names = trainedParameters(backbone, trainFrom);
  const model = buildTrainedGraph(backbone, head, trainFrom, 'cut' in inputs);
  const loss = { labelSmoothing, classWeights };
  const graph = buildTrainingGraph({ model, parameters: names, batch, loss, channelBlock });
  const session = await openSession(writeOnnx(graph), { threads: 2 });
  const found = await session.run({
    ...inputs,
    targets: float32([batch, targets[0]!.length], targets.flat()),
    shares: float32([batch], shares),
    ...Object.fromEntries(names.map(name => [name, parameters.get(name)!])),
  });
  await session.close();
  return { names, found: found as Record<string, Tensor<'float32'>> };
}

async function checkStep(
  inputs: Inputs,
  trainFrom: number,
  channelBlock: number | undefined,
  wanted: Step,
): Promise<void> {
  const { names, found } = await runStep(inputs, trainFrom, channelBlock);
  assertClose(found.logits!.data, wanted.logits.flat(), 1e-5, 'logits');
  assertClose(found.loss!.data, [wanted.loss], 1e-5, 'loss');
  const still = names.filter(name => !found[gradientOf(name)]!.data.some(slope => slope !== 0));
  assert.deepEqual(still, [], 'parameters that do not learn');
  for (const name of names) {
    const { shape, data } = found[gradientOf(name)]!;
    const { norm, sum, largest, entries } = wanted.gradients[name]!;
    assert.deepEqual(shape, parameters.get(name)!.shape, name);
    const picked = entries.map((_, i) => data[Math.floor((i * data.length) / entries.length)]!);
    assertClose([...picked, largestNumber(data)], [...entries, largest], TOLERANCE, name);
    const [total, squares] = [data.reduce((a, b) => a + b, 0), data.reduce((a, b) => a + b * b, 0)];
    assertClose([Math.sqrt(squares), total], [norm, sum], TOLERANCE, `norm and sum of ${name}`);
  }
}

test('the parameters that are trained are told by their names', () => {
  assert.deepEqual(trainedParameters(backbone, 0).sort(), Object.keys(reference.fromImage.gradients).sort());
  assert.deepEqual(trainedParameters(backbone, cut).sort(), Object.keys(reference.fromCut.gradients).sort());
  assert.deepEqual(trainedParameters(backbone, 13), ['head.weight', 'head.bias']);
});

for (const channelBlock of new Set([undefined, block])) {
  const layout = channelBlock ? `in blocks of ${channelBlock} channels` : 'in plain layout';
  test(`every parameter gets torchvision's gradient: all stages, ${layout}`, () =>
    checkStep(makeImages(), 0, channelBlock, reference.fromImage));
  test(`every parameter gets torchvision's gradient: the last stages, ${layout}`, () =>
    checkStep(makeImages(), cut, channelBlock, reference.fromImage));
  test(`every parameter gets torchvision's gradient: the last stages from the cut, ${layout}`, () =>
    checkStep(makeCut(), cut, channelBlock, reference.fromCut));
}

test('the frozen stages and the trained ones together are the network', async () => {
  for (const trainFrom of [1, cut, 12]) {
    const session = await openSession(writeOnnx(buildFrozenGraph(backbone, trainFrom)), { threads: 2 });
    const frozen = await session.run(makeImages());
    await session.close();
    const { found } = await runStep(frozen, trainFrom, block);
    // The cut is kept in float16, whose numbers are up to 2^-11 off, and the stages behind it make more of that.
    assertClose(found.logits!.data, reference.fromImage.logits.flat(), 2 ** -9, `logits from stage ${trainFrom}`);
  }
});
