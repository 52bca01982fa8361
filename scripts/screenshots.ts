// Makes pictures for docs/images, of drawn leaves: of the report of one run, best one with mistakes, and of a heat-map by another.
//   graft demo
//   graft train runs/leaves-300-seed-0 --fine-tune-epochs 0 --epochs 6 --val 0.3 --name leaves
//   node --import tsx scripts/screenshots.ts FOLDER leaves demo     (FOLDER holds runs/)
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { loadManifest } from '../src/dataset/manifest.ts';
import { explain, finish, report } from '../src/index.ts';
import { openTrainedRun } from '../src/project/trained-run.ts';
import { drain } from '../test/support/reference.ts';
import { launchChromium } from '../test-browser/support/chromium.ts';

const [place, reported, explained] = process.argv.slice(2);
if (!place || !reported || !explained) throw new Error('Usage: screenshots.ts FOLDER RUN RUN');
// The page shows the run's name as it was given.
process.chdir(place);
const images = fileURLToPath(new URL('../docs/images/', import.meta.url));
const folder = await mkdtemp(join(tmpdir(), 'graft-shots-'));
try {
  const { page: file } = await finish(report({ run: join('runs', reported), output: join(folder, 'report.html') }));
  const browser = await launchChromium();
  for (const [name, colorScheme, width, height] of [
    ['report', 'light', 900, 1100],
    ['report-phone', 'dark', 360, 760],
  ] as const) {
    const context = await browser.newContext({ colorScheme, viewport: { width, height } });
    const page = await context.newPage();
    await page.goto(pathToFileURL(file).href);
    const png = await page.screenshot();
    await sharp(png)
      .webp({ quality: 70 })
      .toFile(join(images, `${name}.webp`));
  }
  await browser.close();
  const run = join('runs', explained);
  const { data } = await drain(openTrainedRun(run));
  const manifest = await loadManifest(join(run, 'manifest.json'));
  const sick = manifest.photos.find(photo => photo.split === 'validation' && photo.class === 'unhealthy')!;
  const { photos } = await finish(explain({ run, files: [join(data, sick.path)], output: folder }));
  await sharp(photos[0]!.picture).webp({ quality: 75 }).toFile(join(images, 'explained.webp'));
} finally {
  await rm(folder, { recursive: true, force: true });
}
