// The report's page, and what explain says of a model that looks at the background and of one that does not.
import assert from 'node:assert/strict';
import { exec } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parseHTML } from 'linkedom';
import sharp from 'sharp';
import { makeRng } from '../../src/base/rng.ts';
import { loadManifest } from '../../src/dataset/manifest.ts';
import { explain, exportRun, finish, report, type TrainOptions, train } from '../../src/index.ts';
import { measureBackground } from '../../src/project/explain-photos.ts';
import { labelledFiles } from '../../src/project/proof.ts';
import { openTrainedRun } from '../../src/project/trained-run.ts';
import { drain } from '../support/reference.ts';

const NASTY = `<script>alert("x")</script> & 'co'`;
let root: string;
const at = (...path: string[]) => join(root, ...path);
const learn = (name: string, options: TrainOptions = {}) =>
  finish(train({ data: at(name), project: at('runs'), name, imgsz: 64, fineTuneEpochs: 0, views: 0, ...options }));

/** Photos of noise with a colour that tells the class: in the middle, or all around it. */
async function drawSquares(
  folder: string,
  where: 'middle' | 'border',
  classes: readonly [string, string],
): Promise<void> {
  const rng = makeRng(1, where);
  for (const [k, name] of classes.entries()) {
    mkdirSync(at(folder, name.replaceAll('/', '_')), { recursive: true });
    for (let i = 0; i < 24; i++) {
      const data = Buffer.alloc(72 * 72 * 3);
      for (let p = 0; p < 72 * 72; p++) {
        const isMiddle = Math.max(Math.abs((p % 72) - 36), Math.abs(Math.floor(p / 72) - 36)) < 22;
        const told = isMiddle === (where === 'middle');
        for (let c = 0; c < 3; c++) data[3 * p + c] = rng.int(90) + (told && c === (k === 0 ? 0 : 2) ? 150 : 60);
      }
      const file = at(folder, name.replaceAll('/', '_'), `${i === 0 ? `"quoted" & <b>` : `photo-${i}`}.png`);
      await sharp(data, { raw: { width: 72, height: 72, channels: 3 } })
        .png()
        .toFile(file);
    }
  }
}

before(async () => {
  // A path that a shell has to be told of.
  root = await mkdtemp(join(tmpdir(), "graft's report-"));
  await drawSquares('middle', 'middle', ['blue', NASTY]);
  await drawSquares('border', 'border', ['blue', 'red']);
  await learn('middle', { val: 0.3, views: 1, flip: false, dropout: 0.1, seed: 3 });
  await learn('border', { val: 0.3 });
});
after(() => rm(root, { recursive: true, force: true }));

