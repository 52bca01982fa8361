// graft export through the real command line: every kind of file, what val and predict make of it, refusals, and Ctrl-C.
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import sharp from 'sharp';
import { loadLiteRt } from '../../src/engine/litert.ts';
import { openSession } from '../../src/engine/session.ts';
import type { ExportedFile, ExportRunResult, Prediction, ValResult } from '../../src/index.ts';
import { ModelProtoSchema } from '../../src/onnx/generated/onnx_pb.ts';
import { type CallOptions, drawSmallDataset, graft } from '../support/graft.ts';

let set: Awaited<ReturnType<typeof drawSmallDataset>>;
const at = (...path: readonly string[]) => join(set.folder, ...path);
const run = (words: string, options: CallOptions = {}) => graft(words.split(' '), { cwd: set.folder, ...options });

/** Runs graft, which has to succeed, and gives the JSON that it printed. */
async function result<T>(words: string): Promise<T> {
  const { status, stdout, stderr } = await run(`${words} --json`);
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout) as T;
}

/** Copies the photos to `dark` with black ones for training: what is calibrated on them is cut off far too low. */
async function darken(): Promise<void> {
  cpSync(set.data, at('dark'), { recursive: true });
  const { photos } = JSON.parse(readFileSync(at('runs/train/manifest.json'), 'utf8'));
  const black = sharp({ create: { width: 64, height: 64, channels: 3, background: 'black' } });
  const bytes = await black.jpeg().toBuffer();
  for (const { path, split } of photos as { path: string; split: string }[]) {
    if (split === 'train') writeFileSync(at('dark', path), bytes);
  }
}

before(async () => {
  set = await drawSmallDataset(48);
  const words = 'train ./leaves --val 0.25 --imgsz 64 --views 1 --epochs 10 --fine-tune-epochs 0';
  const { status, stderr } = await run(words);
  assert.equal(status, 0, stderr);
  await darken();
});
after(() => set.remove());

test('the default writes what passes and says in its table what did not, and why', async () => {
  const { status, stdout, stderr } = await run('export runs/train --data dark --output some --max-drop 0');
  assert.equal(status, 0, stderr);
  assert.match(stdout, /^The trained model is right on \d+\.\d % of the 12 validation photos\. Its files, on the same/);
  assert.match(stdout, /^file +size +latency +p95 +accuracy +same class +largest difference$/m);
  for (const name of ['model', 'model-float16', 'model-dynamic', 'model-int8']) {
    assert.match(
      stdout,
      new RegExp(`^${name}\\.tflite +\\d\\.\\d\\d MB( +\\d+\\.\\d ms){2}( +\\d+\\.\\d %){2} +\\d\\.\\de[+-]\\d+$`, 'm'),
    );
  }
  assert.match(stdout, /^model-int8\.tflite was not written: it is right on .* points less, and 0\.0 are allowed/m);
  assert.match(
    stdout,
    /^Recommended: model(-float16)?\.tflite \(the fastest that passed, or the smallest within a tenth of its time\)\.$/m,
  );
  assert.match(stderr, /36 of the 36 training photos for calibration are not what they were/);
  assert.match(stdout, /^Written to some, with labels\.txt\. Times are of one thread/m);
  const files = readdirSync(at('some'));
  assert.ok(files.includes('model.tflite') && files.includes('model-float16.tflite'), files.join());
  assert.ok(!files.includes('model-int8.tflite'));
});

test('a precision that was asked for and does not pass is an error, and leaves no file', async () => {
  const { status, stdout, stderr } = await run(
    'export runs/train --data dark --output none --precision int8 --max-drop 0',
  );
  assert.equal(status, 1);
  assert.equal(stdout, '');
  assert.match(
    stderr,
    /^graft: model-int8\.tflite was not written: it is right on \d+\.\d % of the 12 photos and the trained model on \d+\.\d %: .*\n.*--max-drop/m,
  );
  assert.doesNotMatch(stderr, /\n\s+at /);
  assert.ok(!existsSync(at('none/model-int8.tflite')));
});

test('detector files have the four outputs and the labels of the robot; val and predict take them', async () => {
  const exported = await result<ExportRunResult>(
    'export runs/train --signature detector --precision float32,int8 --max-drop 100 --output detector',
  );
  assert.deepEqual(exported.labels, ['labels.txt', 'robot-labels.txt']);
  assert.equal(readFileSync(at('detector/robot-labels.txt'), 'utf8'), '0  healthy\n1  unhealthy');
  for (const { file } of exported.files) {
    const model = await loadLiteRt(readFileSync(at('detector', file)));
    assert.deepEqual(
      model.outputs.map(({ name, shape, dtype }) => [name, shape, dtype]),
      [
        ['boxes', [1, 2, 4], 'float32'],
        ['classes', [1, 2], 'float32'],
        ['scores', [1, 2], 'float32'],
        ['count', [1], 'float32'],
      ],
    );
    model.close();
  }
  // Of all photos, the 12 that validated are a quarter.
  const measured = await result<ValResult>('val detector/detector-int8.tflite ./leaves');
  assert.equal(measured.images, 48);
  assert.ok(measured.accuracy * 48 >= exported.files[1]!.accuracy * 12 - 1e-9);
  const [found] = await result<Prediction[]>('predict detector/detector-int8.tflite leaves/healthy/leaf-0001.jpg');
  const { healthy, unhealthy } = found!.probabilities;
  assert.ok(Math.abs(healthy! + unhealthy! - 1) < 1e-5);
  assert.equal(found!.probability, Math.max(healthy!, unhealthy!));
});

