// The detector's answers: the same in ONNX Runtime and LiteRT, those of the classifier, and what the robot's program reads.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { makeRng } from '../../src/base/rng.ts';
import { type LiteRtModel, loadLiteRt } from '../../src/engine/litert.ts';
import { openSession, type Session } from '../../src/engine/session.ts';
import type { Node } from '../../src/onnx/graph.ts';
import { writeOnnx } from '../../src/onnx/write.ts';
import { float32 } from '../../src/tensor/tensor.ts';
import { lowerToTflite } from '../../src/tflite/lower.ts';
import { readTflite } from '../../src/tflite/read.ts';
import { robotLabels } from '../../src/tflite/robot-labels.ts';
import { writeTflite } from '../../src/tflite/write.ts';
import { buildDetectorGraph, detectorOutputs, EVIDENCE } from '../../src/zoo/detector-graph.ts';
import { buildClassifierGraph, featureWidth, type LinearHead } from '../../src/zoo/graphs.ts';
import { openDefaultBackbone } from '../support/default-backbone.ts';
import { drawLeafScene } from '../support/leaf-scene.ts';
import { largestDifference } from '../support/reference.ts';
import { withSize } from '../support/with-size.ts';

const backbone = await openDefaultBackbone();
const width = featureWidth(backbone);
const { size } = backbone.preprocess;

function randomHead(classes: number, scale = 0.05): LinearHead {
  const rng = makeRng(classes, 'head');
  const weight = Float32Array.from({ length: classes * width }, () => scale * rng.normal());
  return {
    weight: float32([classes, width], weight),
    bias: float32(
      [classes],
      Array.from({ length: classes }, () => rng.normal()),
    ),
  };
}

const detectorOf = (head: LinearHead, of = backbone) => buildDetectorGraph(of, head, 'signed');
const fileOf = (head: LinearHead) => writeTflite(lowerToTflite(detectorOf(head)));

/** Pictures in the range -1..1: drawn scenes, noise, and one colour. */
const signed = (pixels: ArrayLike<number>) => Float32Array.from(pixels, pixel => (pixel - 127.5) / 127.5);
const noise = makeRng(7, 'noise');
const pictures: readonly Float32Array[] = [
  signed(drawLeafScene(1, ['sick']).pixels),
  signed(drawLeafScene(2, ['healthy', 'sick']).pixels),
  signed(drawLeafScene(3, []).pixels),
  Float32Array.from({ length: size * size * 3 }, () => noise.uniform(-1, 1)),
  new Float32Array(size * size * 3).fill(-1),
  new Float32Array(size * size * 3).fill(0.3),
];

type Answer = readonly [boxes: Float32Array, classes: Float32Array, scores: Float32Array, count: Float32Array];

async function askOnnx(session: Session, picture: Float32Array, side = size): Promise<Answer> {
  const found = await session.run({ image: float32([1, side, side, 3], picture) });
  return detectorOutputs.map(({ name, shape }) => {
    assert.deepEqual(found[name]!.shape, [...shape]);
    return found[name]!.data;
  }) as unknown as Answer;
}

const askLiteRt = async (model: LiteRtModel, picture: Float32Array) =>
  (await model.run([picture])) as unknown as Answer;

function checkAnswer([boxes, classes, scores, count]: Answer, classCount: number): void {
  assert.deepEqual([...count], [1]);
  assert.equal(boxes.length, 8);
  for (const row of [0, 1]) {
    const [top, left, bottom, right] = boxes.subarray(4 * row, 4 * row + 4) as unknown as [
      number,
      number,
      number,
      number,
    ];
    // Comparisons with NaN are false.
    assert.ok(top >= 0 && left >= 0 && bottom <= 1 && right <= 1, `[${boxes}]`);
    assert.ok(top < bottom && left < right, `[${boxes}]`);
    assert.ok(Number.isInteger(classes[row]) && classes[row]! >= 0 && classes[row]! < classCount, `[${classes}]`);
  }
  assert.notEqual(classes[0], classes[1]);
  assert.ok(scores[0]! >= scores[1]! && scores[1]! >= 0 && scores[0]! <= 1 + 1e-6, `[${scores}]`);
}

