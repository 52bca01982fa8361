// Damaged .tflite files, their metadata and archives included: read or refused, never worse. npm run fuzz does 10,000.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fuzz, ownSeeds } from '../support/fuzz.ts';

test('400 damaged files are read or refused with a GraftError, in time and memory that fit their size', async () => {
  const report = await fuzz(ownSeeds(), 400, 1);
  assert.deepEqual(report.defects, []);
  // Damage of every strength: it is not that all files are refused at the door, nor that nothing is harmed.
  const { refused, read, partly, files } = report;
  assert.equal(refused + read + partly, files);
  assert.ok(refused > 100 && read > 30 && partly > 10, JSON.stringify(report));
});
