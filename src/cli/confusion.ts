// A confusion matrix for a terminal: the whole of it where it fits, else the pairs that are confused most.
import { paint } from './paint.ts';
import { formatTable, shorten, widthOf } from './text.ts';

/** Most columns of text that a matrix may take. */
const MAX_WIDTH = 80;
/** Most columns of a class's name in front of a row: two of them and a number fit into MAX_WIDTH. */
export const NAME_WIDTH = 32;
/** A column's head keeps at least this many columns of its name. */
const MIN_HEAD = 6;
const MAX_PAIRS = 10;

/** Rows are the truth, columns what the model said; right ones green, others red where there are many. */
export function describeConfusion(classes: readonly string[], confusion: readonly (readonly number[])[]): string {
  const names = classes.map(name => shorten(name, NAME_WIDTH));
  const widest = (texts: readonly string[]) => texts.reduce((most, text) => Math.max(most, widthOf(text)), 0);
  const room = Math.floor((MAX_WIDTH - widest(names)) / classes.length) - 2;
  const most = confusion.reduce((most, row) => Math.max(most, ...row), 0);
  if (room < Math.max(String(most).length, Math.min(widest(names), MIN_HEAD))) return describePairs(names, confusion);
  const head = ['', ...names.map(name => shorten(name, room))];
  const rows = confusion.map((row, k) => [names[k]!, ...row.map(String)]);
  const table = formatTable(head, rows, (text, row, column) => {
    const count = confusion[row]![column - 1];
    if (count === undefined || count === 0) return column > 0 ? paint('dim', text) : text;
    if (column - 1 === row) return paint('green', text);
    const total = confusion[row]!.reduce((sum, value) => sum + value, 0);
    return paint(count >= total / 10 ? 'red' : 'yellow', text);
  });
  return `Rows are the truth, columns what the model said:\n${table}`;
}

function describePairs(names: readonly string[], confusion: readonly (readonly number[])[]): string {
  const pairs = confusion.flatMap((row, truth) =>
    row.flatMap((count, said) => (count > 0 && said !== truth ? [{ truth, said, count }] : [])),
  );
  if (pairs.length === 0) return 'No photo was taken for another class.';
  pairs.sort((a, b) => b.count - a.count);
  const rows = pairs.slice(0, MAX_PAIRS).map(({ truth, said, count }) => [names[truth]!, names[said]!, String(count)]);
  const more = pairs.length > MAX_PAIRS ? `\nand ${pairs.length - MAX_PAIRS} more pairs (--json has all)` : '';
  return `Most confused:\n${formatTable(['truth', 'the model said', 'photos'], rows)}${more}`;
}