for (const classes of [2, 3, 5]) {
  test(`with ${classes} classes both runtimes agree, and the scores are the classifier's best two`, async () => {
    const head = randomHead(classes);
    const detector = await openSession(writeOnnx(detectorOf(head)), { threads: 2 });
    const classifier = await openSession(writeOnnx(buildClassifierGraph(backbone, head, 'signed')), {
      threads: 2,
    });
    const file = await loadLiteRt(fileOf(head));
    const seen = new Set<number>();
    for (const picture of pictures) {
      const wanted = await askOnnx(detector, picture);
      const found = await askLiteRt(file, picture);
      checkAnswer(wanted, classes);
      checkAnswer(found, classes);
      for (const [i, { name }] of detectorOutputs.entries()) {
        const difference = largestDifference(found[i]!, wanted[i]!);
        assert.ok(difference <= 1e-3, `${name} differ by ${difference}: [${found[i]}] and [${wanted[i]}]`);
      }
      const run = await classifier.run({ image: float32([1, size, size, 3], picture) });
      const probabilities = run.probabilities!.data as Float32Array;
      const order = [...probabilities.keys()].sort((a, b) => probabilities[b]! - probabilities[a]!).slice(0, 2);
      assert.deepEqual([...wanted[1]], order);
      const best = order.map(index => probabilities[index]!);
      assert.ok(largestDifference(wanted[2], best) <= 1e-4, `[${wanted[2]}] and [${best}]`);
      seen.add(order[0]!);
    }
    assert.ok(seen.size > 1, 'all pictures are of one class, which proves little');
    file.close();
    await Promise.all([detector.close(), classifier.close()]);
  });
}

test('a box encloses what stands out: exactly a rectangle of cells, and the whole frame where nothing does', async () => {
  // Only the evidence is replaced; what is behind it is the detector's own.
  const graph = detectorOf(randomHead(3));
  const start = graph.nodes.findIndex(({ name }) => name === EVIDENCE) + 1;
  const inputs = [{ name: 'map', dtype: 'float32', shape: [1, 7, 7, 3] }] as const;
  const perm = [0, 3, 1, 2];
  const turn: Node = { op: 'Transpose', name: EVIDENCE, inputs: ['map'], outputs: [EVIDENCE], attributes: { perm } };
  const tail = { ...graph, inputs, nodes: [turn, ...graph.nodes.slice(start)] };
  const session = await openSession(writeOnnx(tail), { threads: 1 });
  const file = await loadLiteRt(writeTflite(lowerToTflite(tail)));
  const ask = async (at: (c: number, y: number, x: number) => number) => {
    const values = Float32Array.from({ length: 147 }, (_, i) => at(i % 3, Math.floor(i / 21), Math.floor(i / 3) % 7));
    const found = await session.run({ map: float32([1, 7, 7, 3], values) });
    const answer = detectorOutputs.map(({ name }) => found[name]!.data) as unknown as Answer;
    checkAnswer(answer, 3);
    const other = await askLiteRt(file, values);
    checkAnswer(other, 3);
    for (const [i, output] of answer.entries()) assert.ok(largestDifference(output, other[i]!) < 1e-3);
    return answer;
  };
  // Class 2 in rows 1 and 2 and columns 3 to 6, class 0 less in one cell of a corner.
  const [boxes, classes] = await ask((c, y, x) =>
    c === 2 && y > 0 && y < 3 && x > 2 ? 5 : c === 0 && y === 6 && x === 0 ? 40 : c === 1 ? -9 : 0,
  );
  assert.deepEqual([...classes], [0, 2]);
  const wanted = [6 / 7, 0, 1, 1 / 7, 1 / 7, 3 / 7, 3 / 7, 1];
  assert.ok(largestDifference(boxes, wanted) < 1e-4, `[${boxes}]`);
  const frame = [0, 0, 1, 1, 0, 0, 1, 1];
  for (const level of [0, 1, -3.7, 1e-9, 1e6, -1e20]) {
    const [flat] = await ask(c => level * (1 + c));
    assert.ok(largestDifference(flat, frame) < 1e-3, `[${flat}] at ${level}`);
  }
  // Numbers far out of what a network gives: no NaN, no empty box.
  for (const scale of [1e-30, 1e-6, 1, 1e10, 1e30]) {
    const wild = makeRng(11, scale);
    await ask(() => scale * wild.normal());
    await ask((c, y, x) => (c === 1 && y === 6 && x === 6 ? scale : 0));
  }
  file.close();
  await session.close();
});

test('what all classes share moves no box', async () => {
  const head = randomHead(3);
  const shared = makeRng(13, 'shared');
  const row = Float32Array.from({ length: width }, () => 0.05 * shared.normal());
  const moved: LinearHead = {
    weight: { ...head.weight, data: head.weight.data.map((value, i) => value + row[i % width]!) },
    bias: { ...head.bias, data: head.bias.data.map(value => value + 2) },
  };
  const [before, after] = await Promise.all([head, moved].map(of => openSession(writeOnnx(detectorOf(of)))));
  for (const picture of pictures) {
    const [wanted, found] = [await askOnnx(before!, picture), await askOnnx(after!, picture)];
    for (const [i, output] of wanted.entries()) assert.ok(largestDifference(found[i]!, output) <= 1e-3);
  }
  await Promise.all([before!.close(), after!.close()]);
});

