// The demo through the real command line: it draws, learns well above chance, proves, and paints a picture; in time.
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import sharp from 'sharp';
import type { DemoResult } from '../../src/index.ts';
import { graft } from '../support/graft.ts';

const folder = mkdtempSync(join(tmpdir(), 'graft-demo-'));
after(() => rmSync(folder, { recursive: true, force: true }));

test('graft demo draws, trains, proves and paints', async () => {
  const { status, stdout, stderr } = await graft(['demo', '--photos', '160', '--workers', '9', '--json'], {
    cwd: folder,
  });
  assert.equal(status, 0, stderr);
  const result = JSON.parse(stdout) as DemoResult;
  assert.deepEqual(result.classes, ['healthy', 'unhealthy']);
  assert.ok(result.validation.accuracy >= 0.75, `accuracy ${result.validation.accuracy}`);
  assert.equal(result.proof.top_class_agreement, 1);
  assert.ok(result.seconds.total < 60, `${result.seconds.total} s`);
  assert.equal(readdirSync(join(folder, result.photos, 'healthy')).length, 80);
  const picture = await sharp(join(folder, result.picture)).metadata();
  assert.equal(picture.format, 'png');
  assert.ok(picture.width! > 600 && picture.height! > 600);
});

test('photos of somebody else are not taken for leaves', async () => {
  writeFileSync(join(folder, 'runs/leaves-160-seed-0/healthy/mine.jpg'), 'x');
  const refused = await graft(['demo', '--photos', '160'], { cwd: folder });
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /already holds mine\.jpg/);
});
