// Colour in the terminal, only where it is wanted.
import { styleText } from 'node:util';

/** Colours and styles that graft uses. */
export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow';

/** Whether a stream may be coloured: a terminal, unless NO_COLOR is set to anything (https://no-color.org). */
function mayColour(stream: NodeJS.WriteStream): boolean {
  return stream.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
}

/** Styles `text` for standard output. */
export function paint(style: Style, text: string): string {
  return mayColour(process.stdout) ? styleText(style, text) : text;
}

/** Styles `text` for standard error. */
export function paintError(style: Style, text: string): string {
  return mayColour(process.stderr) ? styleText(style, text) : text;
}
