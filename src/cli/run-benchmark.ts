// Prints what graft benchmark measured.
import { type BenchmarkOptions, type BenchmarkResult, benchmark } from '../project/benchmark.ts';
import type { CommandCode } from './command-code.ts';
import { runVerb } from './run-verb.ts';
import { formatBytes, formatTable, printable, printJson } from './text.ts';

export const runBenchmark: CommandCode = async (values, json) => {
  const result = await runVerb(benchmark(values as unknown as BenchmarkOptions));
  if (json) printJson(result);
  else process.stdout.write(describeBenchmark(result));
  return 0;
};

function describeBenchmark({ models }: BenchmarkResult): string {
  const rows = models.map(({ file, runtime, threads, bytes, load_ms, latency_ms, memory_bytes }) => [
    file,
    runtime,
    String(threads),
    `${latency_ms.median.toFixed(2)} ms`,
    `${latency_ms.p95.toFixed(2)} ms`,
    `${load_ms.toFixed(0)} ms`,
    formatBytes(Math.max(0, memory_bytes)),
    formatBytes(bytes),
  ]);
  const inputs = models.map(({ runtime, inputs }) => `${runtime} ${inputs.join(', ')}`);
  return [
    formatTable(['model', 'runtime', 'threads', 'median', '95th percentile', 'loading', 'memory', 'file'], rows),
    '',
    `Random inputs: ${printable(inputs.join('; '))}. ${models[0]!.latency_ms.runs} timed runs each, in turns, after a warm-up.`,
    'Memory: what one more copy of the model that has run adds to its process, without the runtime and the bytes of the file.',
    ...(models.some(({ runtime }) => runtime === 'LiteRT')
      ? ['LiteRT is its WebAssembly build here: on a robot the native one is faster.']
      : []),
    '',
  ].join('\n');
}
