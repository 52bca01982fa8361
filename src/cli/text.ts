// Small pieces of terminal text.
import stringWidth from 'string-width';

export { percent, range } from '../project/number-words.ts';

/** 1234567 as "1,234,567". */
export function countOf(count: number): string {
  return count.toLocaleString('en-US');
}

/** 6123456 as "6.1 MB". */
export function formatBytes(bytes: number): string {
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)} MB`;
  return bytes >= 1e4 ? `${(bytes / 1e3).toFixed(0)} kB` : `${bytes} bytes`;
}

/** One JSON value on standard output, indented, with a final newline. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Control characters of file and class names are shown as '?': a name must not move the cursor or recolour the screen. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}|\p{Cf}/gu, '?');
}

/** `printable` for each line of a text. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n');
}

/** Styles a cell that has its width already. */
type StyleCell = (text: string, row: number, column: number) => string;

/** Rows as aligned columns, the first one to the left and the others to the right, two spaces apart. */
export function formatTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  style: StyleCell = text => text,
): string {
  const cells = [head, ...rows].map(row => row.map(printable));
  const widths = head.map((_, column) => Math.max(...cells.map(row => widthOf(row[column]!))));
  const line = (row: readonly string[], index: number) =>
    row
      .map((cell, i) => {
        const text = i === 0 ? cell + gap(widths[i]!, cell) : gap(widths[i]!, cell) + cell;
        return index === 0 ? text : style(i === row.length - 1 ? text.trimEnd() : text, index - 1, i);
      })
      .join('  ')
      .trimEnd();
  return cells.map(line).join('\n');
}

function gap(width: number, cell: string): string {
  return ' '.repeat(width - widthOf(cell));
}

/** Columns that a text takes in a terminal. */
export function widthOf(text: string): number {
  return stringWidth(text);
}

const letters = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

/** A text in at most so many columns: what is too long loses its middle, since names differ at their ends. */
export function shorten(text: string, columns: number): string {
  const shown = printable(text);
  if (widthOf(shown) <= columns) return shown;
  const parts = Array.from(letters.segment(shown), ({ segment }) => segment);
  const [head, tail]: [string[], string[]] = [[], []];
  for (let room = columns - 1; parts.length > 0; ) {
    const fromHead = head.length <= tail.length;
    const part = fromHead ? parts.shift()! : parts.pop()!;
    room -= widthOf(part);
    if (room < 0) break;
    if (fromHead) head.push(part);
    else tail.unshift(part);
  }
  return `${head.join('')}…${tail.join('')}`;
}
