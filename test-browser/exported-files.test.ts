// Every file that graft export writes, in programs that are not ours: Google's clients of today, of 2023 and of 2022.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { argMax } from '../src/evaluate/metrics.ts';
import { fileName, type Precision, plainFile, type Signature } from '../src/project/tflite-file.ts';
import { attachFiles, readAttachedFiles } from '../src/tflite/associated-files.ts';
import { METADATA_ENTRY } from '../src/tflite/metadata.ts';
import type { TfliteModel } from '../src/tflite/model.ts';
import { readTflite } from '../src/tflite/read.ts';
import { writeTflite } from '../src/tflite/write.ts';
import { detectorOutputs } from '../src/zoo/detector-graph.ts';
import { largestDifference } from '../test/support/reference.ts';
import { launchChromium } from './support/chromium.ts';
import { type Client, type ClientName, clientNames, openClient } from './support/clients.ts';
import { type ExportedRun, exportedFiles, makeExportedRun } from './support/exported-run.ts';
import { runInLiteRt, unscale } from './support/litert.ts';

/**
 * How far a probability, or an edge in parts of the frame, may be from LiteRT's. Measured: 6e-6 for float32 and float16,
 * which LiteRT and old runtimes add up in another order; 0.05 for dynamic, whose activations they round to 8 bits in other
 * ways, each as far from float32; for int8 1e-6 on most photos and 0.015 on one, where a sum falls on the other side of a half.
 */
const tolerances: Readonly<Record<Precision, number>> = { float32: 2e-5, float16: 2e-5, dynamic: 0.1, int8: 0.02 };

/** What a client is too old for: this version of FULLY_CONNECTED, which came with that release of TensorFlow Lite. */
const tooNew: Readonly<Partial<Record<ClientName, { readonly version: number; readonly release: string }>>> = {
  'MediaPipe 0.10.7': { version: 12, release: '2.17' },
  'TensorFlow Lite of 2022': { version: 10, release: '2.11' },
};

let run: ExportedRun;
let browser: Browser;
/** What LiteRT says, by the name of the file: for every photo the numbers of each output. */
const inLiteRt = new Map<string, number[][][]>();

before(async () => {
  browser = await launchChromium();
  run = await makeExportedRun();
  for (const [file, bytes] of run.files) inLiteRt.set(file, await runInLiteRt(bytes, run.pictures));
});
after(async () => {
  await browser?.close();
  await run?.remove();
});

const filesOf = (wanted: Signature) => exportedFiles.filter(({ signature }) => signature === wanted);
const open = (name: ClientName) => openClient(browser, name, new Map([...run.files, ...spoiltFiles()]), run.pictures);

// A client works alone in its page; two clients work side by side.
describe('the files of graft export', { concurrency: 2 }, () => {
  for (const name of clientNames) {
    describe(name, { concurrency: 1 }, () => {
      let client: Client;
      before(async () => {
        client = await open(name);
      });
      after(() => client?.close());

      for (const { file, precision } of filesOf('classifier')) {
        test(`${file}: the class and the scores of LiteRT on every photo`, async () => {
          const answers = inLiteRt.get(file)!.map(([scores]) => scores!);
          const found = await client.classify(file);
          const best = found.map(([category]) => category!.name);
          assert.deepEqual(
            best,
            answers.map(scores => run.classes[argMax(scores)]),
          );
          assert.deepEqual(new Set(best), new Set(run.classes));
          for (const [i, categories] of found.entries()) {
            const scores = run.classes.map(() => Number.NaN);
            for (const { index, name, score } of categories) {
              assert.equal(name, run.classes[index]);
              scores[index] = score;
            }
            assertNear(scores, answers[i]!, tolerances[precision], `photo ${i}`);
          }
        });
      }

      for (const { file, precision } of filesOf('detector')) {
        test(`${file}: one box with the place, the class and the score of LiteRT`, async () => {
          const answers = inLiteRt.get(file)!;
          const found = await client.detect(file);
          assert.equal(found.length, answers.length);
          for (const [i, detections] of found.entries()) {
            const [boxes, classes, scores, count] = answers[i] as [number[], number[], number[], number[]];
            assert.equal(count[0], 1);
            assert.equal(detections.length, 1);
            const { name: className, score, box } = detections[0]!;
            assert.equal(className, run.classes[classes[0]!]);
            assertNear([score], [scores[0]!], tolerances[precision], `photo ${i}`);
            const { size } = run.pictures[i]!;
            const edges = boxes.slice(0, 4).map(edge => size * edge);
            // MediaPipe cuts the fractions of a pixel off the top left corner and off the size.
            assertNear(box, edges, 2 + size * tolerances[precision], `photo ${i}`);
          }
        });
      }

      test('refuses the same file without metadata', async () => {
        await assert.rejects(client.classify('bare.tflite'), { message: /requires specifying NormalizationOptions/ });
      });

      const { version, release } = tooNew[name] ?? {};
      if (release !== undefined) {
        test(`is older than TensorFlow Lite ${release}`, async () => {
          await assert.rejects(client.classify(`newer-${version}.tflite`));
          const words = `Didn't find op for builtin opcode 'FULLY_CONNECTED' version '${version}'`;
          assert.ok(client.printed.some(line => line.includes(words)));
        });
      }
    });
  }

  // The robot's program: numbers in, numbers out, outputs by their place.
  describe('the interpreter of TensorFlow Lite of 2022', { concurrency: 1 }, () => {
    let client: Client;
    before(async () => {
      client = await open('TensorFlow Lite of 2022');
    });
    after(() => client?.close());

    for (const { file, precision, signature } of exportedFiles) {
      test(`${file}: the outputs of LiteRT in their order`, async () => {
        const { outputs, answers } = await client.interpret(file);
        const wanted = signature === 'classifier' ? ['probabilities'] : detectorOutputs.map(({ name }) => name);
        assert.deepEqual(
          outputs.map(({ name }) => name),
          wanted,
        );
        // Some programs sort the outputs by this.
        const indexes = outputs.map(({ tensorIndex }) => tensorIndex);
        assert.deepEqual(
          indexes,
          [...indexes].sort((a, b) => a - b),
        );
        assert.equal(answers.length, run.pictures.length);
        for (const [i, stored] of answers.entries()) {
          for (const [output, values] of unscale(run.files.get(file)!, stored).entries()) {
            const what = `photo ${i}, ${wanted[output]}`;
            assertNear(values, inLiteRt.get(file)![i]![output]!, tolerances[precision], what);
          }
        }
      });
    }
  });
});

/** Variants of the plain file that clients have to refuse, by name. */
function spoiltFiles(): [string, Uint8Array][] {
  const bytes = run.files.get(fileName(plainFile))!;
  const attached = [...readAttachedFiles(bytes)].map(([name, data]) => ({ name, data }));
  const model = readTflite(bytes);
  const write = (changed: TfliteModel) => attachFiles(writeTflite(changed), attached);
  const bare = { ...model, metadata: model.metadata.filter(({ name }) => name !== METADATA_ENTRY) };
  const newer = Object.values(tooNew).map(({ version }): [string, Uint8Array] => {
    const operators = model.operators.map(each => (each.op === 'FULLY_CONNECTED' ? { ...each, version } : each));
    return [`newer-${version}.tflite`, write({ ...model, operators })];
  });
  return [['bare.tflite', write(bare)], ...newer];
}

function assertNear(found: readonly number[], wanted: readonly number[], tolerance: number, what: string): void {
  const distance = largestDifference(found, wanted);
  assert.ok(distance <= tolerance, `${what}: [${found}] is ${distance} away from [${wanted}]`);
}
