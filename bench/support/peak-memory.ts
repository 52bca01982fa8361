// The peak of this process's resident memory, threads and native libraries included (Linux).
import { readFileSync } from 'node:fs';

/** In MiB, exactly. */
export function peakMegabytes(): number {
  return Math.round(Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024);
}
