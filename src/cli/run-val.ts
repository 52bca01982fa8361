// Prints what graft val measured.
import type { ValResult } from '../project/val.ts';
import { type ValOptions, val } from '../project/val.ts';
import type { CommandCode } from './command-code.ts';
import { paint } from './paint.ts';
import { runVerb } from './run-verb.ts';
import { formatTable, percent, printJson } from './text.ts';

export const runVal: CommandCode = async (values, json) => {
  const result = await runVerb(val(values as unknown as ValOptions));
  if (json) printJson(result);
  else process.stdout.write(describeVal(result));
  return 0;
};

function describeVal(result: ValResult): string {
  const rows = result.per_class.map(figures => [
    figures.class,
    String(figures.images),
    percent(figures.precision),
    percent(figures.recall),
    percent(figures.f1),
  ]);
  const part = result.part === 'everything' ? '' : ` (its ${result.part} split)`;
  const seen = result.camera === 'none' ? '' : `, as the ${result.camera} camera sees them`;
  return [
    `${paint('bold', percent(result.accuracy))} of ${result.images} photos in ${result.data}${part} are right${seen}; macro F1 ${percent(result.macro_f1)}.`,
    '',
    formatTable(['class', 'photos', 'precision', 'recall', 'F1'], rows),
    '',
    'Rows are the truth, columns what the model said:',
    formatTable(
      ['', ...result.classes],
      result.confusion.map((row, k) => [result.classes[k]!, ...row.map(String)]),
    ),
    ...(result.excluded.length > 0
      ? ['', `${result.excluded.length} files were left out (--json lists them with the reason).`]
      : []),
    '',
  ].join('\n');
}