test('files that take pixels; the int8 one answers in bytes too', async () => {
  const { files } = await result<ExportRunResult>(
    'export runs/train --input uint8 --precision float16,int8 --max-drop 100 --output pixels',
  );
  assert.deepEqual(
    files.map(({ file, input }) => [file, input]),
    [
      ['model-float16-uint8.tflite', 'uint8'],
      ['model-int8-uint8.tflite', 'uint8'],
    ],
  );
  for (const { file, precision } of files) {
    const model = await loadLiteRt(readFileSync(at('pixels', file)));
    assert.deepEqual([model.inputs[0]!.dtype, model.isAccelerated], ['uint8', true]);
    assert.equal(model.outputs[0]!.dtype, precision === 'int8' ? 'uint8' : 'float32');
    model.close();
  }
  const [float16, int8] = files as [ExportedFile, ExportedFile];
  assert.ok(float16.max_difference < 5e-3 && float16.top_class_agreement === 1);
  const { accuracy, images } = await result<ValResult>(`val pixels/${int8.file} ./leaves`);
  assert.equal(images, 48);
  assert.ok(accuracy > 0.7, `${accuracy}`);
});

test('ONNX: the description is in the file, and ONNX Runtime runs it on pixels', async () => {
  const { files } = await result<ExportRunResult>('export runs/train --format onnx --output onnx');
  assert.deepEqual(
    files.map(({ file, format, input }) => [file, format, input]),
    [['model.onnx', 'onnx', 'uint8']],
  );
  assert.deepEqual(readdirSync(at('onnx')).sort(), ['exports.json', 'labels.txt', 'model.onnx']);
  const bytes = readFileSync(at('onnx/model.onnx'));
  const props = new Map(fromBinary(ModelProtoSchema, bytes).metadataProps.map(({ key, value }) => [key, value]));
  assert.deepEqual([...props.keys()].sort(), ['graft', 'input', 'labels', 'normalization']);
  assert.deepEqual(JSON.parse(props.get('labels')!), ['healthy', 'unhealthy']);
  assert.match(props.get('input')!, /^image: uint8 \[N, 64, 64, 3\], pixels 0\.\.255 in RGB/);
  assert.match(props.get('normalization')!, /^inside the graph: \(image \/ 255 - \[0\.485, 0\.456, 0\.406\]\) \/ \[/);
  const { model } = JSON.parse(readFileSync(at('runs/train/args.json'), 'utf8'));
  const { validation, temperature, reject, ...provenance } = JSON.parse(props.get('graft')!);
  assert.deepEqual(provenance, model);
  const metrics = JSON.parse(readFileSync(at('runs/train/metrics.json'), 'utf8'));
  assert.deepEqual([temperature, reject], [metrics.calibration.temperature, metrics.reject]);
  assert.equal(validation.images, 12);
  const session = await openSession(bytes, { threads: 1 });
  const data = new Uint8Array(2 * 64 * 64 * 3).fill(90);
  const { probabilities } = await session.run({ image: { dtype: 'uint8', shape: [2, 64, 64, 3], data } });
  await session.close();
  const [a, b, c, d] = probabilities!.data as Float32Array;
  assert.ok(Math.abs(a! + b! - 1) < 1e-6 && a === c && b === d);
});

test('a wrong command line is status 2 and one sentence', async () => {
  for (const [words, message] of [
    ['--precision int4', /precision is "int4"/],
    ['--precision float32,', /precision is ""/],
    ['--format onnx --precision int8', /ONNX file is written in float32/],
    ['--format onnx --author me', /ONNX file is written in float32/],
    ['--max-drop many', /'many'/],
  ] as const) {
    const { status, stdout, stderr } = await run(`export runs/train --output wrong ${words}`);
    assert.deepEqual([status, stdout], [2, '']);
    assert.match(stderr, message);
  }
  assert.ok(!existsSync(at('wrong')));
});

/** Sends `signal` when `isTime` says so. */
function signalWhen(child: ChildProcess, isTime: () => boolean, signal: NodeJS.Signals): void {
  const look = setInterval(() => {
    const time = isTime();
    if (time) child.kill(signal);
    if (time || child.exitCode !== null) clearInterval(look);
  }, 2);
}

test('Ctrl-C stops before anything is written', async () => {
  let isSeen = false;
  const stopped = await run('export runs/train --output stopped', {
    start: child => signalWhen(child, () => isSeen, 'SIGINT'),
    watch: (_, stderr) => {
      isSeen = stderr.includes('calibrate: ');
    },
  });
  assert.equal(stopped.status, 130, stopped.stderr);
  assert.match(stopped.stderr, /Stopped\./);
  assert.equal(existsSync(at('stopped')), false);
});

test('killed while it writes, it leaves whole files only', async () => {
  const files = () => (existsSync(at('killed')) ? readdirSync(at('killed')) : []);
  await run('export runs/train --precision float32,float16 --output killed', {
    start: child => signalWhen(child, () => files().some(name => name.endsWith('.tflite')), 'SIGKILL'),
  });
  const whole = files().filter(name => name.endsWith('.tflite'));
  assert.ok(whole.includes('model.tflite'));
  for (const name of whole) assert.ok(readFileSync(at('killed', name)).equals(readFileSync(at('some', name))), name);
});
