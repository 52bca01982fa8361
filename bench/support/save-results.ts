// Writes what a benchmark found to bench/results, for the docs and their tests.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { root } from './time-process.ts';

/** What was measured on. */
export function describeMachine() {
  return { cpu: cpus()[0]?.model.trim(), cores: cpus().length, node: process.versions.node };
}

/** Writes bench/results/NAME.json. */
export function saveResults(name: string, results: unknown): void {
  const folder = join(root, 'bench/results');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${name}.json`), `${JSON.stringify(results, null, 2)}\n`);
}

/** What bench/results/NAME.json holds. */
export const loadResults = <T>(name: string): T =>
  JSON.parse(readFileSync(join(root, `bench/results/${name}.json`), 'utf8')) as T;
