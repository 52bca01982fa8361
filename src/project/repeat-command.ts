// The command that trains a run again, as a shell takes it.
import { pickFields } from '../base/pick-fields.ts';

/** Options that say where a run goes, and those that another one of a run's settings stands for. */
const left: readonly string[] = ['data', 'project', 'name', 'existOk', 'model', 'maxLatency', 'maxSize'];

/**
 * `npx graft train ...` with the options of a run.
 * @param options what was said, by name; those of other kinds than flags, numbers and texts are left out.
 * @param model the very model that it came to; undefined for the default.
 */
export function repeatCommand(
  data: string,
  options: Readonly<Record<string, unknown>>,
  model: string | undefined,
): string {
  const said: Readonly<Record<string, unknown>> = {
    ...(model !== undefined && { model }),
    ...pickFields(options, name => !left.includes(name)),
  };
  const words = Object.entries(said).flatMap(([name, value]) => {
    const flag = name.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);
    // The only flag that is on by default.
    if (value === false) return name === 'flip' ? ['--no-flip'] : [];
    if (value === true) return [`--${flag}`];
    return typeof value === 'number' || typeof value === 'string' ? [`--${flag}`, shellWord(String(value))] : [];
  });
  return ['npx graft train', shellWord(data), ...words].join(' ');
}

/** A word as a POSIX shell takes it: in quotes where it has anything that the shell would read. */
export const shellWord = (text: string): string =>
  /^[\w%+,./:=@-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