test('probabilities of 0 and 1 change nothing', async () => {
  for (const scale of [50, 1e6]) {
    const head = randomHead(4, scale);
    const file = await loadLiteRt(fileOf(head));
    for (const picture of pictures) checkAnswer(await askLiteRt(file, picture), 4);
    file.close();
  }
});

test('other input sizes, down to a grid of one cell', async () => {
  for (const side of [32, 160]) {
    const sized = withSize(backbone, side);
    const head = randomHead(3);
    const detector = await openSession(writeOnnx(detectorOf(head, sized)), { threads: 2 });
    const classifier = await openSession(writeOnnx(buildClassifierGraph(sized, head, 'signed')), {
      threads: 2,
    });
    const rng = makeRng(side, 'picture');
    const picture = Float32Array.from({ length: side * side * 3 }, () => rng.uniform(-1, 1));
    const answer = await askOnnx(detector, picture, side);
    checkAnswer(answer, 3);
    const run = await classifier.run({ image: float32([1, side, side, 3], picture) });
    assert.ok(Math.abs(Math.max(...(run.probabilities!.data as Float32Array)) - answer[2][0]!) <= 1e-4);
    if (side === 32) assert.ok(largestDifference(answer[0], [0, 0, 1, 1, 0, 0, 1, 1]) < 1e-3, `[${answer[0]}]`);
    await Promise.all([detector.close(), classifier.close()]);
  }
});

test('in the file: four outputs in order with ascending indexes, the map of evidence by its name, built-in operators', () => {
  const model = readTflite(fileOf(randomHead(3)));
  const outputs = model.outputs.map(index => model.tensors[index]!);
  assert.deepEqual(
    outputs.map(({ name, type, shape }) => ({ name, type, shape })),
    detectorOutputs.map(({ name, shape }) => ({ name, type: 'FLOAT32', shape: [...shape] })),
  );
  assert.deepEqual(
    model.outputs,
    [...model.outputs].sort((a, b) => a - b),
  );
  assert.deepEqual(
    model.signature!.outputs.map(({ name }) => name),
    detectorOutputs.map(({ name }) => name),
  );
  assert.ok(model.tensors.every(({ name }) => !name.includes('StatefulPartitionedCall')));
  // Some runtimes do not return what no operator computes.
  const made = new Set(model.operators.flatMap(operator => operator.outputs));
  for (const index of model.outputs) assert.ok(made.has(index) && !model.tensors[index]!.data);
  assert.ok(model.operators.every(({ op }) => op !== 'OTHER'));
  const evidence = model.tensors.find(({ name }) => name === EVIDENCE)!;
  assert.deepEqual(evidence.shape, [1, 7, 7, 3]);
});

/**
 * What a detector's program on a robot does with a file: float32 inputs get (x - 127.5) / 127.5, outputs are read in their
 * order, the first `count` rows are walked, and the first of them with the wanted label decides, if its score is over 0.1.
 */
async function walkAsRobot(model: LiteRtModel, labelsText: string, wanted: string, pixels: Uint8Array) {
  const labels = new Map<number, string>();
  for (const line of labelsText.split('\n')) {
    const [, index, name] = /^\s*(\S+)\s+(.*\S)\s*$/.exec(line)!;
    labels.set(Number.parseInt(index!, 10), name!);
  }
  assert.ok(labelsText.includes(wanted) && [...labels.values()].includes(wanted));
  const [input] = model.inputs as [LiteRtModel['inputs'][number]];
  assert.equal(input.dtype, 'float32');
  const [boxes, classes, scores, count] = await askLiteRt(model, signed(pixels));
  for (let i = 0; i < Math.trunc(count[0]!); i++) {
    const label = labels.get(Math.trunc(classes[i]!));
    assert.ok(label !== undefined, `class ${classes[i]} is not in the labels file`);
    if (label !== wanted) continue;
    return scores[i]! > 0.1 ? { box: [...boxes.subarray(4 * i, 4 * i + 4)], score: scores[i]! } : null;
  }
  return null;
}

test('a robot finds the best class, with its box, and no other', async () => {
  const classes = ['healthy', 'leaf rust', 'wilted'];
  const file = await loadLiteRt(fileOf(randomHead(3)));
  const labels = robotLabels(classes);
  const { pixels } = drawLeafScene(1, ['sick']);
  const [boxes, [best], scores] = await askLiteRt(file, signed(pixels));
  for (const [index, name] of classes.entries()) {
    const found = await walkAsRobot(file, labels, name, pixels);
    if (index !== best) assert.equal(found, null);
    else assert.deepEqual(found, { box: [...boxes.subarray(0, 4)], score: scores[0] });
  }
  file.close();
});
