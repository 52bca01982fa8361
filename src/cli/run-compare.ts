// Prints what graft compare found.
import { type CompareOptions, type CompareResult, compare } from '../project/compare.ts';
import type { CommandCode } from './command-code.ts';
import { paint } from './paint.ts';
import { runVerb } from './run-verb.ts';
import { formatBytes, formatTable, percent, printable, printJson, range } from './text.ts';

export const runCompare: CommandCode = async (values, json) => {
  const result = await runVerb(compare(values as unknown as CompareOptions));
  if (json) printJson(result);
  else process.stdout.write(describeCompare(result));
  return 0;
};

function describeCompare({ models, pairs, images, camera }: CompareResult): string {
  const rows = models.map(({ model, figures, size, latency_ms }) => [
    model,
    percent(figures.accuracy),
    range(figures.interval),
    percent(figures.macro_f1),
    figures.probability?.log_loss.toFixed(3) ?? '-',
    formatBytes(size),
    latency_ms.median.toFixed(1),
  ]);
  const seen = camera === 'none' ? '' : `, as the ${camera} camera sees them`;
  return [
    formatTable(['model', 'right', '95 %', 'macro F1', 'log-loss', 'size', 'ms'], rows),
    `${images} photos${seen}; ms for one of them on one thread.`,
    '',
    ...pairs.map(({ verdict, p_corrected }) => paint(p_corrected < 0.05 ? 'bold' : 'dim', printable(verdict))),
    ...(pairs.length > 1 ? ['p is corrected for the number of models (Holm).'] : []),
    '',
  ].join('\n');
}
