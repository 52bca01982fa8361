// The report of a run on 5,000 photos, of its validation photos and of all 5,000: how long it takes to make, how large it is,
// and how soon Chromium shows it.
//
//   node --import tsx bench/report.bench.ts PHOTOS WEIGHTS.gguf     (PHOTOS are re-encoded until there are 5,000)
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import type { ReportResult, TrainResult } from '../src/index.ts';
import { launchChromium } from '../test-browser/support/chromium.ts';
import { saveResults } from './support/save-results.ts';
import { median, round } from './support/statistics.ts';
import { timeGraft } from './support/time-process.ts';

const PHOTOS = 5000;
const ROUNDS = 5;

const [photos, weights] = process.argv.slice(2);
if (!photos || !weights) throw new Error('Usage: report.bench.ts PHOTOS WEIGHTS.gguf');
const work = mkdtempSync(join(tmpdir(), 'graft-report-'));
const many = join(work, 'many');
const files = readdirSync(photos).flatMap(name => readdirSync(join(photos, name)).map(file => [name, file] as const));
for (let i = 0; i < PHOTOS; i++) {
  const [name, file] = files[i % files.length]!;
  mkdirSync(join(many, name), { recursive: true });
  await sharp(join(photos, name, file))
    .jpeg({ quality: 90 - Math.floor(i / files.length) })
    .toFile(join(many, name, `${i}.jpg`));
}
const env = { GRAFT_CACHE: join(work, 'cache') };
const words = [
  '--fine-tune-epochs',
  '0',
  '--views',
  '0',
  '--weights',
  weights,
  '--project',
  join(work, 'runs'),
  '--json',
];
const { run, counts } = JSON.parse((await timeGraft(['train', many, ...words], env)).stdout) as TrainResult;
const browser = await launchChromium();

/** Makes a report and opens it. */
async function measure(more: readonly string[]) {
  const made = await timeGraft(['report', run, '--json', ...more], env);
  const { page, bytes, images, left_out } = JSON.parse(made.stdout) as ReportResult;
  const seconds: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    // A context of its own each time: nothing is cached.
    const tab = await (await browser.newContext({ viewport: { width: 1200, height: 900 } })).newPage();
    const start = performance.now();
    await tab.goto(pathToFileURL(page).href, { waitUntil: 'load' });
    // Two frames later the page has been painted.
    await tab.evaluate(() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(null)))));
    seconds.push((performance.now() - start) / 1000);
    await tab.close();
  }
  return {
    examined: images,
    left_out,
    megabytes: round(bytes / 1e6, 2),
    seconds_to_make: round(made.seconds, 1),
    peak_megabytes: made.megabytes,
    seconds_to_open: round(median(seconds), 2),
    slowest: round(Math.max(...seconds), 2),
  };
}

const validation = await measure([]);
const all = await measure(['--data', many, '--output', join(work, 'all.html')]);
await browser.close();
const result = {
  photos: Object.values(counts).reduce((sum, split) => sum + Object.values(split).reduce((a, b) => a + b, 0), 0),
  validation,
  all,
};
console.log(JSON.stringify(result));
rmSync(work, { recursive: true });
saveResults('report', result);
