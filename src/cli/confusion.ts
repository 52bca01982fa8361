// A confusion matrix for a terminal: the whole of it where it fits, else the pairs that are confused most.
import { paint } from './paint.ts';
import { formatTable, widthOf } from './text.ts';

/** Most columns of text that a matrix may take. */
const MAX_WIDTH = 80;
const MAX_PAIRS = 10;

/** Rows are the truth, columns what the model said; right ones green, others red where there are many. */
export function describeConfusion(classes: readonly string[], confusion: readonly (readonly number[])[]): string {
  const head = ['', ...classes];
  const rows = confusion.map((row, k) => [classes[k]!, ...row.map(String)]);
  const width = head.reduce(
    (sum, name, i) => sum + 2 + Math.max(...[name, ...rows.map(row => row[i]!)].map(widthOf)),
    -2,
  );
  if (width > MAX_WIDTH) return describePairs(classes, confusion);
  const table = formatTable(head, rows, (text, row, column) => {
    const count = confusion[row]![column - 1];
    if (count === undefined || count === 0) return column > 0 ? paint('dim', text) : text;
    if (column - 1 === row) return paint('green', text);
    const total = confusion[row]!.reduce((sum, value) => sum + value, 0);
    return paint(count >= total / 10 ? 'red' : 'yellow', text);
  });
  return `Rows are the truth, columns what the model said:\n${table}`;
}

function describePairs(classes: readonly string[], confusion: readonly (readonly number[])[]): string {
  const pairs = confusion.flatMap((row, truth) =>
    row.flatMap((count, said) => (count > 0 && said !== truth ? [{ truth, said, count }] : [])),
  );
  if (pairs.length === 0) return 'No photo was taken for another class.';
  pairs.sort((a, b) => b.count - a.count);
  const rows = pairs
    .slice(0, MAX_PAIRS)
    .map(({ truth, said, count }) => [classes[truth]!, classes[said]!, String(count)]);
  const more = pairs.length > MAX_PAIRS ? `\nand ${pairs.length - MAX_PAIRS} more pairs (--json has all)` : '';
  return `Most confused:\n${formatTable(['truth', 'the model said', 'photos'], rows)}${more}`;
}
