// Remembers which file contents are sound photos, so that a photo is checked once, whatever it is called.
// One JSON line per content, appended; a torn last line is ignored.
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { explainSystemError } from '../base/errors.ts';
import type { VerdictCache } from '../dataset/scan-folder.ts';
import { VERDICT_VERSION, type Verdict } from '../image/verify.ts';

/** A verdict cache on disk; `save` appends what is new. */
export interface StoredVerdicts extends VerdictCache {
  save(): Promise<void>;
}

/** Opens the verdicts in graft's cache folder. */
export async function openVerdicts(cacheFolder: string): Promise<StoredVerdicts> {
  const file = join(cacheFolder, `photo-checks-${VERDICT_VERSION}.jsonl`);
  const known = new Map<string, Verdict>();
  const text = await readFile(file, 'utf8').catch(() => '');
  for (const line of text.split('\n')) {
    const entry = parseLine(line);
    if (entry) known.set(...entry);
  }
  let fresh: string[] = [];
  return {
    get: sha256 => known.get(sha256),
    set(sha256, verdict) {
      known.set(sha256, verdict);
      fresh.push(JSON.stringify([sha256, verdict]));
    },
    async save() {
      if (fresh.length === 0) return;
      try {
        await mkdir(dirname(file), { recursive: true });
        // A line break first, in case another run was cut off in the middle of a line.
        await appendFile(file, `\n${fresh.join('\n')}\n`);
        fresh = [];
      } catch (error) {
        throw explainSystemError(error, file);
      }
    },
  };
}

function parseLine(line: string): [string, Verdict] | undefined {
  if (line === '') return undefined;
  try {
    const [sha256, verdict] = JSON.parse(line) as [unknown, Verdict | null];
    if (typeof sha256 === 'string' && typeof verdict?.ok === 'boolean') return [sha256, verdict];
  } catch {
    // A torn line.
  }
  return undefined;
}
