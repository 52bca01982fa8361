// Prints what graft compare found.
import { type CompareOptions, type CompareResult, compare } from '../project/compare.ts';
import type { CommandCode } from './command-code.ts';
import { paint } from './paint.ts';
import { runVerb } from './run-verb.ts';
import { formatBytes, formatTable, percent, printable, printJson, range, shorten } from './text.ts';

/** Most columns of a model's path: with the figures beside it a row fits into a terminal. */
const MODEL_WIDTH = 32;

export const runCompare: CommandCode = async (values, json) => {
  const result = await runVerb(compare(values as unknown as CompareOptions));
  if (json) printJson(result);
  else process.stdout.write(describeCompare(result));
  return 0;
};

function describeCompare({ models, pairs, images, camera }: CompareResult): string {
  const rows = models.map(({ model, figures, size, latency_ms }) => [
    shorten(model, MODEL_WIDTH),
    percent(figures.accuracy),
    range(figures.interval),
    percent(figures.macro_f1),
    figures.probability?.log_loss.toFixed(3) ?? '-',
    formatBytes(size),
    latency_ms.median.toFixed(1),
  ]);
  const isMixed = new Set(models.map(({ runtime }) => runtime)).size > 1;
  const seen = camera === 'none' ? '' : `, as the ${camera} camera sees them`;
  return [
    formatTable(['model', 'right', '95 %', 'macro F1', 'log-loss', 'size', 'ms'], rows),
    `${images} photos${seen}; ms for one of them on one thread${isMixed ? ': run folders in ONNX Runtime, files in LiteRT' : ''}.`,
    '',
    ...pairs.map(({ verdict, p_corrected }) => paint(p_corrected < 0.05 ? 'bold' : 'dim', printable(verdict))),
    ...(pairs.length > 1 ? [`p is corrected for ${pairs.length} comparisons (Holm), the bounds are not.`] : []),
    '',
  ].join('\n');
}
