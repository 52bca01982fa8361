// The report in a real browser: nothing is fetched, nothing runs, and people find what they look for, also in the dark, on a
// phone and on paper.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { finish, report, train } from '../src/index.ts';
import { drawSmallDataset } from '../test/support/graft.ts';
import { launchChromium } from './support/chromium.ts';

let set: Awaited<ReturnType<typeof drawSmallDataset>>;
let browser: Browser;
let url: string;
before(async () => {
  set = await drawSmallDataset(60);
  const options = { project: join(set.folder, 'runs'), imgsz: 64, fineTuneEpochs: 1, val: 0.5, epochs: 8 };
  const { run } = await finish(train({ data: set.data, ...options }));
  const { page } = await finish(report({ run }));
  url = pathToFileURL(page).href;
  browser = await launchChromium();
});
after(async () => {
  await browser?.close();
  await set?.remove();
});

/** Opens the page and collects what should not happen. */
async function open(options: Parameters<Browser['newContext']>[0]): Promise<{ page: Page; complaints: string[] }> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const complaints: string[] = [];
  page.on('console', message => complaints.push(message.text()));
  page.on('pageerror', error => complaints.push(String(error)));
  page.on('request', request => {
    if (request.url() !== url && !request.url().startsWith('data:')) complaints.push(request.url());
  });
  await page.goto(url);
  return { page, complaints };
}

test('a click on a number of the confusion matrix shows its photos', async () => {
  const { page, complaints } = await open({ viewport: { width: 1000, height: 800 } });
  const cell = page.locator('.matrix a').first();
  const count = Number(await cell.evaluate(node => node.firstChild!.textContent));
  assert.equal(await page.locator('.cell:visible').count(), 0);
  await cell.click();
  const shown = page.locator('.cell:visible');
  assert.equal(await shown.count(), 1);
  assert.equal(await shown.locator('img').count(), count);
  await shown.locator('img').first().scrollIntoViewIfNeeded();
  assert.ok(
    await shown
      .locator('img')
      .first()
      .evaluate(node => (node as HTMLImageElement).decode().then(() => true)),
  );
  await shown.getByText('close').click();
  assert.equal(await page.locator('.cell:visible').count(), 0);
  assert.deepEqual(complaints, []);
});

test('charts have lines in them, and axes that can be read on light and dark', async () => {
  for (const colorScheme of ['light', 'dark'] as const) {
    const { page, complaints } = await open({ colorScheme });
    const colours = await page.evaluate(() => ({
      paper: getComputedStyle(document.body).backgroundColor,
      ink: getComputedStyle(document.querySelector('.chart svg text')!).fill,
    }));
    const light = (colour: string) =>
      colour
        .match(/\d+/g)!
        .slice(0, 3)
        .reduce((sum, part) => sum + Number(part), 0) / 3;
    const [paper, ink] = [light(colours.paper), light(colours.ink)];
    assert.ok(colorScheme === 'light' ? paper - ink > 120 : ink - paper > 120, JSON.stringify(colours));
    for (const line of await page.locator('.chart [aria-label="line"] path').all()) {
      const box = (await line.boundingBox())!;
      const chart = (await line.locator('xpath=ancestor::*[name()="svg"][1]').boundingBox())!;
      assert.ok(box.x >= chart.x - 1 && box.x + box.width <= chart.x + chart.width + 1);
      assert.ok(box.y >= chart.y - 2 && box.y + box.height <= chart.y + chart.height + 2);
    }
    assert.deepEqual(complaints, []);
  }
});

test('a phone need not scroll sideways, and paper gets all sections', async () => {
  const { page } = await open({ viewport: { width: 320, height: 640 } });
  const [needed, there] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
  assert.ok(needed! <= there!, `${needed} pixels of ${there}`);
  // Ink for white paper, also on a machine that is set to dark.
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
  const ink = await page.evaluate(() => getComputedStyle(document.body).color);
  assert.ok(
    ink.match(/\d+/g)!.every(part => Number(part) < 80),
    ink,
  );
  const pdf = await page.pdf({ format: 'A4' });
  assert.equal(pdf.subarray(0, 5).toString(), '%PDF-');
  const pages = pdf.toString('latin1').match(/\/Type\s*\/Page\b/g)!.length;
  assert.ok(pages >= 3 && pages <= 12, `${pages} pages`);
});
