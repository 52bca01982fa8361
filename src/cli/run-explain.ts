// Prints what graft explain found.
import { type ExplainOptions, explain } from '../project/explain.ts';
import type { CommandCode } from './command-code.ts';
import { paintError } from './paint.ts';
import { runVerb } from './run-verb.ts';
import { formatTable, percent, printable, printJson } from './text.ts';

/** Exit status 1 when a photo could not be read, so that a script notices. */
export const runExplain: CommandCode = async (values, json) => {
  const result = await runVerb(explain(values as unknown as ExplainOptions));
  if (json) {
    printJson(result);
  } else if (result.photos.length > 0) {
    const rows = result.photos.map(({ file, label, probability, shown, where, picture }) => [
      file,
      label,
      percent(probability),
      shown,
      where,
      picture,
    ]);
    process.stdout.write(
      `${formatTable(['photo', 'class', 'probability', 'evidence for', 'where', 'picture'], rows)}\n`,
    );
  }
  for (const { file, error } of result.unread) {
    process.stderr.write(`${paintError('red', 'graft:')} ${printable(`${file}: ${error}`)}\n`);
  }
  return result.unread.length > 0 ? 1 : 0;
};
