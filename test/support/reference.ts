// Committed numbers of other software, and the caches that tests share.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** A file of test/fixtures/reference, parsed. The caller says what it holds. */
export function readReference<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`../fixtures/reference/${name}`, import.meta.url), 'utf8')) as T;
}

/** An empty folder that is gone when the test ends. */
export async function temporaryFolder(test: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'graft-test-'));
  test.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The largest absolute difference of two lists of the same length. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new RangeError(`${a.length} and ${b.length} values`);
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}

/** The largest absolute value. */
export function largestNumber(values: ArrayLike<number>): number {
  return largestDifference(values, new Float32Array(values.length));
}

/** Asserts that numbers differ by at most `tolerance` times the largest wanted one, or 0.1 if that is smaller. */
export function assertClose(
  found: ArrayLike<number>,
  wanted: ArrayLike<number>,
  tolerance: number,
  what: string,
): void {
  const [difference, largest] = [largestDifference(found, wanted), largestNumber(wanted)];
  assert.ok(
    difference <= tolerance * Math.max(largest, 0.1),
    `${what}: ${difference} apart; the largest is ${largest}`,
  );
}

/** Runs a part of a verb to its end and returns its result. */
export async function drain<R>(steps: AsyncGenerator<unknown, R>): Promise<R> {
  for (;;) {
    const { done, value } = await steps.next();
    if (done) return value as R;
  }
}