test('the page is one file with everything in it, and no text of strangers is taken for HTML', async () => {
  await finish(exportRun({ run: at('runs/middle'), precision: ['float16'] }));
  const { page, bytes, images, accuracy, left_out } = await finish(report({ run: at('runs/middle') }));
  const html = readFileSync(page, 'utf8');
  assert.equal(page, at('runs/middle/report.html'));
  assert.deepEqual([bytes, left_out, images], [statSync(page).size, 0, 14]);
  assert.doesNotMatch(html, /<script|https?:\/\/(?!www\.w3\.org)|src="(?!data:)|url\(/);
  const { document } = parseHTML(html);
  assert.match(document.querySelector('meta[http-equiv]')!.getAttribute('content')!, /^default-src 'none'/);
  const text = document.body.textContent!;
  assert.ok(text.includes(NASTY.replaceAll('/', '_')));
  assert.match(document.querySelector('h1')!.textContent!, new RegExp(`${(100 * accuracy).toFixed(1)} % right`));
  for (const word of [
    '14 validation photos',
    'Reliability',
    'Risk and coverage',
    'ROC',
    'model-float16.tflite',
    'sha256',
    'Worst mistakes',
    'Best examples',
    'onnxruntime-node',
    'The epoch was chosen on these photos, and the temperature fitted to them',
  ]) {
    assert.ok(text.includes(word), word);
  }
  assert.match(document.title, /^middle, \d{1,2} \w+ 20\d\d: /);
  // Every cell of the matrix leads to its photos.
  const links = [...document.querySelectorAll('.matrix a')];
  assert.ok(links.length >= 2);
  for (const link of links) {
    const cell = document.querySelector(`[id="${link.getAttribute('href')!.slice(1)}"]`)!;
    const count = Number.parseInt(link.firstChild!.textContent!, 10);
    assert.equal(cell.querySelectorAll('img').length, count);
  }
  // Both curves of the one phase, with their lines drawn inside of the chart.
  const charts = [...document.querySelectorAll('.chart svg')];
  assert.equal(charts.length, 7);
  for (const path of document.querySelectorAll('[aria-label="line"] path')) {
    for (const [x, y] of [...path.getAttribute('d')!.matchAll(/(-?[\d.]+),(-?[\d.]+)/g)].map(match => [
      +match[1]!,
      +match[2]!,
    ])) {
      assert.ok(x! >= 0 && x! <= 400 && y! >= 0 && y! <= 260, `${x}, ${y}`);
    }
  }
});

test('other photos, another place; photos that have gone are an error, a run without exports is none', async () => {
  const { page, images } = await finish(
    report({ run: at('runs/border'), data: at('border'), output: at('page.html') }),
  );
  assert.deepEqual([page, images], [at('page.html'), 48]);
  assert.match(readFileSync(page, 'utf8'), /none has been exported yet/);
  const text = parseHTML(readFileSync(page, 'utf8')).document.querySelector('header')!.textContent!;
  assert.match(text, /The model was trained on 34 of these 48 photos/);
  assert.match(text, /The epoch was chosen on 14 of these photos/);
  const manifest = await loadManifest(at('runs/border/manifest.json'));
  const gone = manifest.photos.find(({ split }) => split === 'validation')!;
  const bytes = readFileSync(at('border', gone.path));
  rmSync(at('border', gone.path));
  await assert.rejects(finish(report({ run: at('runs/border') })), {
    code: 'bad-photo',
    message: /has gone/,
    hint: /a labelled folder with --data/,
  });
  writeFileSync(at('border', gone.path), bytes);
  await assert.rejects(finish(report({ run: at('nowhere') })), { code: 'not-found' });
  cpSync(at('runs/border'), at('edited'), { recursive: true });
  writeFileSync(at('edited/results.csv'), '"');
  writeFileSync(at('edited/exports.json'), '{"files": [{"file": "x"}, 3]}');
  const edited = await finish(report({ run: at('edited') }));
  assert.match(readFileSync(edited.page, 'utf8'), /has no results\.csv/);
});

test('the command in the page trains the same model again', async () => {
  const html = readFileSync(at('runs/middle/report.html'), 'utf8');
  const command = parseHTML(html).document.querySelector('pre')!.textContent!;
  assert.match(command, / --seed 3/);
  const bin = fileURLToPath(new URL('../../bin/graft.js', import.meta.url));
  const graft = `'${process.execPath}' '${bin}'`;
  await promisify(exec)(`${command.replace(/^npx graft/, graft)} --project runs --name again`, { cwd: root });
  for (const name of ['model.onnx', 'model.tflite']) {
    assert.ok(readFileSync(at('runs/again', name)).equals(readFileSync(at('runs/middle', name))), name);
  }
});

test('a model that goes by the background is found out, one that goes by the middle is not', async () => {
  for (const name of ['border', 'middle']) {
    const run = await drain(openTrainedRun(at('runs', name)));
    const photos = labelledFiles(run.manifest, 'validation', run.data);
    const found = await drain(measureBackground(run, photos, { camera: 'none', workers: 2 }));
    assert.ok(found.accuracy > 0.9, `${found.accuracy}`);
    const { accuracy_without_middle: without, accuracy_without_border: within } = found;
    if (name === 'border') {
      assert.ok(without > within + 0.2, `${without}, ${within}`);
      assert.match(found.note!, /looks at the background/);
      assert.ok(found.border_share > 0.5, `${found.border_share}`);
    } else {
      assert.ok(within >= without, `${without}, ${within}`);
      assert.equal(found.note, null);
      assert.ok(found.border_share < 0.5, `${found.border_share}`);
    }
  }
  assert.match(readFileSync(at('page.html'), 'utf8'), /class="note">The model looks at the background/);
});

test('explain writes a picture per photo, of the class that is asked for, and overwrites none', async () => {
  const files = [at('border/blue/photo-1.png'), at('border/red/photo-2.png'), at('border/none.png')];
  mkdirSync(at('maps'));
  const { photos, unread } = await finish(explain({ run: at('runs/border'), files, output: at('maps') }));
  assert.deepEqual(
    photos.map(({ picture }) => picture),
    [at('maps/photo-1-explained.png'), at('maps/photo-2-explained.png')],
  );
  assert.match(unread[0]!.error, /none\.png/);
  for (const { picture, label, shown, probability, x, y } of photos) {
    assert.ok([shown, 'unknown'].includes(label) && probability >= 0.5 && x > 0 && x < 1 && y > 0 && y < 1);
    const { width, height } = await sharp(picture).metadata();
    assert.deepEqual([width, height], [400, 72 + 64]);
  }
  const options = { run: at('runs/border'), output: at('maps') };
  await assert.rejects(finish(explain({ ...options, files: files.slice(0, 1) })), { code: 'exists' });
  const twins = [at('border/blue/photo-5.png'), at('border/red/photo-5.png')];
  await assert.rejects(finish(explain({ ...options, files: twins })), { code: 'usage', message: /would both become/ });
  await assert.rejects(finish(explain({ ...options, files: twins.slice(0, 1), class: 'green' })), {
    code: 'usage',
    message: /class is "green"/,
  });
  const red = await finish(explain({ ...options, files: twins.slice(0, 1), class: 'red' }));
  assert.equal(red.photos[0]!.shown, 'red');
  await assert.rejects(
    finish(explain({ ...options, run: at('runs/border/model.tflite'), files: [at('border/blue/photo-7.png')] })),
    {
      code: 'bad-run',
      message: /is no run folder/,
    },
  );
});
